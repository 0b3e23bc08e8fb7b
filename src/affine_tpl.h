/* The apply pass, by row and by column: one body, whose variants are compile-time flags.
 *
 * y = ((x * scale) - hi) * a + b. Where an element stage is present, (a, b) become (a * w, b * w + bias) with
 * w = weight + offset first: one rounding of the large term less than to multiply y.
 * x - hi is exact near the mean; that subtraction is what a folded x * a + b lacks.
 */
#ifndef NORMCY_AFFINE_TPL_H
#define NORMCY_AFFINE_TPL_H

#include "vec.h"

typedef struct {
    int by_col, scaled, element, offset; /* compile-time constants once inlined */
} affine_kind;

typedef struct {
    vf hi, a, b, scale;
} vec_coef;

/* Where an operand's vectors for one row come from: its own memory, or sixteen copies of one value. */
typedef struct {
    const float *p;
    ptrdiff_t step;
    float same[NORMCY_LANES];
} row_operand;

INLINE void open_row(row_operand *o, const normcy_operand *from, ptrdiff_t i, float absent) {
    const float *p = from->p ? from->p + i * from->row : NULL;
    o->step = p && from->step;
    o->p = o->step ? p : o->same;
    if (!o->step)
        for (int k = 0; k < NORMCY_LANES; k++) o->same[k] = p ? *p : absent;
}

INLINE vf part_of(const float *p, int n) {
    return n == W ? load(p) : load_part(p, n);
}

INLINE vec_coef coef_at(const normcy_coef *c, ptrdiff_t at, int n, affine_kind kind) {
    vec_coef v = {part_of(c->hi + at, n), part_of(c->a + at, n), part_of(c->b + at, n), {0}};
    if (kind.scaled) v.scale = part_of(c->scale + at, n);
    return v;
}

INLINE vec_coef coef_all(const normcy_coef *c, ptrdiff_t i, affine_kind kind) {
    vec_coef v = {set1(c->hi[i]), set1(c->a[i]), set1(c->b[i]), {0}};
    if (kind.scaled) v.scale = set1(c->scale[i]);
    return v;
}

INLINE vf affine(vf x, vec_coef c, vf weight, vf offset, vf bias, affine_kind kind) {
    if (kind.scaled) x *= c.scale;
    if (!kind.element) return (x - c.hi) * c.a + c.b;
    if (kind.offset) weight += offset;
    return (x - c.hi) * (c.a * weight) + (c.b * weight + bias);
}

INLINE void affine_panel(const float *x, float *y, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride,
                         const normcy_coef *coef, const normcy_element *element, affine_kind kind) {
    vf offset = kind.offset ? set1(element->offset) : (vf){0};
    for (ptrdiff_t i = 0; i < rows; i++, x += stride, y += stride) {
        vec_coef c;
        row_operand w, b;
        if (!kind.by_col) c = coef_all(coef, i, kind);
        if (kind.element) {
            open_row(&w, &element->weight, i, 1);
            open_row(&b, &element->bias, i, 0);
        }
        ptrdiff_t j = 0;
        for (; j + W <= cols; j += W) {
            if (kind.by_col) c = coef_at(coef, j, W, kind);
            vf weight = kind.element ? load(w.p + j * w.step) : c.a;
            vf bias = kind.element ? load(b.p + j * b.step) : c.a;
            store(y + j, affine(load(x + j), c, weight, offset, bias, kind));
        }
        int n = (int)(cols - j);
        if (!n) continue;
        if (kind.by_col) c = coef_at(coef, j, n, kind);
        vf weight = kind.element ? load_part(w.p + j * w.step, n) : c.a;
        vf bias = kind.element ? load_part(b.p + j * b.step, n) : c.a;
        store_part(y + j, affine(load_part(x + j, n), c, weight, offset, bias, kind), n);
    }
}

#define AFFINE(by_col, scaled, element_, offset)                                                                       \
    affine_panel(x, y, rows, cols, stride, coef, element, (affine_kind){by_col, scaled, element_, offset})

#define AFFINE_VARIANTS(name, by_col)                                                                                  \
    static void name(const float *x, float *y, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride,                       \
                     const normcy_coef *coef, const normcy_element *element) {                                         \
        int offset = element && element->weight.p && element->offset != 0;                                             \
        if (coef->scale && element)                                                                                    \
            AFFINE(by_col, 1, 1, offset);                                                                              \
        else if (coef->scale)                                                                                          \
            AFFINE(by_col, 1, 0, 0);                                                                                   \
        else if (offset)                                                                                               \
            AFFINE(by_col, 0, 1, 1);                                                                                   \
        else if (element)                                                                                              \
            AFFINE(by_col, 0, 1, 0);                                                                                   \
        else                                                                                                           \
            AFFINE(by_col, 0, 0, 0);                                                                                   \
    }

AFFINE_VARIANTS(affine_rows, 0)
AFFINE_VARIANTS(affine_cols, 1)

#endif
