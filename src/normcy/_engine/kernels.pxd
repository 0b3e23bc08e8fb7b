"""The C kernels, as src/kernels.h declares them."""

cdef extern from "kernels.h" nogil:
    enum:
        NORMCY_LANES
        NORMCY_BLOCK
        NORMCY_RUN
    const double NORMCY_HUGE_WEIGHT, NORMCY_LEAST_GAIN, NORMCY_LEAST_A, NORMCY_MOST_A
    ctypedef enum normcy_about:
        NORMCY_ABOUT_ZERO
        NORMCY_ABOUT_MEAN
    ctypedef struct normcy_spread:
        double count, correction, eps
        bint outside_sqrt, zero_guard
    ctypedef enum normcy_form:
        NORMCY_AFFINE
        NORMCY_SWISH
        NORMCY_RATIO
    ctypedef struct normcy_coef:
        normcy_form form
        const float *hi
        const float *a
        const float *b
        const float *scale
        const float *gate
        const float *batch
        const float *own
    ctypedef struct normcy_operand:
        const float *p
        ptrdiff_t row
        int step
    ctypedef struct normcy_element:
        normcy_operand weight, bias
        float offset
        int extreme
    ctypedef enum normcy_activation:
        NORMCY_IDENTITY
        NORMCY_RELU
        NORMCY_SILU
        NORMCY_GELU
        NORMCY_GELU_TANH
    ctypedef struct normcy_finish:
        const float *add
        normcy_activation activation
    ctypedef struct normcy_walk:
        bint near, stream
        int columns
    ctypedef struct normcy_kernels:
        const char *isa
        void (*add)(const float *x, const float *addend, float *sum, ptrdiff_t rows, ptrdiff_t cols,
                 ptrdiff_t stride) noexcept nogil
        void (*moments_rows)(const float *x, ptrdiff_t slots, ptrdiff_t stride, ptrdiff_t length, normcy_about about,
                          bint exact, double *mean, double *m2) noexcept nogil
        void (*moments_cols)(const float *x, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride, normcy_about about,
                          double *mean, double *m2) noexcept nogil
        void (*merge)(ptrdiff_t count, double n, double *mean, double *m2, double n_b, const double *mean_b,
                   const double *m2_b) noexcept nogil
        ptrdiff_t (*spread)(ptrdiff_t count, const double *mean, const double *m2, const normcy_spread *how,
                         double *rstd) noexcept nogil
        int (*weight_range)(const float *v, ptrdiff_t count, float offset) noexcept nogil
        int (*huge)(const float *v, ptrdiff_t count) noexcept nogil
        ptrdiff_t (*coefficients)(ptrdiff_t count, const double *mean, const double *rstd, const double *lift,
                               const float *scale, const float *weight, double offset, const float *bias,
                               double least, double most, float *hi, float *a, float *b) noexcept nogil
        void (*apply_rows)(const float *x, float *y, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride,
                        const normcy_coef *coef, const normcy_element *element, const normcy_finish *finish,
                        const normcy_walk *walk) noexcept nogil
        void (*apply_cols)(const float *x, float *y, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride,
                        const normcy_coef *coef, const normcy_element *element, const normcy_finish *finish,
                        const normcy_walk *walk) noexcept nogil
