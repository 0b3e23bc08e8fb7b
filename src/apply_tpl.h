/* The apply pass, by row and by column: one body over the points of point_tpl.h, whose variants are compile-time flags.
 *
 * Last come the addend and the activation: relu at once, costly ones piece by piece while y is in L1.
 */
#ifndef NORMCY_APPLY_TPL_H
#define NORMCY_APPLY_TPL_H

#include "point_tpl.h"

enum {
    BAND = 4,        /* near memory: rows done together, so that what they share is loaded once */
    LONG_ROW = 2048, /* floats from which rows, often a power of two apart, push each other out of L1 */
    SHORT_ROW = 256, /* floats up to which rows that share nothing gain too, by not waiting for each other */
    PIECE = 1024,    /* floats of a row that a costly activation finds in L1 */
};

/* Rows of a panel, of which x, y and add are the first. */
typedef struct {
    const float *x, *add;
    float *y;
    ptrdiff_t stride;
    int relu, has_offset;
    vf offset;
    vec_coef c[BAND];
    row_operand weight[BAND], bias[BAND];
} band;

/* Columns j to j + n, n <= W, of a band. */
INLINE void apply_step(const band *t, int rows, ptrdiff_t j, int n, const normcy_coef *coef, apply_kind kind) {
    vec_coef here = kind.by_col ? coef_of_cols(coef, j, n, kind) : t->c[0];
    vf weight = t->offset, bias = t->offset;
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        ptrdiff_t at = r * t->stride + j;
        if (kind.element == OWN_ELEMENT || (kind.element && r == 0)) {
            weight = operand_at(&t->weight[r], j, n);
            if (t->has_offset)
                weight += t->offset;
            bias = operand_at(&t->bias[r], j, n);
        }
        vf v = point(part_of(t->x + at, n), kind.by_col ? here : t->c[r], weight, bias, kind);
        if (kind.finish && t->add)
            v += part_of(t->add + at, n);
        if (kind.finish && t->relu)
            v = relu(v);
        if (n == W)
            store(t->y + at, v);
        else
            store_part(t->y + at, v, n);
    }
}

INLINE void apply_columns(const band *t, int rows, ptrdiff_t j, ptrdiff_t end, const normcy_coef *coef,
                          apply_kind kind) {
    for (; j + W <= end; j += W)
        apply_step(t, rows, j, W, coef, kind);
    if (j < end)
        apply_step(t, rows, j, (int)(end - j), coef, kind);
}

INLINE void apply_band(band t, int rows, ptrdiff_t i, ptrdiff_t cols, const normcy_coef *coef,
                       const normcy_element *element, const normcy_finish *finish, apply_kind kind) {
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        if (!kind.by_col)
            t.c[r] = coef_of_row(coef, i + r, kind);
        if (kind.element) {
            t.weight[r] = open_row(&element->weight, i + r, 1);
            t.bias[r] = open_row(&element->bias, i + r, 0);
        }
    }
    if (!kind.finish || !finish || finish->activation <= NORMCY_RELU) {
        apply_columns(&t, rows, 0, cols, coef, kind);
        return;
    }
    for (ptrdiff_t j = 0; j < cols; j += PIECE) {
        ptrdiff_t end = cols - j < PIECE ? cols : j + PIECE;
        apply_columns(&t, rows, j, end, coef, kind);
        for (int r = 0; r < rows; r++)
            activate(t.y + r * t.stride + j, end - j, finish->activation);
    }
}

INLINE band next_band(band t, ptrdiff_t floats) {
    t.x += floats, t.y += floats;
    if (t.add)
        t.add += floats;
    return t;
}

INLINE void apply_panel(const float *x, float *y, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride,
                        const normcy_coef *coef, const normcy_element *element, const normcy_finish *finish, int near,
                        apply_kind kind) {
    int gains = kind.by_col || kind.element == SHARED_ELEMENT ? cols < LONG_ROW : cols < SHORT_ROW;
    ptrdiff_t i = 0, banded = near && gains && !kind.scaled ? rows : 0; /* scaled: rare, or bound by arithmetic */
    band t = {.x = x, .y = y, .stride = stride};
    if (kind.element && element->weight.p && element->offset != 0)
        t.has_offset = 1, t.offset = set1(element->offset);
    if (kind.finish && finish)
        t.add = finish->add, t.relu = finish->activation == NORMCY_RELU;
    for (; i + BAND <= banded; i += BAND) {
        apply_band(t, BAND, i, cols, coef, element, finish, kind);
        t = next_band(t, BAND * stride);
    }
    for (; i < rows; i++) {
        apply_band(t, 1, i, cols, coef, element, finish, kind);
        t = next_band(t, stride);
    }
}

#define APPLY(...) apply_panel(x, y, rows, cols, stride, coef, element, finish, near, (apply_kind){BY_COL, __VA_ARGS__})

/* Rare variants leave to the run what often used ones know when compiled: whether something follows the norm. */
#define APPLY_VARIANTS(name)                                                                                           \
    static void name(const float *x, float *y, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride,                       \
                     const normcy_coef *coef, const normcy_element *element, const normcy_finish *finish, int near) {  \
        static const normcy_element no_element;                                                                        \
        if (coef->form != NORMCY_AFFINE && !element)                                                                   \
            element = &no_element;                                                                                     \
        if (coef->form == NORMCY_SWISH)                                                                                \
            APPLY(NORMCY_SWISH, 1, OWN_ELEMENT, 0);                                                                    \
        else if (coef->form == NORMCY_RATIO)                                                                           \
            APPLY(NORMCY_RATIO, 1, OWN_ELEMENT, 0);                                                                    \
        else if (coef->scale && element)                                                                               \
            APPLY(NORMCY_AFFINE, 1, OWN_ELEMENT, 1);                                                                   \
        else if (coef->scale)                                                                                          \
            APPLY(NORMCY_AFFINE, 1, NO_ELEMENT, 1);                                                                    \
        else if (element && (element->weight.row || element->bias.row))                                                \
            APPLY(NORMCY_AFFINE, 0, OWN_ELEMENT, 1);                                                                   \
        else if (element && finish)                                                                                    \
            APPLY(NORMCY_AFFINE, 0, SHARED_ELEMENT, 1);                                                                \
        else if (element)                                                                                              \
            APPLY(NORMCY_AFFINE, 0, SHARED_ELEMENT, 0);                                                                \
        else if (finish)                                                                                               \
            APPLY(NORMCY_AFFINE, 0, NO_ELEMENT, 1);                                                                    \
        else                                                                                                           \
            APPLY(NORMCY_AFFINE, 0, NO_ELEMENT, 0);                                                                    \
    }

#define BY_COL 0
APPLY_VARIANTS(apply_rows)
#undef BY_COL
#define BY_COL 1
APPLY_VARIANTS(apply_cols)
#undef BY_COL

/* The residual that comes before a norm. */
static void add(const float *x, const float *addend, float *sum, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride) {
    for (ptrdiff_t i = 0; i < rows; i++) {
        const float *p = x + i * stride, *q = addend + i * stride;
        float *s = sum + i * stride;
        ptrdiff_t j = 0;
        for (; j + W <= cols; j += W)
            store(s + j, load(p + j) + load(q + j));
        for (; j < cols; j++)
            s[j] = p[j] + q[j];
    }
}

#endif
