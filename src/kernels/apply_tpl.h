/* The apply kernels, and the variants that they choose from. */
#ifndef NORMCY_APPLY_TPL_H
#define NORMCY_APPLY_TPL_H

#include "kernels/apply_panel_tpl.h"

#define PANEL                                                                                                          \
    const float *x, float *y, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride, const normcy_coef *coef,               \
        const normcy_elementwise *elementwise, const normcy_epilogue *epilogue, const normcy_access *access

/* Each variant is a function of its own. In one function for all of them, loops had their pointers on the stack. */
#define VARIANT(name, ...)                                                                                             \
    static __attribute__((noinline)) void name(PANEL) {                                                                \
        apply_panel(x, y, rows, cols, stride, coef, elementwise, epilogue, access, (apply_kind){__VA_ARGS__});         \
    }

/* by_col, op, scaled, operands, epilogue. Rare variants find out at run time whether there is an epilogue. */
VARIANT(rows_plain, 0, NORMCY_AFFINE, 0, NO_OPERANDS, 0)
VARIANT(rows_epilogue, 0, NORMCY_AFFINE, 0, NO_OPERANDS, 1)
VARIANT(rows_shared, 0, NORMCY_AFFINE, 0, SHARED_OPERANDS, 0)
VARIANT(rows_shared_epilogue, 0, NORMCY_AFFINE, 0, SHARED_OPERANDS, 1)
VARIANT(rows_any, 0, NORMCY_AFFINE, 0, ANY_OPERANDS, 1)
VARIANT(rows_scaled_plain, 0, NORMCY_AFFINE, 1, NO_OPERANDS, 1)
VARIANT(rows_scaled, 0, NORMCY_AFFINE, 1, ANY_OPERANDS, 1)
VARIANT(rows_extreme, 0, NORMCY_AFFINE, 1, EXTREME_OPERANDS, 1)
VARIANT(rows_gain_plain, 0, NORMCY_GAIN, 0, NO_OPERANDS, 1)
VARIANT(rows_gain_shared, 0, NORMCY_GAIN, 0, SHARED_OPERANDS, 0)
VARIANT(rows_gain_any, 0, NORMCY_GAIN, 0, ANY_OPERANDS, 1)
VARIANT(rows_gain_scaled, 0, NORMCY_GAIN, 1, EXTREME_OPERANDS, 1)
VARIANT(rows_swish, 0, NORMCY_SWISH, 1, EXTREME_OPERANDS, 0)
VARIANT(rows_ratio, 0, NORMCY_RATIO, 1, EXTREME_OPERANDS, 0)
VARIANT(cols_plain, 1, NORMCY_AFFINE, 0, NO_OPERANDS, 0)
VARIANT(cols_epilogue, 1, NORMCY_AFFINE, 0, NO_OPERANDS, 1)
VARIANT(cols_each_row, 1, NORMCY_AFFINE, 0, ROW_OPERANDS, 1)
VARIANT(cols_any, 1, NORMCY_AFFINE, 0, ANY_OPERANDS, 1)
VARIANT(cols_scaled_plain, 1, NORMCY_AFFINE, 1, NO_OPERANDS, 1)
VARIANT(cols_scaled, 1, NORMCY_AFFINE, 1, ANY_OPERANDS, 1)
VARIANT(cols_extreme, 1, NORMCY_AFFINE, 1, EXTREME_OPERANDS, 1)
VARIANT(cols_gain_any, 1, NORMCY_GAIN, 0, ANY_OPERANDS, 1)
VARIANT(cols_gain_scaled, 1, NORMCY_GAIN, 1, EXTREME_OPERANDS, 1)
VARIANT(cols_swish, 1, NORMCY_SWISH, 1, EXTREME_OPERANDS, 0)
VARIANT(cols_ratio, 1, NORMCY_RATIO, 1, EXTREME_OPERANDS, 0)

typedef void apply_variant(PANEL);

/* A weight and a bias that change nothing, not even the sign of a zero: adding 0 would turn -0 into 0. */
static const float one = 1, minus_zero = -0.0f;
static const normcy_elementwise no_elementwise = {.weight = {&one, 0, 0}, .bias = {&minus_zero, 0, 0}};

#define RUN_VARIANT(how, elementwise) (how)(x, y, rows, cols, stride, coef, elementwise, epilogue, access)

/* Returns 1 if each row takes its weight and bias from the same place, as they are. */
INLINE int are_shared(const normcy_elementwise *elementwise) {
    return !elementwise->weight.row && !elementwise->bias.row && elementwise->offset == 0;
}

