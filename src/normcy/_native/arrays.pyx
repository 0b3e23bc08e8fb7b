cimport numpy as cnp

from normcy._engine.chunks cimport fold_of
from normcy._engine.plan cimport Dims, Strides
from normcy._engine.view cimport Extent, View, has_distinct_elements, has_even_rows, has_even_steps, meet, same_strides
from normcy._native.options cimport is_channels_last, shown
from normcy._native.outputs cimport empty_beside, stand_in
from normcy._native.views cimport extent, in_c_order, view_of

import numpy as np

cnp.import_array()

cdef extern from "runtime/narrow.h" nogil:
    enum:
        NORMCY_NARROW_FLOATS
    void normcy_copy_narrow(char *to, ptrdiff_t to_step, const char *source, ptrdiff_t from_step, ptrdiff_t rows,
                            ptrdiff_t floats)


cdef bint overlapping(cnp.ndarray a, cnp.ndarray b):
    cdef Extent of_a = extent(a), of_b = extent(b)
    return meet(&of_a, &of_b)


cpdef str describe(obj):
    """An array, or the type of anything else, in an error message."""
    if isinstance(obj, np.ndarray):
        name = "" if type(obj) is np.ndarray else f"{type(obj).__name__} of "
        return f"{name}shape {obj.shape} and dtype {obj.dtype.str if not obj.dtype.isnative else obj.dtype}"
    return type(obj).__name__


cdef str way_to_array(obj, str name):
    """How to pass what is no array, at the end of an error message; objects may lie or raise when they are asked."""
    if isinstance(obj, (list, tuple)):
        return f"; convert it with numpy.array({name}, numpy.float32)"
    if isinstance(obj, np.ma.MaskedArray):
        return f"; its mask would be lost: pass {name}.filled(...)"
    try:
        if callable(getattr(obj, "numpy", None)):   # a tensor
            steps = (".detach()" if getattr(obj, "requires_grad", False) is True else "",
                     "" if str(getattr(obj, "device", "cpu")) == "cpu" else ".cpu()",
                     "" if str(getattr(obj, "dtype", "float32")).endswith("float32") else ".float()")
            return f"; pass {name}{''.join(steps)}.numpy()"
    except MemoryError:
        raise
    except Exception:
        pass
    return ""


cpdef cnp.ndarray floats(obj, str name):
    if not cnp.PyArray_CheckExact(obj) and type(obj) is not np.memmap:
        raise TypeError(f"{name}: expected a float32 numpy.ndarray, got {describe(obj)}{way_to_array(obj, name)}")
    cdef cnp.ndarray a = obj
    if cnp.PyArray_TYPE(a) != cnp.NPY_FLOAT32 or not cnp.PyArray_ISNOTSWAPPED(a):
        way = f"convert with {name}.astype(numpy.float32)"
        if name in ("out", "sum_out"):      # a converted copy would be written, and lost
            way = "make it with numpy.empty(x.shape, numpy.float32)"
        raise TypeError(f"{name}: expected dtype float32 in native byte order, got {describe(obj)}; {way}")
    return a


cpdef int writeable(cnp.ndarray a, str name) except -1:
    if not cnp.PyArray_ISWRITEABLE(a):
        raise ValueError(f"{name}: expected a writeable array, got a read-only one of shape {np.shape(a)}")
    cdef View v = view_of(a)
    if not cnp.PyArray_IS_C_CONTIGUOUS(a) and not has_distinct_elements(&v):
        raise ValueError(f"{name}: expected an array whose elements are distinct, axis within axis, got one of shape "
                         f"{np.shape(a)} and strides {(<object>a).strides}")
    return 0


cdef str other_layout(shape, bint last, ptrdiff_t channels):
    """What to do, at the end of an error message, where x has that many channels in another reading of its axes."""
    if len(shape) > 2 and shape[1 if last else -1] == channels:
        return f'; with layout="{"NCHW" if last else "NHWC"}" x has {channels}'
    if not last and len(shape) > 2 and shape[0] == channels:
        return f"; is the batch axis missing? Then x[None] has {channels}"
    return ""


cdef int check_dim(cnp.ndarray x, bint last, ptrdiff_t channels) except -1:
    """That x, an array of rank 2 or more, has the channels of the layer that it is passed to."""
    if cnp.PyArray_DIM(x, cnp.PyArray_NDIM(x) - 1 if last else 1) != channels:
        raise ValueError(f"x: expected {channels} channels, {'at the last axis' if last else 'at axis 1'} in layout "
                         f"{'NHWC' if last else 'NCHW'}, got shape {np.shape(x)}"
                         f"{other_layout(np.shape(x), last, channels)}")
    return 0


