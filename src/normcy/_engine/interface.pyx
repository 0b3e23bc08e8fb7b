from libc.float cimport FLT_MAX
from libc.math cimport NAN, fabs, isfinite
from libc.stdint cimport PTRDIFF_MAX
from libc.stdlib cimport free, malloc

from normcy._engine.chunks cimport fold_of
from normcy._engine.floating_point cimport normcy_fp_enter, normcy_fp_leave
from normcy._engine.job cimport Job
from normcy._engine.kernels cimport (
    NORMCY_ABOUT_ZERO, NORMCY_GELU, NORMCY_GELU_TANH, NORMCY_IDENTITY, NORMCY_RELU, NORMCY_SILU, normcy_activation,
)
from normcy._engine.normcy_h cimport (
    NORMCY_ACTIVATION_GELU_TANH, NORMCY_ACTIVATION_NONE, NORMCY_ERROR_ABOUT_ZERO, NORMCY_ERROR_ACTIVATION,
    NORMCY_ERROR_BIAS, NORMCY_ERROR_CHANNELS, NORMCY_ERROR_CHANNELS_LAST, NORMCY_ERROR_EPS, NORMCY_ERROR_GIVEN_MEAN,
    NORMCY_ERROR_GIVEN_RSTD, NORMCY_ERROR_GROUPS, NORMCY_ERROR_M2, NORMCY_ERROR_MEAN, NORMCY_ERROR_MEMORY,
    NORMCY_ERROR_METHOD, NORMCY_ERROR_NORM, NORMCY_ERROR_POSITIONS, NORMCY_ERROR_POST_ADD, NORMCY_ERROR_PRE_ADD,
    NORMCY_ERROR_ROW_STRIDE, NORMCY_ERROR_RSTD, NORMCY_ERROR_RUNNER, NORMCY_ERROR_SAMPLES, NORMCY_ERROR_SAMPLE_STRIDE,
    NORMCY_ERROR_STRUCT_BYTES, NORMCY_ERROR_SUM_OUT, NORMCY_ERROR_THREADS, NORMCY_ERROR_WEIGHT,
    NORMCY_ERROR_WEIGHT_OFFSET, NORMCY_ERROR_X, NORMCY_ERROR_Y, NORMCY_INTERFACE_VERSION, NORMCY_METHOD_BATCH,
    NORMCY_METHOD_GROUP, NORMCY_METHOD_INSTANCE, NORMCY_METHOD_LAYER, NORMCY_OK,
)
from normcy._engine.plan cimport BATCH, GROUP, INSTANCE, LAYER, Dims, Method, Plan, Strides, init_plan, fit_plan
from normcy._engine.run cimport init_job, run_job_by
from normcy._engine.view cimport Extent, meet
from normcy._engine.weights cimport have_offset_added_first, set_weights
from normcy._engine.work cimport NORMCY_POOL_MAX_AREAS

