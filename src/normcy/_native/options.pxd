"""The one place that checks what is no array: numbers, sizes, flags and names. An object may lie or raise when it is
asked; the error names the argument all the same, with the object's own error as its cause."""
from normcy._engine.kernels cimport normcy_activation

cpdef str shown(value)
cpdef ptrdiff_t integer(value, str name) except? -1
cpdef tuple integers(value, str name, str expected=*)
cpdef double real(value, str name) except? -1
cpdef double number(value, str name) except? -1
cpdef double narrow(value, str name) except? -1
cpdef bint flag(value, str name) except -1
cdef bint is_channels_last(layout) except -1
cdef bint is_outside_sqrt(eps_mode) except -1
cdef normcy_activation activation_of(activation) except *