def check_channels(cnp.ndarray x, layout, ptrdiff_t channels):
    check_dim(x, is_channels_last(layout), channels)


cdef cnp.ndarray as_image(obj, bint last, Layout *found, str name, tuple beside, ptrdiff_t channels=-1):
    """A float32 array of rank >= 2 with channels, in place or copied, and how it lies in memory.

    `last`: its layout is NHWC. `channels` are those of the layer that calls, or -1: any. `beside` is what the kernels
    walk together with x, the output first; None in it is an array that is not given. `beside` is () if x is only read.
    See is_walkable.
    """
    cdef cnp.ndarray x = floats(obj, name)
    cdef int i, rank = cnp.PyArray_NDIM(x)
    if rank < 2:
        raise ValueError(f"{name}: expected an array of rank 2 or more, (N, C, ...), got shape {obj.shape}")
    if channels >= 0:
        check_dim(x, last, channels)
    found.swapped, found.last = False, last
    found.d.n = cnp.PyArray_DIM(x, 0)
    found.d.c = cnp.PyArray_DIM(x, rank - 1 if last else 1)
    found.d.s = found.d.groups = 1
    for i in range(1, rank - 1):
        found.d.s *= cnp.PyArray_DIM(x, i if last else i + 1)
    found.d.channels_last, found.d.sample = last, found.d.c * found.d.s
    found.d.pitch = found.d.c if last else found.d.s
    if in_c_order(x):
        return x
    found.swapped = is_swapped(x, last)
    if found.swapped:
        found.d.channels_last, found.d.pitch = not last, found.d.s if last else found.d.c
    if is_walkable(x, found, beside):
        return x
    if not found.swapped and is_narrow(x):
        return assign(cnp.PyArray_EMPTY(rank, cnp.PyArray_DIMS(x), cnp.NPY_FLOAT32, 0), x)
    return np.array(x, dtype=np.float32, order="K" if found.swapped else "C", subok=False)


cdef bint is_swapped(cnp.ndarray x, bint last):
    """Whether memory is in the other layout than the axes say, dense or in even steps."""
    cdef ptrdiff_t sample, pitch
    cdef int rank = cnp.PyArray_NDIM(x), channels = rank - 1 if last else 1
    cdef View v = view_of(x)
    if has_even_steps(&v, channels, channels, last, &sample, &pitch):
        return False
    return has_even_steps(&v, channels, 1 if last else rank - 1, not last, &sample, &pitch)


cdef bint is_walkable(cnp.ndarray x, Layout *found, tuple beside):
    """Whether the kernels can walk x as it is, and the arrays beside it with the same steps; if so, store these.

    A slice of a larger array has steps of its own. It is served in place if all that is given of `beside` (the output,
    then the others) has the same ones, or if x is only read, and `beside` is ().
    """
    cdef Dims *d = &found.d
    cdef ptrdiff_t sample, pitch
    cdef bint last = d.channels_last, is_slice, output_is_new, rows_are_folded
    cdef int rank = cnp.PyArray_NDIM(x), channel_axis = rank - 1 if found.last else 1
    cdef int channel_axis_in_memory = rank - 1 if last else 1
    cdef View v = view_of(x)
    if not cnp.PyArray_ISALIGNED(x) or not has_even_steps(&v, channel_axis, channel_axis_in_memory, last, &sample,
                                                          &pitch):
        return False
    is_slice = sample != d.sample
    if is_slice:
        output_is_new = len(beside) > 0 and beside[0] is None       # and so dense
        rows_are_folded = (last or d.s == 1) and fold_of(d.c) > 1   # several narrow rows as one, which must be dense
        if output_is_new or rows_are_folded or not have_order_of(beside, x):
            return False
    d.sample, d.pitch = sample, pitch
    return True


cdef bint same_geometry(cnp.ndarray a, cnp.ndarray b):
    """Whether two arrays have one shape, and their elements at the same steps."""
    cdef View va = view_of(a), vb = view_of(b)
    return cnp.PyArray_SAMESHAPE(a, b) and same_strides(&va, &vb)


cdef bint same_memory(cnp.ndarray a, cnp.ndarray b):
    return cnp.PyArray_DATA(a) == cnp.PyArray_DATA(b) and same_geometry(a, b)


cdef int check_misses(const Extent *own, str own_name, other, str name) except -1:
    """That an array whose extent is `own` misses another; what is no array has its own check."""
    cdef Extent of_other
    if other is None or not cnp.PyArray_Check(other):
        return 0
    of_other = extent(other)
    if meet(own, &of_other):
        raise ValueError(f"{own_name}: shares memory with {name}; give it memory of its own")
    return 0


