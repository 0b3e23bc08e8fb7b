"""Running statistics: checked arrays of any stride, which one function updates by one of two formulas."""
cimport numpy as cnp

from normcy._engine.job cimport Job
from normcy._native.arrays cimport Layout
from normcy._native.statistics cimport Statistics

cdef struct Channels:       # one running statistic: p[c * step] for channel c; p is NULL if there is none
    float *p
    ptrdiff_t step

cdef enum Formula:
    BLEND       # (1 - momentum) * kept + momentum * batch, as PyTorch has it
    STEP        # kept + momentum * (batch - kept), as batch renormalization's paper has it; the last digit differs

cdef class Running:
    """running_mean and running_var of a call, checked as a pair."""
    cdef bint present
    cdef Channels mean, var
    cdef object mean_array, var_array
    cdef list keep
    cdef int read(self, running_mean, running_var, cnp.ndarray x, const Layout *at, bint written) except -1
    cdef int check_apart(self, tuple inputs) except -1
    cdef int update_from_samples(self, Statistics stats, ptrdiff_t channels, ptrdiff_t samples, double count,
                                 cnp.ndarray tracked, double momentum, bint unbiased) except -1

cdef class Fixed:
    """Running statistics as the apply pass wants them: mean and 1 / sqrt(var + eps) in float64."""
    cdef double *mean
    cdef double *rstd
    cdef void point(self, Job *job)

cdef Channels running_statistic(obj, str name, cnp.ndarray x, const Layout *at, bint written, list keep) except *
cdef int update(owner, cnp.ndarray tracked, double momentum, Formula formula, ptrdiff_t channels, Channels mean,
                const double *batch_mean, Channels spread, const double *batch_spread) except -1
cdef int check_count(cnp.ndarray tracked, tuple named_arrays) except -1
cdef double momentum_of(momentum, tracked) except? -1


cdef void to_doubles(Channels v, ptrdiff_t n, double *to) noexcept nogil


cdef inline float *channel(Channels v, ptrdiff_t c) noexcept nogil:
    return v.p + c * v.step
