/* The kernels for NEON, the baseline of aarch64. */
#define LEVEL neon
#include "kernels_tpl.h"
