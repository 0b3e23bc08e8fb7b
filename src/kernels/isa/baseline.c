/* The kernels for the baseline of the architecture: SSE2 on x86-64, and GNU vectors alone where there is no stub of its
 * own. */
#define ISA baseline
#include "kernels/kernels_tpl.h"
