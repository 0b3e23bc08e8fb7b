"""EvoNorm: a normalization and an activation in one. B0 divides by the larger of two stds, S0 multiplies a swish."""
cimport numpy as cnp
from libc.math cimport sqrt

from normcy._engine.floating_point cimport normcy_fp_enter, normcy_fp_leave
from normcy._engine.job cimport Job
from normcy._engine.kernels cimport NORMCY_HUGE, NORMCY_RATIO, NORMCY_SWISH
from normcy._engine.plan cimport BATCH, GROUP, INSTANCE, Strides, make_operand
from normcy._engine.run cimport init_job
from normcy._native.arrays cimport Layout, channel_strides, check_disjoint, in_order, per_channel
from normcy._native.batch cimport check_batch
from normcy._native.call cimport Call, describe_call, image_of, measured, normalize_image
from normcy._native.group cimport check_groups
from normcy._native.options cimport flag, integer, number
from normcy._native.running cimport BLEND, Channels, channel, running_statistic, update

import numpy as np

cnp.import_array()


cdef double LEAST_EPS = 2. ** -200      # whose root is within float32's comfortable range


cdef Strides gate_of(v, cnp.ndarray x, const Layout *at, list keep) except *:
    """v, (C,)."""
    return channel_strides(in_order(per_channel(v, "v", x, at), keep))


cdef object only_affine(const Call *call, cnp.ndarray x, const Layout *at, tuple named_arrays):
    """EvoNorm without v: no statistics and no activation."""
    cdef Job job
    init_job(&job, BATCH, &at.d, 0, 0)
    cdef double[::1] zeros = np.zeros(at.d.c + 1), ones = np.ones(at.d.c + 1)
    job.fixed_mean, job.fixed_rstd = &zeros[0], &ones[0]
    return normalize_image(&job, call, x, at, named_arrays)


def evonorm_s0(x, num_groups, weight, bias, v, eps, layout, out, ptrdiff_t channels=-1):
    cdef Call call
    cdef Layout at
    cdef list keep = []
    cdef cnp.ndarray image
    cdef ptrdiff_t groups
    cdef double small_eps
    cdef Job job
    cdef unsigned long mode = normcy_fp_enter()
    try:
        describe_call(&call, x, "x", weight, bias, layout, None, out)
        call.channels = channels
        groups, small_eps = integer(num_groups, "num_groups"), number(eps, "eps")
        image = image_of(&call, &at)
        check_groups(groups, x, &at)
        at.d.groups = groups
        if v is None:
            return only_affine(&call, image, &at, ())
        init_job(&job, GROUP, &at.d, small_eps, 0)
        job.op, job.gate = NORMCY_SWISH, make_operand(gate_of(v, x, &at, keep), &job.plan)
        return normalize_image(&job, &call, image, &at, ("v", v))
    finally:
        normcy_fp_leave(mode)


cdef bint is_huge(const Job *job, const float *p, const Layout *at) noexcept:
    """Whether the product of two such values may be beyond float32."""
    cdef ptrdiff_t n
    for n in range(at.d.n):
        if job.k.weight_range(p + n * at.d.sample, at.d.c, 0) & NORMCY_HUGE:
            return True
    return False


cdef bint is_one_batch(const Job *job, cnp.ndarray x, const Layout *at) noexcept:
    """Whether all instances can be normalized together: those of one value have no variance.

    Only values whose product with v may be beyond float32 need a scale of their own. It pays from a few samples on,
    which share the coefficients of a channel.
    """
    return (at.d.s == 1 and at.d.n >= 4 and job.rstd_options.eps >= LEAST_EPS
            and not is_huge(job, <float *>cnp.PyArray_DATA(x), at)
            and not job.k.weight_range(job.gate.p, at.d.c, 0) & NORMCY_HUGE)


cdef double[:, ::1] join_instances(Job *job, const Layout *at):
    """The job for one batch, each of whose channels has the std of an instance without variance, and a mean of 0."""
    cdef double[:, ::1] stats = np.zeros((2, at.d.c + 1))
    cdef Job joined
    stats[1, :] = 1 / sqrt(job.rstd_options.eps)
    init_job(&joined, BATCH, &at.d, 0, 0)
    joined.op, joined.batch_std = job.op, job.batch_std
    joined.gate = make_operand(Strides(job.gate.p, 0, 1, 0, at.d.c), &joined.plan)
    joined.fixed_mean, joined.fixed_rstd = &stats[0, 0], &stats[1, 0]
    job[0] = joined
    return stats


cdef int update_running_var(double[::1] var, double count, double momentum, running_var, Channels kept) except -1:
    """Blend a batch's variances, of `count` values a channel, into the running ones; unbiased, in place of biased."""
    cdef Channels absent = [NULL, 0]
    cdef ptrdiff_t c
    for c in range(var.shape[0]):
        var[c] = var[c] * count / (count - 1)
    return update(running_var, None, momentum, BLEND, var.shape[0], kept, &var[0], absent, NULL)


def evonorm_b0(x, running_var, weight, bias, v, training, momentum, eps, layout, out, ptrdiff_t channels=-1):
    cdef Call call
    cdef Layout at
    cdef list keep = []
    cdef cnp.ndarray image
    cdef bint own
    cdef double small_eps, rate
    cdef Channels stored
    cdef double[::1] var, std
    cdef double[:, ::1] _fixed      # kept for as long as the job reads it
    cdef ptrdiff_t k
    cdef Job job
    cdef unsigned long mode = normcy_fp_enter()
    try:
        describe_call(&call, x, "x", weight, bias, layout, None, out)
        call.channels = channels
        own = flag(training, "training") and v is not None
        small_eps, rate = number(eps, "eps"), number(momentum, "momentum")
        image = image_of(&call, &at)
        stored = running_statistic(running_var, "running_var", x, &at, own, keep)
        if v is None:
            return only_affine(&call, image, &at, ("running_var", running_var))
        check_batch(BATCH, x, at.d, own, small_eps)
        std, var = np.zeros(at.d.c + 1), np.zeros(at.d.c)
        init_job(&job, INSTANCE, &at.d, small_eps, 0)
        job.op, job.gate = NORMCY_RATIO, make_operand(gate_of(v, x, &at, keep), &job.plan)
        job.batch_std = &std[0]
        if not own:
            for k in range(at.d.c):
                std[k] = sqrt(channel(stored, k)[0] + small_eps)
        elif cnp.PyArray_SIZE(image):
            check_disjoint(running_var, "running_var", ("x", x, "weight", weight, "bias", bias, "v", v))
            var[:] = measured(BATCH, image, at.d).m2
            for k in range(at.d.c):
                var[k] /= <double>at.d.n * at.d.s
                std[k] = sqrt(var[k] + small_eps)
        if is_one_batch(&job, image, &at):
            _fixed = join_instances(&job, &at)
        y = normalize_image(&job, &call, image, &at, ("v", v, "running_var", running_var))
        if own and cnp.PyArray_SIZE(image):
            update_running_var(var, <double>at.d.n * at.d.s, rate, running_var, stored)
        return y
    finally:
        normcy_fp_leave(mode)
