/* The kernels for AVX2. */
#define NORMCY_LEVEL_AVX2
#define LEVEL avx2
#include "kernels/kernels_tpl.h"