cdef extern from *:
    """
    static const char *const error_texts[] = {
        [NORMCY_OK] = "no error",
        [NORMCY_ERROR_NORM] = "norm: expected the address of a normcy_norm, got NULL",
        [NORMCY_ERROR_STRUCT_BYTES] = "struct_bytes: expected sizeof(normcy_norm), of a normcy.h that is no newer than "
                                      "this library",
        [NORMCY_ERROR_METHOD] = "method: expected one of NORMCY_METHOD_BATCH, INSTANCE, GROUP and LAYER; 0 is none",
        [NORMCY_ERROR_ABOUT_ZERO] = "about_zero: expected 0, or 1 for NORMCY_METHOD_LAYER with channels_last",
        [NORMCY_ERROR_CHANNELS_LAST] = "channels_last: expected 0 or 1",
        [NORMCY_ERROR_ACTIVATION] = "activation: expected one of NORMCY_ACTIVATION_NONE, RELU, SILU, GELU, GELU_TANH",
        [NORMCY_ERROR_SAMPLES] = "samples: expected a number >= 0, of samples that fit into memory",
        [NORMCY_ERROR_CHANNELS] = "channels: expected a number >= 0, of floats that fit into memory",
        [NORMCY_ERROR_POSITIONS] = "positions: expected a number >= 0, of rows that fit into memory",
        [NORMCY_ERROR_GROUPS] = "groups: expected a positive divisor of channels for NORMCY_METHOD_GROUP",
        [NORMCY_ERROR_SAMPLE_STRIDE] = "sample_stride: expected 0; or with channels_last, positions * row_stride; or "
                                       "without it, channels * positions or more, and exactly that where positions is "
                                       "1 and channels is below 64 and no multiple of 16, except for a layer norm",
        [NORMCY_ERROR_ROW_STRIDE] = "row_stride: expected 0; or without channels_last, positions; or with it, channels "
                                    "or more, and exactly that where channels is below 64 and no multiple of 16, "
                                    "except for a layer norm",
        [NORMCY_ERROR_X] = "x: expected the address of the input, a multiple of 4",
        [NORMCY_ERROR_Y] = "y: expected the address of the output, a multiple of 4; it may be exactly x, pre_add or "
                           "post_add, or otherwise must not overlap an input; NULL needs one of mean, m2 and rstd, and "
                           "no given statistics",
        [NORMCY_ERROR_WEIGHT] = "weight: expected NULL or an address that is a multiple of 4",
        [NORMCY_ERROR_BIAS] = "bias: expected NULL or an address that is a multiple of 4",
        [NORMCY_ERROR_WEIGHT_OFFSET] = "weight_offset: expected a number that is finite in float32",
        [NORMCY_ERROR_EPS] = "eps: expected a finite number >= 0",
        [NORMCY_ERROR_PRE_ADD] = "pre_add: expected NULL or an address that is a multiple of 4",
        [NORMCY_ERROR_SUM_OUT] = "sum_out: expected NULL without pre_add; with it, an address that is a multiple of 4, "
                                 "which is exactly x or pre_add, or otherwise overlaps no other array; NULL needs a y "
                                 "that is not post_add",
        [NORMCY_ERROR_POST_ADD] = "post_add: expected NULL or an address that is a multiple of 4",
        [NORMCY_ERROR_GIVEN_MEAN] = "given_mean: expected NULL, or with given_rstd and for NORMCY_METHOD_BATCH an "
                                    "address that is a multiple of 8",
        [NORMCY_ERROR_GIVEN_RSTD] = "given_rstd: expected NULL, or with given_mean an address that is a multiple of 8",
        [NORMCY_ERROR_MEAN] = "mean: expected NULL, or without given statistics an address that is a multiple of 8, of "
                              "memory that overlaps no other array",
        [NORMCY_ERROR_M2] = "m2: expected NULL, or without given statistics an address that is a multiple of 8, of "
                            "memory that overlaps no other array",
        [NORMCY_ERROR_RSTD] = "rstd: expected NULL, or without given statistics an address that is a multiple of 8, of "
                              "memory that overlaps no other array",
        [NORMCY_ERROR_THREADS] = "threads: expected 1 or more, as there is a runner",
        [NORMCY_ERROR_RUNNER] = "runner: expected NULL, or a normcy_runner whose run is no NULL",
        [NORMCY_ERROR_MEMORY] = "memory: normcy could not allocate its scratch memory; nothing was written",
    };
    enum { ERROR_TEXTS = sizeof error_texts / sizeof *error_texts };
    """
    const char *const *error_texts
    const int ERROR_TEXTS

cdef Method[4] METHODS                  # by number, from NORMCY_METHOD_BATCH on
METHODS[:] = [BATCH, INSTANCE, GROUP, LAYER]
cdef normcy_activation[5] ACTIVATIONS   # by number
ACTIVATIONS[:] = [NORMCY_IDENTITY, NORMCY_RELU, NORMCY_SILU, NORMCY_GELU, NORMCY_GELU_TANH]


