# Statistics that enter or leave a call: of its slots, and the running ones of batch and instance norm.

cdef class Statistics:
    """Statistics of every slot in float64, as the drivers leave them."""
    cdef double[::1] mean, m2, rstd
    cdef cnp.ndarray mean_out, rstd_out

    def __cinit__(self, ptrdiff_t slots):
        self.mean, self.m2, self.rstd = np.zeros(slots), np.zeros(slots), np.full(slots, NAN)

    cdef void point(self, Job *job):
        if self.mean.shape[0]:
            job.mean, job.m2, job.rstd = &self.mean[0], &self.m2[0], &self.rstd[0]

    cdef tuple outputs(self, shape):
        """Arrays for mean and rstd in float32, shaped as PyTorch's native functions shape them; see `hand_out`."""
        self.mean_out, self.rstd_out = np.empty(shape, np.float32), np.empty(shape, np.float32)
        return self.mean_out, self.rstd_out

    cdef void hand_out(self) noexcept:
        """Fill them, which cannot fail: y has been written by now."""
        cdef float *mean = <float *>cnp.PyArray_DATA(self.mean_out)
        cdef float *rstd = <float *>cnp.PyArray_DATA(self.rstd_out)
        cdef ptrdiff_t k
        for k in range(self.mean.shape[0]):
            mean[k], rstd[k] = <float>self.mean[k], <float>self.rstd[k]


cdef void refresh(Running running, Statistics stats, ptrdiff_t channels, ptrdiff_t samples, double count,
                  double momentum, bint unbiased) noexcept:
    """running = (1 - momentum) * running + momentum * batch; several samples' statistics are averaged first."""
    cdef ptrdiff_t c, n
    cdef float *kept_mean
    cdef float *kept_var
    cdef double mean, var, dof = count - 1 if unbiased else count
    for c in range(channels):
        mean = var = 0
        for n in range(samples):
            mean += stats.mean[n * channels + c]
            var += stats.m2[n * channels + c] / dof
        kept_mean, kept_var = of_channel(running.mean, c), of_channel(running.var, c)
        kept_mean[0] = <float>((1 - momentum) * kept_mean[0] + momentum * (mean / samples))
        kept_var[0] = <float>((1 - momentum) * kept_var[0] + momentum * (var / samples))


cdef class Running:
    """running_mean and running_var of a call, checked as a pair."""
    cdef bint present
    cdef Channels mean, var
    cdef object mean_array, var_array
    cdef list keep

    def __cinit__(self, running_mean, running_var, ptrdiff_t channels, bint written):
        if (running_mean is None) != (running_var is None):
            missing, there = ("running_var", "running_mean") if running_var is None else ("running_mean", "running_var")
            raise ValueError(f"{missing}: expected an array, as {there} is given, got None; give both or neither")
        self.present, self.keep = running_mean is not None, []
        if self.present:
            self.mean_array, self.var_array = running_mean, running_var
            self.mean = running(running_mean, "running_mean", channels, written, self.keep)
            self.var = running(running_var, "running_var", channels, written, self.keep)
            if written:
                no_overlap(running_mean, "running_mean", running_var, "running_var")

    cdef int apart(self, tuple inputs) except -1:
        """Where they are written, they must not be the memory of an input."""
        for name, mine in (("running_mean", self.mean_array), ("running_var", self.var_array)):
            for other_name, other in inputs:
                no_overlap(mine, name, other, other_name)
        return 0


cdef class Given:
    """Running statistics as the apply pass wants them: mean and 1 / sqrt(var + eps) in float64."""
    cdef double *mean
    cdef double *rstd

    def __cinit__(self, Running running, ptrdiff_t n, double eps):
        cdef ptrdiff_t c
        cdef normcy_spread how
        cdef double *var
        if not running.present:
            raise ValueError("running_mean, running_var: expected two arrays, as the input's own statistics are not "
                             "used, got None")
        self.mean = <double *>malloc(3 * max(n, <ptrdiff_t>1) * sizeof(double))     # arrays would cost a microsecond
        if self.mean == NULL:
            raise MemoryError("normcy could not allocate its scratch memory; nothing was written")
        self.rstd, var = self.mean + n, self.mean + 2 * n
        for c in range(n):
            self.mean[c], var[c] = of_channel(running.mean, c)[0], of_channel(running.var, c)[0]
        memset(&how, 0, sizeof(how))
        how.count, how.eps = 1, eps
        kernels.spread(n, self.mean, var, &how, self.rstd)

    def __dealloc__(self):
        free(self.mean)

    cdef void point(self, Job *job):
        job.given_mean, job.given_rstd = self.mean, self.rstd
