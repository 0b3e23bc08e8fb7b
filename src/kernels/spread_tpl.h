/* One value for each row of a panel becomes one for each of its floats. */
#ifndef NORMCY_SPREAD_TPL_H
#define NORMCY_SPREAD_TPL_H

#include "kernels/simd/vec.h"

/* Whole vectors are stored, of which the next value overwrites what is too much. */
static void spread(const float *v, ptrdiff_t count, ptrdiff_t times, float *out) {
    for (ptrdiff_t k = 0; k < count; k++, out += times)
        for (ptrdiff_t j = 0; j < times; j += W)
            store(out + j, set1(v[k]));
}

#endif
