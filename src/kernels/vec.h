/* The vocabulary of the kernels, at the width that the instruction set has natively.
 *
 * vf holds W floats, vd holds W / 2 doubles; GNU vector arithmetic does the rest. NV native vectors make the sixteen
 * virtual lanes. A wider common vector type would be simpler still, but gcc lowers one through the stack.
 */
#ifndef NORMCY_VEC_H
#define NORMCY_VEC_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/kernels.h"

#if defined(NORMCY_ISA_AVX512)
#include <immintrin.h>
#define W 16
#elif defined(NORMCY_ISA_AVX2)
#include <immintrin.h>
#define W 8
#else
#ifdef __SSE2__
#include <emmintrin.h>
#endif
#define W 4
#endif

#define NV (NORMCY_LANES / W)
#define INLINE static inline __attribute__((always_inline))

typedef float vf __attribute__((vector_size(4 * W)));
typedef double vd __attribute__((vector_size(4 * W)));
typedef int32_t vi __attribute__((vector_size(4 * W)));
typedef uint32_t vu __attribute__((vector_size(4 * W)));
typedef float vf_unaligned __attribute__((vector_size(4 * W), aligned(4), may_alias));
typedef double vd_unaligned __attribute__((vector_size(4 * W), aligned(8), may_alias));

INLINE vf load(const float *p) {
    return *(const vf_unaligned *)p;
}
INLINE void store(float *p, vf v) {
    *(vf_unaligned *)p = v;
}
/* Past the caches, to an aligned place; before others read it, all_stored. */
#ifdef __SSE2__
INLINE void store_past(float *p, vf v) {
#if defined(NORMCY_ISA_AVX512)
    _mm512_stream_ps(p, (__m512)v);
#elif defined(NORMCY_ISA_AVX2)
    _mm256_stream_ps(p, (__m256)v);
#else
    _mm_stream_ps(p, (__m128)v);
#endif
}
INLINE void all_stored(void) {
    _mm_sfence();
}
#else
INLINE void store_past(float *p, vf v) {
    store(p, v);
}
INLINE void all_stored(void) {
}
#endif
INLINE vd load_d(const double *p) {
    return *(const vd_unaligned *)p;
}
INLINE void store_d(double *p, vd v) {
    *(vd_unaligned *)p = v;
}
INLINE vf set1(float s) {
    return s - (vf){0};
}
INLINE vd set1_d(double s) {
    return s - (vd){0};
}

INLINE vf choose(vi where, vf a, vf b) {
    return (vf)(((vi)a & where) | ((vi)b & ~where));
}

/* a > b ? a : b and a < b ? a : b, lane by lane: where b is NaN, or both are zero, it is b that stays. That is x86's
 * instruction, not ARM's. */
#if defined(NORMCY_ISA_AVX512)
#define X86(name, a, b) (vf) _mm512_##name##_ps((__m512)a, (__m512)b)
#elif defined(NORMCY_ISA_AVX2)
#define X86(name, a, b) (vf) _mm256_##name##_ps((__m256)a, (__m256)b)
#elif defined(__SSE2__)
#define X86(name, a, b) (vf) _mm_##name##_ps((__m128)a, (__m128)b)
#endif
#ifdef X86
INLINE vf larger(vf a, vf b) {
    return X86(max, a, b);
}
INLINE vf smaller(vf a, vf b) {
    return X86(min, a, b);
}
#undef X86
#else
INLINE vf larger(vf a, vf b) {
    return choose(a > b, a, b);
}
INLINE vf smaller(vf a, vf b) {
    return choose(a < b, a, b);
}
#endif
INLINE vf magnitude(vf v) {
    return (vf)((vi)v & 0x7fffffff);
}
INLINE vf at_least(vf v, float limit) {
    return larger(set1(limit), v);
}
INLINE vf at_most(vf v, float limit) {
    return smaller(set1(limit), v);
}

INLINE int any(vi where) {
#if defined(NORMCY_ISA_AVX512)
    return _mm512_test_epi32_mask((__m512i)where, (__m512i)where) != 0;
#elif defined(NORMCY_ISA_AVX2)
    return _mm256_movemask_ps((__m256)where) != 0;
#elif defined(__SSE2__)
    return _mm_movemask_ps((__m128)where) != 0;
#else
    return (where[0] | where[1] | where[2] | where[3]) != 0;
#endif
}

