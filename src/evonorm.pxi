# EvoNorm: normalization and activation searched as one. B0 divides by the larger of two stds, S0 multiplies a swish.

cdef Strides gate_of(v, cnp.ndarray x, const Layout *at, list keep) except *:
    """v, (C,)."""
    cdef cnp.ndarray a = per_channel(v, "v", x, at)
    if not in_c_order(a):
        a = np.array(a, order="C", subok=False)
    keep.append(a)
    return a_channel(a)


cdef object only_affine(x_given, cnp.ndarray x, Layout *at, weight, bias, out, tuple others):
    """EvoNorm without v: no statistics and no activation."""
    cdef list keep = []
    cdef Job job = make_job(BATCH, at.d, 0, 0)
    cdef double[::1] zeros = np.zeros(at.d.c + 1), ones = np.ones(at.d.c + 1)
    job.fixed_mean, job.fixed_rstd = &zeros[0], &ones[0]
    return normalize(&job, x_given, x, parameter(weight, "weight", x_given, at, keep),
                     parameter(bias, "bias", x_given, at, keep), None, None, None, None, out, others)


def evonorm_s0(x_given, num_groups, weight, bias, v, eps, layout, out, ptrdiff_t channels=-1):
    cdef Layout at
    cdef list keep
    cdef cnp.ndarray x
    cdef tuple others
    cdef double small
    cdef Job job
    cdef unsigned long mode = normcy_fp_enter()
    try:
        keep = []
        x = as_image(x_given, layout, &at, "x", (out,), channels)
        others = ("weight", weight, "bias", bias, "v", v)
        small = number(eps, "eps")
        at.d.groups = groups_of(num_groups, x_given, &at)
        if v is None:
            return only_affine(x_given, x, &at, weight, bias, out, others)
        job = make_job(GROUP, at.d, small, 0)
        job.op, job.gate = NORMCY_SWISH, make_operand(gate_of(v, x_given, &at, keep), &job.plan)
        return normalize(&job, x_given, x, parameter(weight, "weight", x_given, &at, keep),
                         parameter(bias, "bias", x_given, &at, keep), None, None, None, None, out, others)
    finally:
        normcy_fp_leave(mode)


cdef double[::1] batch_variances(Statistics stats, Dims d):
    """Biased variances of the channels: every sample's statistics, merged in order."""
    cdef double[::1] mean = np.array(stats.mean[:d.c]), m2 = np.array(stats.m2[:d.c])
    cdef ptrdiff_t n, c
    for n in range(1, d.n):
        kernels.merge(d.c, <double>n * d.s, &mean[0], &m2[0], d.s, &stats.mean[n * d.c], &stats.m2[n * d.c])
    for c in range(d.c):
        m2[c] /= <double>d.n * d.s
    return m2


def evonorm_b0(x_given, running_var, weight, bias, v, training, momentum, eps, layout, out, ptrdiff_t channels=-1):
    cdef Layout at
    cdef list keep
    cdef cnp.ndarray x
    cdef tuple inputs, others
    cdef bint own
    cdef double small, pace, n
    cdef Channels stored
    cdef double[::1] var, std
    cdef Statistics stats
    cdef ptrdiff_t k
    cdef Job job
    cdef unsigned long mode = normcy_fp_enter()
    try:
        keep = []
        x = as_image(x_given, layout, &at, "x", (out,), channels)
        inputs = ("weight", weight, "bias", bias, "v", v)
        others = (*inputs, "running_var", running_var)
        own = flag(training, "training") and v is not None
        small = number(eps, "eps")
        pace = number(momentum, "momentum")
        stored = running(running_var, "running_var", x_given, &at, own, keep)
        std = np.zeros(at.d.c + 1)
        if v is None:
            return only_affine(x_given, x, &at, weight, bias, out, others)
        check_batch(BATCH, x_given, at.d, own, small)
        job = make_job(INSTANCE, at.d, small, 0)
        job.op, job.gate = NORMCY_RATIO, make_operand(gate_of(v, x_given, &at, keep), &job.plan)
        job.batch_std = &std[0]
        if not own:
            for k in range(at.d.c):
                std[k] = sqrt(of_channel(stored, k)[0] + small)
        elif cnp.PyArray_SIZE(x):
            apart_from(running_var, "running_var", ("x", x_given, *inputs))
            stats = measured(INSTANCE, x, at.d)
            var = batch_variances(stats, at.d)
            for k in range(at.d.c):
                std[k] = sqrt(var[k] + small)
            for k in range(job.plan.slots):
                stats.rstd[k] = 1 / sqrt(stats.m2[k] / at.d.s + small)
            job.fixed_mean, job.fixed_rstd = &stats.mean[0], &stats.rstd[0]
        y = normalize(&job, x_given, x, parameter(weight, "weight", x_given, &at, keep),
                      parameter(bias, "bias", x_given, &at, keep), None, None, None, None, out, others)
        if own and cnp.PyArray_SIZE(x):
            n = <double>at.d.n * at.d.s
            with cython.critical_section(running_var):      # threads that train one layer take turns
                for k in range(at.d.c):
                    move(of_channel(stored, k), pace, var[k] * n / (n - 1))
        return y
    finally:
        normcy_fp_leave(mode)
