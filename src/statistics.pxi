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


cdef int check_count(cnp.ndarray tracked) except -1:
    """That num_batches_tracked, of shape (), can count one more; None counts nothing."""
    if tracked is not None and not 0 <= (<long long *>cnp.PyArray_DATA(tracked))[0] < LLONG_MAX:
        raise ValueError(f"num_batches_tracked: expected a count from 0 to {LLONG_MAX - 1}, got {tracked}")
    return 0


cdef double pace_of(momentum, tracked) except? -1:
    """The weight of a new batch; NaN where it is 1 / num_batches_tracked, of a layer whose momentum is None."""
    return NAN if momentum is None and tracked is not None else number(momentum, "momentum")


cdef double counted(cnp.ndarray tracked, double pace) noexcept:
    """Count a batch; returns its weight."""
    cdef long long *count
    if tracked is None:
        return pace
    count = <long long *>cnp.PyArray_DATA(tracked)
    if count[0] < LLONG_MAX:     # other threads may have counted since it was checked
        count[0] += 1
    return pace if pace == pace else 1 / <double>count[0]


cdef inline void move(float *kept, double pace, double batch) noexcept:
    kept[0] = <float>((1 - pace) * kept[0] + pace * batch)


cdef int refresh(Running running, Statistics stats, ptrdiff_t channels, ptrdiff_t samples, double count,
                 cnp.ndarray tracked, double momentum, bint unbiased) except -1:
    """running = (1 - momentum) * running + momentum * batch; several samples' statistics are averaged first.

    Threads that train one layer do this one after the other, each with a number of its own.
    """
    cdef ptrdiff_t c, n
    cdef double mean, var, pace, dof = count - 1 if unbiased else count
    with cython.critical_section(running.mean_array if tracked is None else tracked):
        pace = counted(tracked, momentum)
        for c in range(channels if running.present else 0):
            mean = var = 0
            for n in range(samples):
                mean += stats.mean[n * channels + c]
                var += stats.m2[n * channels + c] / dof
            move(of_channel(running.mean, c), pace, mean / samples)
            move(of_channel(running.var, c), pace, var / samples)
    return 0


cdef class Running:
    """running_mean and running_var of a call, checked as a pair."""
    cdef bint present
    cdef Channels mean, var
    cdef object mean_array, var_array
    cdef list keep

    cdef int read(self, running_mean, running_var, cnp.ndarray x, const Layout *at, bint written) except -1:
        if (running_mean is None) != (running_var is None):
            missing, there = ("running_var", "running_mean") if running_var is None else ("running_mean", "running_var")
            raise ValueError(f"{missing}: expected an array, as {there} is given, got None; give both or neither")
        self.present, self.keep = running_mean is not None, []
        if self.present:
            self.mean_array, self.var_array = running_mean, running_var
            self.mean = running(running_mean, "running_mean", x, at, written, self.keep)
            self.var = running(running_var, "running_var", x, at, written, self.keep)
            if written:
                no_overlap(running_mean, "running_mean", running_var, "running_var")
        return 0

    cdef int apart(self, tuple inputs) except -1:
        """Where they are written, they must not be the memory of an input."""
        apart_from(self.mean_array, "running_mean", inputs)
        return apart_from(self.var_array, "running_var", inputs)


cdef class Fixed:
    """Running statistics as the apply pass wants them: mean and 1 / sqrt(var + eps) in float64."""
    cdef double *mean
    cdef double *rstd

    def __cinit__(self, Running running, ptrdiff_t n, double eps):
        cdef ptrdiff_t c
        cdef normcy_rstd_options how
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
        kernels.rstd(n, self.mean, var, &how, self.rstd)

    def __dealloc__(self):
        free(self.mean)

    cdef void point(self, Job *job):
        job.fixed_mean, job.fixed_rstd = self.mean, self.rstd
