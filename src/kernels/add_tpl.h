/* Adds the residual that comes before a norm: sum = x + addend. */
#ifndef NORMCY_ADD_TPL_H
#define NORMCY_ADD_TPL_H

#include "kernels/simd/vec.h"

static void add(const float *x, const float *addend, float *sum, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride) {
    if (stride == cols) /* without gaps, rows are one */
        cols *= rows, rows = 1;
    for (ptrdiff_t i = 0; i < rows; i++, x += stride, addend += stride, sum += stride) {
        /* After these first floats, stores are aligned and do not straddle cache lines. */
        int head = (int)(-((uintptr_t)sum / sizeof(float)) % W);
        for (ptrdiff_t j = 0, end; j < cols; j = end) {
            end = j || !head ? j + W : head;
            if (end - j == W && end <= cols) {
                store(sum + j, load(x + j) + load(addend + j));
            } else {
                lanes some = first((int)((end < cols ? end : cols) - j));
                store_part(sum + j, load_part(x + j, some) + load_part(addend + j, some), some);
            }
        }
    }
}

#endif
