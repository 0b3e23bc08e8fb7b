/* The vector vocabulary for NEON, the baseline of aarch64. The compiler makes NEON instructions of GNU vectors by
 * itself. FMAX and FMIN would not do, as they treat NaN and zeros in another way than `larger` and `smaller` have to.
 */
#ifndef NORMCY_NEON_H
#define NORMCY_NEON_H

#define COMPILER_BARRIER(v, w) __asm__ volatile("" : "+w"(v), "+w"(w)::"memory")

#include "kernels/simd/gnu.h"

#endif
