"""The C kernels, as src/kernels/kernels.h declares them."""

cdef extern from "kernels/kernels.h" nogil:
    enum:
        NORMCY_LANES
        NORMCY_BLOCK
        NORMCY_CHUNK_FLOATS
        NORMCY_MAX_CHUNKS
        NORMCY_CHUNK_ROWS
        NORMCY_LONG_CHUNK_ROWS
        NORMCY_COLS_CHUNK_FLOATS
        NORMCY_LONG_CHUNKS
        NORMCY_FOLDED_ROWS
        NORMCY_NARROW_COLUMNS
        NORMCY_SHORT_SEGMENT
        NORMCY_SHORT_SEGMENTS
        NORMCY_EXACT_ROW
        NORMCY_EXACT_ROW_ABOUT_ZERO
        NORMCY_EXACT_SLOT
        NORMCY_SCALED_GAIN_EXPONENT
        NORMCY_SCALED_MEAN_EXPONENT
        NORMCY_LEAST_SCALE_EXPONENT
        NORMCY_MOST_SCALE_EXPONENT
        NORMCY_MAX_SLOTS
        NORMCY_HUGE
    const double NORMCY_MOST_VARIANCE, NORMCY_MOST_MEAN, NORMCY_SMALL_VARIANCE, NORMCY_SMALL_MEAN
    const double NORMCY_SCALE_DOWN, NORMCY_SCALE_MEAN, NORMCY_SCALE_UP
    const double NORMCY_LARGE_RATIO_TERM, NORMCY_SMALL_RATIO_TERM
    const double NORMCY_HUGE_WEIGHT, NORMCY_LEAST_GAIN, NORMCY_MOST_GAIN, NORMCY_LEAST_A, NORMCY_MOST_A
    ctypedef enum normcy_about:
        NORMCY_ABOUT_ZERO
        NORMCY_ABOUT_MEAN
    ctypedef struct normcy_rstd_options:
        double count, correction, eps
        bint outside_sqrt, zero_guard
    ctypedef enum normcy_apply_op:
        NORMCY_AFFINE
        NORMCY_GAIN
        NORMCY_SWISH
        NORMCY_RATIO
    ctypedef struct normcy_coef:
        normcy_apply_op op
        const float *mean_f32
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
    ctypedef struct normcy_elementwise:
        normcy_operand weight, bias
        float offset
        int extreme
    ctypedef enum normcy_activation:
        NORMCY_IDENTITY
        NORMCY_RELU
        NORMCY_SILU
        NORMCY_GELU
        NORMCY_GELU_TANH
    ctypedef struct normcy_epilogue:
        const float *add
        normcy_activation activation
    ctypedef struct normcy_access:
        bint in_cache, nontemporal
        int columns
        ptrdiff_t ahead
    ctypedef struct normcy_kernels:
        const char *isa
        void (*add)(const float *x, const float *addend, float *sum, ptrdiff_t rows, ptrdiff_t cols,
                 ptrdiff_t stride) noexcept nogil
        void (*moments_rows)(const float *x, ptrdiff_t slots, ptrdiff_t stride, ptrdiff_t length, normcy_about about,
                          bint exact, double *mean, double *m2) noexcept nogil
        void (*moments_cols)(const float *x, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride, ptrdiff_t group,
                          normcy_about about, double *mean, double *m2) noexcept nogil
        void (*merge)(ptrdiff_t count, double n, double *mean, double *m2, double n_b, const double *mean_b,
                   const double *m2_b) noexcept nogil
        ptrdiff_t (*rstd)(ptrdiff_t count, const double *mean, const double *m2, const normcy_rstd_options *how,
                         double *rstd) noexcept nogil
        int (*weight_range)(const float *v, ptrdiff_t count, float offset) noexcept nogil
        int (*huge)(const float *v, ptrdiff_t count) noexcept nogil
        ptrdiff_t (*coefficients)(ptrdiff_t count, const double *mean, const double *rstd, const double *shift_after,
                               const float *scale, const float *weight, double offset, const float *bias,
                               double least, double most, float *mean_f32, float *a, float *b) noexcept nogil
        void (*apply_rows)(const float *x, float *y, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride,
                        const normcy_coef *coef, const normcy_elementwise *elementwise, const normcy_epilogue *epilogue,
                        const normcy_access *access) noexcept nogil
        void (*apply_cols)(const float *x, float *y, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t stride,
                        const normcy_coef *coef, const normcy_elementwise *elementwise, const normcy_epilogue *epilogue,
                        const normcy_access *access) noexcept nogil
