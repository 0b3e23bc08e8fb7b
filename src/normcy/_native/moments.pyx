"""moments(): any axes of any array, as a batch or instance norm that stops after its statistics."""
cimport numpy as cnp
from libc.math cimport NAN

from normcy._engine.floating_point cimport normcy_fp_enter, normcy_fp_leave
from normcy._engine.job cimport Job
from normcy._engine.plan cimport BATCH, INSTANCE, Dims, Method
from normcy._engine.run cimport init_job
from normcy._native.arrays cimport floats
from normcy._native.call cimport run
from normcy._native.options cimport flag, integers, number, shown
from normcy._native.statistics cimport Statistics
from normcy._native.views cimport in_c_order

import numpy as np

cnp.import_array()


def moments(x, axes, correction, keepdims):
    cdef cnp.ndarray dense
    cdef double dof, minus
    cdef bint keep_dims
    cdef Dims d
    cdef Statistics stats
    cdef ptrdiff_t k
    cdef tuple reduced, shape
    cdef Method method
    cdef Job job
    cdef unsigned long mode = normcy_fp_enter()
    try:
        minus = number(correction, "correction")
        keep_dims = flag(keepdims, "keepdims")
        listed = None if axes is None else integers(axes, "axes", "an int, a sequence of ints or None")
        dense = floats(x, "x")
        reduced = reduced_axes(listed, dense.ndim, axes)
        shape = x.shape
        dense = in_blocks(dense, reduced, &method, &d)
        init_job(&job, method, &d, 0, 0)
        job.exact = True
        stats = Statistics(job.plan.slots)
        stats.point(&job)
        job.x = <const float *>cnp.PyArray_DATA(dense)
        run(&job, cnp.PyArray_SIZE(dense))
        dof = max(job.plan.count - minus, 0.0)
        kept = tuple(1 if i in reduced else n for i, n in enumerate(shape) if keep_dims or i not in reduced)
        if not cnp.PyArray_SIZE(dense):
            stats.mean[:] = NAN
        for k in range(job.plan.slots):
            stats.m2[k] /= dof
        # Copies, as the memory of stats is one piece that a result would keep
        return np.array(stats.mean).reshape(kept)[()], np.array(stats.m2).reshape(kept)[()]
    finally:
        normcy_fp_leave(mode)


cdef tuple reduced_axes(tuple listed, int rank, axes):
    """Axes as sorted non-negative ints; None is all of them. `axes` is what the caller passed."""
    if listed is None:
        return tuple(range(rank))
    found = sorted(a + rank if a < 0 else a for a in listed)
    if any(not 0 <= a < rank for a in found) or len(set(found)) < len(found):
        raise ValueError(f"axes: expected distinct axes of an array of rank {rank}, got {shown(axes)}")
    return tuple(found)


cdef list fold_axes(shape, tuple reduced):
    """Neighbouring axes of one kind as one: pairs (size, whether reduced). Axes of length 1 join either kind."""
    blocks = []
    for i, n in enumerate(shape):
        if n != 1:
            if blocks and blocks[-1][1] == (i in reduced):
                blocks[-1] = (blocks[-1][0] * n, blocks[-1][1])
            else:
                blocks.append((n, i in reduced))
    return blocks


cdef cnp.ndarray in_blocks(cnp.ndarray x, tuple reduced, Method *method, Dims *d):
    """x in C order, its axes transposed if they make more than three blocks, and the norm that has its statistics."""
    cdef int first = x.ndim - len(reduced)
    if not in_c_order(x):
        x = np.array(x, order="C", subok=False)
    blocks = fold_axes(np.shape(x), reduced)
    if len(blocks) > 3:
        x = np.ascontiguousarray(np.moveaxis(x, reduced, range(first, x.ndim)))
        blocks = fold_axes(np.shape(x), tuple(range(first, x.ndim)))
    method[0] = norm_of_blocks(blocks, d)
    d.sample, d.pitch = d.c * d.s, d.c if d.channels_last else d.s
    return x


cdef Method norm_of_blocks(list blocks, Dims *d):
    """At most three blocks as (n, s, c) of an instance norm, or (n, c, s) of a batch norm where the middle is kept."""
    d.n, d.c, d.s, d.groups, d.channels_last = 1, 1, 1, 1, True
    sizes = [n for n, _ in blocks]
    kinds = [r for _, r in blocks]
    if kinds == [True, False, True]:
        d.n, d.c, d.s = sizes
        d.channels_last = False
        return BATCH
    if kinds[:1] == [False]:
        d.n = sizes.pop(0)
    if sizes:
        d.s = sizes.pop(0)
    if sizes:
        d.c = sizes.pop(0)
    return INSTANCE
