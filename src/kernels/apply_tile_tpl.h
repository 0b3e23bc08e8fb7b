/* One tile of the apply pass: up to four rows of a panel, or a part of their columns.
 *
 * (A) One body serves all variants, which are compile-time constants in apply_kind.
 * (B) Rows of a tile are done together, vector by vector, so that what they share is loaded once.
 * (C) The addend and relu are part of the loop. Costly activations go over each row of a tile while it is in L1.
 *     Reason: in the loop they would need a variant each, and would not be faster.
 * (D) Where x comes from memory or the arithmetic takes long, the next tile's x is prefetched meanwhile.
 *     Reason: the moments of the next tile would wait for it while the arithmetic units are idle. Of light arithmetic
 *     on what is in some cache, the additional instruction takes longer than it saves.
 */
#ifndef NORMCY_APPLY_TILE_TPL_H
#define NORMCY_APPLY_TILE_TPL_H

#include "kernels/normalize_vector_tpl.h"
#include "kernels/tuning.h"

/* Where x, y and the addend are in memory, from the current row on. */
typedef struct {
    const float *x, *add;
    float *y;
    ptrdiff_t stride, ahead; /* `ahead` as in normcy_access */
    int relu, nontemporal;
    vf offset; /* of the weight */
} row_cursor;

INLINE row_cursor advance(row_cursor p, ptrdiff_t floats) {
    p.x += floats, p.y += floats;
    if (p.add)
        p.add += floats;
    return p;
}

/* The coefficients and operands of each row of a tile. */
typedef struct {
    vec_coef c[TILE_ROWS];
    row_operand weight[TILE_ROWS], bias[TILE_ROWS];
    vf row_weight[TILE_ROWS], row_bias[TILE_ROWS]; /* of ROW_OPERANDS */
} tile_rows;

/* Applies the norm to columns j to j + n, n <= W, of all rows. y must be aligned there if `nontemporal` is set. */
INLINE void apply_vector(row_cursor p, const tile_rows *tile, int rows, ptrdiff_t j, int n, int nontemporal,
                         const normcy_coef *coef, apply_kind kind) {
    vec_coef here = kind.by_col ? coef_of_cols(coef, j, n, kind) : tile->c[0];
    vf weight = {0}, bias = {0};
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        ptrdiff_t at = r * p.stride + j;
        if (kind.operands == ROW_OPERANDS) {
            weight = tile->row_weight[r], bias = tile->row_bias[r];
        } else if (kind.operands >= ANY_OPERANDS || (kind.operands && r == 0)) {
            weight = operand_at(&tile->weight[r], j, n);
            bias = operand_at(&tile->bias[r], j, n);
        }
        if (kind.operands >= ANY_OPERANDS)
            weight += p.offset;
        if (nontemporal || !is_light(kind))
            prefetch_to_l2(p.x + at + p.ahead);
        vf v = normalize_vector(part_of(p.x + at, n), kind.by_col ? here : tile->c[r], weight, bias, kind);
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

/* Applies the norm and its epilogue, except for a costly activation, to columns j to `end` of all rows. */
INLINE void apply_tile_columns(row_cursor p, const tile_rows *tile, int rows, ptrdiff_t j, ptrdiff_t end,
                               const normcy_coef *coef, apply_kind kind) {
    int head = (int)(-((uintptr_t)(p.y + j) / sizeof(float)) % W);
    if (head && end - j >= ALIGNED_ROW_FLOATS && (rows == 1 || p.stride % W == 0)) {
        apply_vector(p, tile, rows, j, head, 0, coef, kind);
        j += head;
    }
    if (p.nontemporal && !kind.by_col)
        __builtin_prefetch(p.y + end, 1); /* two rows share that line, so that it has to go through the caches */
    if (rows == 1 && p.nontemporal && (uintptr_t)(p.y + j) % sizeof(vf) == 0)
        for (; j + W <= end; j += W)
            apply_vector(p, tile, rows, j, W, 1, coef, kind);
    for (; j + W <= end; j += W)
        apply_vector(p, tile, rows, j, W, 0, coef, kind);
    if (j < end)
        apply_vector(p, tile, rows, j, (int)(end - j), 0, coef, kind);
}

/* Makes row i of the panel row r of the tile. `same` has room for operands that are one value for the whole row. */
INLINE void set_row_of_tile(tile_rows *tile, int r, ptrdiff_t i, float same[2][W], const normcy_coef *coef,
                            const normcy_elementwise *elementwise, apply_kind kind) {
    if (!kind.by_col)
        tile->c[r] = coef_of_row(coef, i, kind);
    if (kind.operands) {
        tile->weight[r] = operand_of_row(&elementwise->weight, i, 1, same[0]);
        tile->bias[r] = operand_of_row(&elementwise->bias, i, 0, same[1]);
    }
    if (kind.operands == ROW_OPERANDS) {
        tile->row_weight[r] = set1(*tile->weight[r].p + (elementwise->weight.p ? elementwise->offset : 0));
        tile->row_bias[r] = set1(*tile->bias[r].p);
    }
}

/* Applies the norm to columns j to `end` of a few rows, of which i is the first. */
INLINE void apply_tile(row_cursor p, int rows, ptrdiff_t i, ptrdiff_t j, ptrdiff_t end, const normcy_coef *coef,
                       const normcy_elementwise *elementwise, const normcy_epilogue *epilogue, apply_kind kind) {
    tile_rows tile;
    float same[TILE_ROWS][2][W];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
        set_row_of_tile(&tile, r, i + r, same[r], coef, elementwise, kind);
    if (!kind.epilogue || !epilogue || epilogue->activation <= NORMCY_RELU) {
        apply_tile_columns(p, &tile, rows, j, end, coef, kind);
        return;
    }
    for (; j < end; j += ACTIVATION_TILE_COLUMNS) {
        ptrdiff_t stop = end - j < ACTIVATION_TILE_COLUMNS ? end : j + ACTIVATION_TILE_COLUMNS;
        apply_tile_columns(p, &tile, rows, j, stop, coef, kind);
        for (int r = 0; r < rows; r++)
            activate(p.y + r * p.stride + j, stop - j, epilogue->activation, p.x + r * p.stride + j + p.ahead);
    }
}

#endif
