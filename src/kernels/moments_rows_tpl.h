/* Moments of slots that lie along rows. The letters are those of moments_tpl.h. */
#ifndef NORMCY_MOMENTS_ROWS_TPL_H
#define NORMCY_MOMENTS_ROWS_TPL_H

#include "kernels/row_sums_tpl.h"

/* Calls name(x, quads, last, ...) for each block of a slot. Two names of the caller are compile-time constants: `quads`
 * is how many there are in all, or 0 for any number; `whole` says that the last one has all of its lanes. */
#define EACH_BLOCK(name, ...)                                                                                          \
    do {                                                                                                               \
        ptrdiff_t left = shape->length;                                                                                \
        for (; !quads && left >= NORMCY_BLOCK; left -= NORMCY_BLOCK, x += NORMCY_BLOCK)                                \
            name(x, 4, 0, shape, __VA_ARGS__);                                                                         \
        switch (quads ? quads : (left + NORMCY_QUAD - 1) / NORMCY_QUAD) {                                              \
        case 0:                                                                                                        \
            break;                                                                                                     \
        case 1:                                                                                                        \
            name(x, 1, !whole, shape, __VA_ARGS__);                                                                    \
            break;                                                                                                     \
        case 2:                                                                                                        \
            name(x, 2, !whole, shape, __VA_ARGS__);                                                                    \
            break;                                                                                                     \
        case 3:                                                                                                        \
            name(x, 3, !whole, shape, __VA_ARGS__);                                                                    \
            break;                                                                                                     \
        default:                                                                                                       \
            name(x, 4, !whole, shape, __VA_ARGS__);                                                                    \
        }                                                                                                              \
    } while (0)

/* Computes mean and m2 of a slot from its sums about k. Returns the sum of squares. */
INLINE double slot_moments(exact_sums *all, const row_shape *shape, float k, normcy_about about, double *mean,
                           double *m2) {
    double s2 = sum_tree(all->even);
    if (about == NORMCY_ABOUT_ZERO)
        *mean = 0, *m2 = s2;
    else
        finalize((double)shape->length, k, sum_tree(all->s1), s2, mean, m2);
    return s2;
}

/* Computes the moments of a slot by exact sums about k (A). Returns the sum of squares about k. */
INLINE double exact_slot(const float *x, int quads, int whole, const row_shape *shape, float k, moments_kind kind,
                         double *mean, double *m2) {
    exact_sums all = no_sums();
    EACH_BLOCK(exact_block, k, kind, &all);
    for (int i = 0; i < 2 * NV; i++)
        all.even[i] += all.odd[i];
    return slot_moments(&all, shape, k, kind.about, mean, m2);
}

/* Computes the moments of a slot again, about its mean, which is known well enough for that. */
static __attribute__((noinline)) void recompute_slot(const float *x, const row_shape *shape, double *mean, double *m2) {
    exact_slot(x, 0, 0, shape, (float)*mean, (moments_kind){NORMCY_ABOUT_MEAN, 1}, mean, m2);
}

/* Computes the moments of a slot again where (B) asks for it; s2 is the sum of squares about zero. */
INLINE void recompute_if_far(const float *x, const row_shape *shape, normcy_about about, double s2, double *mean,
                             double *m2) {
    if (about != NORMCY_ABOUT_ZERO && far_from_zero(s2, *m2))
        recompute_slot(x, shape, mean, m2);
}

/* Computes what exact_slots would for slots of up to sixteen values, or with `vectors` 2 up to 32, but leaves out the
 * vectors that are absent. */
INLINE void tiny_slots(const float *x, ptrdiff_t slots, ptrdiff_t stride, int vectors, const row_shape *shape,
                       normcy_about about, double *mean, double *m2) {
    for (ptrdiff_t s = 0; s < slots; s++, x += stride) {
        exact_sums all = no_sums();
#pragma GCC unroll 4
        for (int h = 0; h < NV; h++) {
            vf v = load_part(x + h * W, shape->last[h]);
            vd halves[2] = {widen_lo(v), widen_hi(v)}, more[2] = {{0}, {0}};
            if (vectors == 2) {
                v = load_part(x + NORMCY_LANES + h * W, shape->last[NV + h]);
                more[0] = widen_lo(v), more[1] = widen_hi(v);
            }
            for (int half = 0; half < 2; half++) {
                const moments_kind squares = {NORMCY_ABOUT_ZERO, 0};
                sum_exactly(NULL, all.even + 2 * h + half, halves[half], squares);
                if (vectors == 2)
                    sum_exactly(NULL, all.odd + 2 * h + half, more[half], squares);
                if (about != NORMCY_ABOUT_ZERO)
                    all.s1[2 * h + half] += vectors == 2 ? halves[half] + more[half] : halves[half];
            }
        }
        for (int i = 0; vectors == 2 && i < 2 * NV; i++)
            all.even[i] += all.odd[i];
        double s2 = slot_moments(&all, shape, 0, about, mean + s, m2 + s);
        recompute_if_far(x, shape, about, s2, mean + s, m2 + s);
    }
}

INLINE void exact_slots(const float *x, ptrdiff_t slots, ptrdiff_t stride, int quads, int whole, const row_shape *shape,
                        normcy_about about, double *mean, double *m2) {
    for (ptrdiff_t s = 0; s < slots; s++, x += stride) {
        double s2 = exact_slot(x, quads, whole, shape, 0, (moments_kind){about, 0}, mean + s, m2 + s);
        recompute_if_far(x, shape, about, s2, mean + s, m2 + s);
    }
}

