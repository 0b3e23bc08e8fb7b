/* Moments of columns: every column is a lane. */
#ifndef NORMCY_MOMENTS_COLS_TPL_H
#define NORMCY_MOMENTS_COLS_TPL_H

#include "moments_tpl.h"

enum {
    TALL = 32,          /* rows of a stretch */
    SWEEP = 8,          /* rows read side by side: few enough not to push each other out of L1 */
    STRIP = 128,        /* columns done together, so that another pass over a stretch finds it in L1 */
    WIDEST = 256,       /* columns done together if they are all: memory in one piece counts more */
    FETCH_AHEAD = 2048, /* floats: 8 KiB */
    FETCH_FROM = 64,    /* columns */
    FETCH_TO = 512,
};

/* What is kept of some columns while their rows go by; sums in float64 gather in the caller's mean and m2. */
typedef struct {
    float c[WIDEST], r[WIDEST], q[WIDEST];
} columns;

INLINE vf some_of(const float *p, int n) {
    return n == W ? load(p) : load_part(p, first(n));
}

/* Sums over up to 8 rows, less c, at W columns of which `part` exist. */
INLINE sums sums_down(const float *x, int rows, ptrdiff_t stride, int part, vf c, moments_kind kind, vf scale,
                      enum sums_of of) {
    vf v[SWEEP];
#pragma GCC unroll 8
    for (int k = 0; k < SWEEP; k++) {
        v[k] = (vf){0};
        if (k < rows) {
            v[k] = some_of(x + k * stride, part);
            if (kind.scaled)
                v[k] *= scale;
            if (of == BOTH)
                v[k] -= c;
        }
    }
    return plus(sums_of_four(v, of), sums_of_four(v + 4, of));
}

/* Sums over up to 8 rows into r and q of all columns; `begin`: they are not sums yet; `fetch`: x is far away. */
INLINE void sweep(const float *x, int rows, ptrdiff_t cols, ptrdiff_t stride, moments_kind kind, const float *scale,
                  enum sums_of of, int begin, int fetch, columns *at) {
    /* The hardware does not fetch ahead well where rows side by side are short streams that cross each other: lines are
     * asked for in memory order; nor where the next rows are far away: they are asked for. */
    int flat = stride == cols;
    fetch = fetch && (flat ? cols >= FETCH_FROM && cols < FETCH_TO : rows == SWEEP);
    const float *next = flat ? x + FETCH_AHEAD : x + SWEEP * stride;
    ptrdiff_t step = flat ? W : stride, along = flat ? rows * W : W;
    for (ptrdiff_t c = 0; c < cols; c += W) {
        int part = lanes_left(c, cols);
        for (int r = 0; fetch && r < rows; r++)
            __builtin_prefetch(next + r * step);
        next += along;
        vf centre = of == BOTH ? load(at->c + c) : (vf){0}, factor = kind.scaled ? some_of(scale + c, part) : (vf){0};
        sums s = part == W && rows == SWEEP ? sums_down(x + c, SWEEP, stride, W, centre, kind, factor, of)
                                            : sums_down(x + c, rows, stride, part, centre, kind, factor, of);
        if (!begin)
            s = plus((sums){load(at->r + c), load(at->q + c)}, s);
        if (of != SQUARES)
            store(at->r + c, s.r);
        if (of != VALUES)
            store(at->q + c, s.q);
    }
}

INLINE void sweeps(const float *x, int rows, ptrdiff_t cols, ptrdiff_t stride, moments_kind kind, const float *scale,
                   enum sums_of of, int fetch, columns *at) {
    for (int i = 0; i < rows; i += SWEEP)
        sweep(x + i * stride, rows - i < SWEEP ? rows - i : SWEEP, cols, stride, kind, scale, of, i == 0, fetch, at);
}

