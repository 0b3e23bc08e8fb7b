/* Moments of slots that lie along rows, in sixteen virtual lanes. */
#ifndef NORMCY_MOMENTS_ROWS_TPL_H
#define NORMCY_MOMENTS_ROWS_TPL_H

#include "moments_tpl.h"

enum { FOUR = 4 * NORMCY_LANES, STRETCH = 4 * NORMCY_BLOCK };

/* Four vectors of a row, less c (of squares and values alone c is 0); lanes from n on are 0. `whole`, a compile-time
 * constant: there are none such. */
INLINE sums row_four(const float *x, ptrdiff_t n, int whole, vf c, moments_kind kind, vf scale, enum sums_of of) {
    vf v[4];
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        const float *p = x + k * NORMCY_LANES;
        int lanes = whole ? W : lanes_left(k * NORMCY_LANES, n);
        if (kind.scaled)
            v[k] = first_lanes(lanes, load_part(p, lanes) * scale, c);
        else
            v[k] = whole ? load(p) : load_or(c, p, lanes);
        if (of == BOTH)
            v[k] -= c;
    }
    return sums_of_four(v, of);
}

/* The same of 1 to 4 fours, a compile-time constant, of which the last need not be whole. */
INLINE sums row_fours(const float *x, ptrdiff_t n, int fours, int whole, vf c, moments_kind kind, vf scale,
                      enum sums_of of) {
    sums s[4];
#pragma GCC unroll 4
    for (int k = 0; k < fours; k++) {
        s[k] = row_four(x + k * FOUR, n - k * FOUR, whole || k + 1 < fours, c, kind, scale, of);
        REREAD;
    }
    sums first = fours > 1 ? plus(s[0], s[1]) : s[0];
    return fours > 3 ? plus(first, plus(s[2], s[3])) : fours > 2 ? plus(first, s[2]) : first;
}

/* The same of a block, or of what there is of it. */
INLINE sums row_block(const float *x, ptrdiff_t n, ptrdiff_t length, vf c, moments_kind kind, vf scale,
                      enum sums_of of) {
    if (length >= NORMCY_BLOCK)
        return row_fours(x, n, 4, 1, c, kind, scale, of);
    switch ((length - 1) / FOUR) {
    case 0:
        return row_fours(x, n, 1, 0, c, kind, scale, of);
    case 1:
        return row_fours(x, n, 2, 0, c, kind, scale, of);
    case 2:
        return row_fours(x, n, 3, 0, c, kind, scale, of);
    default:
        return row_fours(x, n, 4, 0, c, kind, scale, of);
    }
}

/* The same of up to four blocks, pairwise: one after the other, equal values would all be rounded to the same side. One
 * loop for all: two at a time, layer norms beyond the caches took 1.2 times as long. */
INLINE sums blocks_sums(const float *x, ptrdiff_t n, ptrdiff_t length, vf c, moments_kind kind, vf scale,
                        enum sums_of of) {
    sums pending[2], s; /* of 2^k blocks each, the larger ones first */
    int depth = 0;
    unsigned count = 0;
    for (ptrdiff_t at = 0; at < length; at += NORMCY_BLOCK, count++) {
        if (depth > 0)
            pending[depth - 1] = s;
        s = row_block(x + at, n - at, length - at, c, kind, scale, of);
        for (unsigned pairs = count; pairs & 1; pairs >>= 1)
            s = plus(pending[--depth], s);
        depth++;
    }
    while (--depth > 0)
        s = plus(pending[depth - 1], s);
    return s;
}

/* How a slot falls into stretches. */
typedef struct {
    ptrdiff_t length;
    vf count[NV], share[NV]; /* values of each lane in a whole stretch, and of one of them in its mean */
} stretches;

/* How many of some values each of W lanes from h * W on has. */
INLINE vf lane_counts(ptrdiff_t length, int h) {
    float whole = (float)(length / NORMCY_LANES);
    return first_lanes(lanes_left(h * W, length % NORMCY_LANES), set1(whole + 1), set1(whole));
}

INLINE vf share_of_one(vf count) {
    return 1 / at_least(count, 1);
}

INLINE stretches stretches_of(ptrdiff_t length) {
    stretches s = {.length = length < STRETCH ? length : STRETCH};
    for (int h = 0; h < NV; h++) {
        s.count[h] = lane_counts(s.length, h);
        s.share[h] = share_of_one(s.count[h]);
    }
    return s;
}

/* The sums of a stretch. `fours`, a compile-time constant: it is that many; 0: it is any. */
INLINE sums stretch_sums(const float *x, ptrdiff_t length, int h, int fours, vf c, moments_kind kind, vf scale,
                         enum sums_of of) {
    return fours ? row_fours(x + h * W, length - h * W, fours, 0, c, kind, scale, of)
                 : blocks_sums(x + h * W, length - h * W, length, c, kind, scale, of);
}

