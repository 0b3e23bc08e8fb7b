/* The apply pass over a panel: in which order its parts are done.
 *
 * (A) Rows are done in tiles of four where that saves loads or waiting, and one by one elsewhere.
 * (B) Where rows share long weights, or columns have many coefficients, a few columns of all rows are done first, and
 *     then the next ones, so that the shared values stay in L1.
 * (C) Rows that follow each other without a gap can be one stream of whole vectors. A vector that two rows share takes
 *     the coefficients of both.
 *     Reason: short rows of odd lengths would otherwise consist of partial vectors and straddled cache lines.
 */
#ifndef NORMCY_APPLY_PANEL_TPL_H
#define NORMCY_APPLY_PANEL_TPL_H

#include "kernels/apply_tile_tpl.h"
#include "kernels/tuning.h"

/* Makes the vector of a weight or bias where two rows meet: its last W - head values, and then its first `head`. */
INLINE row_operand row_boundary(row_operand o, ptrdiff_t cols, int head, float boundary[W]) {
    for (int k = 0; k < W; k++)
        boundary[k] = o.p[(k < W - head ? cols - (W - head) + k : k - (W - head)) & o.columns];
    return (row_operand){boundary, 0};
}

/* Applies the norm to rows as the stream of (C). y is aligned after its first `head` floats. If there are weights, cols
 * is a multiple of W. */
INLINE void apply_contiguous(row_cursor p, ptrdiff_t rows, ptrdiff_t cols, int head, const normcy_coef *coef,
                             const normcy_elementwise *elementwise, apply_kind kind) {
    tile_rows row, both; /* the current row, and the vector that it shares with the next one */
    float same[2][W], boundary[2][W];
    set_row_of_tile(&row, 0, 0, same, coef, elementwise, kind);
    if (kind.operands && head) {
        both.weight[0] = row_boundary(row.weight[0], cols, head, boundary[0]);
        both.bias[0] = row_boundary(row.bias[0], cols, head, boundary[1]);
    }
    if (head)
        apply_vector(p, &row, 1, 0, head, 0, coef, kind);
    for (ptrdiff_t i = 1, j = head;; i++) {
        if (p.nontemporal)
            for (; j + W <= cols; j += W)
                apply_vector(p, &row, 1, j, W, 1, coef, kind);
        for (; j + W <= cols; j += W)
            apply_vector(p, &row, 1, j, W, 0, coef, kind);
        int left = (int)(cols - j);
        if (i == rows) {
            if (left)
                apply_vector(p, &row, 1, j, left, 0, coef, kind);
            return;
        }
        both.c[0] = row.c[0];
        row.c[0] = coef_of_row(coef, i, kind);
        if (left) {
            both.c[0] = coef_of_both(first(left), both.c[0], row.c[0], kind);
            if (p.nontemporal)
                apply_vector(p, &both, 1, j, W, 1, coef, kind);
            else
                apply_vector(p, &both, 1, j, W, 0, coef, kind);
        }
        j = left ? W - left : 0;
        p = advance(p, cols);
    }
}

/* How many columns are done at a time. */
INLINE ptrdiff_t tile_width(ptrdiff_t rows, ptrdiff_t cols, const normcy_access *access, apply_kind kind) {
    ptrdiff_t width = kind.by_col ? access->columns : kind.operands == SHARED_OPERANDS ? SHARED_TILE_FLOATS : 0;
    return width && rows > 1 && cols > width ? width : cols;
}

/* Returns 1 if the rows can be the stream of (C): those that share weights have to be `whole` vectors. */
INLINE int is_contiguous(ptrdiff_t cols, ptrdiff_t stride, int whole, apply_kind kind) {
    return stride == cols && (kind.operands == NO_OPERANDS ? cols >= W : kind.operands == SHARED_OPERANDS && whole);
}

/* Rows gain by tiles (A) below this length. */
INLINE ptrdiff_t tiled_below(apply_kind kind) {
    return kind.by_col || kind.operands == SHARED_OPERANDS ? LONG_ROW_FLOATS : SHORT_ROW_FLOATS;
}

/* The parts of the cursor that not every variant has. */
INLINE void set_offset_and_epilogue(row_cursor *p, const normcy_elementwise *elementwise,
                                    const normcy_epilogue *epilogue, apply_kind kind) {
    if (kind.operands && elementwise->weight.p)
        p->offset = set1(elementwise->offset);
    if (kind.epilogue && epilogue)
        p->add = epilogue->add, p->relu = epilogue->activation == NORMCY_RELU;
}

/* Chooses the way through the panel, and takes it. The conditions stay in this function: where they were in others, the
 * arithmetic was the same, but gcc 12 allocated registers otherwise, in the loops too. */
INLINE void apply_panel(const float *x, float *y, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride,
                        const normcy_coef *shared, const normcy_elementwise *elementwise,
                        const normcy_epilogue *epilogue, const normcy_access *access, apply_kind kind) {
    const normcy_coef own = *shared, *coef = &own; /* no store to y can change a copy, so that it stays in registers */
    /* Tiles are for what is in cache, and for rows so short that four of them are one stream of memory. */
    int gains = stride % PAGE_FLOATS && cols < tiled_below(kind);
    ptrdiff_t i = 0, tiled = (access->in_cache || (!kind.by_col && cols <= TINY_ROW_FLOATS)) && gains && !kind.scaled
                                 ? rows
                                 : 0;
    row_cursor p = {.x = x, .y = y, .stride = stride, .ahead = access->ahead};
    set_offset_and_epilogue(&p, elementwise, epilogue, kind);
    int costly = epilogue && epilogue->activation > NORMCY_RELU, whole = stride == cols && cols % W == 0;
    int head = (int)(-((uintptr_t)y / sizeof(float)) % W);
    /* Stores past the caches gain only where most lines are whole and the arithmetic is light. */
    if (access->nontemporal && kind.op != NORMCY_SWISH && !costly)
        p.nontemporal = kind.by_col ? head == 0 && stride % W == 0 : whole || cols >= STREAM_STORE_ROW_FLOATS;
    ptrdiff_t width = tile_width(rows, cols, access, kind);
    int contiguous = is_contiguous(cols, stride, whole, kind);
    if (!kind.by_col && !kind.scaled && contiguous && !costly && width == cols &&
        (p.nontemporal || (kind.operands == NO_OPERANDS && cols > TINY_ROW_FLOATS))) {
        apply_contiguous(p, rows, cols, head, coef, elementwise, kind);
        rows = tiled = 0; /* which leaves nothing to the loops below */
    }
    const row_cursor top = p;
    for (ptrdiff_t j = 0, end; j < cols; j = end) {
        end = j + width + (j ? 0 : head); /* y is aligned there if its rows are a multiple of W floats apart */
        end = end < cols ? end : cols;
        for (p = top, i = 0; i + TILE_ROWS <= tiled; i += TILE_ROWS) {
            apply_tile(p, TILE_ROWS, i, j, end, coef, elementwise, epilogue, kind);
            p = advance(p, TILE_ROWS * stride);
        }
        for (; i < rows; i++) {
            apply_tile(p, 1, i, j, end, coef, elementwise, epilogue, kind);
            p = advance(p, stride);
        }
    }
    if (p.nontemporal)
        store_fence();
}

#endif
