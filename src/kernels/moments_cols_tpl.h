/* Moments of columns, by exact sums. Each column has a lane, in which its rows are added one after the other. The
 * letters are those of moments_tpl.h.
 */
#ifndef NORMCY_MOMENTS_COLS_TPL_H
#define NORMCY_MOMENTS_COLS_TPL_H

#include "kernels/moments_tpl.h"
#include "kernels/tuning.h"

INLINE vf some_of(const float *p, int n) {
    return n == W ? load(p) : load_part(p, first(n));
}

/* Adds up to SUMMED_ROWS rows of W columns, of which `part` exist, to their sums about k. */
INLINE void rows_at(const float *x, int rows, ptrdiff_t stride, int part, const vd k[2], moments_kind kind, vd s1[2],
                    vd s2[2]) {
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
        const float *p = x + i * stride;
        vd v[2];
        if (part == W) {
            v[0] = load_wide(p), v[1] = load_wide(p + W / 2);
        } else {
            vf some = some_of(p, part);
            v[0] = widen_lo(some), v[1] = widen_hi(some);
        }
        for (int half = 0; half < 2; half++)
            sum_exactly(s1 + half, s2 + half, kind.shifted ? v[half] - k[half] : v[half], kind);
    }
}

/* Adds up to SUMMED_ROWS rows of all columns to their sums about zero. */
INLINE void accumulate_rows(const float *x, int rows, ptrdiff_t cols, ptrdiff_t stride, moments_kind kind, double *s1,
                            double *s2) {
    /* The hardware prefetches poorly here. Rows without a gap are short streams, each of which ends where the next
     * one began, so that lines are prefetched in memory order. Rows with gaps prefetch the rows after them. */
    int flat = stride == cols, prefetch = flat ? cols >= COLS_PREFETCH_MIN_COLUMNS : rows >= COLS_PREFETCH_MIN_ROWS;
    const float *next = flat ? x + COLS_PREFETCH_FLOATS : x + rows * stride;
    ptrdiff_t step = flat ? W : stride, along = flat ? rows * W : W;
    for (ptrdiff_t c = 0; c < cols; c += W) {
        int part = lanes_left(c, cols);
        vd a[2] = {load_d(s1 + c), load_d(s1 + c + W / 2)}, b[2] = {load_d(s2 + c), load_d(s2 + c + W / 2)};
        for (int i = 0; prefetch && i < rows; i++)
            __builtin_prefetch(next + i * step);
        next += along;
        if (part == W && rows == SUMMED_ROWS)
            rows_at(x + c, SUMMED_ROWS, stride, W, NULL, kind, a, b);
        else
            rows_at(x + c, rows, stride, part, NULL, kind, a, b);
        for (int half = 0; half < 2; half++) {
            if (kind.about != NORMCY_ABOUT_ZERO)
                store_d(s1 + c + half * W / 2, a[half]);
            store_d(s2 + c + half * W / 2, b[half]);
        }
    }
}

/* Computes the moments of W columns again, about their means (B). `part` of them exist, and the `far` ones need it. */
static __attribute__((noinline)) void recompute_columns(const float *x, ptrdiff_t rows, ptrdiff_t stride, int part,
                                                        const int *far, double *mean, double *m2) {
    double k[W];
    for (int j = 0; j < W; j++)
        k[j] = j < part ? (float)mean[j] : 0;
    vd shift[2] = {load_d(k), load_d(k + W / 2)}, s1[2] = {{0}, {0}}, s2[2] = {{0}, {0}};
    for (ptrdiff_t i = 0; i < rows; i++)
        rows_at(x + i * stride, 1, stride, part, shift, (moments_kind){NORMCY_ABOUT_MEAN, 1}, s1, s2);
    for (int j = 0; j < part; j++)
        if (far[j]) /* the others keep their bits, whatever the width of a vector */
            finalize((double)rows, k[j], s1[j / (W / 2)][j % (W / 2)], s2[j / (W / 2)][j % (W / 2)], mean + j, m2 + j);
}

/* Replaces the sums of columns, and of their squares, by mean and m2. */
INLINE void finalize_columns(const float *x, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride, double *mean,
                             double *m2) {
    for (ptrdiff_t c = 0; c < cols; c += W) {
        int part = lanes_left(c, cols), some = 0, far[W];
        for (int j = 0; j < part; j++) {
            double s2 = m2[c + j];
            finalize((double)rows, 0, mean[c + j], s2, mean + c + j, m2 + c + j);
            some |= far[j] = far_from_zero(s2, m2[c + j]);
        }
        if (some)
            recompute_columns(x + c, rows, stride, part, far, mean + c, m2 + c);
    }
}