/* The shift of (C): the mean of four vectors, one from the middle of each quarter of the row. */
INLINE float shift_of(const float *x, const row_shape *shape) {
    vf r[NV];
    for (int h = 0; h < NV; h++) {
        vf v[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            v[i] = load(x + shape->quarters[i] + h * W);
        r[h] = (v[0] + v[1]) + (v[2] + v[3]);
    }
    return sum_floats(r) * (1.0f / NORMCY_QUAD);
}

/* Computes the moments of a slot by sums in float32 about k (C). Returns the sum of squares about k. */
INLINE double slot_about(const float *x, int quads, int whole, const row_shape *shape, float k, normcy_about about,
                         double *mean, double *m2) {
    vf c = set1(k);
    exact_sums all = no_sums();
    EACH_BLOCK(block_about, c, about, &all);
    return slot_moments(&all, shape, k, about, mean, m2);
}

INLINE void float_slots(const float *x, ptrdiff_t slots, ptrdiff_t stride, int quads, int whole, const row_shape *shape,
                        normcy_about about, double *mean, double *m2) {
    for (int f = 0; f < NORMCY_BLOCK / NORMCY_QUAD; f++) /* memory arrives while the first shift is computed */
        prefetch_quad(x + f * NORMCY_QUAD, 0);
    float next = about == NORMCY_ABOUT_ZERO ? 0 : shift_of(x, shape);
    for (ptrdiff_t s = 0; s < slots; s++, x += stride) {
        float k = next;
        if (about != NORMCY_ABOUT_ZERO && s + 1 < slots) /* is computed early, so that no block waits for it */
            next = shift_of(x + stride, shape);
        double s2 = slot_about(x, quads, whole, shape, k, about, mean + s, m2 + s);
        if (about != NORMCY_ABOUT_ZERO && far_from_shift(s2, m2[s]))
            recompute_slot(x, shape, mean + s, m2 + s);
    }
}

#undef EACH_BLOCK

/* Calls `name` for all slots with the constants that their length allows. */
#define SLOTS_OF(name, quads, whole, about) name(x, slots, stride, quads, whole, shape, about, mean, m2)
#define SLOTS_BY_LENGTH(name, whole, about)                                                                            \
    switch (length > NORMCY_BLOCK ? 0 : (length + NORMCY_QUAD - 1) / NORMCY_QUAD) {                                    \
    case 1:                                                                                                            \
        SLOTS_OF(name, 1, whole, about);                                                                               \
        break;                                                                                                         \
    case 2:                                                                                                            \
        SLOTS_OF(name, 2, whole, about);                                                                               \
        break;                                                                                                         \
    case 3:                                                                                                            \
        SLOTS_OF(name, 3, whole, about);                                                                               \
        break;                                                                                                         \
    case 4:                                                                                                            \
        SLOTS_OF(name, 4, whole, about);                                                                               \
        break;                                                                                                         \
    default:                                                                                                           \
        SLOTS_OF(name, 0, 0, about);                                                                                   \
    }
#define SLOTS(name, about)                                                                                             \
    if (length <= NORMCY_LANES)                                                                                        \
        tiny_slots(x, slots, stride, 1, shape, about, mean, m2);                                                       \
    else if (length <= 2 * NORMCY_LANES)                                                                               \
        tiny_slots(x, slots, stride, 2, shape, about, mean, m2);                                                       \
    else if (length % NORMCY_QUAD)                                                                                     \
        SLOTS_BY_LENGTH(name, 0, about)                                                                                \
    else                                                                                                               \
        SLOTS_BY_LENGTH(name, 1, about)

/* A slot of one value has no deviation; it is NaN where the value is not finite. Adding 0 makes a mean of -0 positive,
 * as sums do. */
INLINE void single_values(const float *x, ptrdiff_t slots, ptrdiff_t stride, normcy_about about, double *restrict mean,
                          double *restrict m2) {
    for (ptrdiff_t s = 0; s < slots; s++, x += stride) {
        double v = *x;
        mean[s] = about == NORMCY_ABOUT_ZERO ? 0 : v + 0.0;
        m2[s] = about == NORMCY_ABOUT_ZERO ? v * v : v - v;
    }
}

static void moments_rows(const float *x, ptrdiff_t slots, ptrdiff_t stride, ptrdiff_t length, normcy_about about,
                         int exact, double *mean, double *m2) {
    row_shape room;
    const row_shape *shape;
    if (length == 1) {
        single_values(x, slots, stride, about, mean, m2);
        return;
    }
    shape = shape_of(&room, slots, stride, length);
    exact = exact || length <= (about == NORMCY_ABOUT_ZERO ? NORMCY_EXACT_ROW_ABOUT_ZERO : NORMCY_EXACT_ROW);
    if (exact && about == NORMCY_ABOUT_ZERO) {
        SLOTS(exact_slots, NORMCY_ABOUT_ZERO)
    } else if (exact) {
        SLOTS(exact_slots, NORMCY_ABOUT_MEAN)
    } else if (about == NORMCY_ABOUT_ZERO) {
        SLOTS(float_slots, NORMCY_ABOUT_ZERO)
    } else {
        float_slots(x, slots, stride, 0, 0, shape, NORMCY_ABOUT_MEAN, mean, m2);
    }
}

#endif