/* One stretch into the sums s1 and s2 about k of W lanes. */
INLINE void row_stretch(const float *x, ptrdiff_t length, int h, int fours, const stretches *size, moments_kind kind,
                        vf scale, vd k, vd s1[2], vd s2[2]) {
    vf n = size->count[h], share = size->share[h];
    if (kind.about == NORMCY_ABOUT_ZERO) {
        sums s = stretch_sums(x, length, h, fours, (vf){0}, kind, scale, SQUARES);
        s2[0] += widen_lo(s.q);
        s2[1] += widen_hi(s.q);
        return;
    }
    if (length != size->length) {
        n = lane_counts(length, h);
        share = share_of_one(n);
    }
    vf c = stretch_sums(x, length, h, fours, (vf){0}, kind, scale, VALUES).r * share;
    REREAD;
    sums s = stretch_sums(x, length, h, fours, c, kind, scale, BOTH);
    join(&s1[0], &s2[0], widen_lo(s.r), widen_lo(s.q), widen_lo(n), widen_lo(c) - k);
    join(&s1[1], &s2[1], widen_hi(s.r), widen_hi(s.q), widen_hi(n), widen_hi(c) - k);
}

INLINE void slot_of_rows(const float *x, ptrdiff_t length, int fours, const stretches *size, moments_kind kind,
                         float scale, double *mean, double *m2) {
    vd s1[2 * NV], s2[2 * NV];
    double k = kind.about == NORMCY_ABOUT_ZERO ? 0 : kind.scaled ? x[0] * scale : x[0];
#pragma GCC unroll 8
    for (int l = 0; l < 2 * NV; l++)
        s1[l] = s2[l] = (vd){0};
    for (ptrdiff_t i = 0; i < length; i += STRETCH) {
        ptrdiff_t left = length - i < STRETCH ? length - i : STRETCH;
#pragma GCC unroll 4
        for (int h = 0; h < NV; h++)
            row_stretch(x + i, left, h, fours, size, kind, set1(scale), set1_d(k), s1 + 2 * h, s2 + 2 * h);
    }
    if (kind.about == NORMCY_ABOUT_MEAN) {
        settle((double)length, k, sum_tree(s1), sum_tree(s2), mean, m2);
    } else {
        *mean = 0;
        *m2 = sum_tree(s2);
    }
}

/* (E) for a slot. */
INLINE void exact_slot_of_rows(const float *x, ptrdiff_t length, double *mean, double *m2) {
    vd s1[2 * NV] = {{0}}, s2[2 * NV] = {{0}}, origin = set1_d(x[0]);
    for (ptrdiff_t at = 0; at < length; at += NORMCY_LANES)
#pragma GCC unroll 4
        for (int h = 0; h < NV; h++) {
            ptrdiff_t here = at + h * W;
            vf v = load_part(x + here, lanes_left(here, length));
            join_exact(&s1[2 * h], &s2[2 * h], v, origin, origin, lanes_left(here, length));
        }
    settle((double)length, x[0], sum_tree(s1), sum_tree(s2), mean, m2);
}

/* `fours`: slots are as many. */
INLINE void slots_of_rows(const float *x, ptrdiff_t slots, ptrdiff_t stride, ptrdiff_t length, int fours,
                          moments_kind kind, float scale, double *mean, double *m2) {
    const stretches size = stretches_of(length);
    for (ptrdiff_t s = 0; s < slots; s++)
        slot_of_rows(x + s * stride, length, fours, &size, kind, scale, mean + s, m2 + s);
}

#define SLOTS(fours, about_, scaled_)                                                                                  \
    slots_of_rows(x, slots, stride, length, fours, (moments_kind){about_, scaled_}, scale, mean, m2)
#define SLOTS_BY_LENGTH(about_)                                                                                        \
    switch (length > 4 * FOUR ? 0 : (length + FOUR - 1) / FOUR) {                                                      \
    case 1:                                                                                                            \
        SLOTS(1, about_, 0);                                                                                           \
        break;                                                                                                         \
    case 2:                                                                                                            \
        SLOTS(2, about_, 0);                                                                                           \
        break;                                                                                                         \
    case 3:                                                                                                            \
        SLOTS(3, about_, 0);                                                                                           \
        break;                                                                                                         \
    case 4:                                                                                                            \
        SLOTS(4, about_, 0);                                                                                           \
        break;                                                                                                         \
    default:                                                                                                           \
        SLOTS(0, about_, 0);                                                                                           \
    }

static void moments_rows(const float *x, ptrdiff_t slots, ptrdiff_t stride, ptrdiff_t length, normcy_about about,
                         float scale, double *mean, double *m2) {
    if (about == NORMCY_EXACT)
        for (ptrdiff_t s = 0; s < slots; s++)
            exact_slot_of_rows(x + s * stride, length, mean + s, m2 + s);
    else if (scale != 1)
        SLOTS(0, about, 1);
    else if (about == NORMCY_ABOUT_ZERO)
        SLOTS_BY_LENGTH(NORMCY_ABOUT_ZERO)
    else
        SLOTS_BY_LENGTH(NORMCY_ABOUT_MEAN)
}

#endif
