"""Weight normalization: v in slices of length g, along any axis; a batch norm about zero without an eps."""
cimport numpy as cnp

from normcy._engine.floating_point cimport normcy_fp_enter, normcy_fp_leave
from normcy._engine.job cimport TO_LENGTH, Job
from normcy._engine.kernels cimport NORMCY_ABOUT_ZERO
from normcy._engine.plan cimport BATCH, Dims
from normcy._engine.run cimport init_job
from normcy._native.arrays cimport channel_strides, floats
from normcy._native.call cimport Call, describe_call, normalize
from normcy._native.options cimport integer, real
from normcy._native.views cimport in_c_order

import numpy as np

cnp.import_array()


cdef cnp.ndarray array_of_lengths(g, bint one):
    """g as an array, whatever its shape; a number will do where there is one slice."""
    cdef float length
    if one and not isinstance(g, np.ndarray):
        length = <float>real(g, "g")
        return np.array(length, np.float32)
    return floats(np.asarray(g) if type(g) is np.float32 else g, "g")


cdef cnp.ndarray lengths(cnp.ndarray a, cnp.ndarray v, object axis):
    """One value for each slice."""
    cdef ptrdiff_t k = 1 if axis is None else np.shape(v)[axis]
    if axis is None and np.size(a) == 1 and set(np.shape(a)) <= {1}:
        return np.array(a, order="C").reshape(1)
    if axis is not None and np.shape(a) == (k,):
        return a if in_c_order(a) else np.array(a, order="C")
    kept = tuple([n if i == axis else 1 for i, n in enumerate(np.shape(v))])
    if axis is not None and np.shape(a) == kept:
        return np.array(a, order="C").reshape(k)
    raise ValueError(f"g: expected {'a scalar' if axis is None else f'shape ({k},) or {kept}'}, one value a slice of "
                     f"v, got {np.shape(a)}")


cdef Dims slices_of(cnp.ndarray v, axis) noexcept:
    """v as an array whose channels are its slices along `axis`, or one of a single channel."""
    cdef Dims d
    cdef int i, along = -1 if axis is None else axis
    d.n = d.c = d.s = d.groups = 1
    for i in range(cnp.PyArray_NDIM(v)):
        if i > along:
            d.s *= cnp.PyArray_DIM(v, i)
        elif i < along:
            d.n *= cnp.PyArray_DIM(v, i)
        else:
            d.c = cnp.PyArray_DIM(v, i)
    d.sample, d.pitch, d.channels_last = d.c * d.s, d.s, False
    return d


def weight_norm(v, g, dim, out):
    cdef Call call
    cdef cnp.ndarray dense, length
    cdef Dims d
    cdef Job job
    cdef unsigned long mode = normcy_fp_enter()
    try:
        describe_call(&call, v, "v", None, None, "NCHW", None, out)
        axis = None if dim is None else integer(dim, "dim")
        length = array_of_lengths(g, axis is None)
        dense = floats(v, "v")
        if axis is not None and not -dense.ndim <= axis < dense.ndim:
            raise ValueError(f"dim: expected None or an axis of v, of shape {np.shape(v)}, got {axis}")
        axis = axis if axis is None else axis % dense.ndim
        length = lengths(length, dense, axis)
        if not in_c_order(dense):
            dense = np.array(dense, order="C", subok=False)
        d = slices_of(dense, axis)
        init_job(&job, BATCH, &d, 0, 0)
        job.about, job.exact, job.transform.kind = NORMCY_ABOUT_ZERO, True, TO_LENGTH
        return normalize(&job, &call, dense, channel_strides(length), channel_strides(None), ("g", g))
    finally:
        normcy_fp_leave(mode)
