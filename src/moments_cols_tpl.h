/* Moments of columns: every column is a lane. */
#ifndef NORMCY_MOMENTS_COLS_TPL_H
#define NORMCY_MOMENTS_COLS_TPL_H

#include "moments_tpl.h"

enum {
    TALL = 32,       /* rows of a stretch: sums one after the other, more of them, lose too much in float32 */
    FIRST_ROWS = 32, /* rows that the first centres are the means of */
    WIDE = 512,      /* columns from which four rows are read side by side, not eight: they push each other out of L1 */
    WIDEST = 1024,   /* columns done together: memory in one piece counts most, then that their sums stay in L1 */
    FETCH_FROM = 64, /* columns */
    FETCH_AHEAD = 2048, /* floats: 8 KiB */
};

/* What is kept of some columns while their rows go by: first, present and next centres, sums about the present ones,
 * and squares about all that there were. Sums in float64 gather in the caller's mean and m2. */
typedef struct {
    float k[WIDEST], c[WIDEST], next[WIDEST], r[WIDEST], q[WIDEST], half_r[WIDEST], half_q[WIDEST],
        about_centres[WIDEST];
} columns;

INLINE vf some_of(const float *p, int n) {
    return n == W ? load(p) : load_part(p, first(n));
}

/* Sums over up to 4 rows, less c, at W columns of which `part` exist. */
INLINE sums four_down(const float *x, int rows, ptrdiff_t stride, int part, vf c, moments_kind kind, vf scale,
                      enum sums_of of) {
    vf v[4];
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        v[k] = (vf){0};
        if (k < rows) {
            v[k] = some_of(x + k * stride, part);
            if (kind.scaled)
                v[k] *= scale;
            if (of == BOTH)
                v[k] -= c;
        }
    }
    return sums_of_four(v, of);
}

/* The same over up to 8 rows. */
INLINE sums eight_down(const float *x, int rows, ptrdiff_t stride, int part, vf c, moments_kind kind, vf scale,
                       enum sums_of of) {
    sums s = four_down(x, rows < 4 ? rows : 4, stride, part, c, kind, scale, of);
    return rows <= 4 ? s : plus(s, four_down(x + 4 * stride, rows - 4, stride, part, c, kind, scale, of));
}

/* Where in a stretch a sweep is: its sums are all that there are, come to those that are there or, of the first four of
 * eight rows, wait for those of the others. */
enum sweep_of { FIRST_EIGHT, EIGHT, HALF_OF_EIGHT };

/* Sums over a few rows of all columns; `waiting`: those of the four rows before come to them. */
INLINE void sweep(const float *x, int rows, ptrdiff_t cols, ptrdiff_t stride, moments_kind kind, const float *scale,
                  enum sums_of of, enum sweep_of where, int waiting, columns *at) {
    /* The hardware does not fetch ahead well where rows side by side are short streams that cross each other: lines are
     * asked for in memory order; nor where the next rows are far away: they are asked for. */
    int flat = stride == cols, fetch = flat ? cols >= FETCH_FROM : rows >= 4;
    const float *next = flat ? x + FETCH_AHEAD : x + rows * stride;
    ptrdiff_t step = flat ? W : stride, along = flat ? rows * W : W;
    float *r = where == HALF_OF_EIGHT ? at->half_r : at->r, *q = where == HALF_OF_EIGHT ? at->half_q : at->q;
    for (ptrdiff_t c = 0; c < cols; c += W) {
        int part = lanes_left(c, cols);
        for (int k = 0; fetch && k < rows; k++)
            __builtin_prefetch(next + k * step);
        next += along;
        vf centre = of == BOTH ? load(at->c + c) : (vf){0}, factor = kind.scaled ? some_of(scale + c, part) : (vf){0};
        sums s = part < W || (rows != 8 && rows != 4) ? eight_down(x + c, rows, stride, part, centre, kind, factor, of)
                 : rows == 8                          ? eight_down(x + c, 8, stride, W, centre, kind, factor, of)
                                                      : eight_down(x + c, 4, stride, W, centre, kind, factor, of);
        if (waiting)
            s = plus((sums){load(at->half_r + c), load(at->half_q + c)}, s);
        if (where == EIGHT)
            s = plus((sums){load(at->r + c), load(at->q + c)}, s);
        if (of != SQUARES)
            store(r + c, s.r);
        if (of != VALUES)
            store(q + c, s.q);
    }
}

