/* The vector vocabulary for AVX-512F. */
#ifndef NORMCY_AVX512_H
#define NORMCY_AVX512_H

#include <immintrin.h>

#define W 16
#include "kernels/simd/types.h"

INLINE void stream_store(float *p, vf v) {
    _mm512_stream_ps(p, (__m512)v);
}
INLINE void store_fence(void) {
    _mm_sfence();
}
INLINE vf larger(vf a, vf b) {
    return (vf)_mm512_max_ps((__m512)a, (__m512)b);
}
INLINE vf smaller(vf a, vf b) {
    return (vf)_mm512_min_ps((__m512)a, (__m512)b);
}
INLINE int any(vi where) {
    return _mm512_test_epi32_mask((__m512i)where, (__m512i)where) != 0;
}

INLINE vf sum_by_fma(vf a, vf b) {
    return (vf)_mm512_fmadd_ps((__m512)a, _mm512_set1_ps(1), (__m512)b);
}
INLINE vd sum_doubles_by_fma(vd a, vd b) {
    return (vd)_mm512_fmadd_pd((__m512d)a, _mm512_set1_pd(1), (__m512d)b);
}
INLINE vd plus_exact_square(vd s, vd v) {
    return (vd)_mm512_fmadd_pd((__m512d)v, (__m512d)v, (__m512d)s);
}

typedef __mmask16 lanes;
INLINE lanes first(int n) {
    return (__mmask16)((1u << n) - 1);
}
INLINE vf first_lanes(lanes some, vf a, vf b) {
    return (vf)_mm512_mask_mov_ps((__m512)b, some, (__m512)a);
}
INLINE vf load_or(vf absent, const float *p, lanes some) {
    return (vf)_mm512_mask_loadu_ps((__m512)absent, some, p);
}
INLINE vf load_part(const float *p, lanes some) {
    return (vf)_mm512_maskz_loadu_ps(some, p);
}
INLINE void store_part(float *p, vf v, lanes some) {
    _mm512_mask_storeu_ps(p, some, (__m512)v);
}

INLINE vd widen_lo(vf v) {
    return (vd)_mm512_cvtps_pd(_mm512_castps512_ps256((__m512)v));
}
INLINE vd widen_hi(vf v) {
    return (vd)_mm512_cvtps_pd(_mm256_castpd_ps(_mm512_extractf64x4_pd((__m512d)v, 1)));
}
INLINE vd load_wide(const float *p) {
    return (vd)_mm512_cvtps_pd(_mm256_loadu_ps(p));
}

INLINE float sum_float_lanes(vf v) {
    __m256 upper = _mm256_castpd_ps(_mm512_extractf64x4_pd((__m512d)v, 1));
    __m256 q = _mm256_add_ps(_mm512_castps512_ps256((__m512)v), upper);
    __m128 h = _mm_add_ps(_mm256_castps256_ps128(q), _mm256_extractf128_ps(q, 1));
    h = _mm_add_ps(h, _mm_movehl_ps(h, h));
    return _mm_cvtss_f32(_mm_add_ss(h, _mm_shuffle_ps(h, h, 1)));
}
INLINE double sum_lanes(vd v) {
    __m256d q = _mm256_add_pd(_mm512_castpd512_pd256((__m512d)v), _mm512_extractf64x4_pd((__m512d)v, 1));
    __m128d h = _mm_add_pd(_mm256_castpd256_pd128(q), _mm256_extractf128_pd(q, 1));
    return _mm_cvtsd_f64(_mm_add_sd(h, _mm_unpackhi_pd(h, h)));
}

/* Thirty-two registers hold the sums of a whole block, so that the compiler needs no help. */
#define COMPILER_BARRIER(v, w) ((void)0)

#endif
