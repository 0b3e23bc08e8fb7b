/* The vector vocabulary for SSE2, the baseline of x86-64. */
#ifndef NORMCY_SSE2_H
#define NORMCY_SSE2_H

#include <emmintrin.h>

#include "kernels/simd/four_lanes.h"

INLINE void stream_store(float *p, vf v) {
    _mm_stream_ps(p, (__m128)v);
}
INLINE void store_fence(void) {
    _mm_sfence();
}
INLINE vf larger(vf a, vf b) {
    return (vf)_mm_max_ps((__m128)a, (__m128)b);
}
INLINE vf smaller(vf a, vf b) {
    return (vf)_mm_min_ps((__m128)a, (__m128)b);
}
INLINE int any(vi where) {
    return _mm_movemask_ps((__m128)where) != 0;
}
INLINE vd load_wide(const float *p) {
    /* The two floats are loaded as an integer, which may be misaligned; a double may not. */
    return (vd)_mm_cvtps_pd(_mm_castsi128_ps(_mm_loadu_si64(p)));
}

#define COMPILER_BARRIER(v, w) __asm__ volatile("" : "+x"(v), "+x"(w)::"memory")

#endif
