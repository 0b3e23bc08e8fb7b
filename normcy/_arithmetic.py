"""Arithmetic in Python whose results do not depend on the caller's floating-point settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np

from normcy import _native

__all__ = ["by_default_rules"]

P = ParamSpec("P")
R = TypeVar("R")


def by_default_rules(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function compute in IEEE's default mode, and without warnings: infinities and NaN are valid results.

    The compiled core does the same at each of its entries. This is for functions that compute in Python and NumPy: the
    caller's rounding direction and flushing of subnormals would change digits, and `numpy.seterr` would make them warn
    or raise.
    """

    @wraps(function)
    def computed(*args: P.args, **kwargs: P.kwargs) -> R:
        with np.errstate(all="ignore"), _native.DefaultMode():
            return function(*args, **kwargs)

    return computed