/* a + b, to the bit, by the units that multiply where the instruction set has a fused a * 1 + b. */
INLINE vf sum_by_fma(vf a, vf b) {
#if defined(NORMCY_ISA_AVX512)
    return (vf)_mm512_fmadd_ps((__m512)a, _mm512_set1_ps(1), (__m512)b);
#elif defined(__FMA__)
    return (vf)_mm256_fmadd_ps((__m256)a, _mm256_set1_ps(1), (__m256)b);
#else
    return a + b;
#endif
}

INLINE vd sum_doubles_by_fma(vd a, vd b) {
#if defined(NORMCY_ISA_AVX512)
    return (vd)_mm512_fmadd_pd((__m512d)a, _mm512_set1_pd(1), (__m512d)b);
#elif defined(__FMA__)
    return (vd)_mm256_fmadd_pd((__m256d)a, _mm256_set1_pd(1), (__m256d)b);
#else
    return a + b;
#endif
}

/* s + v * v where v holds float32 values: their squares are exact in float64, so that fused or not it is the same. */
INLINE vd plus_exact_square(vd s, vd v) {
#if defined(NORMCY_ISA_AVX512)
    return (vd)_mm512_fmadd_pd((__m512d)v, (__m512d)v, (__m512d)s);
#elif defined(__FMA__)
    return (vd)_mm256_fmadd_pd((__m256d)v, (__m256d)v, (__m256d)s);
#else
    return s + v * v;
#endif
}

/* How many of the W floats that start at `at` lie below `end`. */
INLINE int lanes_left(ptrdiff_t at, ptrdiff_t end) {
    ptrdiff_t n = end - at;
    return n < 0 ? 0 : n > W ? W : (int)n;
}

/* Some first lanes of a vector, in the form that partial loads of the instruction set want: worth making once for many
 * loads.
 *
 * load_part and store_part touch these floats only; the other lanes load as 0, or, by load_or, as those of `absent`.
 * first_lanes takes these lanes of a and the rest of b. Then: widen_lo and widen_hi convert half of the lanes,
 * load_wide the W / 2 floats at p; sum_lanes and sum_float_lanes add in halves. */
#if W == 16
typedef __mmask16 lanes;
INLINE lanes first(int n) {
    return (__mmask16)((1u << n) - 1);
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
INLINE vf first_lanes(lanes some, vf a, vf b) {
    return (vf)_mm512_mask_mov_ps((__m512)b, some, (__m512)a);
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
#elif W == 8
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
#else
typedef int lanes;
INLINE lanes first(int n) {
    return n;
}
INLINE vf first_lanes(lanes some, vf a, vf b) {
    return choose((vi){0, 1, 2, 3} < some, a, b);
}
INLINE vf load_part(const float *p, lanes some) {
    if (some == W)
        return load(p);
    vf v = {some > 0 ? p[0] : 0, some > 1 ? p[1] : 0, some > 2 ? p[2] : 0, 0};
    return v;
}
INLINE vf load_or(vf absent, const float *p, lanes some) {
    return some == W ? load(p) : first_lanes(some, load_part(p, some), absent);
}
INLINE void store_part(float *p, vf v, lanes some) {
    for (int i = 0; i < some; i++)
        p[i] = v[i];
}
INLINE vd widen_lo(vf v) {
    return (vd){v[0], v[1]};
}
INLINE vd widen_hi(vf v) {
    return (vd){v[2], v[3]};
}
INLINE vd load_wide(const float *p) {
#ifdef __SSE2__
    return (vd)_mm_cvtps_pd(_mm_castpd_ps(_mm_load_sd((const double *)p)));
#else
    return (vd){p[0], p[1]};
#endif
}
INLINE float sum_float_lanes(vf v) {
    return (v[0] + v[2]) + (v[1] + v[3]);
}
INLINE double sum_lanes(vd v) {
    return v[0] + v[1];
}
#endif

/* Sum of the sixteen lanes in halves: 16 -> 8 -> 4 -> 2 -> 1, the same tree on every instruction set. */
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

/* On instruction sets with sixteen registers the sums of a whole block do not stay in them: to have two vectors done
 * before others are loaded is cheaper than what the compiler makes of it, which is to spill all that is loaded. */
#if W == 16
#define DONE(v, w) ((void)0)
#elif defined(__x86_64__)
#define DONE(v, w) __asm__ volatile("" : "+x"(v), "+x"(w)::"memory")
#elif defined(__aarch64__)
#define DONE(v, w) __asm__ volatile("" : "+w"(v), "+w"(w)::"memory")
#else
#define DONE(v, w) __asm__ volatile("" ::: "memory")
#endif

#endif
