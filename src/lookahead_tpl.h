/* Asking memory for what comes next while rows are gone through side by side.
 *
 * The hardware does not fetch ahead well where such rows are short streams that cross each other. Where the rows after
 * them follow at once (`flat`), lines are asked for in memory order, some way ahead; else those of the next rows.
 */
#ifndef NORMCY_LOOKAHEAD_TPL_H
#define NORMCY_LOOKAHEAD_TPL_H

#include "vec.h"

enum { FETCH_AHEAD = 2048 }; /* floats: 8 KiB */

typedef struct {
    const float *next;
    ptrdiff_t step, along;
} lookahead;

/* From column j of `rows` rows on. */
INLINE lookahead look_ahead(const float *x, int rows, ptrdiff_t j, ptrdiff_t stride, int flat) {
    if (flat)
        return (lookahead){x + FETCH_AHEAD + rows * j, W, rows * W};
    return (lookahead){x + rows * stride + j, stride, W};
}

/* As many lines as a vector of every row is long. */
INLINE void fetch_lines(lookahead *at, int rows) {
    for (int r = 0; r < rows; r++)
        __builtin_prefetch(at->next + r * at->step);
    at->next += at->along;
}

#endif
