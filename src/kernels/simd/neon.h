/* The vector vocabulary for NEON, the baseline of aarch64. The compiler makes NEON of GNU vectors as they are: fmax and
 * fmin, for one, treat NaN and zeros otherwise than `larger` and `smaller` have to.
 */
#ifndef NORMCY_NEON_H
#define NORMCY_NEON_H

#define COMPILER_BARRIER(v, w) __asm__ volatile("" : "+w"(v), "+w"(w)::"memory")

#include "kernels/simd/gnu.h"

#endif
