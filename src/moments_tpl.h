/* Single-pass moments: Welford by stretches. What moments by row and by column share.
 *
 * (A) A stretch is up to 1024 floats of a row, in sixteen lanes, or 32 rows of a column. Each lane has a centre c,
 *     known before its values are read; then r = sum(x - c) and q = sum((x - c)^2), pairwise. The residual r makes up
 * for what c is off by, so that c + r / n and q - r^2 / n are accurate far beyond float32, whatever |mean| / std. (B)
 * The first centre k, the same for all lanes of a row, is the mean of a few values; later ones are the means of an
 *     earlier stretch. Where centres are far off, r is large, and so are its roundings: a slot whose squares about its
 *     centres sum up to more than 1.5 times those about its mean is summed again, each stretch about its own means.
 * (C) Stretches join in float64 as sums about k: with d = c - k, s1 += r + n d and s2 += q + d (2 r + n d). That needs
 * no division a stretch, and all lanes share k, so they add up in a fixed tree. (D) About zero instead of the mean
 * (RMSNorm) there is nothing to cancel: s2 += sum(x^2). (E) Exact: every x - k is taken, squared and added in float64,
 * k the slot's first value.
 */
#ifndef NORMCY_MOMENTS_TPL_H
#define NORMCY_MOMENTS_TPL_H

#include "vec.h"

typedef struct {
    normcy_about about;
    int scaled; /* both are compile-time constants once inlined */
} moments_kind;

/* Which sums a pass over data takes. */
enum sums_of { VALUES, SQUARES, BOTH };

typedef struct {
    vf r, q;
} sums;

INLINE sums plus(sums a, sums b) {
    return (sums){sum_by_fma(a.r, b.r), a.q + b.q};
}

/* Of four vectors, pairwise. Values add up where products do, so that all of the CPU's pipes have work. */
INLINE sums sums_of_four(const vf v[4], enum sums_of of) {
    sums s = {{0}, {0}};
    if (of != SQUARES)
        s.r = sum_by_fma(sum_by_fma(v[0], v[1]), sum_by_fma(v[2], v[3]));
    if (of != VALUES)
        s.q = (v[0] * v[0] + v[1] * v[1]) + (v[2] * v[2] + v[3] * v[3]);
    return s;
}

/* (B) for a whole slot, of which m2 and the sum of squares about its centres are known. */
INLINE int far_off(double about_centres, double m2) {
    return about_centres > 1.5 * m2;
}

/* (C) for half of the lanes of a native vector. */
INLINE void join(vd *s1, vd *s2, vd r, vd q, vd n, vd d) {
    vd t = r + n * d;
    *s1 += t;
    *s2 += q + d * (r + t);
}

/* (E) for a native vector; in a part, the lanes from n on add nothing. */
INLINE void join_exact(vd s1[2], vd s2[2], vf x, vd origin_lo, vd origin_hi, int n) {
    vd d[2] = {widen_lo(x) - origin_lo, widen_hi(x) - origin_hi};
    for (int half = 0; half < 2; half++) {
        if (n < W)
            d[half] = first_doubles(n - half * W / 2, d[half]);
        s1[half] += d[half];
        s2[half] += d[half] * d[half];
    }
}

/* From sums about k to mean and m2. */
INLINE void settle(double n, double k, double s1, double s2, double *mean, double *m2) {
    double off = s1 / n, m = s2 - s1 * off;
    *mean = k + off;
    *m2 = m < 0 ? 0 : m;
}

#endif
