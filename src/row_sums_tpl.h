/* Sums of a stretch of a row, in sixteen virtual lanes. */
#ifndef NORMCY_ROW_SUMS_TPL_H
#define NORMCY_ROW_SUMS_TPL_H

#include "moments_tpl.h"

enum {
    FOUR = 4 * NORMCY_LANES,
    STRETCH = 4 * NORMCY_BLOCK,
    FETCH_MOST = 2048, /* floats: what follows a run is asked for, or, in longer ones, what is that far on */
};

/* What is the same for all slots of a call. */
typedef struct {
    ptrdiff_t length;
    lanes last[4 * NV]; /* which lanes the vectors of the last four have; all sixteen lanes of one, then of the next */
    float share;        /* of a value in the slot's first centre */
    ptrdiff_t apart;    /* floats between the vectors that a longer slot has its first centre from */
    ptrdiff_t ahead;    /* floats from what is read to what is asked for */
} row_shape;

INLINE row_shape *shape_of(row_shape *s, ptrdiff_t slots, ptrdiff_t stride, ptrdiff_t length) {
    ptrdiff_t rest = (length - 1) % FOUR + 1, run = slots * stride;
    s->length = length;
    s->share = 1 / (float)(length <= NORMCY_BLOCK ? length : FOUR);
    s->apart = (length < STRETCH ? length : STRETCH) / FOUR * NORMCY_LANES;
    s->ahead = run > 0 && run < FETCH_MOST ? run : FETCH_MOST;
    for (int k = 0; k < 4 * NV; k++)
        s->last[k] = first(lanes_left(k * W, rest));
    return s;
}

/* Four vectors of a row, less c (of squares and values alone c is 0). `last`, a compile-time constant: of the last
 * ones, some lanes need not be there, and are 0. */
INLINE sums row_four(const float *x, int h, int last, const row_shape *shape, vf c, moments_kind kind, vf scale,
                     enum sums_of of) {
    vf v[4];
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        const float *p = x + k * NORMCY_LANES + h * W;
        lanes some = shape->last[k * NV + h];
        if (h == 0 && of != VALUES)
            __builtin_prefetch(p + shape->ahead);
        if (kind.scaled && last)
            v[k] = first_lanes(some, load_part(p, some) * scale, c);
        else if (last)
            v[k] = load_or(c, p, some);
        else
            v[k] = kind.scaled ? load(p) * scale : load(p);
        if (of == BOTH)
            v[k] -= c;
    }
    return sums_of_four(v, of);
}

/* Sums in all sixteen lanes. */
typedef struct {
    sums v[NV];
} lane_sums;

/* What the sums of a row are about, lane by lane. */
typedef struct {
    vf v[NV];
} centres;

/* Of a block of 1 to 4 fours, a compile-time constant; `last`: the slot ends there. */
INLINE lane_sums block_sums(const float *x, int fours, int last, const row_shape *shape, centres c, moments_kind kind,
                            vf scale, enum sums_of of) {
    lane_sums all;
#pragma GCC unroll 4
    for (int h = 0; h < NV; h++) {
        sums s[4];
#pragma GCC unroll 4
        for (int k = 0; k < fours; k++) {
            s[k] = row_four(x + k * FOUR, h, last && k + 1 == fours, shape, c.v[h], kind, scale, of);
            DONE(s[k].r, s[k].q);
        }
        sums two = fours > 1 ? plus(s[0], s[1]) : s[0];
        all.v[h] = fours > 3 ? plus(two, plus(s[2], s[3])) : fours > 2 ? plus(two, s[2]) : two;
    }
    return all;
}

INLINE lane_sums all_plus(lane_sums a, lane_sums b) {
#pragma GCC unroll 4
    for (int h = 0; h < NV; h++)
        a.v[h] = plus(a.v[h], b.v[h]);
    return a;
}

#define BLOCK_OF(fours, last) block_sums(x, fours, last, shape, c, kind, scale, of)

/* Of what there is of a block at the end of a slot. */
INLINE lane_sums rest_sums(const float *x, ptrdiff_t length, const row_shape *shape, centres c, moments_kind kind,
                           vf scale, enum sums_of of) {
    switch ((length - 1) / FOUR) {
    case 0:
        return BLOCK_OF(1, 1);
    case 1:
        return BLOCK_OF(2, 1);
    case 2:
        return BLOCK_OF(3, 1);
    default:
        return BLOCK_OF(4, 1);
    }
}

/* Of a stretch. `fours`, a compile-time constant: it is a slot of that many; 0: it is any number of blocks. */
INLINE lane_sums stretch_sums(const float *x, ptrdiff_t length, int fours, const row_shape *shape, centres c,
                              moments_kind kind, vf scale, enum sums_of of) {
    if (fours)
        return BLOCK_OF(fours, 1);
    lane_sums s = {{{{0}, {0}}}};
    for (; length >= NORMCY_BLOCK; length -= NORMCY_BLOCK, x += NORMCY_BLOCK)
        s = all_plus(s, BLOCK_OF(4, 0));
    return length ? all_plus(s, rest_sums(x, length, shape, c, kind, scale, of)) : s;
}

/* How many of `length` values each of W lanes from h * W on has. */
INLINE vf lane_counts(ptrdiff_t length, int h) {
    float whole = (float)(length / NORMCY_LANES);
    return first_lanes(first(lanes_left(h * W, length % NORMCY_LANES)), set1(whole + 1), set1(whole));
}

INLINE centres all_lanes(float k) {
    centres c;
#pragma GCC unroll 4
    for (int h = 0; h < NV; h++)
        c.v[h] = set1(k);
    return c;
}

/* One mean for all lanes: of a short slot's values, or of four vectors of a longer one. */
INLINE float first_centre(const float *x, int fours, const row_shape *shape, moments_kind kind, vf scale) {
    int all = fours || shape->length <= NORMCY_BLOCK;
    lane_sums s;
    vf r[NV];
    if (all)
        s = stretch_sums(x, shape->length, fours, shape, all_lanes(0), kind, scale, VALUES);
    for (int h = 0; h < NV; h++) {
        vf v[4];
        for (int k = 0; k < 4 && !all; k++) /* a shorter slot may end before these */
            v[k] = load(x + k * shape->apart + h * W) * (kind.scaled ? scale : set1(1));
        r[h] = all ? s.v[h].r : sums_of_four(v, VALUES).r;
    }
    return sum_floats(r) * shape->share;
}

#undef BLOCK_OF
#endif
