/* The kernels for AVX2. */
#define NORMCY_ISA_AVX2
#define ISA avx2
#include "kernels/kernels_tpl.h"
