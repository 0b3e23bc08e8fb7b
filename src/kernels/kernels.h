/* The contract of the C micro-kernels. list.h says what each of them does.
 *
 * A slot is the values that share one mean and one variance.
 * A panel is `rows` x `cols` floats. The floats of a row follow each other, and rows begin `stride` floats apart. Slots
 * lie along the rows of a panel or along its columns.
 * A block is up to NORMCY_BLOCK floats of a row whose sums are taken in registers. A tile is a part of a panel that
 * stays in L1 while a kernel works on it. A chunk is the part that a task hands to a kernel.
 *
 * (A) The caller owns every array. Kernels allocate nothing, know neither Python nor OpenMP, and cannot fail.
 * (B) Floats may lie at any address that is a multiple of 4. An output may be the very same panel as an input; apart
 *     from that they must not overlap. Kernels write nothing between the rows of a panel.
 * (C) Every instruction set computes the same bits: rows have sixteen virtual lanes and blocks of fixed size, sums are
 *     taken in one fixed order, nothing is contracted, and all operations round correctly. Only the bits of a NaN are
 *     not promised.
 */
#ifndef NORMCY_KERNELS_H
#define NORMCY_KERNELS_H

#include <stddef.h>

#include "kernels/numerics.h"

/* How many slots, or rows, one call of a row kernel takes at most. It changes no bit, but the size of arrays on stacks.
 */
enum { NORMCY_MAX_SLOTS = 128 };

/* What weight_range finds. With a NORMCY_TINY weight, the product with an `a` that needs no scale may be subnormal. */
enum { NORMCY_HUGE = 1, NORMCY_TINY = 2 };

/* What moments are taken about. */
typedef enum {
    NORMCY_ABOUT_ZERO, /* as for RMSNorm: the mean counts as 0, and m2 is the sum of squares */
    NORMCY_ABOUT_MEAN,
} normcy_about;

/* How a sum of squared deviations becomes 1 / std. */
typedef struct {
    double count;      /* how many values a slot has */
    double correction; /* the degrees of freedom that are subtracted from the count */
    double eps;
    int outside_sqrt; /* uses std + eps instead of sqrt(var + eps) */
    int zero_guard;   /* where var + eps is 0 the result is 0, as in PyTorch's batch statistics, instead of inf */
} normcy_rstd_options;

/* What the apply pass computes of x before the last multiplication and addition, y = u * a + b. */
typedef enum {
    NORMCY_AFFINE, /* u = x * scale - mean_f32 */
    NORMCY_GAIN,   /* u = x * scale, and neither b nor a bias is added: moments were taken about zero */
    NORMCY_SWISH,  /* u = x * scale / (1 + exp(-gate * x)), as in EvoNorm-S0 */
    NORMCY_RATIO,  /* u = x * scale / max(batch, gate * x * scale + own), as in EvoNorm-B0 */
} normcy_apply_op;
enum { NORMCY_APPLY_OPS = NORMCY_RATIO + 1 };

/* The coefficients, a set for each row or for each column. Arrays that the operation does not use may be NULL. */
typedef struct {
    normcy_apply_op op;
    const float *mean_f32, *a, *b;
    const float *scale; /* powers of two. For NORMCY_AFFINE and NORMCY_GAIN it may be NULL, if all are 1. */
    const float *gate, *batch, *own;
} normcy_coef;

/* A weight or a bias that the coefficients cannot hold. For row i and column j it is p[i * row + j * step]. */
typedef struct {
    const float *p; /* NULL if there is none */
    ptrdiff_t row;
    int step; /* 1: each column has its value; 0: each row has one */
} normcy_operand;

/* With these, the coefficients become (a * w, b * w + bias), where w = weight + offset. Where w is huge or a * w is
 * subnormal, y is (u * a + b) * w + bias instead: that is one more rounding, but no product that float32 cannot hold.
 * Which of the two an element takes depends on its own a and w alone, never on what else is in the call. */
typedef struct {
    normcy_operand weight, bias;
    float offset;
    int extreme; /* some weights may have to be applied last; coef.scale must not be NULL then */
} normcy_elementwise;

typedef enum { NORMCY_IDENTITY, NORMCY_RELU, NORMCY_SILU, NORMCY_GELU, NORMCY_GELU_TANH } normcy_activation;

/* What follows in the same pass: y becomes activation(y + add). */
typedef struct {
    const float *add; /* a panel of the same stride as x and y, or NULL */
    normcy_activation activation;
} normcy_epilogue;

/* Hints on memory for the apply pass. They change its speed, never its results. */
typedef struct {
    int in_cache;    /* x and y are in some cache, so that the number of loads matters more than their order */
    int nontemporal; /* y is larger than any cache and is stored past them */
    int columns;     /* by column: how many are done at a time so that their coefficients stay in L1; 0: all of them */
    ptrdiff_t ahead; /* x is prefetched so many floats after the value that is normalized; 0: there itself */
} normcy_access;

/* The kernels of one instruction set. */
typedef struct {
    const char *isa;
#define KERNEL(result, name, parameters) result(*name) parameters;
#include "kernels/list.h"
} normcy_kernels;

#endif
