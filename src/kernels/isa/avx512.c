/* The kernels for AVX512. */
#define NORMCY_ISA_AVX512
#define ISA avx512
#include "kernels/kernels_tpl.h"
