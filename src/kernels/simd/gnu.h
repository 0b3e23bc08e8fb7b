/* The vector vocabulary in GNU vectors of 128 bits alone, for any architecture. */
#ifndef NORMCY_GNU_H
#define NORMCY_GNU_H

#include "kernels/simd/four_lanes.h"

/* There is no portable store that goes past the caches. */
INLINE void stream_store(float *p, vf v) {
    store(p, v);
}
INLINE void store_fence(void) {
}
INLINE vf larger(vf a, vf b) {
    return choose(a > b, a, b);
}
INLINE vf smaller(vf a, vf b) {
    return choose(a < b, a, b);
}
INLINE int any(vi where) {
    return (where[0] | where[1] | where[2] | where[3]) != 0;
}
INLINE vd load_wide(const float *p) {
    return (vd){p[0], p[1]};
}

#ifndef COMPILER_BARRIER
#define COMPILER_BARRIER(v, w) __asm__ volatile("" ::: "memory")
#endif

#endif
