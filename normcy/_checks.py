"""Checks of what layers and tools are built from; what enters a kernel is checked in the core."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np

LAYOUTS = ("NCHW", "NHWC")
ACTIVATIONS = (None, "relu", "silu", "gelu", "gelu_tanh")


def integer(value: Any, name: str, least: int = 1) -> int:
    """A whole number, `least` or more."""
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}: expected an int, got {type(value).__name__}")
    if value < least:
        raise ValueError(f"{name}: expected an int from {least} up, got {value}")
    return value.__index__()


def number(value: Any, name: str) -> float:
    """A finite number, as a float."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise TypeError(f"{name}: expected a number, got {type(value).__name__}")
    if not math.isfinite(value):
        raise ValueError(f"{name}: expected a finite number, got {value}")
    return float(value)


def flag(value: Any, name: str) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: expected True or False, got {type(value).__name__}")
    return bool(value)


def choice(value: Any, name: str, options: tuple) -> Any:
    if value not in options:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, options))}, got {value!r}")
    return value


def shape(value: Any, name: str) -> tuple[int, ...]:
    """One size, or a sequence of them, as a tuple."""
    if hasattr(value, "__index__"):
        return (integer(value, name),)
    try:
        sizes = tuple(value)
    except TypeError:
        raise TypeError(f"{name}: expected an int or a sequence of ints, got {type(value).__name__}") from None
    if not sizes:
        raise ValueError(f"{name}: expected one size or more, got none")
    return tuple(integer(size, name) for size in sizes)


def describe(value: Any) -> str:
    """An argument in the words of an error message."""
    if not isinstance(value, np.ndarray):
        return type(value).__name__
    return f"{type(value).__name__} of shape {value.shape} and dtype {value.dtype}"


def floats(value: Any, name: str) -> np.ndarray:
    """A float32 array, in native byte order."""
    if type(value) not in (np.ndarray, np.memmap) or value.dtype != np.float32:
        raise TypeError(f"{name}: expected a float32 numpy.ndarray, got {describe(value)}")
    return value
