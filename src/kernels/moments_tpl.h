/* Single-pass moments: what those of rows and of columns share.
 *
 * (A) Exact sums: sum(x) and sum(x^2) in float64, about zero. A float32 times itself has 48 bits and float64 holds 53,
 * so that only the additions round, fused with the product or not, and nothing overflows or underflows. This is how
 *     columns are summed, and rows of up to a block, or, about zero, of up to four vectors. Reason: converted as they
 * are loaded, they are as fast there as float32 sums about a shift, which has to be found first. (B) m2 = sum(x^2) -
 * sum(x)^2 / n loses as many bits as the mean is larger than the deviation. Where that is more than 16 times, the slot
 * is summed again about its mean, rounded to float32. (C) Longer rows: x - k in float32, k the mean of four vectors
 * spread over the row. The differences and their squares add up pairwise within a block of 256, and blocks in float64.
 * Where k is so far off that the squares about it are more than a sixth above those about the mean, the row is summed
 * again, by (A). Reason: in cache, exact sums take up to twice as long there. (D) About zero instead of the mean
 * (RMSNorm) there is nothing to subtract.
 *
 * How far off each of these can be is derived in docs/decisions/0002-numerics.md.
 */
#ifndef NORMCY_MOMENTS_TPL_H
#define NORMCY_MOMENTS_TPL_H

#include "kernels/simd/vec.h"

/* Both are compile-time constants once inlined. */
typedef struct {
    normcy_about about;
    int shifted; /* what is summed are differences from a shift, whose squares round in float64, too */
} moments_kind;

/* Takes v, of floats or of differences between them, into sums in float64. */
INLINE void sum_exactly(vd *s1, vd *s2, vd v, moments_kind kind) {
    if (kind.about != NORMCY_ABOUT_ZERO)
        *s1 += v;
    *s2 = kind.shifted ? *s2 + v * v : plus_exact_square(*s2, v);
}

/* (B) of a slot that was summed about zero: whether its mean cancels more of m2 than the bound allows. */
INLINE int far_from_zero(double s2, double m2) {
    return NORMCY_FAR_STDS * NORMCY_FAR_STDS * m2 < s2;
}

/* (C) of a row that was summed about a shift. */
INLINE int far_from_shift(double s2, double m2) {
    return NORMCY_EXCESS_DENOMINATOR * s2 > NORMCY_EXCESS_NUMERATOR * m2;
}

/* From sums about k to mean and m2. */
INLINE void settle(double n, double k, double s1, double s2, double *mean, double *m2) {
    double off = s1 / n, m = s2 - s1 * off;
    *mean = k + off;
    *m2 = m < 0 ? 0 : m;
}

#endif