cdef int check_disjoint(cnp.ndarray a, str name, tuple named_arrays) except -1:
    """check_misses with each of `named_arrays`: (name, array, name, array, ...).

    A tuple of pairs would take longer to make."""
    cdef Extent own = extent(a)
    cdef Py_ssize_t i
    for i in range(0, len(named_arrays), 2):
        check_misses(&own, name, named_arrays[i + 1], named_arrays[i])
    return 0


cdef bint has_order_of(cnp.ndarray a, cnp.ndarray x):
    """Whether a has x's memory order, so that the kernels can walk both with the same steps."""
    if cnp.PyArray_IS_C_CONTIGUOUS(x):
        return in_c_order(a)
    return cnp.PyArray_ISALIGNED(a) and same_geometry(x, a)


cdef bint is_narrow(cnp.ndarray a):
    cdef int rank = cnp.PyArray_NDIM(a)
    return rank > 1 and cnp.PyArray_DIM(a, rank - 1) <= NORMCY_NARROW_FLOATS


cdef cnp.ndarray assign(cnp.ndarray to, cnp.ndarray values):
    """to[...] = values, for float32 arrays of one shape that do not overlap. NumPy calls memcpy for each narrow row."""
    cdef View t = view_of(to), v = view_of(values)
    cdef Py_ssize_t to_step, step, rows
    if is_narrow(to) and has_even_rows(&t, &to_step, &rows) and has_even_rows(&v, &step, &rows):
        with nogil:
            normcy_copy_narrow(t.data, to_step, v.data, step, rows, t.shape[t.rank - 1])
    else:
        to[...] = values
    return to


cdef bint have_order_of(tuple arrays, cnp.ndarray x):
    """Whether all of these that are not None are arrays of x's memory order."""
    for a in arrays:
        if a is not None and not (isinstance(a, np.ndarray) and has_order_of(a, x)):
            return False
    return True


cdef cnp.ndarray operand_like(obj, str name, cnp.ndarray original, cnp.ndarray x):
    """An operand of x's shape, in x's memory order, copied if need be."""
    cdef cnp.ndarray a = floats(obj, name)
    if not cnp.PyArray_SAMESHAPE(a, original):
        raise ValueError(f"{name}: expected the shape of x, {np.shape(original)}, got {np.shape(a)}")
    if has_order_of(a, x):
        return a
    return assign(stand_in(x), a)


cdef int check_same_or_disjoint(cnp.ndarray y, str name, cnp.ndarray other, str other_name) except -1:
    if y is not other and overlapping(y, other) and not same_memory(y, other):
        raise ValueError(f"{name}: overlaps {other_name} in memory without being exactly {other_name}")
    return 0


cdef cnp.ndarray target(out, str name, cnp.ndarray original, str x_name, cnp.ndarray x, pre_add, post_add,
                        bint overwrite_x):
    """Where the kernels write: `out` itself, or an array of x's memory order to be copied into it (see copy_to_output).

    `original` is x as the caller passed it and `x_name` what the method calls it; x is what the kernels read. out
    may be exactly x, pre_add or post_add. With overwrite_x, x itself may be that array.
    """
    if out is None:     # x is no slice then: see `is_walkable`
        return x if overwrite_x else empty_beside(x)
    cdef cnp.ndarray y = floats(out, name)
    if not cnp.PyArray_SAMESHAPE(y, original):
        raise ValueError(f"{name}: expected the shape of {x_name}, {np.shape(original)}, got {np.shape(y)}")
    writeable(y, name)
    check_same_or_disjoint(y, name, original, x_name)
    if pre_add is not None:
        check_same_or_disjoint(y, name, pre_add, "pre_add")
    if post_add is not None:
        check_same_or_disjoint(y, name, post_add, "post_add")
    return y if has_order_of(y, x) else x if overwrite_x else stand_in(x)


cdef int copy_to_output(cnp.ndarray y, out) except -1:
    """y to where the caller gets it."""
    if out is not None and out is not y:
        assign(out, y)
    return 0


cdef cnp.ndarray in_order(cnp.ndarray a, list keep):
    """a, or a copy of it in C order, which `keep` holds for as long as its memory is read."""
    if in_c_order(a):
        return a
    a = np.array(a, order="C", subok=False)
    keep.append(a)
    return a


cdef Strides channel_strides(cnp.ndarray a):
    """One value a channel, in C order, or none."""
    cdef Strides v
    v.p, v.n, v.c, v.s, v.size = NULL, 0, 1, 0, 0
    if a is not None:
        v.p, v.size = <const float *>cnp.PyArray_DATA(a), cnp.PyArray_SIZE(a)
    return v


