"""How far a float32 result is from the float64 reference."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import normcy
from normcy._compare.cases import METHODS, Array, Case, arguments

UNIT = 2.0**-24  # half a unit in the last place of float32 values from 1 to 2


class Errors(NamedTuple):
    largest: float  # of |y - y64|; infinite where only one of them is NaN
    units: (
        float  # the same over UNIT * (|weight| * max(1, |xhat|) + |bias|), which is what float32 arithmetic allows for
    )


class Reference:
    """The float64 result of a case, and the errors of others' results against it."""

    def __init__(self, case: Case, data: dict[str, Array]) -> None:
        method = METHODS[case.method]
        weight = case.broadcast(data["weight"]).astype(np.float64)
        bias = case.broadcast(data["bias"]).astype(np.float64) if "bias" in method.parameters else np.float64(0)
        with np.errstate(all="ignore"):
            self.y = getattr(normcy.reference, method.function)(**arguments(case, data))
            # |weight * xhat| is |y - bias|
            self.scale: NDArray[np.float64] = np.maximum(np.abs(weight), np.abs(self.y - bias)) + np.abs(bias)

    def errors(self, y: Array) -> Errors:
        with np.errstate(all="ignore"):
            difference = np.abs(y - self.y)
            units = difference / self.scale
            if not np.isfinite(np.max(units)):
                same = (y == self.y) | (np.isnan(y) & np.isnan(self.y))
                difference, units = (np.where(same, 0, np.nan_to_num(e, nan=np.inf)) for e in (difference, units))
        return Errors(float(difference.max()), float(units.max()) / UNIT)