cdef int normcy_interface_version() noexcept nogil:
    return NORMCY_INTERFACE_VERSION


cdef const char *normcy_error_text(int error) noexcept nogil:
    if 0 <= error < ERROR_TEXTS:
        return error_texts[error]
    return "error: expected a number that normcy_check or normcy_run has returned"


cdef int normcy_check(const normcy_norm *norm) noexcept nogil:
    cdef unsigned long saved
    cdef int error
    if norm == NULL:
        return NORMCY_ERROR_NORM
    if norm.struct_bytes != sizeof(normcy_norm):
        return NORMCY_ERROR_STRUCT_BYTES
    saved = normcy_fp_enter()
    error = check_options(norm) or check_sizes(norm) or check_given(norm) or check_memory(norm)
    normcy_fp_leave(saved)
    return error


cdef int normcy_run(const normcy_norm *norm, int threads, const normcy_runner *runner) noexcept nogil:
    cdef Job job
    cdef float *new_weight = NULL
    cdef unsigned long saved
    cdef int error = normcy_check(norm)
    if not error and runner != NULL:
        error = NORMCY_ERROR_RUNNER if runner.run == NULL else NORMCY_ERROR_THREADS if threads < 1 else NORMCY_OK
    if error:
        return error
    saved = normcy_fp_enter()
    if describe(norm, &job, &new_weight):
        error = NORMCY_ERROR_MEMORY
    normcy_fp_leave(saved)
    if error or run_job_by(&job, norm.samples * norm.channels * norm.positions,
                           min(threads, <int>NORMCY_POOL_MAX_AREAS) if runner != NULL else 1, runner):
        error = NORMCY_ERROR_MEMORY
    elif not (norm.samples and norm.channels and norm.positions):
        store_no_statistics(&job)
    free(new_weight)
    return error


# --- What is checked ---

cdef int check_options(const normcy_norm *norm) noexcept nogil:
    if not NORMCY_METHOD_BATCH <= norm.method <= NORMCY_METHOD_LAYER:
        return NORMCY_ERROR_METHOD
    if norm.channels_last not in (0, 1):
        return NORMCY_ERROR_CHANNELS_LAST
    if norm.about_zero not in (0, 1) or norm.about_zero and not (
            norm.method == NORMCY_METHOD_LAYER and norm.channels_last):
        return NORMCY_ERROR_ABOUT_ZERO
    if not NORMCY_ACTIVATION_NONE <= norm.activation <= NORMCY_ACTIVATION_GELU_TANH:
        return NORMCY_ERROR_ACTIVATION
    if not fabs(norm.weight_offset) <= FLT_MAX:
        return NORMCY_ERROR_WEIGHT_OFFSET
    if not (isfinite(norm.eps) and norm.eps >= 0):
        return NORMCY_ERROR_EPS
    return NORMCY_OK


cdef int check_sizes(const normcy_norm *norm) noexcept nogil:
    """Sizes and strides, in an order in which no product overflows.

    Arrays have to end before 128 TiB, of 64 bits: then no size of scratch for the engine's threads overflows either.
    """
    cdef ptrdiff_t most_floats = PTRDIFF_MAX >> 18, one = 1, c = norm.channels, s = norm.positions
    cdef Dims d
    if not 0 <= c <= most_floats:
        return NORMCY_ERROR_CHANNELS
    if not 0 <= s <= most_floats // max(one, c):
        return NORMCY_ERROR_POSITIONS
    if norm.row_stride and not (c <= norm.row_stride <= most_floats // max(one, s) if norm.channels_last else
                                norm.row_stride == s):
        return NORMCY_ERROR_ROW_STRIDE
    d = dims_of(norm)
    if not (d.sample == s * d.pitch if norm.channels_last else c * s <= d.sample <= most_floats):
        return NORMCY_ERROR_SAMPLE_STRIDE
    # Columns of narrow panels are done several rows at a time, which must be dense.
    if d.sample != c * s and norm.method != NORMCY_METHOD_LAYER and (norm.channels_last or s == 1) and fold_of(c) > 1:
        return NORMCY_ERROR_ROW_STRIDE if norm.channels_last else NORMCY_ERROR_SAMPLE_STRIDE
    if not 0 <= norm.samples <= most_floats // max(d.sample, max(one, c) * max(one, s)):
        return NORMCY_ERROR_SAMPLES
    if norm.method == NORMCY_METHOD_GROUP and not (1 <= norm.groups <= max(one, c) and c % norm.groups == 0):
        return NORMCY_ERROR_GROUPS
    return NORMCY_OK


