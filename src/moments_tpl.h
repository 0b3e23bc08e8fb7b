/* Single-pass moments: block-wise Welford. What moments by row and by column share.
 *
 * (A) A block is 16 vectors of a lane (by row) or 16 rows of a column. Its provisional mean m, rounded to float32, is
 *     taken first; then r = sum(x - m) and q = sum((x - m)^2). The residual r makes up for the rounding of m, so that
 *     m + r / n and q - r^2 / n are accurate far beyond float32, whatever |mean| / std is.
 * (B) Blocks join in float64 as sums about the slot's first value k: with d = m - k, s1 += r + n d and
 *     s2 += q + d (2 r + n d). That needs no division a block, and all lanes share k, so they add up in a fixed tree.
 * (C) About zero instead of the mean (RMSNorm) there is nothing to cancel: s2 += sum(x^2).
 * (D) Exact: every x - k is taken, squared and added in float64, without blocks.
 */
#ifndef NORMCY_MOMENTS_TPL_H
#define NORMCY_MOMENTS_TPL_H

#include "vec.h"

typedef struct {
    normcy_about about;
    int scaled; /* both are compile-time constants once inlined */
} moments_kind;

static const float reciprocal[NORMCY_LANES + 1] = {0,         1,         1.0f / 2,  1.0f / 3,  1.0f / 4,  1.0f / 5,
                                                   1.0f / 6,  1.0f / 7,  1.0f / 8,  1.0f / 9,  1.0f / 10, 1.0f / 11,
                                                   1.0f / 12, 1.0f / 13, 1.0f / 14, 1.0f / 15, 1.0f / 16};

/* Four vectors at a time, pairwise; fours are added in order. */
INLINE vf sum4(const vf v[4]) {
    return (v[0] + v[1]) + (v[2] + v[3]);
}

/* (B) for half of the lanes of a native vector. */
INLINE void join(vd *s1, vd *s2, vd r, vd q, vd n, vd d) {
    vd t = r + n * d;
    *s1 += t;
    *s2 += q + d * (r + t);
}

/* (D) for a native vector; in a part, the lanes from n on add nothing. */
INLINE void join_exact(vd s1[2], vd s2[2], vf x, vd origin_lo, vd origin_hi, int n) {
    vd d[2] = {widen_lo(x) - origin_lo, widen_hi(x) - origin_hi};
    for (int half = 0; half < 2; half++) {
        if (n < W)
            d[half] = first_doubles(n - half * W / 2, d[half]);
        s1[half] += d[half];
        s2[half] += d[half] * d[half];
    }
}

/* (B) for a native vector, of which each lane has n values. */
INLINE void join_vector(vd s1[2], vd s2[2], vf m, vf r, vf q, vf n, vd origin_lo, vd origin_hi) {
    join(&s1[0], &s2[0], widen_lo(r), widen_lo(q), widen_lo(n), widen_lo(m) - origin_lo);
    join(&s1[1], &s2[1], widen_hi(r), widen_hi(q), widen_hi(n), widen_hi(m) - origin_hi);
}

/* From sums about k to mean and m2. */
INLINE void settle(double n, double k, double s1, double s2, double *mean, double *m2) {
    double off = s1 / n, m = s2 - s1 * off;
    *mean = k + off;
    *m2 = m < 0 ? 0 : m;
}

#endif
