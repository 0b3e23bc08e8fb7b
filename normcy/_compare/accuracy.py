"""How far a float32 result is from the float64 reference."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

import normcy
from normcy._compare.cases import Case, call
from normcy._compare.formulas import axes
from normcy._compare.methods import D_MAX, METHODS, Array
from normcy._types import Float64

UNIT = 2.0**-24  # half a unit in the last place of float32 values from 1 to 2
Scale = Float64  # the size by which errors are measured, in UNITs, element by element


class Errors(NamedTuple):
    largest: float  # the largest |y - y64|; infinite if only one of them is NaN
    relative: float  # the largest |y - y64| over the largest |y64|
    units: float  # the largest |y - y64| / (UNIT * scale)
    has_nan: bool = False  # whether it is NaN where the reference has a number


class Reference:
    """The float64 result of a case, and the errors of others' results against it."""

    def __init__(self, case: Case, data: dict[str, Array]) -> None:
        method = METHODS[case.method]
        with np.errstate(all="ignore"):
            self.y = call(normcy.reference, case, _spared(data))()
            bare = call(normcy.reference, case, _spared(data), bare=True)() if _continues(case) else self.y
            self.scale: Scale = _SCALES.get(method.norm, _affine)(case, data, bare)
            self.largest = np.max(np.abs(self.y), initial=0.0, where=np.isfinite(self.y))
            if "post_add" in data:
                self.scale = self.scale + np.abs(data["post_add"])

    def errors(self, y: Array) -> Errors:
        with np.errstate(all="ignore"):
            difference = np.abs(y - self.y)
            units = difference / self.scale
            has_nan = False
            if not np.isfinite(np.max(units)):
                has_nan = bool(np.any(np.isnan(y) & ~np.isnan(self.y)))
                same = (y == self.y) | (np.isnan(y) & np.isnan(self.y))
                difference, units = (np.where(same, 0, np.where(np.isnan(e), np.inf, e)) for e in (difference, units))
            largest = float(difference.max())
            return Errors(largest, float(largest / self.largest), float(units.max()) / UNIT, has_nan)


def _spared(data: dict[str, Array]) -> dict[str, Array]:
    """Copies the running statistics, which are written to: every library starts from the original ones."""
    return {name: value.copy() if name.startswith("running") else value for name, value in data.items()}


def _continues(case: Case) -> bool:
    """Returns whether a residual or an activation follows the affine step."""
    return not {"post_add", "activation"}.isdisjoint(METHODS[case.method].parameters)


def _float64(case: Case, parameter: Array) -> Scale:
    return case.broadcast(parameter).astype(np.float64)


def _scaled(weight: Scale, bias: Scale, y: Scale) -> Scale:
    """Returns |weight| * max(1, |xhat|) + |bias|, where |weight * xhat| is |y - bias|."""
    return np.maximum(np.abs(weight), np.abs(y - bias)) + np.abs(bias)


def _affine(case: Case, data: dict[str, Array], y: Scale) -> Scale:
    bias = _float64(case, data["bias"]) if "bias" in data else np.zeros(1)
    return _scaled(_float64(case, data["weight"]), bias, y)


def _adain(case: Case, data: dict[str, Array], y: Scale) -> Scale:
    """The style's deviation is the weight, and its mean is the bias."""
    mean, var = normcy.reference.moments(data["style"], axes(case), keepdims=True)
    return _scaled(np.sqrt(var + case.eps), mean, y)


def _conditional(case: Case, data: dict[str, Array], y: Scale) -> Scale:
    weight, bias = (_float64(case, data[name][data["style"]]) for name in ("weight", "bias"))
    return _scaled(weight, bias, y)


def _evonorm_s0(case: Case, data: dict[str, Array], y: Scale) -> Scale:
    """Returns |weight * x| / std + |bias|: the sigmoid's error counts in full where the sigmoid is close to 0."""
    x, groups = data["x"], case.num_groups
    _, _, rstd = normcy.reference.group_norm(x, groups, eps=case.eps, layout=case.layout_argument, return_stats=True)
    rstd = case.broadcast(np.repeat(rstd, x.shape[case.channel_axis] // groups, axis=1))
    return np.abs(_float64(case, data["weight"]) * x) * rstd + np.abs(_float64(case, data["bias"]))


def _evonorm_b0(case: Case, data: dict[str, Array], y: Scale, training: bool = False) -> Scale:
    """Returns |weight * x| / d * (1 + (|v * x| + std) / d) + |bias|, d the denominator: cancellation in d counts."""
    x, bias = data["x"].astype(np.float64), _float64(case, data["bias"])
    std = np.sqrt(normcy.reference.moments(x, case.positions, keepdims=True)[1] + case.eps)
    var = _float64(case, data["running_var"])
    if training:
        var = normcy.reference.moments(x, (0, *case.positions), keepdims=True)[1]
    right = _float64(case, data["v"]) * x
    denominator = np.maximum(np.sqrt(var + case.eps), right + std)
    return np.abs(y - bias) * (1 + (np.abs(right) + std) / denominator) + np.abs(bias)


def _renorm_train(case: Case, data: dict[str, Array], y: Scale) -> Scale:
    """Returns |weight| * (max(1, |xhat|) + |d| + std_batch / std) + |bias|: d has the batch mean's error over std."""
    weight, bias, std = (_float64(case, data[name]) for name in ("weight", "bias", "running_std"))
    mean, var = normcy.reference.moments(data["x"], axes(case), keepdims=True)
    d = np.clip((mean - _float64(case, data["running_mean"])) / std, -D_MAX, D_MAX)
    return _scaled(weight, bias, y) + np.abs(weight) * (np.abs(d) + np.sqrt(var) / std)


def _weight(case: Case, data: dict[str, Array], y: Scale) -> Scale:
    """Returns |y|, but not less than where float32 loses digits."""
    return np.maximum(np.abs(y), np.finfo(np.float32).tiny)


# By `Method.norm`; all others have the scale of the affine step.
_SCALES: dict[str, Callable[[Case, dict[str, Array], Scale], Scale]] = {
    "adain": _adain,
    "conditional": _conditional,
    "evonorm_s0": _evonorm_s0,
    "evonorm_b0": _evonorm_b0,
    "evonorm_b0 train": partial(_evonorm_b0, training=True),
    "renorm train": _renorm_train,
    "weight": _weight,
}
