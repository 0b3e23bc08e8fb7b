/* The apply pass over a panel: how its rows go by, in bands (apply_tile_tpl.h) or as one stream, and the variants there
 * are.
 */
#ifndef NORMCY_APPLY_TPL_H
#define NORMCY_APPLY_TPL_H

#include "kernels/apply_tile_tpl.h"

/* The last W - head values of a weight or bias, then its first `head`. */
INLINE row_operand row_boundary(row_operand o, ptrdiff_t cols, int head, float boundary[W]) {
    for (int k = 0; k < W; k++)
        boundary[k] = o.p[(k < W - head ? cols - (W - head) + k : k - (W - head)) & o.columns];
    return (row_operand){boundary, 0};
}

/* Rows that follow each other, as one stream of whole vectors from the first aligned one on, `head` floats into y:
 * those that two rows share take the coefficients of both. Where there are weights, cols is a multiple of W. */
INLINE void apply_contiguous(row_cursor p, ptrdiff_t rows, ptrdiff_t cols, int head, const normcy_coef *coef,
                             const normcy_elementwise *elementwise, apply_kind kind) {
    tile with, between;
    float same[2][W], boundary[2][W];
    set_row_of_tile(&with, 0, 0, same, coef, elementwise, kind);
    if (kind.operands && head) {
        between.weight[0] = row_boundary(with.weight[0], cols, head, boundary[0]);
        between.bias[0] = row_boundary(with.bias[0], cols, head, boundary[1]);
    }
    if (head)
        apply_vector(p, &with, 1, 0, head, 0, coef, kind);
    for (ptrdiff_t i = 1, j = head;; i++) {
        if (p.nontemporal)
            for (; j + W <= cols; j += W)
                apply_vector(p, &with, 1, j, W, 1, coef, kind);
        for (; j + W <= cols; j += W)
            apply_vector(p, &with, 1, j, W, 0, coef, kind);
        int left = (int)(cols - j);
        if (i == rows) {
            if (left)
                apply_vector(p, &with, 1, j, left, 0, coef, kind);
            return;
        }
        between.c[0] = with.c[0];
        with.c[0] = coef_of_row(coef, i, kind);
        if (left) {
            between.c[0] = coef_of_both(first(left), between.c[0], with.c[0], kind);
            if (p.nontemporal)
                apply_vector(p, &between, 1, j, W, 1, coef, kind);
            else
                apply_vector(p, &between, 1, j, W, 0, coef, kind);
        }
        j = left ? W - left : 0;
        p = advance(p, cols);
    }
}

