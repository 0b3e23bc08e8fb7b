/* Moments of slots that lie along rows: sixteen virtual lanes, blocks of 256 floats. */
#ifndef NORMCY_MOMENTS_ROWS_TPL_H
#define NORMCY_MOMENTS_ROWS_TPL_H

#include "moments_tpl.h"

typedef struct {
    vd s1[2 * NV], s2[2 * NV];
} lane_sums;

/* A native vector of a row block: lanes at x + at, of which those below n exist. */
INLINE vf row_vector(const float *x, ptrdiff_t at, ptrdiff_t n, moments_kind kind, vf scale) {
    vf v = n - at >= W ? load(x + at) : load_part(x + at, lanes_left(at, n));
    return kind.scaled ? v * scale : v;
}

/* Sums over the block's vectors of x, or x - m, and of the square. Missing lanes add 0. */
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

#endif
