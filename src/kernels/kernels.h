/* The contract of the C micro-kernels: what a panel is, who owns the memory, what each function promises.
 *
 * A panel is `rows` x `cols` floats with unit column stride and `stride` floats from one row to the next.
 * The caller owns every array; kernels allocate nothing, know neither Python nor OpenMP, and cannot fail.
 * Floats may lie at any 4-byte boundary. Outputs overlap inputs only where they are the very same panel.
 *
 * Same bits on every instruction set: sixteen virtual lanes, blocks of fixed size, sums in one fixed order,
 * no contraction, only correctly rounded operations. A change that alters bits belongs in the CHANGELOG.
 */
#ifndef NORMCY_KERNELS_H
#define NORMCY_KERNELS_H

#include <stddef.h>

#include "kernels/numerics.h"

enum { NORMCY_MAX_SLOTS = 64 }; /* most slots that one call of the row kernels takes */

/* What `weight_range` finds; NORMCY_TINY weights could make a subnormal product with an a that needs no scale. */
enum { NORMCY_HUGE = 1, NORMCY_TINY = 2 };

/* What moments are taken about. */
typedef enum {
    NORMCY_ABOUT_ZERO, /* sums of squares (RMSNorm): mean is 0 */
    NORMCY_ABOUT_MEAN,
} normcy_about;

/* How a sum of squares becomes 1 / std. */
typedef struct {
    double count;      /* values in a slot */
    double correction; /* degrees of freedom taken off the count */
    double eps;
    int outside_sqrt; /* std + eps instead of sqrt(var + eps) */
    int zero_guard;   /* var + eps == 0 gives 0, as batch statistics in PyTorch do, instead of inf */
} normcy_rstd_options;

/* What the apply pass makes of x before the last multiplication and addition, y = u * a + b. */
typedef enum {
    NORMCY_AFFINE, /* u = x * scale - mean_f32 */
    NORMCY_SWISH,  /* u = x * scale / (1 + exp(-gate * x)), EvoNorm-S0 */
    NORMCY_RATIO,  /* u = x * scale / max(batch, gate * x * scale + own), EvoNorm-B0 */
} normcy_apply_op;

/* The coefficients, one set for each row or each column. Those that the form does not use may be NULL. */
typedef struct {
    normcy_apply_op op;
    const float *mean_f32, *a, *b;
    const float *scale; /* powers of two; AFFINE: or NULL where all of them are 1 */
    const float *gate, *batch, *own;
} normcy_coef;

/* A factor or a term that the coefficients cannot hold: element (row i, column j) is p[i * row + j * step]. */
typedef struct {
    const float *p; /* NULL: absent */
    ptrdiff_t row;
    int step; /* 1: one value a column; 0: one value a row */
} normcy_operand;

/* The coefficients become (a * w, b * w + bias), w = weight + offset, where these are present. Where w is huge or a * w
 * subnormal, y is (u * a + b) * w + bias instead: one more rounding, but no product that float32 cannot hold. Which
 * form an element takes depends on its own a and w alone, never on what else is in the call. */
typedef struct {
    normcy_operand weight, bias;
    float offset;
    int extreme; /* some weights may need the second form; coef.scale must not be NULL then */
} normcy_elementwise;

typedef enum { NORMCY_IDENTITY, NORMCY_RELU, NORMCY_SILU, NORMCY_GELU, NORMCY_GELU_TANH } normcy_activation;

/* What follows in the same pass: y becomes activation(y + add). */
typedef struct {
    const float *add; /* a panel of the stride of x and y, or NULL */
    normcy_activation activation;
} normcy_epilogue;

/* Hints on memory for the apply pass. They change its speed, never its results. */
typedef struct {
    int in_cache;    /* x and y are in some cache, so that the number of loads matters more than their order */
    int nontemporal; /* y is larger than any cache and is stored past them */
    int columns;     /* by column: how many are done at a time so that their coefficients stay in L1; 0: all of them */
} normcy_access;

typedef struct {
    const char *isa;

    /* sum = x + addend, panels of one stride. */
    void (*add)(const float *x, const float *addend, float *sum, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride);

    /* Moments of `slots` slots of `length` floats, `stride` floats apart. Writes mean[k] and m2[k], the sum of squared
     * deviations. Slots of more than NORMCY_BLOCK floats (about zero: of four vectors) are summed in float32 unless
     * `exact`, and right only where their squares neither overflow nor underflow. */
    void (*moments_rows)(const float *x, ptrdiff_t slots, ptrdiff_t stride, ptrdiff_t length, normcy_about about,
                         int exact, double *mean, double *m2);

    /* The same with a slot for each column of a panel, always exact. mean and m2 have room for `cols` rounded up to
     * NORMCY_LANES. */
    void (*moments_cols)(const float *x, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride, normcy_about about,
                         double *mean, double *m2);

    /* Chan's merge of `count` pairs of moments: (n, mean, m2) takes in (n_b, mean_b, m2_b). */
    void (*merge)(ptrdiff_t count, double n, double *mean, double *m2, double n_b, const double *mean_b,
                  const double *m2_b);

    /* 1 / std of `count` slots. Returns how many of them left float32's comfortable range, so that their moments
     * must be taken again exactly, and x needs a scale. */
    ptrdiff_t (*rstd)(ptrdiff_t count, const double *mean, const double *m2, const normcy_rstd_options *options,
                      double *rstd);

    /* Which of NORMCY_HUGE and NORMCY_TINY there are among `count` weights, `offset` added; a zero and a NaN are none.
     */
    int (*weight_range)(const float *v, ptrdiff_t count, float offset);

    /* Whether any of `count` weights, one a slot, is so large that a gain of it may need the longer form. */
    int (*huge)(const float *v, ptrdiff_t count);

    /* mean_f32, a, b of y = (x - mean) * rstd * weight + shift_after * weight + bias, for `count` rows or columns.
     * Absent (NULL): mean and shift_after are 0, rstd, weight and scale 1, bias 0. Returns how many of them float32
     * cannot hold well without another scale: |a| outside of `least` to `most`, but for 0, or a mean from which x may
     * be too far. */
    ptrdiff_t (*coefficients)(ptrdiff_t count, const double *mean, const double *rstd, const double *shift_after,
                              const float *scale, const float *weight, double offset, const float *bias, double least,
                              double most, float *mean_f32, float *a, float *b);

    /* The apply pass: coefficients by row, or by column. elementwise and epilogue may be NULL. */
    void (*apply_rows)(const float *x, float *y, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride,
                       const normcy_coef *coef, const normcy_elementwise *elementwise, const normcy_epilogue *epilogue,
                       const normcy_access *access);
    void (*apply_cols)(const float *x, float *y, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride,
                       const normcy_coef *coef, const normcy_elementwise *elementwise, const normcy_epilogue *epilogue,
                       const normcy_access *access);
} normcy_kernels;

#endif
