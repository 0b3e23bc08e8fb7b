cimport numpy as cnp
from cpython.object cimport PyObject

from normcy._engine.floating_point cimport normcy_fp_enter, normcy_fp_leave
from normcy._engine.job cimport Job
from normcy._engine.plan cimport BATCH, INSTANCE, Dims, Method
from normcy._engine.run cimport init_job
from normcy._native.arrays cimport Layout
from normcy._native.call cimport Call, add_options, describe_call, image_of, normalize_image
from normcy._native.options cimport flag, number
from normcy._native.running cimport Fixed, Running, check_count, momentum_of
from normcy._native.statistics cimport Statistics

import numpy as np

cnp.import_array()


cdef struct Tracking:       # what becomes of the statistics of a batch or an instance norm
    PyObject *running_mean
    PyObject *running_var
    PyObject *tracked       # num_batches_tracked of the layer that calls, or None
    bint own                # normalize with the input's own statistics
    bint unbiased
    double momentum         # NaN: 1 / num_batches_tracked


cdef Tracking tracking_of(running_mean, running_var, own, str name, momentum, unbiased, tracked) except *:
    cdef Tracking t
    t.running_mean, t.running_var, t.tracked = <PyObject *>running_mean, <PyObject *>running_var, <PyObject *>tracked
    t.own, t.unbiased = flag(own, name), flag(unbiased, "unbiased_running_var")
    t.momentum = momentum_of(momentum, tracked)
    return t


cdef object normalize_batch(Method method, const Call *call, const Tracking *tracking, double eps):
    """BatchNorm and InstanceNorm: their own statistics (kept in running_*), or the running ones."""
    cdef Layout at
    cdef bint own = tracking.own, batch = method == BATCH
    cdef cnp.ndarray x = image_of(call, &at)
    cdef Statistics stats = None
    cdef tuple more = None
    cdef Fixed fixed
    cdef Running kept = Running()       # running_mean and running_var
    cdef Job job
    init_job(&job, method if own else BATCH, &at.d, eps, call.weight_offset)
    check_batch(method, <object>call.x, at.d, own, eps)
    running_mean, running_var = <object>tracking.running_mean, <object>tracking.running_var
    tracked = <object>tracking.tracked
    kept.read(running_mean, running_var, <cnp.ndarray>call.x, &at, own)
    if tracked is not None:
        check_count(tracked, ("x", <object>call.x, "out", <object>call.out, "sum_out", <object>call.sum_out,
                              "running_mean", running_mean, "running_var", running_var))
    job.rstd_options.zero_guard = True
    if not own:
        fixed = Fixed(kept, at.d.c, eps)
        fixed.point(&job)
    elif kept.present or call.return_stats:
        stats = Statistics(job.plan.slots)
        stats.point(&job)
    if call.return_stats and stats is None:
        more = (np.empty(0, np.float32), np.empty(0, np.float32))
    elif call.return_stats:
        more = stats.outputs([at.d.c] if batch else [at.d.n, at.d.c])
    if own and kept.present:
        kept.check_apart(("x", <object>call.x, "weight", <object>call.weight, "bias", <object>call.bias,
                          "pre_add", <object>call.pre_add, "post_add", <object>call.post_add))
    result = normalize_image(&job, call, x, &at, ("running_mean", running_mean, "running_var", running_var), more)
    if call.return_stats and stats is not None:
        stats.fill_outputs()
    if own and cnp.PyArray_SIZE(x) and (kept.present or tracked is not None):
        kept.update_from_samples(stats, at.d.c, 1 if batch else at.d.n, job.plan.count, tracked, tracking.momentum,
                                 tracking.unbiased)
    return result


cdef int check_batch(Method method, x, Dims d, bint own, double eps) except -1:
    if own and d.c and d.s * (d.n if method == BATCH else 1) == 1:
        raise ValueError(f"x: expected more than one value a channel{'' if method == BATCH else ' and sample'} "
                         f"to take statistics of, got shape {x.shape}")
    if own and method == BATCH and eps <= 0:
        raise ValueError(f"eps: expected a positive number in training, got {eps}")
    if not own and eps < 0:
        raise ValueError(f"eps: expected a number >= 0, got {eps}")
    return 0


def batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps, layout, weight_offset, pre_add,
               sum_out, post_add, activation, out, return_stats, unbiased_running_var, ptrdiff_t channels=-1,
               tracked=None):
    cdef Call call
    cdef Tracking tracking
    cdef unsigned long mode = normcy_fp_enter()
    try:
        describe_call(&call, x, "x", weight, bias, layout, activation, out)
        add_options(&call, weight_offset, pre_add, sum_out, post_add, return_stats)
        call.channels = channels
        tracking = tracking_of(running_mean, running_var, training, "training", momentum, unbiased_running_var, tracked)
        return normalize_batch(BATCH, &call, &tracking, number(eps, "eps"))
    finally:
        normcy_fp_leave(mode)


def instance_norm(x, running_mean, running_var, weight, bias, use_input_stats, momentum, eps, layout, weight_offset,
                  pre_add, sum_out, post_add, activation, out, return_stats, unbiased_running_var,
                  ptrdiff_t channels=-1, tracked=None):
    cdef Call call
    cdef Tracking tracking
    cdef unsigned long mode = normcy_fp_enter()
    try:
        describe_call(&call, x, "x", weight, bias, layout, activation, out)
        add_options(&call, weight_offset, pre_add, sum_out, post_add, return_stats)
        call.channels = channels
        tracking = tracking_of(running_mean, running_var, use_input_stats, "use_input_stats", momentum,
                               unbiased_running_var, tracked)
        return normalize_batch(INSTANCE, &call, &tracking, number(eps, "eps"))
    finally:
        normcy_fp_leave(mode)
