"""Batch renormalization: the batch's statistics, corrected towards the running ones within clips."""
cimport numpy as cnp
from libc.math cimport sqrt

from normcy._engine.floating_point cimport normcy_fp_enter, normcy_fp_leave
from normcy._engine.job cimport TO_RUNNING, Job, StatsTransform
from normcy._engine.plan cimport BATCH
from normcy._engine.run cimport init_job
from normcy._native.arrays cimport Layout, check_disjoint
from normcy._native.batch cimport check_batch
from normcy._native.call cimport Call, describe_call, image_of, normalize_image
from normcy._native.options cimport flag, number, real, shown
from normcy._native.running cimport STEP, Channels, check_count, momentum_of, running_statistic, to_doubles, update
from normcy._native.statistics cimport Statistics

import numpy as np

cnp.import_array()


cdef double at_least(value, str name, double least) except? -1:
    cdef double v = real(value, name)
    if not v >= least:
        raise ValueError(f"{name}: expected a number >= {least:g}, got {shown(value)}")
    return v


cdef double[:, ::1] as_doubles(Channels mean, Channels std, ptrdiff_t channels):
    """Both in float64. There is one channel more, so that there is always a first one to point to."""
    cdef double[:, ::1] both = np.empty((2, channels + 1))
    to_doubles(mean, channels, &both[0, 0])
    to_doubles(std, channels, &both[1, 0])
    both[0, channels] = both[1, channels] = 1
    return both


cdef void fix_statistics(Job *job, double[:, ::1] kept) noexcept:
    """Normalize with the running statistics."""
    cdef double *rstd = &kept[1, 0]
    cdef ptrdiff_t c
    for c in range(kept.shape[1]):
        rstd[c] = 1 / rstd[c]
    job.fixed_mean, job.fixed_rstd = &kept[0, 0], rstd


cdef int update_mean_and_std(Statistics stats, double count, double eps, owner, cnp.ndarray tracked, double momentum,
                             Channels mean, Channels std) except -1:
    """Step the running mean and std towards those of the batch, of `count` values a channel."""
    cdef ptrdiff_t c, channels = stats.m2.shape[0]
    cdef double *batch_std = &stats.m2[0]       # in place of M2, which nothing reads after this
    for c in range(channels):
        batch_std[c] = sqrt(stats.m2[c] / count + eps)
    return update(owner, tracked, momentum, STEP, channels, mean, &stats.mean[0], std, batch_std)


def batch_renorm(x, running_mean, running_std, weight, bias, training, momentum, eps, r_max, d_max, layout, activation,
                 out, ptrdiff_t channels=-1, cnp.ndarray tracked=None):
    cdef Call call
    cdef Layout at
    cdef list keep = []
    cdef cnp.ndarray image
    cdef bint own
    cdef double small_eps, rate
    cdef Job job
    cdef StatsTransform towards
    cdef Channels mean, std
    cdef double[:, ::1] kept
    cdef Statistics stats
    cdef unsigned long mode = normcy_fp_enter()
    try:
        describe_call(&call, x, "x", weight, bias, layout, activation, out)
        call.channels = channels
        own = flag(training, "training")
        small_eps, rate = number(eps, "eps"), momentum_of(momentum, tracked)
        towards.r_max, towards.d_max = at_least(r_max, "r_max", 1), at_least(d_max, "d_max", 0)
        image = image_of(&call, &at)
        init_job(&job, BATCH, &at.d, small_eps, 0)
        check_batch(BATCH, x, at.d, own, small_eps)
        if tracked is not None:
            check_count(tracked, ("x", x, "out", out, "running_mean", running_mean, "running_std", running_std))
        mean = running_statistic(running_mean, "running_mean", x, &at, own, keep)
        std = running_statistic(running_std, "running_std", x, &at, own, keep)
        kept = as_doubles(mean, std, at.d.c)
        if own:
            check_disjoint(running_mean, "running_mean",
                           ("running_std", running_std, "x", x, "weight", weight, "bias", bias))
            check_disjoint(running_std, "running_std", ("x", x, "weight", weight, "bias", bias))
            stats = Statistics(at.d.c)
            stats.point(&job)
            towards.kind, towards.mean, towards.std = TO_RUNNING, &kept[0, 0], &kept[1, 0]
            job.transform = towards
        else:
            fix_statistics(&job, kept)
        y = normalize_image(&job, &call, image, &at, ("running_mean", running_mean, "running_std", running_std))
        if own and cnp.PyArray_SIZE(image):
            update_mean_and_std(stats, job.plan.count, small_eps, running_mean, tracked, rate, mean, std)
        return y
    finally:
        normcy_fp_leave(mode)
