/* The kernels for the architecture's baseline (SSE2 on x86-64). */
#define ISA baseline
#include "kernels/kernels_tpl.h"
