"""Batch renormalization: the batch's statistics, corrected towards the running ones within clips."""
cimport cython
cimport numpy as cnp
from libc.math cimport sqrt

from normcy._engine.floating_point cimport normcy_fp_enter, normcy_fp_leave
from normcy._engine.job cimport TO_RUNNING, Job
from normcy._engine.plan cimport BATCH
from normcy._engine.run cimport init_job
from normcy._native.arrays cimport Layout, check_disjoint
from normcy._native.batch cimport check_batch
from normcy._native.call cimport Call, describe_call, image_of, normalize_image
from normcy._native.options cimport flag, number, real, shown
from normcy._native.running cimport (
    STEP, Channels, channel, check_count, count_batch, momentum_of, running, update,
)
from normcy._native.statistics cimport Statistics

import numpy as np

cnp.import_array()


cdef double at_least(value, str name, double least) except? -1:
    cdef double v = real(value, name)
    if not v >= least:
        raise ValueError(f"{name}: expected a number >= {least:g}, got {shown(value)}")
    return v


def batch_renorm(x, running_mean, running_std, weight, bias, training, momentum, eps, r_max, d_max, layout, activation,
                 out, ptrdiff_t channels=-1, cnp.ndarray tracked=None):
    cdef Call call
    cdef Layout at
    cdef list keep = []
    cdef cnp.ndarray image
    cdef bint own
    cdef double small_eps, rate, most_r, most_d, n
    cdef ptrdiff_t k
    cdef Job job
    cdef Channels stored_mean, stored_std
    cdef double[::1] mean, std
    cdef Statistics stats
    cdef unsigned long mode = normcy_fp_enter()
    try:
        describe_call(&call, x, "x", weight, bias, layout, activation, out)
        call.channels = channels
        own = flag(training, "training")
        small_eps, rate = number(eps, "eps"), momentum_of(momentum, tracked)
        most_r, most_d = at_least(r_max, "r_max", 1), at_least(d_max, "d_max", 0)
        image = image_of(&call, &at)
        n = <double>at.d.n * at.d.s
        init_job(&job, BATCH, &at.d, small_eps, 0)
        check_batch(BATCH, x, at.d, own, small_eps)
        check_count(tracked)
        stored_mean = running(running_mean, "running_mean", x, &at, own, keep)
        stored_std = running(running_std, "running_std", x, &at, own, keep)
        mean, std = np.zeros(at.d.c + 1), np.ones(at.d.c + 1)
        stats = Statistics(at.d.c if own else 0)
        job.transform.r_max, job.transform.d_max = most_r, most_d
        for k in range(at.d.c):
            mean[k], std[k] = channel(stored_mean, k)[0], channel(stored_std, k)[0]
            std[k] = std[k] if own else 1 / std[k]
        if own:
            check_disjoint(running_mean, "running_mean",
                       ("running_std", running_std, "x", x, "weight", weight, "bias", bias))
            check_disjoint(running_std, "running_std", ("x", x, "weight", weight, "bias", bias))
            stats.point(&job)
            job.transform.kind, job.transform.mean, job.transform.std = TO_RUNNING, &mean[0], &std[0]
        else:
            job.fixed_mean, job.fixed_rstd = &mean[0], &std[0]
        y = normalize_image(&job, &call, image, &at,
                            ("running_mean", running_mean, "running_std", running_std))
        if own and cnp.PyArray_SIZE(image):
            for k in range(at.d.c):
                stats.m2[k] = sqrt(stats.m2[k] / n + small_eps)
            with cython.critical_section(running_mean if tracked is None else tracked):
                rate = count_batch(tracked, rate)
                update(stored_mean, at.d.c, rate, &stats.mean[0], STEP)
                update(stored_std, at.d.c, rate, &stats.m2[0], STEP)
        return y
    finally:
        normcy_fp_leave(mode)