cdef int check_given(const normcy_norm *norm) noexcept nogil:
    """That arrays are given which are needed, and none that would not be used."""
    cdef bint fixed = norm.given_mean != NULL, elements = norm.samples and norm.channels and norm.positions
    if norm.x == NULL and elements:
        return NORMCY_ERROR_X
    if norm.y == NULL and elements and (fixed or norm.mean == NULL and norm.m2 == NULL and norm.rstd == NULL):
        return NORMCY_ERROR_Y
    if (norm.pre_add == NULL) if norm.sum_out != NULL else norm.pre_add != NULL and (
            norm.y == NULL or norm.y == norm.post_add):
        return NORMCY_ERROR_SUM_OUT
    if fixed != (norm.given_rstd != NULL):
        return NORMCY_ERROR_GIVEN_RSTD if fixed else NORMCY_ERROR_GIVEN_MEAN
    if fixed and norm.method != NORMCY_METHOD_BATCH:
        return NORMCY_ERROR_GIVEN_MEAN
    if fixed and norm.mean != NULL:
        return NORMCY_ERROR_MEAN
    if fixed and norm.m2 != NULL:
        return NORMCY_ERROR_M2
    if fixed and norm.rstd != NULL:
        return NORMCY_ERROR_RSTD
    return NORMCY_OK


cdef struct Array:
    Extent extent
    size_t alignment
    int error               # of the field
    int may_be              # which it may be exactly: so many of the first ones

cdef enum:
    ARRAYS = 12
    FIRST_WRITTEN = 7


cdef Array array_at(const void *start, ptrdiff_t count, size_t itemsize, int error, int may_be) noexcept nogil:
    cdef Array a
    a.extent.low, a.alignment, a.error, a.may_be = <char *>start, itemsize, error, may_be
    a.extent.high = a.extent.low + (count * itemsize if start != NULL else 0)
    return a


cdef void fill_arrays(const normcy_norm *norm, Array *a) noexcept nogil:
    """Inputs, then what is written; x, pre_add and post_add come first."""
    cdef Dims d = dims_of(norm)
    cdef Plan plan
    cdef ptrdiff_t c = d.c, floats = floats_of(&d)
    init_plan(&plan, METHODS[norm.method - NORMCY_METHOD_BATCH], &d)
    a[0] = array_at(norm.x, floats, sizeof(float), NORMCY_ERROR_X, 0)
    a[1] = array_at(norm.pre_add, floats, sizeof(float), NORMCY_ERROR_PRE_ADD, 0)
    a[2] = array_at(norm.post_add, floats, sizeof(float), NORMCY_ERROR_POST_ADD, 0)
    a[3] = array_at(norm.weight, c, sizeof(float), NORMCY_ERROR_WEIGHT, 0)
    a[4] = array_at(norm.bias, c, sizeof(float), NORMCY_ERROR_BIAS, 0)
    a[5] = array_at(norm.given_mean, c, sizeof(double), NORMCY_ERROR_GIVEN_MEAN, 0)
    a[6] = array_at(norm.given_rstd, c, sizeof(double), NORMCY_ERROR_GIVEN_RSTD, 0)
    a[7] = array_at(norm.y, floats, sizeof(float), NORMCY_ERROR_Y, 3)
    a[8] = array_at(norm.sum_out, floats, sizeof(float), NORMCY_ERROR_SUM_OUT, 2)
    a[9] = array_at(norm.mean, plan.slots, sizeof(double), NORMCY_ERROR_MEAN, 0)
    a[10] = array_at(norm.m2, plan.slots, sizeof(double), NORMCY_ERROR_M2, 0)
    a[11] = array_at(norm.rstd, plan.slots, sizeof(double), NORMCY_ERROR_RSTD, 0)


