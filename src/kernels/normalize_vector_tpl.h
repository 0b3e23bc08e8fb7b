/* The norm of one vector, its coefficients and its operands.
 *
 * (A) y = u * a + b, where u is one of the operations of normcy_apply_op.
 * (B) x - mean_f32 is exact near the mean. A folded x * a + b would cancel there.
 * (C) With an element-wise weight and bias, (a, b) become (a * w, b * w + bias) before they meet u.
 *     Reason: the large term is rounded once less than if y were multiplied.
 * (D) Where float32 cannot hold a * w, y is (u * a + b) * w + bias. Each element decides by its own a and w.
 * (E) NORMCY_GAIN adds -0.0, which changes no value, so that the compiler leaves it out.
 */
#ifndef NORMCY_NORMALIZE_VECTOR_TPL_H
#define NORMCY_NORMALIZE_VECTOR_TPL_H

#include "kernels/activation_tpl.h"

/* Which element-wise weights and biases there are. */
enum elementwise_operands {
    NO_OPERANDS,
    SHARED_OPERANDS,  /* one weight and one bias a column, which all rows share */
    ROW_OPERANDS,     /* one weight and one bias a row */
    ANY_OPERANDS,     /* a weight and a bias of any kind */
    EXTREME_OPERANDS, /* the same, and some weights may have to be applied last */
};

/* Which variant of the apply pass this is. All of it is constant at compile time, once inlined. */
typedef struct {
    int by_col;
    normcy_apply_op op;
    int scaled;
    enum elementwise_operands operands;
    int epilogue;
} apply_kind;

/* The coefficients of one vector. */
typedef struct {
    vf mean_f32, a, b, scale, gate, batch, own;
} vec_coef;

/* A weight or bias for the columns of one row: column j has p[j & columns]. So a value for the whole row, which has
 * `columns` 0 and W copies at p, needs no branch. */
typedef struct {
    const float *p;
    ptrdiff_t columns;
} row_operand;

/* The operand of row i, or `absent` if there is none. `same` has room for the copies of a value for the whole row. */
INLINE row_operand operand_of_row(const normcy_operand *from, ptrdiff_t i, float absent, float same[W]) {
    const float *p = from->p ? from->p + i * from->row : &absent;
    if (from->p && from->step)
        return (row_operand){p, -1};
    store(same, set1(*p));
    return (row_operand){same, 0};
}

INLINE vf part_of(const float *p, int n) {
    return n == W ? load(p) : load_part(p, first(n));
}

INLINE vf operand_at(const row_operand *o, ptrdiff_t j, int n) {
    return part_of(o->p + (j & o->columns), n);
}

/* Returns 1 if u takes as few instructions as loading x does. */
INLINE int is_light(apply_kind kind) {
    return kind.op == NORMCY_AFFINE || kind.op == NORMCY_GAIN;
}

INLINE vec_coef coef_of_cols(const normcy_coef *c, ptrdiff_t j, int n, apply_kind kind) {
    vec_coef v = {.a = part_of(c->a + j, n), .b = kind.op == NORMCY_GAIN ? set1(-0.0f) : part_of(c->b + j, n)};
    if (kind.op == NORMCY_AFFINE)
        v.mean_f32 = part_of(c->mean_f32 + j, n);
    if (!is_light(kind))
        v.gate = part_of(c->gate + j, n);
    if (kind.op == NORMCY_RATIO)
        v.batch = part_of(c->batch + j, n), v.own = part_of(c->own + j, n);
    if (kind.scaled)
        v.scale = part_of(c->scale + j, n);
    return v;
}

INLINE vec_coef coef_of_row(const normcy_coef *c, ptrdiff_t i, apply_kind kind) {
    vec_coef v = {.a = set1(c->a[i]), .b = set1(kind.op == NORMCY_GAIN ? -0.0f : c->b[i])};
    if (kind.op == NORMCY_AFFINE)
        v.mean_f32 = set1(c->mean_f32[i]);
    if (!is_light(kind))
        v.gate = set1(c->gate[i]);
    if (kind.op == NORMCY_RATIO)
        v.batch = set1(c->batch[i]), v.own = set1(c->own[i]);
    if (kind.scaled)
        v.scale = set1(c->scale[i]);
    return v;
}

/* The coefficients of a in some first lanes, those of b in the others, for light variants that are not scaled. */
INLINE vec_coef coef_of_both(lanes some, vec_coef a, vec_coef b, apply_kind kind) {
    vec_coef v = {.a = first_lanes(some, a.a, b.a), .b = a.b};
    if (kind.op == NORMCY_AFFINE) {
        v.b = first_lanes(some, a.b, b.b);
        v.mean_f32 = first_lanes(some, a.mean_f32, b.mean_f32);
    }
    return v;
}

/* The lanes whose weight has to be applied last: it is huge, infinite or NaN, or its product with a is subnormal. A
 * product that is 0 because one factor is 0 has lost no digits. */
INLINE vi weight_last(vf a, vf weight) {
    vi fits = (magnitude(weight) < set1(NORMCY_HUGE_WEIGHT)) &
              ((magnitude(a * weight) >= set1(NORMCY_LEAST_GAIN)) | (weight == 0) | (a == 0));
    return ~fits;
}

INLINE vf normalize_vector(vf x, vec_coef c, vf weight, vf bias, apply_kind kind) {
    vf scaled = kind.scaled ? x * c.scale : x, u = scaled;
    if (kind.op == NORMCY_AFFINE)
        u = scaled - c.mean_f32;
    else if (kind.op == NORMCY_SWISH)
        u = logistic(scaled, silu_logit(c.gate * x));
    else if (kind.op == NORMCY_RATIO)
        u = scaled / larger(c.batch, c.gate * scaled + c.own);
    if (!kind.operands)
        return u * c.a + c.b;
    const int adds = kind.op != NORMCY_GAIN;
    vf last = (u * c.a + c.b) * weight + (adds ? bias : c.b);
    vf first = u * (c.a * weight) + (adds ? c.b * weight + bias : c.b);
    if (!is_light(kind))
        return last;
    return kind.operands == EXTREME_OPERANDS ? choose(weight_last(c.a, weight), last, first) : first;
}

#endif