/* The sums of a stretch at W columns about other centres. */
INLINE sums sums_again(const float *x, int rows, ptrdiff_t stride, int part, vf c, moments_kind kind, vf factor) {
    sums s = sums_down(x, rows < SWEEP ? rows : SWEEP, stride, part, c, kind, factor, BOTH);
    for (int i = SWEEP; i < rows; i += SWEEP)
        s = plus(s,
                 sums_down(x + i * stride, rows - i < SWEEP ? rows - i : SWEEP, stride, part, c, kind, factor, BOTH));
    return s;
}

/* (C) for all columns of a stretch, where the centre does by (B); leaves the stretch's means as centres of the next. */
INLINE void join_columns(const float *first, const float *x, int rows, ptrdiff_t cols, ptrdiff_t stride,
                         moments_kind kind, const float *scale, columns *at, double *s1, double *s2) {
    vf count = set1((float)rows), share = set1(1.0f / (float)rows);
    vd n = widen_lo(count);
    for (ptrdiff_t j = 0; j < cols; j += W) {
        int part = lanes_left(j, cols);
        vf factor = kind.scaled ? some_of(scale + j, part) : (vf){0};
        vf k = some_of(first + j, part), c = load(at->c + j);
        sums s = {load(at->r + j), load(at->q + j)};
        if (kind.scaled)
            k *= factor;
        vi off = off_centre(s, count);
        if (any(off)) {
            c = choose(off, c + s.r * share, c);
            s = sums_again(x + j, rows, stride, part, c, kind, factor);
        }
        vd t1[2] = {load_d(s1 + j), load_d(s1 + j + W / 2)}, t2[2] = {load_d(s2 + j), load_d(s2 + j + W / 2)};
        join(&t1[0], &t2[0], widen_lo(s.r), widen_lo(s.q), n, widen_lo(c) - widen_lo(k));
        join(&t1[1], &t2[1], widen_hi(s.r), widen_hi(s.q), n, widen_hi(c) - widen_hi(k));
        store_d(s1 + j, t1[0]);
        store_d(s1 + j + W / 2, t1[1]);
        store_d(s2 + j, t2[0]);
        store_d(s2 + j + W / 2, t2[1]);
        store(at->c + j, c + s.r * share);
    }
}

INLINE void strip_of_cols(const float *x, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride, moments_kind kind,
                          const float *scale, double *mean, double *m2) {
    columns at;
    for (ptrdiff_t i = 0; i < rows; i += TALL) {
        int n = rows - i < TALL ? (int)(rows - i) : TALL;
        const float *p = x + i * stride;
        if (kind.about == NORMCY_ABOUT_ZERO) {
            sweeps(p, n, cols, stride, kind, scale, SQUARES, 1, &at);
            for (ptrdiff_t c = 0; c < cols; c++)
                m2[c] += at.q[c];
            continue;
        }
        if (i == 0) {
            sweeps(p, n, cols, stride, kind, scale, VALUES, 1, &at);
            for (ptrdiff_t c = 0; c < cols; c += W)
                store(at.c + c, load(at.r + c) * set1(1.0f / (float)n));
        }
        sweeps(p, n, cols, stride, kind, scale, BOTH, i > 0, &at);
        join_columns(x, p, n, cols, stride, kind, scale, &at, mean, m2);
    }
    if (kind.about == NORMCY_ABOUT_MEAN)
        for (ptrdiff_t c = 0; c < cols; c++)
            settle((double)rows, kind.scaled ? x[c] * scale[c] : x[c], mean[c], m2[c], mean + c, m2 + c);
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
    for (ptrdiff_t c = 0; c < cols; c += strip)                                                                        \
    strip_of_cols(x + c, rows, cols - c < strip ? cols - c : strip, stride, (moments_kind){about_, scaled_},           \
                  scaled_ ? scale + c : x, mean + c, m2 + c)

static void moments_cols(const float *x, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride, normcy_about about,
                         const float *scale, double *mean, double *m2) {
    size_t room = (size_t)(cols + NORMCY_LANES - 1) / NORMCY_LANES * NORMCY_LANES * sizeof(double);
    memset(mean, 0, room);
    memset(m2, 0, room);
    ptrdiff_t strip = cols <= WIDEST ? cols : STRIP;
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
