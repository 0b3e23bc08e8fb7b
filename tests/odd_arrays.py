"""Arrays with odd memory, objects that are no float32 arrays, and a check that a call wrote only what it may."""

import array
import tempfile

import numpy as np
from hypothesis import strategies as st
from odd_values import NOT_ANYTHING

as_strided = np.lib.stride_tricks.as_strided


def filled(a, x):
    a[...] = x
    return a


def misaligned(x):
    return filled(np.zeros(x.nbytes + 1, np.uint8)[1:].view(np.float32).reshape(x.shape), x)


def part_of(x, axis, step=1):
    """Returns x as every step-th element along an axis of a larger array."""
    shape, part = list(x.shape), [slice(None)] * x.ndim
    part[axis] = slice(1, 1 + shape[axis] * step, step)
    shape[axis] = shape[axis] * step + 3
    return filled(np.full(shape, 7, np.float32)[tuple(part)], x)


def stored_with(x, source, to):
    """Returns x, whose axis `source` has position `to` in memory."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, source, to)), to, source)


def memmap(x, mode="r+"):
    if not x.size:
        return x.copy()
    with tempfile.TemporaryFile() as file:
        file.write(x.tobytes())
        file.flush()
        return np.memmap(file, np.float32, mode, shape=x.shape)


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


FORMS = {  # functions from values to an array of them, of rank 1 or more
    "plain": np.copy,
    "fortran": lambda x: np.array(x, order="F"),
    "gaps": lambda x: part_of(x, -1, step=2),
    "reversed": lambda x: filled(np.zeros_like(x)[(slice(None, None, -1),) * x.ndim], x),
    "misaligned": misaligned,
    "packed field": lambda x: filled(np.zeros(x.shape, [("a", "i1"), ("x", "f4")])["x"], x),
    "field": lambda x: filled(np.zeros(x.shape, [("a", "i4"), ("x", "f4")])["x"], x),
    "part": lambda x: part_of(x, min(1, x.ndim - 1)),
    "last part": lambda x: part_of(x, -1),
    "channels last": lambda x: stored_with(x, min(1, x.ndim - 1), -1),
    "channels first": lambda x: stored_with(x, -1, min(1, x.ndim - 1)),
    "samples last": lambda x: stored_with(x, 0, -1),
    "odd strides of 1": lambda x: as_strided(x.copy(), x.shape, [s if n > 1 else 20 for n, s in zip(x.shape, x.strides, strict=True)]),
    "memmap": memmap,
}  # fmt: skip
READ_ONLY = {
    "read-only": read_only,
    "read-only memmap": lambda x: memmap(x, "r"),
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
    "broadcast last": lambda x: np.broadcast_to(x[..., :1], x.shape),
}
forms, any_form = st.sampled_from(list(FORMS)), st.sampled_from([*FORMS, *READ_ONLY])
aligned = st.sampled_from([form for form in FORMS if form not in ("misaligned", "packed field")])


def formed(x, form):
    return x.copy() if x.ndim == 0 else (FORMS | READ_ONLY)[form](x)


def arrays_in(value):
    """Returns all arrays in nested lists, tuples and dicts."""
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [a for v in value for a in arrays_in(v)] if isinstance(value, (list, tuple)) else []


def allocation(a):
    """Returns all bytes of the allocation that an array is in."""
    while isinstance(a.base, np.ndarray):
        a = a.base
    return a.tobytes("A")


class Memory:
    """The bytes of arrays and of the memory around them, before a call."""

    def __init__(self, *values):
        self.kept = [(a, a.copy(), allocation(a)) for a in arrays_in(values)]

    def assert_unchanged(self, but_for=()):
        """Checks that nothing changed but the elements of arrays in but_for, which are restored."""
        for a, values, _ in self.kept:
            if any(a is written for written in but_for):
                a[...] = values
        for a, _, before in self.kept:
            assert allocation(a) == before, f"an array of shape {a.shape}, or what lies around it, was written"


class Subclass(np.ndarray):
    pass


DTYPES = ["f8", "f2", "g", "i4", "u1", "c8", "?", "O", "U5", "S4", "V4", "M8[s]", "m8[s]", ">f4", [("x", "f4")]]


def not_arrays(a):
    """Returns objects that are no float32 arrays of NumPy's own, of the shape of one."""
    found = {str(dtype): a.astype(int).astype(dtype) if dtype != "V4" else np.zeros(a.shape, dtype) for dtype in DTYPES}
    found |= {"masked": np.ma.array(a), "subclass": a.view(Subclass), "record": a.view(np.recarray)}
    found |= {"matrix": a.view(np.matrix)} if a.ndim == 2 else {}
    others = {"list": a.tolist(), "None": None, "str": "x", "float": 1.0, "float64": np.float64(1), "class": np.ndarray,
              "bytes": a.tobytes(), "array": array.array("f", [1]), "memoryview": memoryview(a.copy())}  # fmt: skip
    return found | others | NOT_ANYTHING


def misshapen(a):
    """Returns arrays like a, of shapes that fit nowhere."""
    shapes = [(7, 7, *a.shape), *(a.shape[:k] + (a.shape[k] + 7,) + a.shape[k + 1 :] for k in range(a.ndim))]
    shapes += [a.shape[:-1] + (0,)] if a.ndim else []
    return {str(shape): np.ones(shape, a.dtype) for shape in shapes}


def not_writable(a):
    """Returns arrays like a that cannot hold a result."""
    found = {"read-only": read_only(a), "read-only memmap": memmap(a, "r")}
    for name, stride in (("stride 0", 0), ("interleaved", 4), ("backwards", -4)):
        if a.size > max((1, *a.shape)) or (stride == 0 and a.size > 1):
            middle = np.zeros(2 * a.size, np.float32)[a.size :]
            found[name] = as_strided(middle, a.shape, (stride,) * a.ndim)
    return found
