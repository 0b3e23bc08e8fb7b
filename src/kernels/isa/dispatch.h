/* Which instruction sets this build carries and this CPU has. */
#ifndef NORMCY_DISPATCH_H
#define NORMCY_DISPATCH_H

#include "kernels/kernels.h"

/* The table of the i-th instruction set of this build, slowest first; NULL past the last. */
const normcy_kernels *normcy_isa(int i);

/* Whether this CPU and its operating system can run that instruction set. */
int normcy_isa_runs(int i);

#endif
