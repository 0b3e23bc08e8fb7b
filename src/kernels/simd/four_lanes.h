/* The part of the vocabulary that instruction sets of four lanes share where they have no masks: SSE2, NEON and GNU
 * vectors alone. Partial vectors go lane by lane.
 */
#ifndef NORMCY_FOUR_LANES_H
#define NORMCY_FOUR_LANES_H

#define W 4
#include "kernels/simd/types.h"

INLINE vf sum_by_fma(vf a, vf b) {
    return a + b;
}
INLINE vd sum_doubles_by_fma(vd a, vd b) {
    return a + b;
}
INLINE vd plus_exact_square(vd s, vd v) {
    return s + v * v;
}

typedef int lanes;
INLINE lanes first(int n) {
    return n;
}
INLINE vf first_lanes(lanes some, vf a, vf b) {
    return choose((vi){0, 1, 2, 3} < some, a, b);
}
INLINE vf load_part(const float *p, lanes some) {
    if (some == W)
        return load(p);
    vf v = {some > 0 ? p[0] : 0, some > 1 ? p[1] : 0, some > 2 ? p[2] : 0, 0};
    return v;
}
INLINE vf load_or(vf absent, const float *p, lanes some) {
    return some == W ? load(p) : first_lanes(some, load_part(p, some), absent);
}
INLINE void store_part(float *p, vf v, lanes some) {
    for (int i = 0; i < some; i++)
        p[i] = v[i];
}

INLINE vd widen_lo(vf v) {
    return (vd){v[0], v[1]};
}
INLINE vd widen_hi(vf v) {
    return (vd){v[2], v[3]};
}

INLINE float sum_float_lanes(vf v) {
    return (v[0] + v[2]) + (v[1] + v[3]);
}
INLINE double sum_lanes(vd v) {
    return v[0] + v[1];
}

#endif
