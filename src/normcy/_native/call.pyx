cimport numpy as cnp
from cpython.object cimport PyObject

from normcy._engine.job cimport Job
from normcy._engine.kernels cimport NORMCY_ABOUT_ZERO
from normcy._engine.plan cimport Dims, Method, Plan, Strides, can_turn, fit_plan, turns
from normcy._engine.run cimport init_job, job_pays_for_threads, run_job
from normcy._engine.view cimport Extent
from normcy._engine.weights cimport have_offset_added_first, set_weights
from normcy._native.arrays cimport (
    Layout, check_disjoint, as_image, operand_like, copy_to_output, check_misses, overlapping, parameter, target,
)
from normcy._native.options cimport activation_of, flag, is_channels_last, narrow
from normcy._native.outputs cimport stand_in
from normcy._native.runner cimport own_runner
from normcy._native.threads cimport threads_now
from normcy._native.statistics cimport Statistics
from normcy._native.views cimport extent

import numpy as np

cnp.import_array()


cdef int describe_call(Call *call, x, str name, weight, bias, layout, activation, out) except -1:
    """A call with the rarer options at their defaults."""
    call.x, call.name, call.weight, call.bias = <PyObject *>x, <PyObject *>name, <PyObject *>weight, <PyObject *>bias
    call.out = <PyObject *>out
    call.last = is_channels_last(layout)    # methods without one pass "NCHW"
    call.pre_add = call.sum_out = call.post_add = <PyObject *>None
    call.activation = activation_of(activation)
    call.weight_offset, call.return_stats, call.channels = 0, False, -1
    return 0


cdef int add_options(Call *call, weight_offset, pre_add, sum_out, post_add, return_stats) except -1:
    """What those methods take that are parts of a network's blocks."""
    call.pre_add, call.sum_out, call.post_add = <PyObject *>pre_add, <PyObject *>sum_out, <PyObject *>post_add
    call.weight_offset = narrow(weight_offset, "weight_offset")
    call.return_stats = flag(return_stats, "return_stats")
    if sum_out is not None and pre_add is None:
        raise ValueError("sum_out: expected None, as pre_add is not given; there is no sum to store")
    return 0


cdef cnp.ndarray image_of(const Call *call, Layout *at):
    """x as the kernels read it, and how it lies in memory."""
    return as_image(<object>call.x, call.last, at, <str>call.name,
                    (<object>call.out, <object>call.pre_add, <object>call.sum_out, <object>call.post_add),
                    call.channels)


cdef int run(Job *job, ptrdiff_t size) except -1:
    """Run a job over arrays of `size` floats."""
    if run_job(job, size, threads_now() if job_pays_for_threads(job, size) else 1, own_runner()):
        raise MemoryError("normcy could not allocate its scratch memory; nothing was written")
    return 0


cdef Statistics measured(Method method, cnp.ndarray x, Dims d):
    """Mean and M2 of every slot of x."""
    cdef Job job
    cdef Strides none = Strides(NULL, 0, 0, 0, 0)
    init_job(&job, method, &d, 0, 0)
    fit_plan(&job.plan, False, &none, &none)
    cdef Statistics stats = Statistics(job.plan.slots)
    stats.point(&job)
    job.x = <const float *>cnp.PyArray_DATA(x)
    run(&job, cnp.PyArray_SIZE(x))
    return stats


cdef Strides written_out(Strides v, const Plan *p, list keep):
    """A weight or bias as an array of x's shape, (N, C, S)."""
    cdef float[:, :, ::1] whole
    cdef ptrdiff_t n, c, s
    if v.p == NULL:
        return v
    whole = np.empty((p.segs, p.slots, p.length), np.float32)
    for n in range(p.segs):
        for c in range(p.slots):
            for s in range(p.length):
                whole[n, c, s] = v.p[n * v.n + c * v.c + s * v.s]
    keep.append(whole)
    return Strides(&whole[0, 0, 0], p.slots * p.length, p.length, 1, p.segs * p.slots * p.length)


cdef cnp.ndarray room_for_weights(const Job *job, Strides weight):
    """The memory that set_weights needs, which has to live until the job has run; None: none."""
    return np.empty(weight.size, np.float32) if have_offset_added_first(job, weight) else None