/* Adds up n values, in eight sums on every instruction set. */
INLINE double sum_of_columns(const double *v, ptrdiff_t n) {
    double s[8] = {0};
    for (; n >= 8; n -= 8, v += 8)
        for (int i = 0; i < 8; i++)
            s[i] += v[i];
    for (int i = 0; i < n; i++)
        s[i] += v[i];
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

/* Computes the moments of a group again, about its mean (B). A column's sums are taken as those of the others are, and
 * the columns are added up sixteen at a time. */
static __attribute__((noinline)) void recompute_group(const float *x, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride,
                                                      double *mean, double *m2) {
    double k = (float)*mean, s1 = 0, s2 = 0;
    const vd shift[2] = {set1_d(k), set1_d(k)};
    for (ptrdiff_t c = 0; c < cols; c += NORMCY_LANES) {
        double sums[NORMCY_LANES], squares[NORMCY_LANES];
        ptrdiff_t n = cols - c < NORMCY_LANES ? cols - c : NORMCY_LANES;
        for (ptrdiff_t j = 0; j < n; j += W) {
            vd a[2] = {{0}, {0}}, b[2] = {{0}, {0}};
            for (ptrdiff_t i = 0; i < rows; i++)
                rows_at(x + c + j + i * stride, 1, stride, lanes_left(j, n), shift,
                        (moments_kind){NORMCY_ABOUT_MEAN, 1}, a, b);
            for (int half = 0; half < 2; half++) {
                store_d(sums + j + half * W / 2, a[half]);
                store_d(squares + j + half * W / 2, b[half]);
            }
        }
        s1 += sum_of_columns(sums, n), s2 += sum_of_columns(squares, n);
    }
    finalize((double)(rows * cols), k, s1, s2, mean, m2);
}

/* Replaces the sums of columns by the moments of their groups. */
static __attribute__((noinline)) void finalize_groups(const float *x, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride,
                                                      ptrdiff_t group, double *mean, double *m2) {
    for (ptrdiff_t g = 0; g < cols / group; g++) {
        double s1 = sum_of_columns(mean + g * group, group), s2 = sum_of_columns(m2 + g * group, group);
        finalize((double)(rows * group), 0, s1, s2, mean + g, m2 + g);
        if (far_from_zero(s2, m2[g]))
            recompute_group(x + g * group, rows, group, stride, mean + g, m2 + g);
    }
}

INLINE void moments_of_tile(const float *x, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride, normcy_about about,
                            int finish, double *mean, double *m2) {
    const moments_kind kind = {about, 0};
    ptrdiff_t i = 0;
    for (; i + SUMMED_ROWS <= rows; i += SUMMED_ROWS)
        accumulate_rows(x + i * stride, SUMMED_ROWS, cols, stride, kind, mean, m2);
    if (i < rows)
        accumulate_rows(x + i * stride, (int)(rows - i), cols, stride, kind, mean, m2);
    if (about != NORMCY_ABOUT_ZERO && finish)
        finalize_columns(x, rows, cols, stride, mean, m2);
}

static void moments_cols(const float *x, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride, ptrdiff_t group,
                         normcy_about about, double *mean, double *m2) {
    size_t room = (size_t)(cols + NORMCY_LANES - 1) / NORMCY_LANES * NORMCY_LANES * sizeof(double);
    memset(mean, 0, room);
    memset(m2, 0, room);
    for (ptrdiff_t c = 0, n; c < cols; c += n) {
        n = cols - c < MOMENTS_TILE_COLUMNS ? cols - c : MOMENTS_TILE_COLUMNS;
        if (about == NORMCY_ABOUT_ZERO)
            moments_of_tile(x + c, rows, n, stride, NORMCY_ABOUT_ZERO, 1, mean + c, m2 + c);
        else
            moments_of_tile(x + c, rows, n, stride, NORMCY_ABOUT_MEAN, group == 1, mean + c, m2 + c);
    }
    if (group > 1)
        finalize_groups(x, rows, cols, stride, group, mean, m2);
}

#endif
