/* The kernels for AVX512. */
#define NORMCY_LEVEL_AVX512
#define LEVEL avx512
#include "kernels/kernels_tpl.h"
