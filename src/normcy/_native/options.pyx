from cpython.float cimport PyFloat_CheckExact
from cpython.long cimport PyLong_CheckExact
from cpython.number cimport PyNumber_Index
from libc.float cimport FLT_MAX
from libc.math cimport HUGE_VAL, fabs

from normcy._engine.kernels cimport (
    NORMCY_GELU, NORMCY_GELU_TANH, NORMCY_IDENTITY, NORMCY_RELU, NORMCY_SILU, normcy_activation,
)

import numpy as np

cdef tuple NO_NUMBERS = (bool, np.bool_, np.flexible, np.complexfloating, np.datetime64, np.timedelta64, np.ndarray)


cpdef str shown(value):
    """A value in an error message: short, and whatever its repr does."""
    try:
        text = repr(value)
    except Exception:       # an int of 5000 digits has none either
        return type(value).__name__
    return text if len(text) <= 100 else text[:100] + "..."


cdef object one_number(value):
    """What could be a number; arrays of shape () are as good as their value."""
    if isinstance(value, np.ndarray):
        value = value[()]
    if isinstance(value, NO_NUMBERS):       # float() takes them, or operator.index()
        raise TypeError("not a real number")
    return value


cpdef ptrdiff_t integer(value, str name) except? -1:
    """An int, or what counts as one."""
    try:
        found = value if PyLong_CheckExact(value) else PyNumber_Index(one_number(value))
    except MemoryError:
        raise
    except Exception as error:
        raise TypeError(f"{name}: expected an int, got {type(value).__name__}") from error
    try:
        return found
    except OverflowError:
        raise ValueError(f"{name}: expected an int of 64 bits, got {shown(value)}") from None


cpdef tuple integers(value, str name, str expected="an int or a sequence of ints"):
    """One int, or those of a sequence, as a tuple."""
    if PyLong_CheckExact(value):
        return (value,)
    try:
        if isinstance(value, (bytes, bytearray)):
            raise TypeError("numbers, but no ints")
        try:        # by index: what iterates without an end has no length
            items = value if type(value) is tuple else [value[i] for i in range(len(value))]
        except MemoryError:
            raise
        except Exception:
            items = (value,)
        return tuple([item if PyLong_CheckExact(item) else integer(item, name) for item in items])
    except TypeError as error:
        raise TypeError(f"{name}: expected {expected}, got {shown(value)}") from error


cpdef double real(value, str name) except? -1:
    """A real number, as a float64; NaN and infinities are some."""
    if PyFloat_CheckExact(value):
        return value
    try:
        return value if PyLong_CheckExact(value) else one_number(value)
    except OverflowError:
        raise ValueError(f"{name}: expected a number within float64, got {shown(value)}") from None
    except MemoryError:
        raise
    except Exception as error:
        raise TypeError(f"{name}: expected a number, got {type(value).__name__}") from error


cpdef double number(value, str name) except? -1:
    """A finite number, as a float64."""
    cdef double found = real(value, name)
    if not fabs(found) < HUGE_VAL:
        raise ValueError(f"{name}: expected a finite number, got {found}")
    return found


cpdef double narrow(value, str name) except? -1:
    """A finite number within float32's range."""
    cdef double found = real(value, name)
    if not fabs(found) <= FLT_MAX:
        raise ValueError(f"{name}: expected a finite number within float32, got {found}")
    return found


cpdef bint flag(value, str name) except -1:
    if value is True:
        return True
    if value is False or isinstance(value, np.bool_):
        return bool(value)
    raise TypeError(f"{name}: expected True or False, got {type(value).__name__}")


cdef int refuse(value, str name, str expected) except -1:
    raise ValueError(f"{name}: expected {expected}, got {shown(value)}")


cdef bint is_channels_last(layout) except -1:
    if isinstance(layout, str):     # anything else may do what it likes when it is compared
        if layout == "NCHW":
            return False
        if layout == "NHWC":
            return True
    refuse(layout, "layout", '"NCHW" (channels at axis 1) or "NHWC" (channels last)')


cdef bint is_outside_sqrt(eps_mode) except -1:
    if isinstance(eps_mode, str):
        if eps_mode == "inside_sqrt":
            return False
        if eps_mode == "outside_sqrt":
            return True
    refuse(eps_mode, "eps_mode", '"inside_sqrt" or "outside_sqrt"')


cdef dict ACTIVATIONS = {"relu": NORMCY_RELU, "silu": NORMCY_SILU, "gelu": NORMCY_GELU, "gelu_tanh": NORMCY_GELU_TANH}


cdef normcy_activation activation_of(activation) except *:
    if activation is None:
        return NORMCY_IDENTITY
    found = ACTIVATIONS.get(activation) if isinstance(activation, str) else None
    if found is None:
        refuse(activation, "activation", "None, " + ", ".join(f'"{name}"' for name in ACTIVATIONS))
    return found
