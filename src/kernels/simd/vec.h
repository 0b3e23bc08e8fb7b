/* The vector vocabulary of the kernels.
 *
 * (A) A vector is as wide as the instruction set's own registers: vf holds W floats, vd W / 2 doubles, vi and vu W
 *     integers of 32 bits. NV vectors make the sixteen virtual lanes.
 *     Reason: a type of sixteen lanes for all would be simpler still, but gcc lowers one through the stack.
 * (B) GNU vector arithmetic does most of the work (types.h). For the rest, the header of each instruction set defines
 *     the same names, which are described below.
 * (C) That header is chosen by the instruction set, never by a width: AVX2 and SVE of 256 bits have the same width.
 *
 * stream_store        stores a vector past the caches, to an aligned place
 * store_fence         is called before others read what stream_store wrote
 * larger, smaller     are a > b ? a : b and a < b ? a : b, lane by lane: where b is NaN, or both are zero, they are b
 * any                 is true if a comparison holds in some lane
 * sum_by_fma          is a + b to the bit, of floats and (sum_doubles_by_fma) of doubles, in the units that multiply
 *                     where the instruction set has a fused a * 1 + b
 * plus_exact_square   is s + v * v for doubles v that are floats: such squares are exact, so that it may be fused
 * lanes               is a set of lanes in the form that partial loads take; it is worth making once for many loads
 * first               makes the set of the first n lanes
 * load_part, load_or  load these lanes and touch no other memory; the other lanes are 0, or those of `absent`
 * store_part          stores these lanes and touches no other memory
 * first_lanes         takes these lanes of a, and the others of b
 * widen_lo, widen_hi  convert one half of the lanes to doubles
 * load_wide           loads W / 2 floats as doubles
 * sum_lanes           adds up the lanes in halves, of doubles or (sum_float_lanes) of floats
 * COMPILER_BARRIER    has two vectors computed before anything that follows is loaded. Where there are sixteen
 *                     registers, the compiler would otherwise load a whole block, and spill it.
 */
#ifndef NORMCY_VEC_H
#define NORMCY_VEC_H

#include <string.h>

#if defined(NORMCY_ISA_AVX512)
#include "kernels/simd/avx512.h"
#elif defined(NORMCY_ISA_AVX2)
#include "kernels/simd/avx2.h"
#elif defined(NORMCY_ISA_SVE256)
#include "kernels/simd/sve256.h"
#elif defined(NORMCY_ISA_NEON)
#include "kernels/simd/neon.h"
#elif defined(__SSE2__)
#include "kernels/simd/sse2.h"
#else
#include "kernels/simd/gnu.h"
#endif

/* Has the line of *p fetched to L2. p may be any address, even one past an array. */
INLINE void prefetch_to_l2(const float *p) {
    __builtin_prefetch(p, 0, 2);
}

INLINE vf at_least(vf v, float limit) {
    return larger(set1(limit), v);
}
INLINE vf at_most(vf v, float limit) {
    return smaller(set1(limit), v);
}

/* Returns how many of the W floats that start at `at` lie below `end`. */
INLINE int lanes_left(ptrdiff_t at, ptrdiff_t end) {
    ptrdiff_t n = end - at;
    return n < 0 ? 0 : n > W ? W : (int)n;
}

/* Adds up the sixteen lanes in halves: 16 -> 8 -> 4 -> 2 -> 1, the same tree on every instruction set. */
INLINE double sum_tree(vd lanes[2 * NV]) {
#pragma GCC unroll 8
    for (int half = NV; half >= 1; half /= 2)
#pragma GCC unroll 8
        for (int j = 0; j < half; j++)
            lanes[j] += lanes[j + half];
    return sum_lanes(lanes[0]);
}

/* The same in float32. */
INLINE float sum_floats(vf lanes[NV]) {
#pragma GCC unroll 4
    for (int half = NV / 2; half >= 1; half /= 2)
#pragma GCC unroll 4
        for (int j = 0; j < half; j++)
            lanes[j] += lanes[j + half];
    return sum_float_lanes(lanes[0]);
}

#endif
