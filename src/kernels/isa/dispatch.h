/* Which instruction sets this build carries and this CPU has. */
#ifndef NORMCY_DISPATCH_H
#define NORMCY_DISPATCH_H

#include "kernels/kernels.h"

/* The table of the i-th level of this build, slowest first; NULL past the last. */
const normcy_kernels *normcy_level(int i);

/* Whether this CPU and its operating system can run that level. */
int normcy_level_runs(int i);

#endif
