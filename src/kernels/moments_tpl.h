/* Single-pass moments: what the kernels of rows and of columns share.
 *
 * (A) Exact sums. Values and their squares are converted to float64 as they are loaded, and added up about zero. This
 *     is how columns are summed, and rows of up to NORMCY_EXACT_ROW values (without a mean to subtract, as in RMSNorm:
 *     NORMCY_EXACT_ROW_ABOUT_ZERO).
 *     Reason: a float32 times itself has 48 bits and float64 holds 53, so that only the additions round, fused with the
 *     product or not, and nothing overflows or underflows. Short rows are as fast in this way as in float32 about a
 *     shift, which would have to be found first.
 * (B) Slots far from zero. m2 = sum(x^2) - sum(x)^2 / n loses as many bits as the square of mean / std has. Where the
 *     mean is more than NORMCY_FAR_STDS standard deviations away, the slot is summed again about its mean, rounded to
 *     float32.
 * (C) Longer rows. x - k is summed in float32, where the shift k is the mean of four vectors from different places of
 *     the row. The differences and their squares add up pairwise within a block, and blocks add up in float64. Where k
 *     is so far off that the squares about it exceed those about the mean by more than a sixth, the row is summed again
 *     by (A).
 *     Reason: in cache, exact sums of long rows take up to twice as long.
 * (D) About zero, as for RMSNorm, nothing is subtracted, so that (B) and the shift of (C) are not needed.
 *
 * docs/decisions/0002-numerics.md derives how far off each of these can be.
 */
#ifndef NORMCY_MOMENTS_TPL_H
#define NORMCY_MOMENTS_TPL_H

#include "kernels/simd/vec.h"

/* What is summed. Both are compile-time constants once inlined. */
typedef struct {
    normcy_about about;
    int shifted; /* the values are differences from a shift, whose squares are not exact in float64 */
} moments_kind;

/* Adds v to the sum of values, and v * v to the sum of squares. */
INLINE void sum_exactly(vd *s1, vd *s2, vd v, moments_kind kind) {
    if (kind.about != NORMCY_ABOUT_ZERO)
        *s1 += v;
    *s2 = kind.shifted ? *s2 + v * v : plus_exact_square(*s2, v);
}

/* (B): returns 1 if the mean of a slot that was summed about zero cancels more of m2 than the bound allows. */
INLINE int far_from_zero(double s2, double m2) {
    return NORMCY_FAR_STDS * NORMCY_FAR_STDS * m2 < s2;
}

/* (C): returns 1 if the shift of a row was too far off. */
INLINE int far_from_shift(double s2, double m2) {
    return NORMCY_EXCESS_DENOMINATOR * s2 > NORMCY_EXCESS_NUMERATOR * m2;
}

/* Computes mean and m2 from the sums about k. */
INLINE void finalize(double n, double k, double s1, double s2, double *mean, double *m2) {
    double off = s1 / n, m = s2 - s1 * off;
    *mean = k + off;
    *m2 = m < 0 ? 0 : m;
}

#endif
