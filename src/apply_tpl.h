/* The apply pass, by row and by column: one body over the points of point_tpl.h, whose variants are compile-time flags.
 *
 * Last come the addend and the activation: relu at once, costly ones piece by piece while y is in L1.
 */
#ifndef NORMCY_APPLY_TPL_H
#define NORMCY_APPLY_TPL_H

#include "point_tpl.h"

enum {
    BAND = 4,        /* near memory: rows done together, so that what they share is loaded once */
    PAGE = 1024,     /* rows that many floats apart push each other out of L1 */
    LONG_ROW = 2048, /* floats from which rows, often a power of two apart, push each other out of L1 */
    TINY_ROW = 192, /* floats up to which rows are done together even where they are far: y is one piece all the same */
    SHORT_ROW = 256,     /* floats up to which rows that share nothing gain too, by not waiting for each other */
    PIECE = 1024,        /* floats of a row that a costly activation finds in L1 */
    SHARED_PIECE = 2048, /* floats of a weight and of a bias that stay there while rows go by */
};

/* Where a panel's rows are, from the first one still to do on. */
typedef struct {
    const float *x, *add;
    float *y;
    ptrdiff_t stride;
    int relu, stream;
    vf offset; /* of the weight */
} place;

INLINE place next_place(place p, ptrdiff_t floats) {
    p.x += floats, p.y += floats;
    if (p.add)
        p.add += floats;
    return p;
}

/* What goes with each of a few rows. */
typedef struct {
    vec_coef c[BAND];
    row_operand weight[BAND], bias[BAND];
    vf row_weight[BAND], row_bias[BAND]; /* ROW_ELEMENT */
} band;

/* Columns j to j + n, n <= W, of a band; `past` the caches where y is aligned. */
INLINE void apply_step(place p, const band *with, int rows, ptrdiff_t j, int n, int past, const normcy_coef *coef,
                       apply_kind kind) {
    vec_coef here = kind.by_col ? coef_of_cols(coef, j, n, kind) : with->c[0];
    vf weight = {0}, bias = {0};
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        ptrdiff_t at = r * p.stride + j;
        if (kind.element == ROW_ELEMENT) {
            weight = with->row_weight[r], bias = with->row_bias[r];
        } else if (kind.element == ANY_ELEMENT || (kind.element && r == 0)) {
            weight = operand_at(&with->weight[r], j, n);
            bias = operand_at(&with->bias[r], j, n);
        }
        if (kind.element == ANY_ELEMENT)
            weight += p.offset;
        vf v = point(part_of(p.x + at, n), kind.by_col ? here : with->c[r], weight, bias, kind);
        if (kind.finish && p.add)
            v += part_of(p.add + at, n);
        if (kind.finish && p.relu)
            v = relu(v);
        if (n == W && past)
            store_past(p.y + at, v);
        else if (n == W)
            store(p.y + at, v);
        else
            store_part(p.y + at, v, first(n));
    }
}

INLINE void apply_columns(place p, const band *with, int rows, ptrdiff_t j, ptrdiff_t end, const normcy_coef *coef,
                          apply_kind kind) {
    /* Stores that straddle cache lines are slow: a few columns first, to where y is aligned, in all rows of a band. */
    int head = (int)(-((uintptr_t)(p.y + j) / sizeof(float)) % W);
    if (head && end - j >= SHORT_ROW && (rows == 1 || p.stride % W == 0)) {
        apply_step(p, with, rows, j, head, 0, coef, kind);
        j += head;
    }
    if (p.stream && !kind.by_col)
        __builtin_prefetch(p.y + end, 1); /* the line that two rows share cannot be written past the caches */
    if (rows == 1 && p.stream && (uintptr_t)(p.y + j) % sizeof(vf) == 0)
        for (; j + W <= end; j += W)
            apply_step(p, with, rows, j, W, 1, coef, kind);
    for (; j + W <= end; j += W)
        apply_step(p, with, rows, j, W, 0, coef, kind);
    if (j < end)
        apply_step(p, with, rows, j, (int)(end - j), 0, coef, kind);
}

/* What goes with the i-th row, which is the r-th of a band; `same` has room for values of the whole row. */
INLINE void open_in_band(band *with, int r, ptrdiff_t i, float same[2][W], const normcy_coef *coef,
                         const normcy_element *element, apply_kind kind) {
    if (!kind.by_col)
        with->c[r] = coef_of_row(coef, i, kind);
    if (kind.element) {
        with->weight[r] = open_row(&element->weight, i, 1, same[0]);
        with->bias[r] = open_row(&element->bias, i, 0, same[1]);
    }
    if (kind.element == ROW_ELEMENT)
        with->row_weight[r] = set1(*with->weight[r].p + element->offset), with->row_bias[r] = set1(*with->bias[r].p);
}

