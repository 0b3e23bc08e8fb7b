/* The kernels for NEON, the baseline of aarch64. */
#define NORMCY_ISA_NEON
#define ISA neon
#include "kernels/kernels_tpl.h"
