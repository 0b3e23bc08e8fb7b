"""Checks of the arguments of layers and tools: those of the compiled entries, and stricter ones."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from normcy import _native
from normcy._native import describe, flag, floats, narrow, number, shown
from normcy._types import Activation, Layout

__all__ = [
    "ACTIVATIONS",
    "LAYOUTS",
    "UNMASKED",
    "channels",
    "choice",
    "describe",
    "flag",
    "floats",
    "full",
    "integer",
    "narrow",
    "number",
    "shape",
    "shown",
    "text",
]

_ADDRESSABLE = 2**45  # floats; no process can address more

Option = TypeVar("Option", bound="str | None")

LAYOUTS: tuple[Layout, ...] = ("NCHW", "NHWC")
UNMASKED = "an array without a mask, which would be lost, got a masked array; pass what its filled() returns"
ACTIVATIONS: tuple[Activation, ...] = (None, "relu", "silu", "gelu", "gelu_tanh")


def integer(value: Any, name: str, least: int = 1) -> int:
    """Returns an int that is `least` or more."""
    found = _native.integer(value, name)
    if found < least:
        raise ValueError(f"{name}: expected an int from {least} up, got {found}")
    return found


def channels(x: Any, layout: str, count: int) -> None:
    """Checks that x is a float32 array of rank 2 or more with that many channels."""
    if floats(x, "x").ndim < 2:
        raise ValueError(f"x: expected an array of rank 2 or more, (N, C, ...), got shape {x.shape}")
    _native.check_channels(x, layout, count)


def choice(value: Any, name: str, options: tuple[Option, ...]) -> Option:
    """Returns the value if it is one of the options, which are str or None."""
    if not (value is None or isinstance(value, str)) or value not in options:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, options))}, got {shown(value)}")
    return options[options.index(value)]


def text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected a str, got {type(value).__name__}")
    return value


def shape(value: Any, name: str) -> tuple[int, ...]:
    """Returns one size, or a sequence of sizes, as a tuple."""
    sizes = _native.integers(value, name)
    if not sizes:
        raise ValueError(f"{name}: expected one size or more, got none")
    return tuple(integer(size, name) for size in sizes)


def full(size: int | tuple[int, ...], value: float, name: str, dtype: Any = np.float32) -> NDArray[Any]:
    """Returns a new array filled with a value; an error blames the argument that gave the size."""
    try:
        return np.full(size, value, dtype)
    except (MemoryError, OverflowError, ValueError) as error:
        if math.prod(size if isinstance(size, tuple) else (size,)) < _ADDRESSABLE:
            raise  # the size is possible, but there is no memory left
        raise ValueError(f"{name}: expected sizes that fit into memory, got {shown(size)}") from error
