/* The sums of a block of a row, in sixteen virtual lanes: exactly in float64, or in float32 about a shift.
 *
 * A block has one to four quads of four vectors of sixteen lanes, which are NV native vectors each.
 */
#ifndef NORMCY_ROW_SUMS_TPL_H
#define NORMCY_ROW_SUMS_TPL_H

#include "kernels/moments_tpl.h"
#include "kernels/tuning.h"

/* What all slots of a call have in common. */
typedef struct {
    ptrdiff_t length;
    lanes last[4 * NV];    /* which lanes of each native vector exist in the last quad */
    ptrdiff_t ahead;       /* how many floats ahead of the loads to prefetch: in short calls, what follows the slots */
    ptrdiff_t quarters[4]; /* the middle of each quarter of a longer slot, whose vectors there give the shift */
} row_shape;

INLINE row_shape *shape_of(row_shape *s, ptrdiff_t slots, ptrdiff_t stride, ptrdiff_t length) {
    ptrdiff_t rest = (length - 1) % NORMCY_QUAD + 1, all = slots * stride;
    s->length = length;
    s->ahead = all > 0 && all < ROWS_PREFETCH_FLOATS ? all : ROWS_PREFETCH_FLOATS;
    for (int k = 0; k < 4 * NV; k++)
        s->last[k] = first(lanes_left(k * W, rest));
    for (int k = 0; k < 4; k++)
        s->quarters[k] = (2 * k + 1) * length / 8 / NORMCY_LANES * NORMCY_LANES;
    return s;
}

/* Sums of sixteen lanes in float64. Squares have two sums, so that an addition need not wait for the one before. */
typedef struct {
    vd s1[2 * NV], even[2 * NV], odd[2 * NV];
} exact_sums;

INLINE exact_sums no_sums(void) {
    exact_sums all; /* with an initializer, gcc would call memset and keep the sums in memory */
#pragma GCC unroll 8
    for (int i = 0; i < 2 * NV; i++)
        all.s1[i] = all.even[i] = all.odd[i] = (vd){0};
    return all;
}

/* Returns p, but hides from the compiler that p is x plus an offset. It would keep sixteen such addresses in registers
 * otherwise. */
INLINE const float *one_pointer(const float *p) {
    __asm__("" : "+r"(p));
    return p;
}

/* Prefetches a quad, once for all of its native vectors: sixteen floats are a cache line. The condition belongs to the
 * loop: with an `if` around it, gcc 12 puts the prefetches elsewhere, and moments of rows out of cache take 15 %
 * longer. */
INLINE void prefetch_quad(const float *ahead, int h) {
    for (int i = 0; i < 4 && h == 0; i++)
        __builtin_prefetch(ahead + i * NORMCY_LANES);
}

/* Loads the h-th native vectors of a quad as doubles, minus k if `shifted` is set. If `last` is set, which is a
 * compile-time constant, some lanes may be absent; they become 0. */
INLINE void load_quad(vd v[4][2], const float *x, int h, int last, const row_shape *shape, float k, int shifted) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        const float *p = x + i * NORMCY_LANES + h * W;
        if (last) {
            vf some = load_or(set1(k), p, shape->last[i * NV + h]);
            v[i][0] = widen_lo(some), v[i][1] = widen_hi(some);
        } else {
            v[i][0] = load_wide(p), v[i][1] = load_wide(p + W / 2);
        }
        for (int half = 0; half < 2 && shifted; half++)
            v[i][half] -= set1_d(k);
    }
}

/* Adds a block of 1 to 4 quads to the sums about k. `quads` and `last`, whether the slot ends there, are compile-time
 * constants. */
INLINE void exact_block(const float *x, int quads, int last, const row_shape *shape, float k, moments_kind kind,
                        exact_sums *all) {
    const float *ahead = one_pointer(x + shape->ahead);
#pragma GCC unroll 4
    for (int h = 0; h < NV; h++) {
#pragma GCC unroll 4
        for (int f = 0; f < quads; f++) {
            vd v[4][2];
            prefetch_quad(ahead + f * NORMCY_QUAD, h);
            load_quad(v, x + f * NORMCY_QUAD, h, last && f + 1 == quads, shape, k, kind.shifted);
#pragma GCC unroll 2
            for (int half = 0; half < 2; half++) {
                vd *even = all->even + 2 * h + half, *odd = all->odd + 2 * h + half;
                const moments_kind squares = {NORMCY_ABOUT_ZERO, kind.shifted};
                sum_exactly(NULL, even, v[0][half], squares);
                sum_exactly(NULL, odd, v[1][half], squares);
                sum_exactly(NULL, even, v[2][half], squares);
                sum_exactly(NULL, odd, v[3][half], squares);
                if (kind.about != NORMCY_ABOUT_ZERO)
                    all->s1[2 * h + half] += (v[0][half] + v[1][half]) + (v[2][half] + v[3][half]);
            }
        }
    }
}

/* Sums in float32: r of the differences from a shift, q of their squares. */
typedef struct {
    vf r, q;
} sums;

INLINE sums combine(sums a, sums b) {
    return (sums){sum_by_fma(a.r, b.r), a.q + b.q};
}

/* Sums the h-th native vectors of a quad about c, pairwise. Differences add up in the units that multiply, so that
 * these and the units that add have equal work. */
INLINE sums row_quad(const float *x, int h, int last, const row_shape *shape, vf c, normcy_about about) {
    vf v[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        const float *p = x + i * NORMCY_LANES + h * W;
        v[i] = last ? load_or(c, p, shape->last[i * NV + h]) : load(p);
        if (about != NORMCY_ABOUT_ZERO)
            v[i] -= c;
    }
    sums s = {{0}, (v[0] * v[0] + v[1] * v[1]) + (v[2] * v[2] + v[3] * v[3])};
    if (about != NORMCY_ABOUT_ZERO)
        s.r = sum_by_fma(sum_by_fma(v[0], v[1]), sum_by_fma(v[2], v[3]));
    return s;
}

/* Adds a block to the sums about c, as exact_block does, but in float32. */
INLINE void block_about(const float *x, int quads, int last, const row_shape *shape, vf c, normcy_about about,
                        exact_sums *all) {
    const float *ahead = one_pointer(x + shape->ahead);
#pragma GCC unroll 4
    for (int h = 0; h < NV; h++) {
        sums s[4];
#pragma GCC unroll 4
        for (int f = 0; f < quads; f++) {
            prefetch_quad(ahead + f * NORMCY_QUAD, h);
            s[f] = row_quad(x + f * NORMCY_QUAD, h, last && f + 1 == quads, shape, c, about);
            COMPILER_BARRIER(s[f].r, s[f].q);
        }
        sums two = quads > 1 ? combine(s[0], s[1]) : s[0];
        sums block = quads > 3 ? combine(two, combine(s[2], s[3])) : quads > 2 ? combine(two, s[2]) : two;
        vd q[2] = {widen_lo(block.q), widen_hi(block.q)}, r[2] = {widen_lo(block.r), widen_hi(block.r)};
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
            vd *even = all->even + 2 * h + half, *s1 = all->s1 + 2 * h + half;
            *even = about == NORMCY_ABOUT_ZERO ? *even + q[half] : sum_doubles_by_fma(*even, q[half]);
            if (about != NORMCY_ABOUT_ZERO)
                *s1 = sum_doubles_by_fma(*s1, r[half]);
        }
    }
}

#endif
