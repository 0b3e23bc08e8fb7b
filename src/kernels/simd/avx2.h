/* The vector vocabulary for AVX2 with FMA. */
#ifndef NORMCY_AVX2_H
#define NORMCY_AVX2_H

#include <immintrin.h>

#define W 8
#include "kernels/simd/types.h"

INLINE void stream_store(float *p, vf v) {
    _mm256_stream_ps(p, (__m256)v);
}
INLINE void store_fence(void) {
    _mm_sfence();
}
INLINE vf larger(vf a, vf b) {
    return (vf)_mm256_max_ps((__m256)a, (__m256)b);
}
INLINE vf smaller(vf a, vf b) {
    return (vf)_mm256_min_ps((__m256)a, (__m256)b);
}
INLINE int any(vi where) {
    return _mm256_movemask_ps((__m256)where) != 0;
}

INLINE vf sum_by_fma(vf a, vf b) {
    return (vf)_mm256_fmadd_ps((__m256)a, _mm256_set1_ps(1), (__m256)b);
}
INLINE vd sum_doubles_by_fma(vd a, vd b) {
    return (vd)_mm256_fmadd_pd((__m256d)a, _mm256_set1_pd(1), (__m256d)b);
}
INLINE vd plus_exact_square(vd s, vd v) {
    return (vd)_mm256_fmadd_pd((__m256d)v, (__m256d)v, (__m256d)s);
}

typedef vi lanes;
INLINE lanes first(int n) {
    return (vi){0, 1, 2, 3, 4, 5, 6, 7} < n;
}
INLINE vf first_lanes(lanes some, vf a, vf b) {
    return (vf)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)some);
}
INLINE vf load_part(const float *p, lanes some) {
    return (vf)_mm256_maskload_ps(p, (__m256i)some);
}
INLINE vf load_or(vf absent, const float *p, lanes some) {
    return first_lanes(some, load_part(p, some), absent);
}
INLINE void store_part(float *p, vf v, lanes some) {
    _mm256_maskstore_ps(p, (__m256i)some, (__m256)v);
}

INLINE vd widen_lo(vf v) {
    return (vd)_mm256_cvtps_pd(_mm256_castps256_ps128((__m256)v));
}
INLINE vd widen_hi(vf v) {
    return (vd)_mm256_cvtps_pd(_mm256_extractf128_ps((__m256)v, 1));
}
INLINE vd load_wide(const float *p) {
    return (vd)_mm256_cvtps_pd(_mm_loadu_ps(p));
}

INLINE float sum_float_lanes(vf v) {
    __m128 h = _mm_add_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
    h = _mm_add_ps(h, _mm_movehl_ps(h, h));
    return _mm_cvtss_f32(_mm_add_ss(h, _mm_shuffle_ps(h, h, 1)));
}
INLINE double sum_lanes(vd v) {
    __m128d h = _mm_add_pd(_mm256_castpd256_pd128((__m256d)v), _mm256_extractf128_pd((__m256d)v, 1));
    return _mm_cvtsd_f64(_mm_add_sd(h, _mm_unpackhi_pd(h, h)));
}

#define COMPILER_BARRIER(v, w) __asm__ volatile("" : "+x"(v), "+x"(w)::"memory")

#endif
