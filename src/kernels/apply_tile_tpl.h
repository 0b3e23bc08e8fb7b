/* A few rows of a panel in the apply pass, by row and by column: one body over the points of normalize_vector_tpl.h,
 * whose variants are compile-time flags. Last come the addend and the activation: relu at once, costly ones piece by
 * piece while y is in L1.
 */
#ifndef NORMCY_APPLY_TILE_TPL_H
#define NORMCY_APPLY_TILE_TPL_H

#include "kernels/normalize_vector_tpl.h"

enum {
    TILE_ROWS = 4,          /* near memory: rows done together, so that what they share is loaded once */
    PAGE_FLOATS = 1024,     /* rows that many floats apart push each other out of L1 */
    LONG_ROW_FLOATS = 2048, /* floats from which rows, often a power of two apart, push each other out of L1 */
    TINY_ROW_FLOATS =
        192, /* floats up to which rows are done together even where they are far: y is one piece all the same */
    SHORT_ROW_FLOATS = 256,    /* floats up to which rows that share nothing gain too, by not waiting for each other */
    TILE_FLOATS = 1024,        /* floats of a row that a costly activation finds in L1 */
    SHARED_TILE_FLOATS = 2048, /* floats of a weight and of a bias that stay there while rows go by */
};

/* Where a panel's rows are, from the first one still to do on. */
typedef struct {
    const float *x, *add;
    float *y;
    ptrdiff_t stride;
    int relu, nontemporal;
    vf offset; /* of the weight */
} row_cursor;

INLINE row_cursor advance(row_cursor p, ptrdiff_t floats) {
    p.x += floats, p.y += floats;
    if (p.add)
        p.add += floats;
    return p;
}

/* What goes with each of a few rows. */
typedef struct {
    vec_coef c[TILE_ROWS];
    row_operand weight[TILE_ROWS], bias[TILE_ROWS];
    vf row_weight[TILE_ROWS], row_bias[TILE_ROWS]; /* ROW_OPERANDS */
} tile;

/* Columns j to j + n, n <= W, of a band; `nontemporal` where y is aligned and may be stored past the caches. */
INLINE void apply_vector(row_cursor p, const tile *with, int rows, ptrdiff_t j, int n, int nontemporal,
                         const normcy_coef *coef, apply_kind kind) {
    vec_coef here = kind.by_col ? coef_of_cols(coef, j, n, kind) : with->c[0];
    vf weight = {0}, bias = {0};
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        ptrdiff_t at = r * p.stride + j;
        if (kind.operands == ROW_OPERANDS) {
            weight = with->row_weight[r], bias = with->row_bias[r];
        } else if (kind.operands >= ANY_OPERANDS || (kind.operands && r == 0)) {
            weight = operand_at(&with->weight[r], j, n);
            bias = operand_at(&with->bias[r], j, n);
        }
        if (kind.operands >= ANY_OPERANDS)
            weight += p.offset;
        vf v = normalize_vector(part_of(p.x + at, n), kind.by_col ? here : with->c[r], weight, bias, kind);
        if (kind.epilogue && p.add)
            v += part_of(p.add + at, n);
        if (kind.epilogue && p.relu)
            v = relu(v);
        if (n == W && nontemporal)
            stream_store(p.y + at, v);
        else if (n == W)
            store(p.y + at, v);
        else
            store_part(p.y + at, v, first(n));
    }
}

INLINE void apply_tile_columns(row_cursor p, const tile *with, int rows, ptrdiff_t j, ptrdiff_t end,
                               const normcy_coef *coef, apply_kind kind) {
    /* Stores that straddle cache lines are slow: a few columns first, to where y is aligned, in all rows of a band. */
    int head = (int)(-((uintptr_t)(p.y + j) / sizeof(float)) % W);
    if (head && end - j >= SHORT_ROW_FLOATS && (rows == 1 || p.stride % W == 0)) {
        apply_vector(p, with, rows, j, head, 0, coef, kind);
        j += head;
    }
    if (p.nontemporal && !kind.by_col)
        __builtin_prefetch(p.y + end, 1); /* the line that two rows share cannot be written past the caches */
    if (rows == 1 && p.nontemporal && (uintptr_t)(p.y + j) % sizeof(vf) == 0)
        for (; j + W <= end; j += W)
            apply_vector(p, with, rows, j, W, 1, coef, kind);
    for (; j + W <= end; j += W)
        apply_vector(p, with, rows, j, W, 0, coef, kind);
    if (j < end)
        apply_vector(p, with, rows, j, (int)(end - j), 0, coef, kind);
}

/* What goes with the i-th row, which is the r-th of a band; `same` has room for values of the whole row. */
INLINE void set_row_of_tile(tile *with, int r, ptrdiff_t i, float same[2][W], const normcy_coef *coef,
                            const normcy_elementwise *elementwise, apply_kind kind) {
    if (!kind.by_col)
        with->c[r] = coef_of_row(coef, i, kind);
    if (kind.operands) {
        with->weight[r] = operand_of_row(&elementwise->weight, i, 1, same[0]);
        with->bias[r] = operand_of_row(&elementwise->bias, i, 0, same[1]);
    }
    if (kind.operands == ROW_OPERANDS) {
        with->row_weight[r] = set1(*with->weight[r].p + (elementwise->weight.p ? elementwise->offset : 0));
        with->row_bias[r] = set1(*with->bias[r].p);
    }
}

/* Columns j to end of a few rows, the i-th and those after it. */
INLINE void apply_tile(row_cursor p, int rows, ptrdiff_t i, ptrdiff_t j, ptrdiff_t end, const normcy_coef *coef,
                       const normcy_elementwise *elementwise, const normcy_epilogue *epilogue, apply_kind kind) {
    tile with;
    float same[TILE_ROWS][2][W];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
        set_row_of_tile(&with, r, i + r, same[r], coef, elementwise, kind);
    if (!kind.epilogue || !epilogue || epilogue->activation <= NORMCY_RELU) {
        apply_tile_columns(p, &with, rows, j, end, coef, kind);
        return;
    }
    for (; j < end; j += TILE_FLOATS) {
        ptrdiff_t stop = end - j < TILE_FLOATS ? end : j + TILE_FLOATS;
        apply_tile_columns(p, &with, rows, j, stop, coef, kind);
        for (int r = 0; r < rows; r++)
            activate(p.y + r * p.stride + j, stop - j, epilogue->activation);
    }
}

#endif
