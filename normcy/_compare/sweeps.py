"""The sweeps of `normcy accuracy`, each over one quantity that makes norms inaccurate, and their arrays."""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import isqrt
from typing import NamedTuple

import numpy as np

from normcy._compare.cases import Case, Job, arrays
from normcy._compare.methods import EPS, METHODS, Array, Method
from normcy._types import Float64

LENGTH = 4096  # values in a slot of statistics, in the other sweeps
MEAN = 1.0  # in standard deviations, in the other sweeps: about that of a ReLU's output
LONGEST = 2**26


class Sweep(NamedTuple):
    name: str
    title: str
    values: tuple[float, ...]  # one for each column


SWEEPS = (
    Sweep("mean", "|mean| / std", (0, 1, 1e2, 1e4, 1e6)),
    Sweep("length", "values in a slot of statistics", (1, 7, 49, 100, 1000, 4096, 2**16, 2**20, LONGEST)),
    Sweep("magnitude", "x multiplied by", (1e-30, 1e-20, 1e-10, 1, 1e10, 1e20, 1e30)),
)


class Size(NamedTuple):
    values: int  # about how many values x has
    longest: int  # the longest slot


MANY, FEW = Size(2**20, LONGEST), Size(2**17, 2**20)


class Point(NamedTuple):
    """A case at one value of a sweep."""

    sweep: str
    value: float
    case: Case

    @property
    def length(self) -> int:
        return int(self.value) if self.sweep == "length" else LENGTH

    @property
    def mean(self) -> float:
        return self.value if self.sweep == "mean" else MEAN

    @property
    def magnitude(self) -> float:
        return self.value if self.sweep == "magnitude" else 1.0


def points(methods: Collection[str], layouts: Collection[str], size: Size) -> list[Point]:
    """Returns the methods of these names (as in `Method.option`), alone and with an activation, along the sweeps."""
    chosen = [key for key, method in METHODS.items() if method.option in methods and not _has_residual(method)]
    return [
        Point(sweep.name, value, case)
        for sweep in SWEEPS
        for value in sweep.values
        for key in chosen
        for case in _cases(key, sweep.name, value, layouts, size)
    ]


def _has_residual(method: Method) -> bool:
    """A residual is left out, since it is no harder than the array that it is added to."""
    return not {"pre_add", "post_add"}.isdisjoint(method.parameters)


def _cases(key: str, sweep: str, value: float, layouts: Collection[str], size: Size) -> list[Case]:
    """Returns one case for each layout, and none if the method takes no slot of that length."""
    method = METHODS[key]
    length = int(value) if sweep == "length" else LENGTH
    longest = min(size.longest, 2**20) if method.activation else size.longest  # its error does not depend on length
    if not method.least_values <= length <= longest:
        return []
    # eps is as small beside the variance as usual, since it would otherwise hide all errors of tiny values
    eps = EPS * min(1.0, value**2) if sweep == "magnitude" else EPS
    slots = max(size.values // max(length, 16), min(4, LONGEST // length))
    first = _shape(method.option, length, slots)
    shapes = {"NCHW": first, "NHWC": (first[0], *first[2:], first[1])} if method.has_layout else {"-": first}
    return [Case(sweep, key, shape, layout, eps) for layout, shape in shapes.items() if layout in (*layouts, "-")]


def _shape(option: str, length: int, slots: int) -> tuple[int, ...]:
    """Returns a shape, channels first, with slots of that length, and about so many of them."""
    if option in ("layer", "rms", "weight"):
        return slots, length
    if option == "layer2d":
        return 1, length, *_plane(slots)
    if option in ("batch", "renorm"):
        samples = _largest_divisor(length, 8)
        return samples, slots, *_plane(length // samples)
    if option in ("group", "evonorm_s0"):  # `Case.num_groups` gives the same number
        each = next((n for n in range(2, length + 1) if length % n == 0), 1)  # channels of a group
        groups = 1 if each == 1 else min(32, slots)
        return max(1, slots // groups), groups * each, *_plane(length // each)
    samples = 2 if slots > 1 else 1
    return samples, max(slots // samples, 2 if option == "ibn" else 1), *_plane(length)


def _plane(positions: int) -> tuple[int, int]:
    height = _largest_divisor(positions, isqrt(positions))
    return height, positions // height


def _largest_divisor(n: int, most: int) -> int:
    return next(d for d in range(most, 0, -1) if n % d == 0)


def data_at(point: Point) -> dict[str, Array]:
    """Returns the case's arrays: x, normal about its mean; statistics of other data, and a style, of x's magnitude."""
    mean, magnitude = point.mean, point.magnitude
    x = np.random.default_rng(11).standard_normal(point.case.shape, np.float32)
    x += np.float32(mean)
    x *= np.float32(magnitude)
    data = arrays(Job(point.case, x))
    changed: dict[str, Callable[[Float64], Float64]] = {
        "running_mean": lambda v: (v + mean) * magnitude,
        "running_std": lambda v: v * magnitude,
        "running_var": lambda v: np.minimum(v * magnitude**2, np.finfo(np.float32).max),
    }
    if METHODS[point.case.method].option == "adain":  # the style of a conditional norm is an id
        changed["style"] = lambda v: v * magnitude
    float64 = {name: change(data[name].astype(np.float64)) for name, change in changed.items() if name in data}
    return data | {name: value.astype(np.float32) for name, value in float64.items()}
