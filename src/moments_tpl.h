/* Single-pass moments of panels, by row and by column: block-wise Welford. Included once per instruction set.
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

typedef struct {
    vd s1[2 * NV], s2[2 * NV];
} lane_sums;

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

INLINE void join_vector(vd s1[2], vd s2[2], vf m, vf r, vf q, vf n, vd origin_lo, vd origin_hi) {
    join(&s1[0], &s2[0], widen_lo(r), widen_lo(q), widen_lo(n), widen_lo(m) - origin_lo);
    join(&s1[1], &s2[1], widen_hi(r), widen_hi(q), widen_hi(n), widen_hi(m) - origin_hi);
}

/* A native vector of a row block: lanes at x + at, of which those below n exist. */
INLINE vf row_vector(const float *x, ptrdiff_t at, ptrdiff_t n, moments_kind kind, vf scale) {
    vf v = n - at >= W ? load(x + at) : load_part(x + at, lanes_left(at, n));
    return kind.scaled ? v * scale : v;
}

/* Sum over the block's vectors of x - m (power 1) or of its square (power 2), or of both. Missing lanes add 0. */
INLINE void row_sums(const float *x, ptrdiff_t n, vf m, int centred, moments_kind kind, vf scale, vf *r, vf *q) {
    vf sum = {0}, squares = {0};
    for (ptrdiff_t at = 0; at < n; at += 4 * NORMCY_LANES) {
        vf v[4], v2[4];
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++) {
            ptrdiff_t here = at + k * NORMCY_LANES;
            v[k] = row_vector(x, here, n, kind, scale);
            if (centred)
                v[k] = n - here >= W ? v[k] - m : first_lanes(lanes_left(here, n), v[k] - m, (vf){0});
            v2[k] = v[k] * v[k];
        }
        sum += sum4(v);
        squares += sum4(v2);
    }
    *r = sum;
    *q = squares;
}

/* (D) for up to 256 floats of a row. */
INLINE void row_block_exact(const float *x, ptrdiff_t n, moments_kind kind, vf scale, vd origin, lane_sums *sums) {
    for (ptrdiff_t at = 0; at < n; at += NORMCY_LANES)
#pragma GCC unroll 4
        for (int h = 0; h < NV; h++) {
            ptrdiff_t here = at + h * W;
            vf v = row_vector(x, here, n, kind, scale);
            join_exact(&sums->s1[2 * h], &sums->s2[2 * h], v, origin, origin, lanes_left(here, n));
        }
}

/* One block of 1 to 256 floats of a row into the lane sums. */
INLINE void row_block(const float *x, ptrdiff_t n, moments_kind kind, vf scale, vd origin, lane_sums *sums) {
    ptrdiff_t whole = n / NORMCY_LANES, odd = n % NORMCY_LANES;
    int centred = kind.about == NORMCY_ABOUT_MEAN;
    if (kind.about == NORMCY_EXACT) {
        row_block_exact(x, n, kind, scale, origin, sums);
        return;
    }
#pragma GCC unroll 4
    for (int h = 0; h < NV; h++) {
        const float *lanes = x + h * W;
        ptrdiff_t mine = n - h * W;
        int longer = lanes_left(h * W, odd);
        vf r, q, unused, m = {0};
        if (centred) {
            row_sums(lanes, mine, m, 0, kind, scale, &m, &unused);
            m *= odd ? first_lanes(longer, set1(reciprocal[whole + 1]), set1(reciprocal[whole]))
                     : set1(reciprocal[whole]);
            REREAD;
        }
        row_sums(lanes, mine, m, centred, kind, scale, &r, &q);
        if (centred) {
            vf count = first_lanes(longer, set1((float)(whole + 1)), set1((float)whole));
            join_vector(&sums->s1[2 * h], &sums->s2[2 * h], m, r, q, count, origin, origin);
        } else {
            sums->s2[2 * h] += widen_lo(q);
            sums->s2[2 * h + 1] += widen_hi(q);
        }
    }
}

/* From sums about k to mean and m2. */
INLINE void settle(double n, double k, double s1, double s2, double *mean, double *m2) {
    double off = s1 / n, m = s2 - s1 * off;
    *mean = k + off;
    *m2 = m < 0 ? 0 : m;
}

INLINE void slot_of_rows(const float *x, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride, moments_kind kind,
                         float scale, double *mean, double *m2) {
    lane_sums sums = {0};
    double k = kind.about == NORMCY_ABOUT_ZERO ? 0 : kind.scaled ? x[0] * scale : x[0];
    vd origin = set1_d(k);
    for (ptrdiff_t i = 0; i < rows; i++) {
        const float *row = x + i * stride;
        ptrdiff_t at = 0;
        for (; at + NORMCY_BLOCK <= cols; at += NORMCY_BLOCK)
            row_block(row + at, NORMCY_BLOCK, kind, set1(scale), origin, &sums);
        if (at < cols)
            row_block(row + at, cols - at, kind, set1(scale), origin, &sums);
    }
    double n = (double)rows * (double)cols;
    if (kind.about != NORMCY_ABOUT_ZERO) {
        settle(n, k, sum_tree(sums.s1), sum_tree(sums.s2), mean, m2);
    } else {
        *mean = 0;
        *m2 = sum_tree(sums.s2);
    }
}

#define EACH_SLOT(about_, scaled_)                                                                                     \
    for (ptrdiff_t s = 0; s < slots; s++)                                                                              \
    slot_of_rows(x + s * slot_stride, rows, cols, stride, (moments_kind){about_, scaled_}, scale, mean + s, m2 + s)

