"""From NumPy's arrays to the engine's views of them."""
cimport numpy as cnp

from normcy._engine.view cimport Extent, View, extent_of


cdef inline View view_of(cnp.ndarray a) noexcept:
    """The array's View; it is valid for as long as the array is."""
    cdef View v
    v.data, v.rank, v.itemsize = <char *>cnp.PyArray_DATA(a), cnp.PyArray_NDIM(a), cnp.PyArray_ITEMSIZE(a)
    v.shape, v.strides = <const Py_ssize_t *>cnp.PyArray_DIMS(a), <const Py_ssize_t *>cnp.PyArray_STRIDES(a)
    return v


cdef inline bint in_c_order(cnp.ndarray a) noexcept:
    return cnp.PyArray_IS_C_CONTIGUOUS(a) and cnp.PyArray_ISALIGNED(a)


cdef inline Extent extent(cnp.ndarray a) noexcept:
    """What memory the array touches."""
    cdef Extent found
    cdef View v
    if cnp.PyArray_IS_C_CONTIGUOUS(a):
        found.low = <char *>cnp.PyArray_DATA(a)
        found.high = found.low + cnp.PyArray_NBYTES(a)
        return found
    v = view_of(a)
    return extent_of(&v)
