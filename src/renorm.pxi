# Batch renormalization: the batch's statistics, corrected towards the running ones within clips.

cdef double at_least(value, str name, double least) except? -1:
    cdef double v = real(value, name)
    if not v >= least:
        raise ValueError(f"{name}: expected a number >= {least:g}, got {shown(value)}")
    return v


cdef inline void approach(float *kept, double pace, double batch) noexcept:
    """The paper's form of a running statistic's update, whose last digit is another than that of `move`."""
    if fabs(kept[0]) < HUGE_VAL:
        kept[0] = <float>(kept[0] + pace * (batch - kept[0]))
    else:
        move(kept, pace, batch)


def batch_renorm(x_given, running_mean, running_std, weight, bias, training, momentum, eps, r_max, d_max, layout,
                 activation, out, ptrdiff_t channels=-1, cnp.ndarray tracked=None):
    cdef Layout at
    cdef list keep
    cdef cnp.ndarray x
    cdef bint own
    cdef double small, pace, n
    cdef ptrdiff_t k
    cdef Job job
    cdef Channels stored_mean, stored_std
    cdef double[::1] mean, std
    cdef Statistics stats
    cdef tuple inputs
    cdef unsigned long mode = normcy_fp_enter()
    try:
        keep = []
        x = as_image(x_given, layout, &at, "x", (out,), channels)
        own = flag(training, "training")
        small = number(eps, "eps")
        pace = pace_of(momentum, tracked)
        n = <double>at.d.n * at.d.s
        job = make_job(BATCH, at.d, small, 0)
        check_batch(BATCH, x_given, at.d, own, small)
        check_count(tracked)
        stored_mean = running(running_mean, "running_mean", x_given, &at, own, keep)
        stored_std = running(running_std, "running_std", x_given, &at, own, keep)
        mean = np.zeros(at.d.c + 1)
        std = np.ones(at.d.c + 1)
        stats = Statistics(at.d.c if own else 0)
        inputs = ("weight", weight, "bias", bias)
        job.target.r_max, job.target.d_max = at_least(r_max, "r_max", 1), at_least(d_max, "d_max", 0)
        for k in range(at.d.c):
            mean[k], std[k] = of_channel(stored_mean, k)[0], of_channel(stored_std, k)[0]
            std[k] = std[k] if own else 1 / std[k]
        if own:
            no_overlap(running_mean, "running_mean", running_std, "running_std")
            apart_from(running_mean, "running_mean", ("x", x_given, *inputs))
            apart_from(running_std, "running_std", ("x", x_given, *inputs))
            stats.point(&job)
            job.target.how, job.target.mean, job.target.std = TO_RUNNING, &mean[0], &std[0]
        else:
            job.fixed_mean, job.fixed_rstd = &mean[0], &std[0]
        y = normalize(&job, x_given, x, parameter(weight, "weight", x_given, &at, keep),
                      parameter(bias, "bias", x_given, &at, keep), None, None, None, activation, out,
                      (*inputs, "running_mean", running_mean, "running_std", running_std))
        if own and cnp.PyArray_SIZE(x):
            with cython.critical_section(running_mean if tracked is None else tracked):
                pace = counted(tracked, pace)
                for k in range(at.d.c):
                    approach(of_channel(stored_mean, k), pace, stats.mean[k])
                    approach(of_channel(stored_std, k), pace, sqrt(stats.m2[k] / n + small))
        return y
    finally:
        normcy_fp_leave(mode)
