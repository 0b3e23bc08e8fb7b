/* Which instruction sets this build has kernels for, and which of them this CPU can run. */
#ifndef NORMCY_DISPATCH_H
#define NORMCY_DISPATCH_H

#include "kernels/kernels.h"

/* The kernels of the i-th instruction set of this build, the slowest first; NULL after the last one. */
const normcy_kernels *normcy_isa(int i);

/* Returns 1 if this CPU and its operating system can run them. */
int normcy_isa_runs(int i);

#endif