/* Columns j to end of a few rows, the i-th and those after it. */
INLINE void apply_band(place p, int rows, ptrdiff_t i, ptrdiff_t j, ptrdiff_t end, const normcy_coef *coef,
                       const normcy_element *element, const normcy_finish *finish, apply_kind kind) {
    band with;
    float same[BAND][2][W];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
        open_in_band(&with, r, i + r, same[r], coef, element, kind);
    if (!kind.finish || !finish || finish->activation <= NORMCY_RELU) {
        apply_columns(p, &with, rows, j, end, coef, kind);
        return;
    }
    for (; j < end; j += PIECE) {
        ptrdiff_t stop = end - j < PIECE ? end : j + PIECE;
        apply_columns(p, &with, rows, j, stop, coef, kind);
        for (int r = 0; r < rows; r++)
            activate(p.y + r * p.stride + j, stop - j, finish->activation);
    }
}

/* The last W - head values of a weight or bias, then its first `head`. */
INLINE row_operand seam_of(row_operand o, ptrdiff_t cols, int head, float seam[W]) {
    for (int k = 0; k < W; k++)
        seam[k] = o.p[(k < W - head ? cols - (W - head) + k : k - (W - head)) & o.columns];
    return (row_operand){seam, 0};
}

/* Rows that follow each other, as one stream of whole vectors from the first aligned one on, `head` floats into y:
 * those that two rows share take the coefficients of both. Where there are weights, cols is a multiple of W. */
INLINE void apply_joined(place p, ptrdiff_t rows, ptrdiff_t cols, int head, const normcy_coef *coef,
                         const normcy_element *element, apply_kind kind) {
    band with, between;
    float same[2][W], seam[2][W];
    open_in_band(&with, 0, 0, same, coef, element, kind);
    if (kind.element && head) {
        between.weight[0] = seam_of(with.weight[0], cols, head, seam[0]);
        between.bias[0] = seam_of(with.bias[0], cols, head, seam[1]);
    }
    if (head)
        apply_step(p, &with, 1, 0, head, 0, coef, kind);
    for (ptrdiff_t i = 1, j = head;; i++) {
        if (p.stream)
            for (; j + W <= cols; j += W)
                apply_step(p, &with, 1, j, W, 1, coef, kind);
        for (; j + W <= cols; j += W)
            apply_step(p, &with, 1, j, W, 0, coef, kind);
        int left = (int)(cols - j);
        if (i == rows) {
            if (left)
                apply_step(p, &with, 1, j, left, 0, coef, kind);
            return;
        }
        between.c[0] = with.c[0];
        with.c[0] = coef_of_row(coef, i, kind);
        if (left) {
            between.c[0] = coef_of_both(first(left), between.c[0], with.c[0], kind);
            if (p.stream)
                apply_step(p, &between, 1, j, W, 1, coef, kind);
            else
                apply_step(p, &between, 1, j, W, 0, coef, kind);
        }
        j = left ? W - left : 0;
        p = next_place(p, cols);
    }
}

INLINE void apply_panel(const float *x, float *y, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride,
                        const normcy_coef *shared, const normcy_element *element, const normcy_finish *finish,
                        const normcy_walk *walk, apply_kind kind) {
    const normcy_coef own = *shared, *coef = &own; /* pointers that no store to y can change: they stay in registers */
    int gains = stride % PAGE && cols < (kind.by_col || kind.element == SHARED_ELEMENT ? LONG_ROW : SHORT_ROW);
    ptrdiff_t i = 0, banded = (walk->near || (!kind.by_col && cols <= TINY_ROW)) && gains && !kind.scaled ? rows : 0;
    place p = {.x = x, .y = y, .stride = stride};
    if (kind.element && element->weight.p)
        p.offset = set1(element->offset);
    if (kind.finish && finish)
        p.add = finish->add, p.relu = finish->activation == NORMCY_RELU;
    int costly = finish && finish->activation > NORMCY_RELU, whole = stride == cols && cols % W == 0;
    int head = (int)(-((uintptr_t)y / sizeof(float)) % W);
    if (walk->stream && kind.form == NORMCY_AFFINE && !costly)
        p.stream = kind.by_col ? head == 0 && stride % W == 0 : whole || cols >= LONG_ROW;
    /* Weights for all rows stay in L1 while a piece of each row goes by. */
    ptrdiff_t piece = kind.element == SHARED_ELEMENT && cols > SHARED_PIECE && rows > 1 ? SHARED_PIECE : cols;
    int joins = stride == cols && (kind.element == NO_ELEMENT ? cols >= W : kind.element == SHARED_ELEMENT && whole);
    if (!kind.by_col && !kind.scaled && joins && !costly && piece == cols &&
        (p.stream || (kind.element == NO_ELEMENT && cols > TINY_ROW))) {
        apply_joined(p, rows, cols, head, coef, element, kind);
        rows = banded = 0;
    }
    const place top = p;
    for (ptrdiff_t j = 0, end; j < cols; j = end) {
        end = j + piece + (j ? 0 : head); /* where y is aligned, in rows a multiple of W apart */
        end = end < cols ? end : cols;
        for (p = top, i = 0; i + BAND <= banded; i += BAND) {
            apply_band(p, BAND, i, j, end, coef, element, finish, kind);
            p = next_place(p, BAND * stride);
        }
        for (; i < rows; i++) {
            apply_band(p, 1, i, j, end, coef, element, finish, kind);
            p = next_place(p, stride);
        }
    }
    if (p.stream)
        all_stored();
}