INLINE void sweeps(const float *x, int rows, ptrdiff_t cols, ptrdiff_t stride, moments_kind kind, const float *scale,
                   enum sums_of of, columns *at) {
    for (int i = 0; i < rows; i += 8) {
        int n = rows - i < 8 ? rows - i : 8, half = cols >= WIDE && n > 4 ? 4 : 0;
        const float *p = x + i * stride;
        if (half)
            sweep(p, 4, cols, stride, kind, scale, of, HALF_OF_EIGHT, 0, at);
        sweep(p + half * stride, n - half, cols, stride, kind, scale, of, i ? EIGHT : FIRST_EIGHT, half, at);
    }
}

/* (C) for a stretch of all columns; makes way for the centres of the next, by (B). */
INLINE void join_columns(int begin, int rows, ptrdiff_t cols, columns *at, double *s1, double *s2) {
    vf count = set1((float)rows), share = set1(1.0f / TALL);
    vd n = widen_lo(count);
    for (ptrdiff_t j = 0; j < cols; j += W) {
        vf k = load(at->k + j), c = load(at->c + j), r = load(at->r + j), q = load(at->q + j);
        vd t1[2] = {widen_lo(r), widen_hi(r)}, t2[2] = {widen_lo(q), widen_hi(q)};
        if (!begin) {
            vd d[2] = {widen_lo(c) - widen_lo(k), widen_hi(c) - widen_hi(k)};
            for (int half = 0; half < 2; half++) {
                vd sum = load_d(s1 + j + half * W / 2), squares = load_d(s2 + j + half * W / 2);
                join(&sum, &squares, t1[half], t2[half], n, d[half]);
                t1[half] = sum, t2[half] = squares;
            }
            q += load(at->about_centres + j);
        }
        for (int half = 0; half < 2; half++) {
            store_d(s1 + j + half * W / 2, t1[half]);
            store_d(s2 + j + half * W / 2, t2[half]);
        }
        store(at->about_centres + j, q);
        store(at->c + j, load(at->next + j));
        store(at->next + j, c + r * share);
    }
}

/* Those of W columns, of which `part` exist, that were far off: with each stretch about its own mean. */
static __attribute__((noinline)) void columns_again(const float *x, ptrdiff_t rows, ptrdiff_t stride, int part,
                                                    const float *scale, const float *about_centres, double *mean,
                                                    double *m2) {
    vf factor = scale ? some_of(scale, part) : set1(1), k = some_of(x, part) * factor;
    vd s1[2] = {{0}, {0}}, s2[2] = {{0}, {0}};
    for (ptrdiff_t i = 0; i < rows; i += TALL) {
        int n = rows - i < TALL ? (int)(rows - i) : TALL;
        vf count = set1((float)n), c = {0};
        sums s;
        for (int own = 0; own < 2; own++) {
            s = (sums){{0}, {0}};
            for (int r = 0; r < n; r += 8)
                s = plus(s, eight_down(x + (i + r) * stride, n - r < 8 ? n - r : 8, stride, part, c,
                                       (moments_kind){NORMCY_ABOUT_MEAN, 1}, factor, own ? BOTH : VALUES));
            if (!own)
                c = s.r / count;
        }
        join(&s1[0], &s2[0], widen_lo(s.r), widen_lo(s.q), widen_lo(count), widen_lo(c) - widen_lo(k));
        join(&s1[1], &s2[1], widen_hi(s.r), widen_hi(s.q), widen_hi(count), widen_hi(c) - widen_hi(k));
    }
    for (int j = 0; j < part; j++)
        if (far_off(about_centres[j], m2[j])) /* the others keep their bits, on levels of every width */
            settle((double)rows, k[j], s1[j / (W / 2)][j % (W / 2)], s2[j / (W / 2)][j % (W / 2)], mean + j, m2 + j);
}

