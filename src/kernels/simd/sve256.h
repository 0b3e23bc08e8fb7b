/* The vector vocabulary for SVE where its registers have exactly 256 bits, which -msve-vector-bits=256 promises to the
 * compiler: GNU vectors of 32 bytes are such registers then, and convert to the types of arm_sve.h. Where they
 * have more or fewer bits these kernels would run and give nonsense, so that dispatch.c asks for their length.
 */
#ifndef NORMCY_SVE256_H
#define NORMCY_SVE256_H

#include <arm_sve.h>

#if __ARM_FEATURE_SVE_BITS != 256
#error "these kernels need -msve-vector-bits=256"
#endif

#define W 8
#include "kernels/simd/types.h"

/* This store is ordered as any other is, so that no fence is needed. */
INLINE void stream_store(float *p, vf v) {
    svstnt1_f32(svptrue_b32(), p, v);
}
INLINE void store_fence(void) {
}
/* FMAX and FMIN treat NaN and zeros in another way than these functions have to. */
INLINE vf larger(vf a, vf b) {
    return svsel_f32(svcmpgt_f32(svptrue_b32(), a, b), a, b);
}
INLINE vf smaller(vf a, vf b) {
    return svsel_f32(svcmplt_f32(svptrue_b32(), a, b), a, b);
}
INLINE int any(vi where) {
    return svptest_any(svptrue_b32(), svcmpne_n_s32(svptrue_b32(), where, 0));
}

/* The units that multiply are those that add, so that a fused a * 1 + b would gain nothing here. */
INLINE vf sum_by_fma(vf a, vf b) {
    return a + b;
}
INLINE vd sum_doubles_by_fma(vd a, vd b) {
    return a + b;
}
INLINE vd plus_exact_square(vd s, vd v) {
    return svmla_f64_x(svptrue_b64(), s, v, v);
}

typedef svbool_t lanes __attribute__((arm_sve_vector_bits(256)));
INLINE lanes first(int n) {
    return svwhilelt_b32_s32(0, n);
}
INLINE vf first_lanes(lanes some, vf a, vf b) {
    return svsel_f32(some, a, b);
}
INLINE vf load_part(const float *p, lanes some) {
    return svld1_f32(some, p);
}
INLINE vf load_or(vf absent, const float *p, lanes some) {
    return first_lanes(some, load_part(p, some), absent);
}
INLINE void store_part(float *p, vf v, lanes some) {
    svst1_f32(some, p, v);
}

/* The conversion takes floats from the lower halves of lanes of 64 bits. */
INLINE vd widen_spread(svuint64_t v) {
    return svcvt_f64_f32_x(svptrue_b64(), svreinterpret_f32_u64(v));
}
INLINE vd widen_lo(vf v) {
    return widen_spread(svunpklo_u64(svreinterpret_u32_f32(v)));
}
INLINE vd widen_hi(vf v) {
    return widen_spread(svunpkhi_u64(svreinterpret_u32_f32(v)));
}
INLINE vd load_wide(const float *p) {
    return widen_spread(svld1uw_u64(svptrue_b64(), (const uint32_t *)p));
}

INLINE float sum_float_lanes(vf v) {
    v = svadd_f32_x(svptrue_b32(), v, svext_f32(v, v, 4));
    v = svadd_f32_x(svptrue_b32(), v, svext_f32(v, v, 2));
    return v[0] + v[1];
}
INLINE double sum_lanes(vd v) {
    v = svadd_f64_x(svptrue_b64(), v, svext_f64(v, v, 2));
    return v[0] + v[1];
}

/* Thirty-two registers hold the sums of a whole block, so that the compiler needs no help. */
#define COMPILER_BARRIER(v, w) ((void)0)

#endif
