/* Moments of slots that lie along rows. */
#ifndef NORMCY_MOMENTS_ROWS_TPL_H
#define NORMCY_MOMENTS_ROWS_TPL_H

#include "row_sums_tpl.h"

/* A slot's sums about k in float64, and about the centres that it had on the way. */
typedef struct {
    vd s1[2 * NV], s2[2 * NV];
    vf about_centres[NV];
} slot_sums;

INLINE slot_sums first_stretch(const lane_sums *s) {
    slot_sums all;
#pragma GCC unroll 4
    for (int h = 0; h < NV; h++) {
        all.s1[2 * h] = widen_lo(s->v[h].r), all.s1[2 * h + 1] = widen_hi(s->v[h].r);
        all.s2[2 * h] = widen_lo(s->v[h].q), all.s2[2 * h + 1] = widen_hi(s->v[h].q);
        all.about_centres[h] = s->v[h].q;
    }
    return all;
}

INLINE void join_stretch(slot_sums *all, const lane_sums *s, const centres *c, ptrdiff_t length, float k) {
#pragma GCC unroll 4
    for (int h = 0; h < NV; h++) {
        vf n = lane_counts(length, h), r = s->v[h].r, q = s->v[h].q;
        vd *s1 = all->s1 + 2 * h, *s2 = all->s2 + 2 * h;
        join(&s1[0], &s2[0], widen_lo(r), widen_lo(q), widen_lo(n), widen_lo(c->v[h]) - set1_d(k));
        join(&s1[1], &s2[1], widen_hi(r), widen_hi(q), widen_hi(n), widen_hi(c->v[h]) - set1_d(k));
        all->about_centres[h] += q;
    }
}

/* The mean of each lane of a whole stretch, from the sums about c. */
INLINE centres means_of(centres c, const lane_sums *s) {
#pragma GCC unroll 4
    for (int h = 0; h < NV; h++)
        c.v[h] += s->v[h].r * set1(1.0f / (STRETCH / NORMCY_LANES));
    return c;
}

/* A slot about k at first, then each stretch about the means of the last but one, so that it need not wait for those of
 * the last. Returns whether the centres were far off. */
INLINE int slot_about(float k, const float *x, int fours, const row_shape *shape, moments_kind kind, float scale,
                      double *mean, double *m2) {
    ptrdiff_t length = shape->length;
    vf factor = set1(scale);
    centres c = all_lanes(k), next = c;
    lane_sums s = stretch_sums(x, length < STRETCH ? length : STRETCH, fours, shape, c, kind, factor, BOTH);
    slot_sums all = first_stretch(&s);
    for (ptrdiff_t i = STRETCH; !fours && i < length; i += STRETCH) {
        ptrdiff_t left = length - i < STRETCH ? length - i : STRETCH;
        centres last_but_one = next;
        next = means_of(c, &s);
        c = last_but_one;
        s = stretch_sums(x + i, left, 0, shape, c, kind, factor, BOTH);
        join_stretch(&all, &s, &c, left, k);
    }
    settle((double)length, k, sum_tree(all.s1), sum_tree(all.s2), mean, m2);
    return !fours && far_off(sum_floats(all.about_centres), *m2);
}

/* A slot with each stretch about its own means. */
INLINE void slot_about_own(float k, const float *x, const row_shape *shape, moments_kind kind, float scale,
                           double *mean, double *m2) {
    slot_sums all = {{{0}}, {{0}}, {{0}}};
    for (ptrdiff_t i = 0; i < shape->length; i += STRETCH) {
        ptrdiff_t left = shape->length - i < STRETCH ? shape->length - i : STRETCH;
        centres c = all_lanes(0);
        lane_sums s = stretch_sums(x + i, left, 0, shape, c, kind, set1(scale), VALUES);
        for (int h = 0; h < NV; h++)
            c.v[h] = s.v[h].r / at_least(lane_counts(left, h), 1);
        s = stretch_sums(x + i, left, 0, shape, c, kind, set1(scale), BOTH);
        join_stretch(&all, &s, &c, left, k);
    }
    settle((double)shape->length, k, sum_tree(all.s1), sum_tree(all.s2), mean, m2);
}

static __attribute__((noinline)) void slot_again(float k, const float *x, const row_shape *shape, int scaled,
                                                 float scale, double *mean, double *m2) {
    if (scaled)
        slot_about_own(k, x, shape, (moments_kind){NORMCY_ABOUT_MEAN, 1}, scale, mean, m2);
    else
        slot_about_own(k, x, shape, (moments_kind){NORMCY_ABOUT_MEAN, 0}, 1, mean, m2);
}

INLINE void slot_about_zero(const float *x, int fours, const row_shape *shape, moments_kind kind, float scale,
                            double *mean, double *m2) {
    ptrdiff_t length = shape->length;
    lane_sums s =
        stretch_sums(x, length < STRETCH ? length : STRETCH, fours, shape, all_lanes(0), kind, set1(scale), SQUARES);
    slot_sums all = first_stretch(&s);
    for (ptrdiff_t i = STRETCH; !fours && i < length; i += STRETCH) {
        s = stretch_sums(x + i, length - i < STRETCH ? length - i : STRETCH, 0, shape, all_lanes(0), kind, set1(scale),
                         SQUARES);
#pragma GCC unroll 4
        for (int h = 0; h < NV; h++) {
            all.s2[2 * h] += widen_lo(s.v[h].q);
            all.s2[2 * h + 1] += widen_hi(s.v[h].q);
        }
    }
    *mean = 0;
    *m2 = sum_tree(all.s2);
}

/* (E) for a slot. */
INLINE void exact_slot_of_rows(const float *x, ptrdiff_t length, double *mean, double *m2) {
    vd s1[2 * NV] = {{0}}, s2[2 * NV] = {{0}}, origin = set1_d(x[0]);
    for (ptrdiff_t at = 0; at < length; at += NORMCY_LANES)
#pragma GCC unroll 4
        for (int h = 0; h < NV; h++) {
            ptrdiff_t here = at + h * W;
            vf v = load_part(x + here, first(lanes_left(here, length)));
            join_exact(&s1[2 * h], &s2[2 * h], v, origin, origin, lanes_left(here, length));
        }
    settle((double)length, x[0], sum_tree(s1), sum_tree(s2), mean, m2);
}

/* `fours`: slots are as many, a compile-time constant; 0: longer than a block, or any. */
INLINE void slots_of_rows(const float *x, ptrdiff_t slots, ptrdiff_t stride, ptrdiff_t length, int fours,
                          moments_kind kind, float scale, double *mean, double *m2) {
    row_shape room;
    const row_shape *shape = shape_of(&room, slots, stride, length);
    if (kind.about == NORMCY_ABOUT_ZERO) {
        for (ptrdiff_t s = 0; s < slots; s++)
            slot_about_zero(x + s * stride, fours, shape, kind, scale, mean + s, m2 + s);
        return;
    }
    float next = first_centre(x, fours, shape, kind, set1(scale));
    for (ptrdiff_t s = 0; s < slots; s++, x += stride) {
        float k = next;
        if (s + 1 < slots) /* early, so that nothing waits for it */
            next = first_centre(x + stride, fours, shape, kind, set1(scale));
        if (slot_about(k, x, fours, shape, kind, scale, mean + s, m2 + s))
            slot_again(k, x, shape, kind.scaled, scale, mean + s, m2 + s);
    }
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