INLINE void strip_of_cols(const float *x, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride, moments_kind kind,
                          const float *scale, double *mean, double *m2) {
    columns at;
    if (kind.about == NORMCY_ABOUT_MEAN) {
        int n = rows < FIRST_ROWS ? (int)rows : FIRST_ROWS;
        sweeps(x, n, cols, stride, kind, scale, VALUES, &at);
        for (ptrdiff_t c = 0; c < cols; c += W) {
            vf k = load(at.r + c) * set1(1.0f / (float)n);
            store(at.k + c, k);
            store(at.c + c, k);
            store(at.next + c, k);
        }
    }
    for (ptrdiff_t i = 0; i < rows; i += TALL) {
        int n = rows - i < TALL ? (int)(rows - i) : TALL;
        sweeps(x + i * stride, n, cols, stride, kind, scale, kind.about == NORMCY_ABOUT_ZERO ? SQUARES : BOTH, &at);
        if (kind.about == NORMCY_ABOUT_MEAN)
            join_columns(i == 0, n, cols, &at, mean, m2);
        else
            for (ptrdiff_t c = 0; c < cols; c++)
                m2[c] += at.q[c];
    }
    if (kind.about == NORMCY_ABOUT_ZERO)
        return;
    for (ptrdiff_t c = 0; c < cols; c++)
        settle((double)rows, at.k[c], mean[c], m2[c], mean + c, m2 + c);
    for (ptrdiff_t c = 0; c < cols; c += W) {
        int part = lanes_left(c, cols), far = 0;
        for (int j = 0; j < part; j++)
            far |= far_off(at.about_centres[c + j], m2[c + j]);
        if (far)
            columns_again(x + c, rows, stride, part, kind.scaled ? scale + c : NULL, at.about_centres + c, mean + c,
                          m2 + c);
    }
}

/* (E) for columns. */
INLINE void exact_strip_of_cols(const float *x, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride, double *mean,
                                double *m2) {
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t c = 0; c < cols; c += W) {
            int part = lanes_left(c, cols);
            vf k = some_of(x + c, part);
            vd s1[2] = {load_d(mean + c), load_d(mean + c + W / 2)}, s2[2] = {load_d(m2 + c), load_d(m2 + c + W / 2)};
            join_exact(s1, s2, some_of(x + i * stride + c, part), widen_lo(k), widen_hi(k), W);
            store_d(mean + c, s1[0]);
            store_d(mean + c + W / 2, s1[1]);
            store_d(m2 + c, s2[0]);
            store_d(m2 + c + W / 2, s2[1]);
        }
    for (ptrdiff_t c = 0; c < cols; c++)
        settle((double)rows, x[c], mean[c], m2[c], mean + c, m2 + c);
}

#define EACH_STRIP(about_, scaled_)                                                                                    \
    for (ptrdiff_t c = 0; c < cols; c += WIDEST)                                                                       \
    strip_of_cols(x + c, rows, cols - c < WIDEST ? cols - c : WIDEST, stride, (moments_kind){about_, scaled_},         \
                  scaled_ ? scale + c : x, mean + c, m2 + c)

static void moments_cols(const float *x, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride, normcy_about about,
                         const float *scale, double *mean, double *m2) {
    size_t room = (size_t)(cols + NORMCY_LANES - 1) / NORMCY_LANES * NORMCY_LANES * sizeof(double);
    memset(mean, 0, room);
    memset(m2, 0, room);
    if (about == NORMCY_EXACT)
        exact_strip_of_cols(x, rows, cols, stride, mean, m2);
    else if (scale)
        EACH_STRIP(about, 1);
    else if (about == NORMCY_ABOUT_MEAN)
        EACH_STRIP(NORMCY_ABOUT_MEAN, 0);
    else
        EACH_STRIP(NORMCY_ABOUT_ZERO, 0);
}

#endif
