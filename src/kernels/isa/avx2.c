/* The kernels for AVX2 with FMA. */
#define NORMCY_ISA_AVX2
#define ISA avx2
#include "kernels/kernels_tpl.h"