static void moments_rows(const float *x, ptrdiff_t slots, ptrdiff_t slot_stride, ptrdiff_t rows, ptrdiff_t cols,
                         ptrdiff_t stride, normcy_about about, float scale, double *mean, double *m2) {
    if (about == NORMCY_EXACT)
        EACH_SLOT(NORMCY_EXACT, 0);
    else if (scale != 1)
        EACH_SLOT(about, 1);
    else if (about == NORMCY_ABOUT_MEAN)
        EACH_SLOT(NORMCY_ABOUT_MEAN, 0);
    else
        EACH_SLOT(NORMCY_ABOUT_ZERO, 0);
}

/* Sum over up to 16 rows of x - m and of its square, at W columns of which `part` exist. */
INLINE void col_sums(const float *x, int rows, ptrdiff_t stride, int part, vf m, int centred, moments_kind kind,
                     vf scale, vf *r, vf *q) {
    vf sum = {0}, squares = {0};
    for (int i = 0; i < rows; i += 4) {
        vf v[4], v2[4];
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++) {
            if (i + k < rows) {
                const float *p = x + (i + k) * stride;
                v[k] = part == W ? load(p) : load_part(p, part);
                if (kind.scaled)
                    v[k] *= scale;
                if (centred)
                    v[k] -= m;
            } else {
                v[k] = (vf){0};
            }
            v2[k] = v[k] * v[k];
        }
        sum += sum4(v);
        squares += sum4(v2);
    }
    *r = sum;
    *q = squares;
}

/* (D) for up to 16 rows at W columns. */
INLINE void col_block_exact(const float *x, int rows, ptrdiff_t stride, int part, moments_kind kind, vf scale, vd s1[2],
                            vd s2[2], vf origin) {
    for (int i = 0; i < rows; i++) {
        vf v = part == W ? load(x + i * stride) : load_part(x + i * stride, part);
        join_exact(s1, s2, kind.scaled ? v * scale : v, widen_lo(origin), widen_hi(origin), W);
    }
}

/* One block of up to 16 rows at W columns: mean[] and m2[] serve as s1 and s2 until the last block. */
INLINE void col_block(const float *x, int rows, ptrdiff_t stride, int part, moments_kind kind, const float *first,
                      const float *scales, double *mean, double *m2) {
    vf scale = kind.scaled ? (part == W ? load(scales) : load_part(scales, part)) : (vf){0};
    vf origin = part == W ? load(first) : load_part(first, part), r, q, unused, m = {0};
    vd s1[2] = {load_d(mean), load_d(mean + W / 2)}, s2[2] = {load_d(m2), load_d(m2 + W / 2)};
    if (kind.scaled)
        origin *= scale;
    if (kind.about == NORMCY_ABOUT_MEAN) {
        col_sums(x, rows, stride, part, m, 0, kind, scale, &m, &unused);
        m *= set1(reciprocal[rows]);
        REREAD;
        col_sums(x, rows, stride, part, m, 1, kind, scale, &r, &q);
        join_vector(s1, s2, m, r, q, set1((float)rows), widen_lo(origin), widen_hi(origin));
    } else if (kind.about == NORMCY_EXACT) {
        col_block_exact(x, rows, stride, part, kind, scale, s1, s2, origin);
    } else {
        col_sums(x, rows, stride, part, m, 0, kind, scale, &unused, &q);
        s2[0] += widen_lo(q);
        s2[1] += widen_hi(q);
    }
    store_d(mean, s1[0]);
    store_d(mean + W / 2, s1[1]);
    store_d(m2, s2[0]);
    store_d(m2 + W / 2, s2[1]);
}

INLINE void slots_of_cols(const float *x, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride, moments_kind kind,
                          const float *scale, double *mean, double *m2) {
    size_t room = (size_t)(cols + NORMCY_LANES - 1) / NORMCY_LANES * NORMCY_LANES * sizeof(double);
    memset(mean, 0, room);
    memset(m2, 0, room);
    for (ptrdiff_t i = 0; i < rows; i += 16) {
        int n = rows - i < 16 ? (int)(rows - i) : 16;
        for (ptrdiff_t c = 0; c < cols; c += W) {
            const float *p = x + i * stride + c;
            if (n == 16 && cols - c >= W)
                col_block(p, 16, stride, W, kind, x + c, scale + c, mean + c, m2 + c);
            else
                col_block(p, n, stride, lanes_left(c, cols), kind, x + c, scale + c, mean + c, m2 + c);
        }
    }
    if (kind.about == NORMCY_ABOUT_ZERO)
        return;
    for (ptrdiff_t c = 0; c < cols; c++)
        settle((double)rows, (double)(kind.scaled ? x[c] * scale[c] : x[c]), mean[c], m2[c], mean + c, m2 + c);
}

static void moments_cols(const float *x, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride, normcy_about about,
                         const float *scale, double *mean, double *m2) {
    if (about == NORMCY_EXACT)
        slots_of_cols(x, rows, cols, stride, (moments_kind){NORMCY_EXACT, 0}, x, mean, m2);
    else if (scale)
        slots_of_cols(x, rows, cols, stride, (moments_kind){about, 1}, scale, mean, m2);
    else if (about == NORMCY_ABOUT_MEAN)
        slots_of_cols(x, rows, cols, stride, (moments_kind){NORMCY_ABOUT_MEAN, 0}, x, mean, m2);
    else
        slots_of_cols(x, rows, cols, stride, (moments_kind){NORMCY_ABOUT_ZERO, 0}, x, mean, m2);
}

#endif
