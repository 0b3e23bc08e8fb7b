"""normcy's C interface for Cython: `cimport normcy`, with normcy.get_include() among the folders that Cython searches and
among those of the C compiler. normcy.h, beside this file, describes all of it."""

cdef extern from "normcy.h" nogil:
    enum:
        NORMCY_INTERFACE_VERSION
        NORMCY_METHOD_BATCH
        NORMCY_METHOD_INSTANCE
        NORMCY_METHOD_GROUP
        NORMCY_METHOD_LAYER
        NORMCY_ACTIVATION_NONE
        NORMCY_ACTIVATION_RELU
        NORMCY_ACTIVATION_SILU
        NORMCY_ACTIVATION_GELU
        NORMCY_ACTIVATION_GELU_TANH
        NORMCY_OK
        NORMCY_ERROR_NORM
        NORMCY_ERROR_STRUCT_BYTES
        NORMCY_ERROR_METHOD
        NORMCY_ERROR_ABOUT_ZERO
        NORMCY_ERROR_CHANNELS_LAST
        NORMCY_ERROR_ACTIVATION
        NORMCY_ERROR_SAMPLES
        NORMCY_ERROR_CHANNELS
        NORMCY_ERROR_POSITIONS
        NORMCY_ERROR_GROUPS
        NORMCY_ERROR_SAMPLE_STRIDE
        NORMCY_ERROR_ROW_STRIDE
        NORMCY_ERROR_X
        NORMCY_ERROR_Y
        NORMCY_ERROR_WEIGHT
        NORMCY_ERROR_BIAS
        NORMCY_ERROR_WEIGHT_OFFSET
        NORMCY_ERROR_EPS
        NORMCY_ERROR_PRE_ADD
        NORMCY_ERROR_SUM_OUT
        NORMCY_ERROR_POST_ADD
        NORMCY_ERROR_GIVEN_MEAN
        NORMCY_ERROR_GIVEN_RSTD
        NORMCY_ERROR_MEAN
        NORMCY_ERROR_M2
        NORMCY_ERROR_RSTD
        NORMCY_ERROR_THREADS
        NORMCY_ERROR_RUNNER
        NORMCY_ERROR_MEMORY
    ctypedef struct normcy_norm:
        size_t struct_bytes
        int method, about_zero, channels_last, activation
        ptrdiff_t samples, channels, positions, groups, sample_stride, row_stride
        const float *x
        float *y
        const float *weight
        const float *bias
        double weight_offset, eps
        const float *pre_add
        float *sum_out
        const float *post_add
        const double *given_mean
        const double *given_rstd
        double *mean
        double *m2
        double *rstd
    ctypedef void (*normcy_part)(void *of, ptrdiff_t index) noexcept nogil
    ctypedef struct normcy_runner:
        void (*run)(void *arg, ptrdiff_t parts, normcy_part part, void *of) noexcept nogil
        void *arg
    int normcy_interface_version()
    int normcy_check(const normcy_norm *norm)
    const char *normcy_error_text(int error)
    int normcy_run(const normcy_norm *norm, int threads, const normcy_runner *runner)

cdef extern from "normcy.h":
    int normcy_import() except -1
