/* The apply pass, by row and by column: one body, whose variants are compile-time flags.
 *
 * y = ((x * scale) - hi) * a + b. Where an element stage is present, (a, b) become (a * w, b * w + bias) with
 * w = weight + offset first: one rounding of the large term less than to multiply y.
 * x - hi is exact near the mean; that subtraction is what a folded x * a + b lacks.
 */
#ifndef NORMCY_AFFINE_TPL_H
#define NORMCY_AFFINE_TPL_H

#include "vec.h"

enum element_stage { NO_ELEMENT, SHARED_ELEMENT, OWN_ELEMENT }; /* one weight and bias for all rows, or one a row */

typedef struct {
    int by_col, scaled, element, offset; /* compile-time constants once inlined */
} affine_kind;

enum {
    BAND = 4,        /* near memory: rows done together, so that what they share is loaded once */
    LONG_ROW = 2048, /* floats from which rows, often a power of two apart, push each other out of L1 */
    SHORT_ROW = 256, /* floats up to which rows that share nothing gain too, by not waiting for each other */
};

typedef struct {
    vf hi, a, b, scale;
} vec_coef;

typedef struct {
    const float *p; /* one value a column, or NULL */
    vf same;        /* the value of the whole row */
} row_operand;

INLINE row_operand open_row(const normcy_operand *from, ptrdiff_t i, float absent) {
    const float *p = from->p ? from->p + i * from->row : &absent;
    int step = from->p && from->step;
    return (row_operand){step ? p : NULL, step ? (vf){0} : set1(*p)};
}

INLINE vf part_of(const float *p, int n) {
    return n == W ? load(p) : load_part(p, n);
}

INLINE vf operand_at(const row_operand *o, ptrdiff_t j, int n) {
    return o->p ? part_of(o->p + j, n) : o->same;
}

INLINE vec_coef coef_of_cols(const normcy_coef *c, ptrdiff_t j, int n, affine_kind kind) {
    vec_coef v = {part_of(c->hi + j, n), part_of(c->a + j, n), part_of(c->b + j, n), {0}};
    if (kind.scaled)
        v.scale = part_of(c->scale + j, n);
    return v;
}

INLINE vec_coef coef_of_row(const normcy_coef *c, ptrdiff_t i, affine_kind kind) {
    vec_coef v = {set1(c->hi[i]), set1(c->a[i]), set1(c->b[i]), {0}};
    if (kind.scaled)
        v.scale = set1(c->scale[i]);
    return v;
}

INLINE vf affine(vf x, vec_coef c, vf weight, vf bias, affine_kind kind) {
    if (kind.scaled)
        x *= c.scale;
    if (!kind.element)
        return (x - c.hi) * c.a + c.b;
    return (x - c.hi) * (c.a * weight) + (c.b * weight + bias);
}

/* Columns j to j + n, n <= W, of a band. */
INLINE void affine_step(const float *x, float *y, int rows, ptrdiff_t j, int n, ptrdiff_t stride,
                        const normcy_coef *coef, const vec_coef *c, const row_operand *w, const row_operand *b,
                        vf offset, affine_kind kind) {
    vec_coef here = kind.by_col ? coef_of_cols(coef, j, n, kind) : c[0];
    vf weight = offset, bias = offset;
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        if (kind.element == OWN_ELEMENT || (kind.element && r == 0)) {
            weight = operand_at(&w[r], j, n);
            if (kind.offset)
                weight += offset;
            bias = operand_at(&b[r], j, n);
        }
        vf v = affine(part_of(x + r * stride + j, n), kind.by_col ? here : c[r], weight, bias, kind);
        if (n == W)
            store(y + r * stride + j, v);
        else
            store_part(y + r * stride + j, v, n);
    }
}

/* Rows i to i + rows, of which x and y are the first. */
INLINE void affine_band(const float *x, float *y, int rows, ptrdiff_t i, ptrdiff_t cols, ptrdiff_t stride,
                        const normcy_coef *coef, const normcy_element *element, affine_kind kind) {
    vf offset = kind.offset ? set1(element->offset) : (vf){0};
    vec_coef c[BAND];
    row_operand w[BAND], b[BAND];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        if (!kind.by_col)
            c[r] = coef_of_row(coef, i + r, kind);
        if (kind.element) {
            w[r] = open_row(&element->weight, i + r, 1);
            b[r] = open_row(&element->bias, i + r, 0);
        }
    }
    ptrdiff_t j = 0;
    for (; j + W <= cols; j += W)
        affine_step(x, y, rows, j, W, stride, coef, c, w, b, offset, kind);
    if (j < cols)
        affine_step(x, y, rows, j, (int)(cols - j), stride, coef, c, w, b, offset, kind);
}

INLINE void affine_panel(const float *x, float *y, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride,
                         const normcy_coef *coef, const normcy_element *element, int near, affine_kind kind) {
    int gains = kind.by_col || kind.element == SHARED_ELEMENT ? cols < LONG_ROW : cols < SHORT_ROW;
    ptrdiff_t i = 0, banded = near && gains ? rows : 0;
    for (; i + BAND <= banded; i += BAND)
        affine_band(x + i * stride, y + i * stride, BAND, i, cols, stride, coef, element, kind);
    for (; i < rows; i++)
        affine_band(x + i * stride, y + i * stride, 1, i, cols, stride, coef, element, kind);
}

#define AFFINE(by_col, scaled, element_, offset)                                                                       \
    affine_panel(x, y, rows, cols, stride, coef, element, near, (affine_kind){by_col, scaled, element_, offset})

#define AFFINE_VARIANTS(name, by_col)                                                                                  \
    static void name(const float *x, float *y, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride,                       \
                     const normcy_coef *coef, const normcy_element *element, int near) {                               \
        int shared = element && element->weight.row == 0 && element->bias.row == 0;                                    \
        int offset = element && element->weight.p && element->offset != 0;                                             \
        if (coef->scale && element)                                                                                    \
            AFFINE(by_col, 1, OWN_ELEMENT, offset);                                                                    \
        else if (coef->scale)                                                                                          \
            AFFINE(by_col, 1, NO_ELEMENT, 0);                                                                          \
        else if (offset)                                                                                               \
            AFFINE(by_col, 0, OWN_ELEMENT, 1);                                                                         \
        else if (shared)                                                                                               \
            AFFINE(by_col, 0, SHARED_ELEMENT, 0);                                                                      \
        else if (element)                                                                                              \
            AFFINE(by_col, 0, OWN_ELEMENT, 0);                                                                         \
        else                                                                                                           \
            AFFINE(by_col, 0, NO_ELEMENT, 0);                                                                          \
    }

AFFINE_VARIANTS(affine_rows, 0)
AFFINE_VARIANTS(affine_cols, 1)

#endif
