"""The one place that checks arrays: type, shape, memory order, overlap. Everything past it can rely on what it says.

(A) An array in C order is served in place; so is a channels-last array seen through the other layout's axes, by the
    kernels of its memory order. Any other array, misaligned ones too, is copied once.
(B) Results go straight to `out` where its memory order allows, else through one temporary.
"""
cimport numpy as cnp

from normcy._engine.plan cimport Dims, Strides
from normcy._engine.view cimport Extent

cdef struct Layout:         # of an array as it lies in memory
    Dims d
    bint swapped            # memory is in the other layout than the axes say
    bint last               # the axes say that channels are last

cpdef str describe(obj)
cdef str way_to_array(obj, str name)
cpdef cnp.ndarray floats(obj, str name)
cpdef int writeable(cnp.ndarray a, str name) except -1
cdef str other_layout(shape, bint last, ptrdiff_t channels)
cdef cnp.ndarray as_image(obj, bint last, Layout *found, str name, tuple beside, ptrdiff_t channels=*)
cdef bint overlapping(cnp.ndarray a, cnp.ndarray b)
cdef int check_misses(const Extent *own, str own_name, other, str name) except -1
cdef int check_disjoint(cnp.ndarray a, str name, tuple named_arrays) except -1
cdef cnp.ndarray operand_like(obj, str name, cnp.ndarray original, cnp.ndarray x)
cdef cnp.ndarray target(out, str name, cnp.ndarray original, str x_name, cnp.ndarray x, pre_add, post_add,
                        bint overwrite_x)
cdef int copy_to_output(cnp.ndarray y, out) except -1
cdef cnp.ndarray in_order(cnp.ndarray a, list keep)
cdef Strides channel_strides(cnp.ndarray a)
cdef Strides parameter(obj, str name, cnp.ndarray x, const Layout *at, list keep)
cdef cnp.ndarray per_channel(obj, str name, cnp.ndarray x, const Layout *at)
cdef int check_trailing_axes(cnp.ndarray x, tuple shape, normalized_shape, bint of_layer) except -1
cdef Strides trailing_parameter(obj, str name, cnp.ndarray x, tuple shape, ptrdiff_t size, list keep)
