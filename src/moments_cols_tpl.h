/* Moments of columns: every column is a lane, a block is 16 rows. */
#ifndef NORMCY_MOMENTS_COLS_TPL_H
#define NORMCY_MOMENTS_COLS_TPL_H

#include "moments_tpl.h"

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

enum { FETCH_AHEAD = 2048 }; /* floats: 8 KiB */

INLINE void slots_of_cols(const float *x, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride, moments_kind kind,
                          const float *scale, double *mean, double *m2) {
    size_t room = (size_t)(cols + NORMCY_LANES - 1) / NORMCY_LANES * NORMCY_LANES * sizeof(double);
    memset(mean, 0, room);
    memset(m2, 0, room);
    /* Sixteen rows side by side are too many short streams for the hardware to fetch ahead, so it is told to. Where a
     * block is short and its rows follow each other, in memory order, which sets the hardware going as well; else the
     * same rows some blocks on. */
    ptrdiff_t block = 16 * stride;
    int flat = stride == cols && block <= FETCH_AHEAD;
    ptrdiff_t ahead = flat ? FETCH_AHEAD : (FETCH_AHEAD + block - 1) / block * block;
    for (ptrdiff_t i = 0; i < rows; i += 16) {
        int n = rows - i < 16 ? (int)(rows - i) : 16;
        for (ptrdiff_t c = 0; c < cols; c += W) {
            const float *p = x + i * stride + c;
            for (int r = 0; r < n; r++)
                __builtin_prefetch((flat ? x + i * stride + c * n + r * W : p + r * stride) + ahead);
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
