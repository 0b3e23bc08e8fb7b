/* Finds out whether some weights are so large or so small that they may have to be applied last. The limits here are
 * stricter by a factor of two than those by which normalize_vector_tpl.h decides for each element, so that none is
 * missed.
 */
#ifndef NORMCY_WEIGHT_RANGE_TPL_H
#define NORMCY_WEIGHT_RANGE_TPL_H

#include "kernels/simd/vec.h"

/* The smallest and the largest magnitude so far, in each lane. */
typedef struct {
    vf least, most;
} magnitudes;

/* Includes v. A NaN changes neither; with `skip_zeros`, a zero does not change the least. */
INLINE magnitudes include(magnitudes m, vf v, int skip_zeros) {
    vf size = magnitude(v);
    m.most = larger(size, m.most);
    m.least = smaller(skip_zeros ? choose(size == 0, set1(1), size) : size, m.least);
    return m;
}

/* The magnitudes of v[k] + offset, and of 1. The two flags are compile-time constants once inlined. */
INLINE magnitudes magnitudes_of(const float *v, ptrdiff_t count, vf offset, int has_offset, int skip_zeros) {
    vf one = set1(1);
    magnitudes m[4] = {{one, one}, {one, one}, {one, one}, {one, one}};
    ptrdiff_t i = 0;
    for (; i + 4 * W <= count; i += 4 * W)
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++)
            m[k] = include(m[k], has_offset ? load(v + i + k * W) + offset : load(v + i + k * W), skip_zeros);
    for (; i < count; i += W) {
        lanes some = first(lanes_left(i, count));
        m[0] = include(m[0], first_lanes(some, load_part(v + i, some) + offset, one), skip_zeros);
    }
    for (int k = 1; k < 4; k++)
        m[0] = (magnitudes){smaller(m[k].least, m[0].least), larger(m[k].most, m[0].most)};
    return m[0];
}

static int weight_range(const float *v, ptrdiff_t count, float offset) {
    vf least = set1(2 * NORMCY_LEAST_GAIN / (float)NORMCY_LEAST_A), most = set1(NORMCY_HUGE_WEIGHT / 2);
    vf shift = set1(offset);
    magnitudes m = offset != 0 ? magnitudes_of(v, count, shift, 1, 0) : magnitudes_of(v, count, shift, 0, 0);
    if (any(m.least == 0)) /* a zero hides the smallest value above zero; this is rare */
        m.least = magnitudes_of(v, count, shift, 1, 1).least;
    return (any(m.most >= most) ? NORMCY_HUGE : 0) | (any(m.least < least) ? NORMCY_TINY : 0);
}

static int huge(const float *v, ptrdiff_t count) {
    vf most = {0};
    for (ptrdiff_t i = 0; i < count; i += W)
        most = larger(magnitude(load_part(v + i, first(lanes_left(i, count)))), most);
    return any(most >= set1(NORMCY_HUGE_WEIGHT / 2));
}

#endif