INLINE void apply_panel(const float *x, float *y, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride,
                        const normcy_coef *shared, const normcy_elementwise *elementwise,
                        const normcy_epilogue *epilogue, const normcy_access *access, apply_kind kind) {
    const normcy_coef own = *shared, *coef = &own; /* pointers that no store to y can change: they stay in registers */
    int gains = stride % PAGE_FLOATS &&
                cols < (kind.by_col || kind.operands == SHARED_OPERANDS ? LONG_ROW_FLOATS : SHORT_ROW_FLOATS);
    ptrdiff_t i = 0, tiled = (access->in_cache || (!kind.by_col && cols <= TINY_ROW_FLOATS)) && gains && !kind.scaled
                                 ? rows
                                 : 0;
    row_cursor p = {.x = x, .y = y, .stride = stride};
    if (kind.operands && elementwise->weight.p)
        p.offset = set1(elementwise->offset);
    if (kind.epilogue && epilogue)
        p.add = epilogue->add, p.relu = epilogue->activation == NORMCY_RELU;
    int costly = epilogue && epilogue->activation > NORMCY_RELU, whole = stride == cols && cols % W == 0;
    int head = (int)(-((uintptr_t)y / sizeof(float)) % W);
    if (access->nontemporal && kind.op == NORMCY_AFFINE && !costly)
        p.nontemporal = kind.by_col ? head == 0 && stride % W == 0 : whole || cols >= LONG_ROW_FLOATS;
    /* What all rows share stays in L1 while a piece of each goes by: long weights, or the coefficients of columns. */
    ptrdiff_t width = kind.by_col ? access->columns : kind.operands == SHARED_OPERANDS ? SHARED_TILE_FLOATS : 0;
    width = width && rows > 1 && cols > width ? width : cols;
    int contiguous =
        stride == cols && (kind.operands == NO_OPERANDS ? cols >= W : kind.operands == SHARED_OPERANDS && whole);
    if (!kind.by_col && !kind.scaled && contiguous && !costly && width == cols &&
        (p.nontemporal || (kind.operands == NO_OPERANDS && cols > TINY_ROW_FLOATS))) {
        apply_contiguous(p, rows, cols, head, coef, elementwise, kind);
        rows = tiled = 0;
    }
    const row_cursor top = p;
    for (ptrdiff_t j = 0, end; j < cols; j = end) {
        end = j + width + (j ? 0 : head); /* where y is aligned, in rows a multiple of W apart */
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

#define PANEL                                                                                                          \
    const float *x, float *y, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride, const normcy_coef *coef,               \
        const normcy_elementwise *elementwise, const normcy_epilogue *epilogue, const normcy_access *access

/* Each variant is a function: in one for all of them, loops found their pointers on the stack. */
#define VARIANT(name, ...)                                                                                             \
    static __attribute__((noinline)) void name(PANEL) {                                                                \
        apply_panel(x, y, rows, cols, stride, coef, elementwise, epilogue, access, (apply_kind){__VA_ARGS__});         \
    }

/* by_col, op, scaled, operands, epilogue. Rare ones leave to the run whether something follows the norm. */
VARIANT(rows_plain, 0, NORMCY_AFFINE, 0, NO_OPERANDS, 0)
VARIANT(rows_epilogue, 0, NORMCY_AFFINE, 0, NO_OPERANDS, 1)
VARIANT(rows_shared, 0, NORMCY_AFFINE, 0, SHARED_OPERANDS, 0)
VARIANT(rows_shared_epilogue, 0, NORMCY_AFFINE, 0, SHARED_OPERANDS, 1)
VARIANT(rows_any, 0, NORMCY_AFFINE, 0, ANY_OPERANDS, 1)
VARIANT(rows_scaled, 0, NORMCY_AFFINE, 1, ANY_OPERANDS, 1)
VARIANT(rows_extreme, 0, NORMCY_AFFINE, 1, EXTREME_OPERANDS, 1)
VARIANT(rows_swish, 0, NORMCY_SWISH, 1, EXTREME_OPERANDS, 0)
VARIANT(rows_ratio, 0, NORMCY_RATIO, 1, EXTREME_OPERANDS, 0)
VARIANT(cols_plain, 1, NORMCY_AFFINE, 0, NO_OPERANDS, 0)
VARIANT(cols_epilogue, 1, NORMCY_AFFINE, 0, NO_OPERANDS, 1)
VARIANT(cols_each_row, 1, NORMCY_AFFINE, 0, ROW_OPERANDS, 1)
VARIANT(cols_any, 1, NORMCY_AFFINE, 0, ANY_OPERANDS, 1)
VARIANT(cols_scaled, 1, NORMCY_AFFINE, 1, ANY_OPERANDS, 1)
VARIANT(cols_extreme, 1, NORMCY_AFFINE, 1, EXTREME_OPERANDS, 1)
VARIANT(cols_swish, 1, NORMCY_SWISH, 1, EXTREME_OPERANDS, 0)
VARIANT(cols_ratio, 1, NORMCY_RATIO, 1, EXTREME_OPERANDS, 0)

typedef void apply_variant(PANEL);

/* What changes nothing, not even the sign of a zero: adding 0 would turn -0 into 0. */
static const float one = 1, minus_zero = -0.0f;
static const normcy_elementwise no_elementwise = {.weight = {&one, 0, 0}, .bias = {&minus_zero, 0, 0}};

#define RUN_VARIANT(how, elementwise) (how)(x, y, rows, cols, stride, coef, elementwise, epilogue, access)

static void apply_rows(PANEL) {
    if (coef->op != NORMCY_AFFINE || coef->scale) {
        apply_variant *how = coef->op == NORMCY_SWISH              ? rows_swish
                             : coef->op == NORMCY_RATIO            ? rows_ratio
                             : elementwise && elementwise->extreme ? rows_extreme
                                                                   : rows_scaled;
        RUN_VARIANT(how, elementwise ? elementwise : &no_elementwise);
    } else if (!elementwise) {
        RUN_VARIANT(epilogue ? rows_epilogue : rows_plain, NULL);
    } else {
        int shared = !elementwise->weight.row && !elementwise->bias.row && elementwise->offset == 0;
        RUN_VARIANT(!shared ? rows_any : epilogue ? rows_shared_epilogue : rows_shared, elementwise);
    }
}

static void apply_cols(PANEL) {
    if (coef->op != NORMCY_AFFINE || coef->scale) {
        apply_variant *how = coef->op == NORMCY_SWISH              ? cols_swish
                             : coef->op == NORMCY_RATIO            ? cols_ratio
                             : elementwise && elementwise->extreme ? cols_extreme
                                                                   : cols_scaled;
        RUN_VARIANT(how, elementwise ? elementwise : &no_elementwise);
    } else if (!elementwise) {
        RUN_VARIANT(epilogue ? cols_epilogue : cols_plain, NULL);
    } else {
        RUN_VARIANT(elementwise->weight.step || elementwise->bias.step ? cols_any : cols_each_row, elementwise);
    }
}

/* The residual that comes before a norm. */
static void add(const float *x, const float *addend, float *sum, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride) {
    for (ptrdiff_t i = 0; i < rows; i++, x += stride, addend += stride, sum += stride) {
        int head = (int)(-((uintptr_t)sum / sizeof(float)) % W); /* from there on stores keep within cache lines */
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
