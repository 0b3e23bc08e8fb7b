# cython: language_level=3, boundscheck=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True, embedsignature=False, auto_pickle=False
"""The compiled core of normcy.

Design
(A) Every norm is: statistics of a panel along its rows or columns, two small vectors, one affine pass. panels.pxi says
    which panel a method works on; rows.pxi and cols.pxi drive the two passes over it with OpenMP; the C kernels below
    them (kernels.h) do the arithmetic, once per instruction set.
(B) options.pxi and arrays.pxi check everything that comes from outside, before anything is written: what follows cannot
    fail, but for the allocation of scratch, which precedes the first write.
(C) Big arrays travel as pointers taken from checked ndarrays. Flat memoryviews of four arrays cost 0.8 us, pointers
    0.04 us, and a whole small norm is to take 1 us. Small vectors of any stride are typed memoryviews.
"""
cimport cython
cimport numpy as cnp
cimport openmp
from cpython.float cimport PyFloat_CheckExact
from cpython.long cimport PyLong_CheckExact
from cpython.number cimport PyNumber_Index
from cython.parallel cimport prange
from libc.float cimport FLT_MAX
from libc.limits cimport LLONG_MAX
from libc.math cimport HUGE_VAL, NAN, fabs, frexp, ldexp, sqrt
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove, memset

import numpy as np

cnp.import_array()

cdef extern from *:
    """
    #ifdef _OPENMP
    #define HAVE_OPENMP 1
    #else
    #define HAVE_OPENMP 0
    #define omp_get_max_threads() 1
    #define omp_get_thread_limit() 1
    #define omp_get_num_procs() 1
    #define omp_get_proc_bind() 0
    #define omp_in_parallel() 0
    #endif
    """
    const bint HAVE_OPENMP
    int omp_get_proc_bind() nogil

cdef extern from "kernels/kernels.h" nogil:
    enum:
        NORMCY_LANES
        NORMCY_BLOCK
        NORMCY_MAX_SLOTS
    const double NORMCY_HUGE_WEIGHT, NORMCY_LEAST_GAIN, NORMCY_LEAST_A, NORMCY_MOST_A
    ctypedef enum normcy_about:
        NORMCY_ABOUT_ZERO
        NORMCY_ABOUT_MEAN
    ctypedef struct normcy_rstd_options:
        double count, correction, eps
        bint outside_sqrt, zero_guard
    ctypedef enum normcy_apply_op:
        NORMCY_AFFINE
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

cdef extern from "kernels/isa/dispatch.h" nogil:
    const normcy_kernels *normcy_isa(int i)
    bint normcy_isa_runs(int i)

cdef extern from "engine/process.h" nogil:
    int normcy_process_init()
    bint normcy_forked()
    int normcy_thread_override()
    void normcy_set_thread_override(int n)
    int normcy_affinity()
    unsigned long normcy_fp_enter()
    void normcy_fp_leave(unsigned long saved)

cdef extern from "engine/threads.h" nogil:
    ctypedef struct normcy_workers:
        pass
    int normcy_threads_init()
    normcy_workers *normcy_own_workers()
    int normcy_team_size(normcy_workers *workers, int parts, int max_threads)
    void normcy_register_worker(normcy_workers *workers)

cdef extern from "engine/queue.h" nogil:
    ctypedef struct normcy_work_queue:
        pass
    normcy_work_queue *normcy_work_queue_init(ptrdiff_t tasks, int threads)
    ptrdiff_t normcy_work_queue_pop(normcy_work_queue *queues, int threads, int own)

include "panels.pxi"
include "drivers.pxi"
include "rows.pxi"
include "cols.pxi"
include "outputs.pxi"
include "process.pxi"
include "options.pxi"
include "arrays.pxi"
include "limit.pxi"
include "statistics.pxi"
include "norms.pxi"
include "styles.pxi"
include "evonorm.pxi"
include "renorm.pxi"
include "weight_norm.pxi"
include "moments.pxi"

read_environment()