INLINE void rows_by_variant(PANEL) {
    if (coef->op == NORMCY_GAIN) {
        apply_variant *how = coef->scale                            ? rows_gain_scaled
                             : !elementwise                         ? rows_gain_plain
                             : are_shared(elementwise) && !epilogue ? rows_gain_shared
                                                                    : rows_gain_any;
        RUN_VARIANT(how, elementwise ? elementwise : &no_elementwise);
    } else if (coef->op != NORMCY_AFFINE || coef->scale) {
        apply_variant *how = coef->op == NORMCY_SWISH   ? rows_swish
                             : coef->op == NORMCY_RATIO ? rows_ratio
                             : !elementwise             ? rows_scaled_plain
                             : elementwise->extreme     ? rows_extreme
                                                        : rows_scaled;
        RUN_VARIANT(how, elementwise ? elementwise : &no_elementwise);
    } else if (!elementwise) {
        RUN_VARIANT(epilogue ? rows_epilogue : rows_plain, NULL);
    } else {
        RUN_VARIANT(!are_shared(elementwise) ? rows_any : epilogue ? rows_shared_epilogue : rows_shared, elementwise);
    }
}

INLINE void cols_by_variant(PANEL) {
    if (coef->op == NORMCY_GAIN) {
        RUN_VARIANT(coef->scale ? cols_gain_scaled : cols_gain_any, elementwise ? elementwise : &no_elementwise);
    } else if (coef->op != NORMCY_AFFINE || coef->scale) {
        apply_variant *how = coef->op == NORMCY_SWISH   ? cols_swish
                             : coef->op == NORMCY_RATIO ? cols_ratio
                             : !elementwise             ? cols_scaled_plain
                             : elementwise->extreme     ? cols_extreme
                                                        : cols_scaled;
        RUN_VARIANT(how, elementwise ? elementwise : &no_elementwise);
    } else if (!elementwise) {
        RUN_VARIANT(epilogue ? cols_epilogue : cols_plain, NULL);
    } else {
        RUN_VARIANT(elementwise->weight.step || elementwise->bias.step ? cols_any : cols_each_row, elementwise);
    }
}

/* The coefficients from row i on, of a step without a gate. */
INLINE normcy_coef coef_from(const normcy_coef *coef, ptrdiff_t i) {
    normcy_coef c = *coef;
    c.mean_f32 += i, c.a += i, c.b += i;
    c.scale = c.scale ? c.scale + i : NULL;
    return c;
}

INLINE normcy_elementwise elementwise_from(const normcy_elementwise *elementwise, ptrdiff_t i) {
    normcy_elementwise e = elementwise ? *elementwise : no_elementwise;
    e.weight.p = e.weight.p ? e.weight.p + i * e.weight.row : NULL;
    e.bias.p = e.bias.p ? e.bias.p + i * e.bias.row : NULL;
    return e;
}

/* Returns 1 if costly activations follow after several rows, while these are in L1: for each short row, their loop
 * would take longer to begin than to run. */
INLINE int activates_rows_together(ptrdiff_t cols, ptrdiff_t stride, const normcy_coef *coef,
                                   const normcy_epilogue *epilogue) {
    return epilogue && epilogue->activation > NORMCY_RELU && coef->op != NORMCY_SWISH && coef->op != NORMCY_RATIO &&
           stride == cols && cols <= ACTIVATION_TILE_COLUMNS / 2;
}

INLINE void apply_then_activate(apply_variant *apply, const float *x, float *y, ptrdiff_t rows, ptrdiff_t cols,
                                const normcy_coef *coef, const normcy_elementwise *elementwise,
                                const normcy_epilogue *epilogue, const normcy_access *access, int by_col) {
    const ptrdiff_t most = ACTIVATION_TILE_COLUMNS / cols;
    const normcy_access in_caches = {access->in_cache, 0, access->columns, access->ahead}; /* y is read again */
    for (ptrdiff_t i = 0, n; i < rows; i += n) {
        normcy_coef c = by_col ? *coef : coef_from(coef, i);
        normcy_elementwise e = elementwise_from(elementwise, i);
        normcy_epilogue sum = {epilogue->add ? epilogue->add + i * cols : NULL, NORMCY_IDENTITY};
        n = rows - i < most ? rows - i : most;
        apply(x + i * cols, y + i * cols, n, cols, cols, &c, elementwise ? &e : NULL, sum.add ? &sum : NULL,
              &in_caches);
        activate(y + i * cols, n * cols, epilogue->activation, x + i * cols + access->ahead);
    }
}

static void apply_rows(PANEL) {
    if (activates_rows_together(cols, stride, coef, epilogue))
        apply_then_activate(rows_by_variant, x, y, rows, cols, coef, elementwise, epilogue, access, 0);
    else
        rows_by_variant(x, y, rows, cols, stride, coef, elementwise, epilogue, access);
}

static void apply_cols(PANEL) {
    if (activates_rows_together(cols, stride, coef, epilogue))
        apply_then_activate(cols_by_variant, x, y, rows, cols, coef, elementwise, epilogue, access, 1);
    else
        cols_by_variant(x, y, rows, cols, stride, coef, elementwise, epilogue, access);
}

#endif
