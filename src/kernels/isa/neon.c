/* The kernels for NEON, the baseline of aarch64. */
#define LEVEL neon
#include "kernels/kernels_tpl.h"
