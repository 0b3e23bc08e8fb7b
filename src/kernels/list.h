/* The list of the kernels: each is declared here, once, as KERNEL(return type, name, (parameters)).
 *
 * Whoever includes this file has defined KERNEL, which ends with it. kernels.h makes the table's members from the list,
 * kernels_tpl.h each instruction set's table, and the programs in tests/kernels/ a check that they ran every kernel;
 * tests/test_kernel_list.py compares it with what Cython declares. So there is no include guard.
 */

/* Computes sum = x + addend, for panels of one stride. */
KERNEL(void, add, (const float *x, const float *addend, float *sum, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride))

/* Computes the moments of `slots` slots of `length` floats, which begin `stride` floats apart: mean[k], and in m2[k]
 * the sum of squared deviations from it. Slots of more than NORMCY_EXACT_ROW floats (about zero:
 * NORMCY_EXACT_ROW_ABOUT_ZERO) are summed in float32 unless `exact` is set. Then the moments are right only if no
 * square overflows or underflows, which `rstd` finds out. */
KERNEL(void, moments_rows,
       (const float *x, ptrdiff_t slots, ptrdiff_t stride, ptrdiff_t length, normcy_about about, int exact,
        double *mean, double *m2))

/* Computes the moments of the columns of a panel, always exactly: of each, or of every `group` neighbours together,
 * which are then about the mean. mean and m2 have room for `cols` values, rounded up to a multiple of NORMCY_LANES. */
KERNEL(void, moments_cols,
       (const float *x, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride, ptrdiff_t group, normcy_about about,
        double *mean, double *m2))

/* Merges `count` pairs of moments by Chan's formula: those of n values, (mean, m2), become those of n + n_b values. */
KERNEL(void, merge,
       (ptrdiff_t count, double n, double *mean, double *m2, double n_b, const double *mean_b, const double *m2_b))

/* Computes 1 / std of `count` slots. Returns how many of them are out of float32's comfortable range (numerics.h).
 * Their moments have to be taken again exactly, and if they are still out of range, x needs a scale. */
KERNEL(ptrdiff_t, rstd,
       (ptrdiff_t count, const double *mean, const double *m2, const normcy_rstd_options *options, double *rstd))

/* Says whether NORMCY_HUGE or NORMCY_TINY values, or both, are among v[k] + offset. Zeros and NaN are neither. */
KERNEL(int, weight_range, (const float *v, ptrdiff_t count, float offset))

/* Returns 1 if any of `count` weights, one a slot, is so large that it may have to be applied last. */
KERNEL(int, huge, (const float *v, ptrdiff_t count))

/* Computes the coefficients mean_f32, a and b of
 *
 *     y = (x - mean) * rstd * weight + shift_after * weight + bias
 *
 * for `count` rows or columns, where weight is weight[k] + offset. Absent arrays are NULL: then mean, shift_after and
 * bias are 0, and rstd, weight and scale are 1. Returns how many coefficients float32 cannot hold well without another
 * scale: those whose |a| is neither 0 nor from `least` to `most`, and those whose mean is NORMCY_MOST_MEAN or more. */
KERNEL(ptrdiff_t, coefficients,
       (ptrdiff_t count, const double *mean, const double *rstd, const double *shift_after, const float *scale,
        const float *weight, double offset, const float *bias, double least, double most, float *mean_f32, float *a,
        float *b))

/* The apply pass, with coefficients for each row or for each column. elementwise and epilogue may be NULL. */
KERNEL(void, apply_rows,
       (const float *x, float *y, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride, const normcy_coef *coef,
        const normcy_elementwise *elementwise, const normcy_epilogue *epilogue, const normcy_access *access))
KERNEL(void, apply_cols,
       (const float *x, float *y, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride, const normcy_coef *coef,
        const normcy_elementwise *elementwise, const normcy_epilogue *epilogue, const normcy_access *access))

#undef KERNEL