#define PANEL                                                                                                          \
    const float *x, float *y, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride, const normcy_coef *coef,               \
        const normcy_element *element, const normcy_finish *finish, const normcy_walk *walk

/* Each variant is a function: in one for all of them, loops found their pointers on the stack. */
#define VARIANT(name, ...)                                                                                             \
    static __attribute__((noinline)) void name(PANEL) {                                                                \
        apply_panel(x, y, rows, cols, stride, coef, element, finish, walk, (apply_kind){__VA_ARGS__});                 \
    }

/* by_col, form, scaled, element, finish. Rare ones leave to the run whether something follows the norm. */
VARIANT(rows_plain, 0, NORMCY_AFFINE, 0, NO_ELEMENT, 0)
VARIANT(rows_finished, 0, NORMCY_AFFINE, 0, NO_ELEMENT, 1)
VARIANT(rows_shared, 0, NORMCY_AFFINE, 0, SHARED_ELEMENT, 0)
VARIANT(rows_shared_finished, 0, NORMCY_AFFINE, 0, SHARED_ELEMENT, 1)
VARIANT(rows_any, 0, NORMCY_AFFINE, 0, ANY_ELEMENT, 1)
VARIANT(rows_scaled, 0, NORMCY_AFFINE, 1, ANY_ELEMENT, 1)
VARIANT(rows_swish, 0, NORMCY_SWISH, 1, ANY_ELEMENT, 0)
VARIANT(rows_ratio, 0, NORMCY_RATIO, 1, ANY_ELEMENT, 0)
VARIANT(cols_plain, 1, NORMCY_AFFINE, 0, NO_ELEMENT, 0)
VARIANT(cols_finished, 1, NORMCY_AFFINE, 0, NO_ELEMENT, 1)
VARIANT(cols_each_row, 1, NORMCY_AFFINE, 0, ROW_ELEMENT, 1)
VARIANT(cols_any, 1, NORMCY_AFFINE, 0, ANY_ELEMENT, 1)
VARIANT(cols_scaled, 1, NORMCY_AFFINE, 1, ANY_ELEMENT, 1)
VARIANT(cols_swish, 1, NORMCY_SWISH, 1, ANY_ELEMENT, 0)
VARIANT(cols_ratio, 1, NORMCY_RATIO, 1, ANY_ELEMENT, 0)

typedef void apply_variant(PANEL);
static const normcy_element no_element;

#define RUN_VARIANT(how, element) (how)(x, y, rows, cols, stride, coef, element, finish, walk)

static void apply_rows(PANEL) {
    if (coef->form != NORMCY_AFFINE || coef->scale) {
        apply_variant *how = coef->form == NORMCY_SWISH   ? rows_swish
                             : coef->form == NORMCY_RATIO ? rows_ratio
                                                          : rows_scaled;
        RUN_VARIANT(how, element ? element : &no_element);
    } else if (!element) {
        RUN_VARIANT(finish ? rows_finished : rows_plain, NULL);
    } else {
        int shared = !element->weight.row && !element->bias.row && element->offset == 0;
        RUN_VARIANT(!shared ? rows_any : finish ? rows_shared_finished : rows_shared, element);
    }
}

static void apply_cols(PANEL) {
    if (coef->form != NORMCY_AFFINE || coef->scale) {
        apply_variant *how = coef->form == NORMCY_SWISH   ? cols_swish
                             : coef->form == NORMCY_RATIO ? cols_ratio
                                                          : cols_scaled;
        RUN_VARIANT(how, element ? element : &no_element);
    } else if (!element) {
        RUN_VARIANT(finish ? cols_finished : cols_plain, NULL);
    } else {
        RUN_VARIANT(element->weight.step || element->bias.step ? cols_any : cols_each_row, element);
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
