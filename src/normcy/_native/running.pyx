cimport cython
cimport numpy as cnp
from cpython.pyport cimport PY_SSIZE_T_MAX
from libc.limits cimport LLONG_MAX
from libc.math cimport HUGE_VAL, NAN, fabs
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from normcy._engine.isa cimport chosen
from normcy._engine.job cimport Job
from normcy._engine.kernels cimport normcy_rstd_options
from normcy._native.arrays cimport Layout, check_disjoint, per_channel, writeable
from normcy._native.options cimport number
from normcy._native.statistics cimport Statistics

import numpy as np

cnp.import_array()


cdef Channels running_statistic(obj, str name, cnp.ndarray x, const Layout *at, bint written, list keep) except *:
    """A running statistic, writeable where it is to be written."""
    cdef Channels v
    cdef cnp.ndarray a = per_channel(obj, name, x, at)
    if written:
        writeable(a, name)
        if not cnp.PyArray_ISALIGNED(a):
            raise ValueError(f"{name}: expected an aligned array, got one at an odd address")
    if not cnp.PyArray_ISALIGNED(a):
        a = np.array(a, order="C", subok=False)
    keep.append(a)
    v.p, v.step = <float *>cnp.PyArray_DATA(a), cnp.PyArray_STRIDE(a, 0) // <ptrdiff_t>sizeof(float)
    return v


cdef int check_count(cnp.ndarray tracked, tuple named_arrays) except -1:
    """That num_batches_tracked, of shape (), can count one more, and is the memory of no array of the call."""
    writeable(tracked, "num_batches_tracked")
    check_disjoint(tracked, "num_batches_tracked", named_arrays)
    if not 0 <= (<long long *>cnp.PyArray_DATA(tracked))[0] < LLONG_MAX:
        raise ValueError(f"num_batches_tracked: expected a count from 0 to {LLONG_MAX - 1}, got {tracked}")
    return 0


cdef double momentum_of(momentum, tracked) except? -1:
    """The weight of a new batch; NaN where it is 1 / num_batches_tracked, of a layer whose momentum is None."""
    return NAN if momentum is None and tracked is not None else number(momentum, "momentum")


cdef double count_batch(cnp.ndarray tracked, double momentum) noexcept:
    """Count a batch; returns its weight."""
    cdef long long *count
    if tracked is None:
        return momentum
    count = <long long *>cnp.PyArray_DATA(tracked)
    if count[0] < LLONG_MAX:     # other threads may have counted since it was checked
        count[0] += 1
    return momentum if momentum == momentum else 1 / <double>count[0]


cdef int update(owner, cnp.ndarray tracked, double momentum, Formula formula, ptrdiff_t channels, Channels mean,
                const double *batch_mean, Channels spread, const double *batch_spread) except -1:
    """Count a batch, and take its statistics into the running ones that are present.

    Threads that train one layer do this one after the other, each with a number of its own. `owner` is an array that
    they share where nothing is counted.
    """
    with cython.critical_section(owner if tracked is None else tracked):
        momentum = count_batch(tracked, momentum)
        update_channels(mean, channels, momentum, batch_mean, formula)
        update_channels(spread, channels, momentum, batch_spread, formula)
    return 0


cdef void to_doubles(Channels v, ptrdiff_t n, double *to) noexcept nogil:
    cdef ptrdiff_t c
    if v.step == 1:     # in a loop of its own, which compilers vectorize
        for c in range(n):
            to[c] = v.p[c]
        return
    for c in range(n):
        to[c] = channel(v, c)[0]


cdef void update_channels(Channels kept, ptrdiff_t channels, double momentum, const double *batch,
                          Formula formula) noexcept:
    """Take one statistic of a batch into the running one, if that is present.

    From a running value that is not finite there is no distance to step: it is blended.
    """
    cdef ptrdiff_t c
    cdef float *old
    for c in range(channels if kept.p != NULL else 0):
        old = channel(kept, c)
        if formula == STEP and fabs(old[0]) < HUGE_VAL:
            old[0] = <float>(old[0] + momentum * (batch[c] - old[0]))
        else:
            old[0] = <float>((1 - momentum) * old[0] + momentum * batch[c])


cdef class Running:
    cdef int read(self, running_mean, running_var, cnp.ndarray x, const Layout *at, bint written) except -1:
        if (running_mean is None) != (running_var is None):
            missing, there = ("running_var", "running_mean") if running_var is None else ("running_mean", "running_var")
            raise ValueError(f"{missing}: expected an array, as {there} is given, got None; give both or neither")
        self.present, self.keep = running_mean is not None, []
        if self.present:
            self.mean_array, self.var_array = running_mean, running_var
            self.mean = running_statistic(running_mean, "running_mean", x, at, written, self.keep)
            self.var = running_statistic(running_var, "running_var", x, at, written, self.keep)
            if written:
                check_disjoint(running_mean, "running_mean", ("running_var", running_var))
        return 0

    cdef int check_apart(self, tuple inputs) except -1:
        """Where they are written, they must not be the memory of an input."""
        check_disjoint(self.mean_array, "running_mean", inputs)
        return check_disjoint(self.var_array, "running_var", inputs)

    cdef int update_from_samples(self, Statistics stats, ptrdiff_t channels, ptrdiff_t samples, double count,
                                 cnp.ndarray tracked, double momentum, bint unbiased) except -1:
        """Take in the averages of the samples' means and variances, each of `count` values. stats is used up."""
        cdef const double *var
        if not self.present or not channels:
            return update(None, tracked, momentum, BLEND, 0, self.mean, NULL, self.var, NULL)
        var = average_samples(stats, channels, samples, count - 1 if unbiased else count)
        return update(self.mean_array, tracked, momentum, BLEND, channels, self.mean, &stats.mean[0], self.var, var)


cdef const double *average_samples(Statistics stats, ptrdiff_t channels, ptrdiff_t samples, double dof) noexcept:
    """Average mean and variance of each channel over samples. The means take the place of the first sample's means.

    Returns the variances. They take the place of the first sample's M2, as nothing reads those after this.
    """
    cdef double *average_var = &stats.m2[0]
    cdef ptrdiff_t c, n
    cdef double mean, var
    for c in range(channels):
        mean = var = 0
        for n in range(samples):
            mean += stats.mean[n * channels + c]
            var += stats.m2[n * channels + c] / dof
        stats.mean[c], average_var[c] = mean / samples, var / samples
    return average_var


cdef class Fixed:
    def __cinit__(self, Running kept, ptrdiff_t n, double eps):
        cdef normcy_rstd_options how
        cdef double *var
        if not kept.present:
            raise ValueError("running_mean, running_var: expected two arrays, as the input's own statistics are not "
                             "used, got None")
        if n > PY_SSIZE_T_MAX // <ptrdiff_t>(3 * sizeof(double)):
            raise MemoryError(f"normcy could not allocate scratch memory for {n} channels; nothing was written")
        self.mean = <double *>malloc(3 * max(n, <ptrdiff_t>1) * sizeof(double))     # arrays would cost a microsecond
        if self.mean == NULL:
            raise MemoryError("normcy could not allocate its scratch memory; nothing was written")
        self.rstd, var = self.mean + n, self.mean + 2 * n
        to_doubles(kept.mean, n, self.mean)
        to_doubles(kept.var, n, var)
        memset(&how, 0, sizeof(how))
        how.count, how.eps = 1, eps
        chosen().rstd(n, self.mean, var, &how, self.rstd)

    def __dealloc__(self):
        free(self.mean)

    cdef void point(self, Job *job):
        job.fixed_mean, job.fixed_rstd = self.mean, self.rstd