cdef object normalize(Job *job, const Call *call, cnp.ndarray x, Strides weight, Strides bias, tuple named_arrays,
                      tuple more=None):
    """Fill in what the job reads and writes, run it, and hand back y, or (y, *more).

    x is what the kernels read: call.x or a copy of it. The outputs must miss the weights, and `named_arrays`: (name,
    array, ...). What takes memory comes first: nothing fails after the first write.
    """
    cdef cnp.ndarray y, pre_add = None, post_add = None     # as the kernels walk them
    cdef cnp.ndarray new_weight         # it only holds memory that the job reads
    cdef bint x_is_copy = x is not <object>call.x
    cdef list keep = []
    out = <object>call.out
    if <object>call.pre_add is not None:
        pre_add = operand_like(<object>call.pre_add, "pre_add", <cnp.ndarray>call.x, x)
    if <object>call.post_add is not None:
        post_add = operand_like(<object>call.post_add, "post_add", <cnp.ndarray>call.x, x)
        job.epilogue.add = <const float *>cnp.PyArray_DATA(post_add)
    if turns(&job.plan) and not can_turn(&job.plan, &weight, &bias) and cnp.PyArray_SIZE(x):
        weight, bias = written_out(weight, &job.plan, keep), written_out(bias, &job.plan, keep)
    if job.gate.p == NULL:
        fit_plan(&job.plan, job.fixed_mean != NULL, &weight, &bias)
    new_weight = room_for_weights(job, weight)
    set_weights(job, weight, bias, <float *>cnp.PyArray_DATA(new_weight) if new_weight is not None else NULL)
    job.epilogue.activation = call.activation
    y = target(out, "out", <cnp.ndarray>call.x, <str>call.name, x, <object>call.pre_add, <object>call.post_add,
               x_is_copy)
    if out is not None:
        check_disjoint_from_inputs(out, "out", call, named_arrays)
    job.x, job.y = <const float *>cnp.PyArray_DATA(x), <float *>cnp.PyArray_DATA(y)
    result = y if out is None else out
    if more is not None:
        result = (result, *more)
    if pre_add is None:
        run(job, cnp.PyArray_SIZE(x))
    else:
        run_with_sum(job, call, x, pre_add, post_add, y, named_arrays)
    copy_to_output(y, out)
    return result


cdef int check_disjoint_from_inputs(cnp.ndarray out, str name, const Call *call, tuple named_arrays) except -1:
    cdef Extent own = extent(out)
    check_misses(&own, name, <object>call.weight, "weight")
    check_misses(&own, name, <object>call.bias, "bias")
    return check_disjoint(out, name, named_arrays) if named_arrays else 0


cdef int run_with_sum(Job *job, const Call *call, cnp.ndarray x, cnp.ndarray pre_add, cnp.ndarray post_add,
                      cnp.ndarray y, tuple named_arrays) except -1:
    """Run a job whose input is x + pre_add, the sum that sum_out gets. The arrays are as the kernels walk them."""
    cdef cnp.ndarray sums
    sum_out = <object>call.sum_out
    if sum_out is not None:
        sums = target(sum_out, "sum_out", <cnp.ndarray>call.x, <str>call.name, x, <object>call.pre_add, None, False)
        check_disjoint(sum_out, "sum_out", ("out", <object>call.out, "post_add", <object>call.post_add))
        check_disjoint_from_inputs(sum_out, "sum_out", call, named_arrays)
    else:       # y holds the sum until it is normalized, unless that is where post_add is
        sums = y if post_add is None or not overlapping(y, post_add) else stand_in(x)
    job.source, job.addend = job.x, <const float *>cnp.PyArray_DATA(pre_add)
    job.x = <const float *>cnp.PyArray_DATA(sums)
    run(job, cnp.PyArray_SIZE(x))
    if sum_out is not None:
        copy_to_output(sums, sum_out)
    return 0


cdef object normalize_image(Job *job, const Call *call, cnp.ndarray x, const Layout *at, tuple named_arrays,
                            tuple more=None):
    """normalize, for an array with channels whose weight and bias have not been looked at."""
    cdef list keep = []
    return normalize(job, call, x, parameter(<object>call.weight, "weight", <cnp.ndarray>call.x, at, keep),
                     parameter(<object>call.bias, "bias", <cnp.ndarray>call.x, at, keep), named_arrays, more)


cdef object with_statistics(Job *job, const Call *call, cnp.ndarray x, Strides weight, Strides bias, shape):
    """normalize, for methods whose statistics are the input's own and never kept: they are returned where asked for."""
    if not call.return_stats:
        return normalize(job, call, x, weight, bias, ())
    cdef Statistics stats = Statistics(job.plan.slots)
    stats.point(job)
    more = stats.outputs(shape)[1 if job.about == NORMCY_ABOUT_ZERO else 0:]
    result = normalize(job, call, x, weight, bias, (), more)
    stats.fill_outputs()
    return result
