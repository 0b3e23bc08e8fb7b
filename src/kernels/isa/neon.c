/* The kernels for NEON, the baseline of aarch64. */
#define ISA neon
#include "kernels/kernels_tpl.h"