cdef Strides parameter(obj, str name, cnp.ndarray x, const Layout *at, list keep):
    """weight or bias: (C,), (N, C) or x's shape, as strides over sample, channel and position."""
    cdef Strides v = channel_strides(None)
    cdef cnp.ndarray a
    cdef int rank
    cdef ptrdiff_t n = at.d.n, c = at.d.c, s = at.d.s
    if obj is None:
        return v
    a = floats(obj, name)
    v.size = cnp.PyArray_SIZE(a)
    rank = cnp.PyArray_NDIM(a)
    if rank == 1 and cnp.PyArray_DIM(a, 0) == c:
        pass
    elif rank == 2 and cnp.PyArray_DIM(a, 0) == n and cnp.PyArray_DIM(a, 1) == c:
        v.n = c
    elif cnp.PyArray_SAMESHAPE(a, x):
        v.n, v.c, v.s = c * s, (1 if at.d.channels_last else s), (c if at.d.channels_last else 1)
        if at.swapped:      # the kernels read it in x's memory order
            b = empty_beside(x)
            if not same_geometry(a, b) or not cnp.PyArray_ISALIGNED(a):
                b[...] = a
                keep.append(b)
                a = b
            v.p = <const float *>cnp.PyArray_DATA(a)
            return v
    else:
        raise ValueError(f"{name}: expected shape ({c},), one value a channel, ({n}, {c}), one a sample and channel, "
                         f"or that of x, {np.shape(x)}; got {np.shape(a)}"
                         f"{other_layout(np.shape(x), at.last, cnp.PyArray_DIM(a, rank - 1) if rank else 0)}")
    v.p = <const float *>cnp.PyArray_DATA(in_order(a, keep))
    return v


cdef cnp.ndarray per_channel(obj, str name, cnp.ndarray x, const Layout *at):
    """(C,) float32 of any stride."""
    cdef cnp.ndarray a = floats(obj, name)
    if cnp.PyArray_NDIM(a) != 1 or cnp.PyArray_DIM(a, 0) != at.d.c:
        raise ValueError(f"{name}: expected shape ({at.d.c},), one value a channel of x in layout "
                         f"{'NHWC' if at.last else 'NCHW'}, got {np.shape(a)}"
                         f"{other_layout(np.shape(x), at.last, np.size(a))}")
    return a


cdef int check_trailing_axes(cnp.ndarray x, tuple shape, normalized_shape, bint of_layer) except -1:
    """That the last axes of x are `shape`, the integers of normalized_shape. A layer's is taken to be right, so that
    the error names x."""
    cdef int i, lead = cnp.PyArray_NDIM(x) - len(shape)
    cdef bint fits = lead >= 0 and len(shape) > 0
    if fits:
        for i in range(len(shape)):
            fits = fits and shape[i] == cnp.PyArray_DIM(x, lead + i)
    if not fits and of_layer:
        raise ValueError(f"x: expected {shape} as its last axes, the normalized_shape of the layer, got shape "
                         f"{np.shape(x)}")
    if not fits:
        raise ValueError(f"normalized_shape: expected one or more of the last axes of x, of shape {np.shape(x)}; "
                         f"got {shown(normalized_shape)}")
    return 0


cdef Strides trailing_parameter(obj, str name, cnp.ndarray x, tuple shape, ptrdiff_t size, list keep):
    """weight or bias of a norm over trailing axes: normalized_shape, or one such set a sample."""
    cdef Strides v = channel_strides(None)
    cdef cnp.ndarray a
    cdef int i, rank = len(shape)
    cdef bint fits
    if obj is None:
        return v
    a = floats(obj, name)
    v.size = cnp.PyArray_SIZE(a)
    fits = cnp.PyArray_NDIM(a) == rank
    if cnp.PyArray_NDIM(a) == rank + 1 and cnp.PyArray_NDIM(x) > rank:
        fits, v.n = cnp.PyArray_DIM(a, 0) == cnp.PyArray_DIM(x, 0), size
    if fits:
        for i in range(rank):
            fits = fits and cnp.PyArray_DIM(a, cnp.PyArray_NDIM(a) - rank + i) == shape[i]
    if not fits:
        sets = f" or {(x.shape[0], *shape)}, one set a sample" if cnp.PyArray_NDIM(x) > rank else ""
        raise ValueError(f"{name}: expected shape {shape}{sets}; got {np.shape(a)}")
    v.p = <const float *>cnp.PyArray_DATA(in_order(a, keep))
    return v