cdef int check_memory(const normcy_norm *norm) noexcept nogil:
    """That addresses are aligned, that arrays end, and that what is written has memory of its own."""
    cdef Array[ARRAYS] a
    cdef int i, k
    fill_arrays(norm, a)
    for i in range(ARRAYS):
        if <size_t>a[i].extent.low % a[i].alignment or a[i].extent.high < a[i].extent.low:
            return a[i].error
    for i in range(FIRST_WRITTEN, ARRAYS):
        for k in range(i):
            if meet(&a[i].extent, &a[k].extent) and not (k < a[i].may_be and a[i].extent.low == a[k].extent.low):
                return a[i].error
    return NORMCY_OK


# --- From a normcy_norm to a job ---

cdef Dims dims_of(const normcy_norm *norm) noexcept nogil:
    cdef Dims d
    d.n, d.c, d.s, d.channels_last = norm.samples, norm.channels, norm.positions, norm.channels_last
    d.groups = norm.groups if norm.method == NORMCY_METHOD_GROUP else 1
    d.pitch = norm.row_stride or (d.c if d.channels_last else d.s)
    d.sample = norm.sample_stride or (d.s * d.pitch if d.channels_last else d.c * d.s)
    return d


cdef ptrdiff_t floats_of(const Dims *d) noexcept nogil:
    """From the first float of an array to the last."""
    cdef ptrdiff_t rows = d.s if d.channels_last else d.c, length = d.c if d.channels_last else d.s
    return (d.n - 1) * d.sample + (rows - 1) * d.pitch + length if d.n and d.c and d.s else 0


cdef Strides one_a_channel(const float *p, ptrdiff_t channels) noexcept nogil:
    return Strides(p, 0, 1, 0, channels if p != NULL else 0)


cdef int describe(const normcy_norm *norm, Job *job, float **new_weight) noexcept nogil:
    """Fill in the job. The caller frees new_weight once it has run; -1: there was no memory for that."""
    cdef Dims d = dims_of(norm)
    cdef Strides weight = one_a_channel(norm.weight, d.c), bias = one_a_channel(norm.bias, d.c)
    init_job(job, METHODS[norm.method - NORMCY_METHOD_BATCH], &d, norm.eps, norm.weight_offset)
    job.rstd_options.zero_guard = norm.method <= NORMCY_METHOD_INSTANCE
    if norm.about_zero:
        job.about = NORMCY_ABOUT_ZERO
    job.x, job.y = norm.x, norm.y
    if norm.pre_add != NULL:
        job.source, job.addend, job.x = norm.x, norm.pre_add, norm.sum_out if norm.sum_out != NULL else norm.y
    job.epilogue.add, job.epilogue.activation = norm.post_add, ACTIVATIONS[norm.activation]
    job.fixed_mean, job.fixed_rstd = norm.given_mean, norm.given_rstd
    job.mean, job.m2, job.rstd = norm.mean, norm.m2, norm.rstd
    fit_plan(&job.plan, norm.given_mean != NULL, &weight, &bias)
    if have_offset_added_first(job, weight):
        new_weight[0] = <float *>malloc(weight.size * sizeof(float))
        if new_weight[0] == NULL:
            return -1
    set_weights(job, weight, bias, new_weight[0])
    return 0


cdef void store_no_statistics(const Job *job) noexcept nogil:
    """Those of slots without values."""
    cdef ptrdiff_t k
    for k in range(job.plan.slots):
        if job.mean != NULL:
            job.mean[k] = 0
        if job.m2 != NULL:
            job.m2[k] = 0
        if job.rstd != NULL:
            job.rstd[k] = NAN
