"""Values that are no number, int, flag or name, and other forms of those that are."""

from decimal import Decimal
from fractions import Fraction

import numpy as np


class Raises:
    """Raises in every protocol that a check could use."""

    def _no(self, *_, **__):
        raise ZeroDivisionError("not a TypeError")

    __array__ = __index__ = __float__ = __int__ = __bool__ = __iter__ = __len__ = __getitem__ = __contains__ = _no
    __eq__ = __ne__ = __lt__ = __gt__ = __le__ = __ge__ = __hash__ = __repr__ = __str__ = keys = _no


class Lies:
    """Returns wrong types from every protocol."""

    def __array__(self, dtype=None, copy=None):
        return [1.0]

    def __index__(self):
        return "2"

    def __float__(self):
        return "0.25"

    def __len__(self):
        return -1

    def __iter__(self):
        return self

    def keys(self):
        return 3

    def __getitem__(self, key):
        raise KeyError(key)


class Index:
    def __init__(self, value):
        self.value = value

    def __index__(self):
        return self.value


class Float:
    def __init__(self, value):
        self.value = value

    def __float__(self):
        return self.value


class Text(str):
    pass


NAN, INF, TOO_LARGE = float("nan"), float("inf"), 2**50  # the last one is too large for memory
NOT_ANYTHING = {"object": object(), "raises": Raises(), "lies": Lies(), "dict": {}, "module": np}
NOT_NUMBERS = NOT_ANYTHING | {
    "None": None, "str": "0.25", "numpy str": np.str_("0.25"), "bytes": b"1", "bytearray": bytearray(b"1"), "complex": 1j,
    "complex64": np.complex64(1), "huge": 10**400, "very huge": 10**5000, "huge fraction": Fraction(-(10**400)),
    "sNaN": Decimal("sNaN"), "list": [0.25], "1-d": np.array([0.25]), "str array": np.array("1"), "bool": True,
    "numpy bool": np.True_, "bool array": np.array(True), "class": float, "datetime": np.datetime64(1, "s"),
    "timedelta": np.timedelta64(1), "complex array": np.array(1j), "record": np.zeros((), [("x", "f4")]),
}  # fmt: skip
NOT_FINITE = {"nan": NAN, "inf": INF, "-inf": np.float32(-INF), "long": np.longdouble("1e400")}
NOT_INTEGERS = NOT_ANYTHING | {
    "None": None, "float": 2.0, "float32": np.float32(2), "str": "2", "bytes": b"2", "bool": True, "numpy bool": np.True_,
    "bool array": np.array(True), "2-d": np.array([[2]]), "complex": 2j, "class": int, "Decimal": Decimal(2), "nan": NAN,
    "timedelta": np.timedelta64(2), "float array": np.array(2.0), "2**63": 2**63, "-2**63 - 1": -(2**63) - 1,
    "2**64 - 1": np.uint64(2**64 - 1), "10**30": 10**30, "10**5000": 10**5000,
}  # fmt: skip
FROM_ZERO = NOT_INTEGERS | {"-1": np.int64(-1), "1-d": np.array([2]), "list": [2, 2]}
FROM_ONE = FROM_ZERO | {"0": 0}
NOT_FLAGS = NOT_ANYTHING | {
    "None": None, "0": 0, "1": 1, "str": "True", "float": 1.0, "nan": NAN, "array": np.array([True, False]), "list": [],
    "0-d": np.array(True),
}  # fmt: skip
NOT_NAMES = NOT_ANYTHING | {
    "other": "nchw ", "empty": "", "bytes": b"NCHW", "int": 0, "bool": True, "list": ["NCHW"], "0-d": np.array("NCHW"), "nan": NAN,
    "array": np.array(["NCHW", "NHWC"]), "class": str, "surrogate": "\ud800",
}  # fmt: skip
NOT_TEXTS = NOT_ANYTHING | {
    "None": None,
    "int": 3,
    "bytes": b"",
    "tuple": (),
    "tuple of str": ("a",),
    "array": np.array("a"),
}


def _in_lists(item):
    return {"raises in a list": [item(Raises())], "lies in a list": [item(Lies())], "float in a list": [item(2.0)],
            "str in a list": [item("2")], "None in a list": [item(None)], "bool in a list": [item(True)]}  # fmt: skip


def not_shapes(shape):
    return {k: v for k, v in FROM_ONE.items() if k not in ("1-d", "list")} | _in_lists(lambda v: v) | {
        "empty": (), "large": (*shape[:-1], 2**70), "set": {2.5}, "bytes": bytes(shape), "2-d": [shape], "endless": iter(int, 1),
        "negative": tuple(-n for n in shape), "zero": [0, *shape],
    }  # fmt: skip


def not_axes(axes, rank):
    wrong = {k: v for k, v in NOT_INTEGERS.items() if k not in ("None", "dict")} | _in_lists(lambda v: v)
    return wrong | {"rank": rank, "-rank - 1": (-rank - 1,), "twice": (*axes, axes[0]), "once more": (*axes, axes[-1] - rank),
                    "nested": [[0]], "large": (2**70,), "endless": iter(int, 1)}  # fmt: skip


def numbers_like(v):
    return {"Fraction": Fraction(v), "Decimal": Decimal(v), "float64": np.float64(v), "longdouble": np.longdouble(v),
            "float16": np.float16(v), "0-d": np.array(v, ">f4"), "float()": Float(v)}  # fmt: skip


def integers_like(v):
    return {"int8": np.int8(v), "int64": np.int64(v), "0-d": np.array(v, ">i4"), "index()": Index(v)}


def flags_like(v):
    return {"numpy": np.bool_(v)}


def texts_like(v):
    return {"numpy": np.str_(v), "subclass": Text(v)}


def sequences_like(v):
    found = {"list": list(v), "array": np.array(v), "int8s": tuple(map(np.int8, v)), "index()s": [Index(n) for n in v]}
    return found | ({"int": v[0], "index()": Index(v[0]), "0-d": np.array(v[0])} if len(v) == 1 else {})
