/* Vector types of W floats, W being what the instruction set's header defined before, and what GNU vector arithmetic
 * does with them on every instruction set.
 */
#ifndef NORMCY_TYPES_H
#define NORMCY_TYPES_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

#define NV (NORMCY_LANES / W)
#define INLINE static inline __attribute__((always_inline))

typedef float vf __attribute__((vector_size(4 * W)));
typedef double vd __attribute__((vector_size(4 * W)));
typedef int32_t vi __attribute__((vector_size(4 * W)));
typedef uint32_t vu __attribute__((vector_size(4 * W)));
typedef float vf_unaligned __attribute__((vector_size(4 * W), aligned(4), may_alias));
typedef double vd_unaligned __attribute__((vector_size(4 * W), aligned(8), may_alias));

INLINE vf load(const float *p) {
    return *(const vf_unaligned *)p;
}
INLINE void store(float *p, vf v) {
    *(vf_unaligned *)p = v;
}
INLINE vd load_d(const double *p) {
    return *(const vd_unaligned *)p;
}
INLINE void store_d(double *p, vd v) {
    *(vd_unaligned *)p = v;
}
INLINE vf set1(float s) {
    return s - (vf){0};
}
INLINE vd set1_d(double s) {
    return s - (vd){0};
}

/* Takes a where the mask is set, and b elsewhere. */
INLINE vf choose(vi where, vf a, vf b) {
    return (vf)(((vi)a & where) | ((vi)b & ~where));
}
INLINE vf magnitude(vf v) {
    return (vf)((vi)v & 0x7fffffff);
}

#endif
