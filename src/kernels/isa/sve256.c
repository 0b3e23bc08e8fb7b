/* The kernels for SVE of 256 bits. */
#define NORMCY_ISA_SVE256
#define ISA sve256
#include "kernels/kernels_tpl.h"
