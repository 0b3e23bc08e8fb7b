/* The kernels for AVX-512F. */
#define NORMCY_ISA_AVX512
#define ISA avx512
#include "kernels/kernels_tpl.h"
