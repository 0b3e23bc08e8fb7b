"""The cases that are run: the table of models' shapes, and the arrays of a case."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from math import prod
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from normcy._compare.methods import ARRAYS, EPS, METHODS, Array
from normcy._types import Layout

# Shapes with the channels first; where the method has a layout, each is run with the channels last too.
MODELS = (
    ("ResNet-50", "batch", (8, 256, 56, 56)),
    ("ResNet-50", "batch", (8, 2048, 7, 7)),
    ("ResNet-50", "batch+relu", (8, 256, 56, 56)),
    ("ResNet-50", "batch+add+relu", (8, 256, 56, 56)),
    ("ResNet-50", "batch train", (8, 256, 56, 56)),
    ("ResNet-50", "batch train", (32, 256, 14, 14)),
    ("ResNet-50", "renorm", (32, 64, 56, 56)),
    ("ResNet-50", "renorm train", (32, 64, 56, 56)),
    ("IBN-ResNet", "ibn", (8, 256, 56, 56)),
    ("EvoNorm-R50", "evonorm_b0", (8, 256, 56, 56)),
    ("EvoNorm-R50", "evonorm_b0 train", (8, 256, 56, 56)),
    ("EvoNorm-R50", "evonorm_s0", (8, 256, 56, 56)),
    ("BERT-base", "layer", (8, 128, 768)),
    ("BERT-base", "add+layer", (8, 128, 768)),
    ("ViT-B/16", "layer", (32, 197, 768)),
    ("LLM prefill", "layer", (2048, 4096)),
    ("LLM prefill", "rms", (2048, 4096)),
    ("LLM decode", "layer", (1, 4096)),
    ("LLM decode", "rms", (1, 4096)),
    ("ConvNeXt", "layer2d", (8, 96, 56, 56)),
    ("style net", "instance", (1, 128, 256, 256)),
    ("style net", "adain", (1, 512, 64, 64)),
    ("style net", "conditional", (4, 128, 128, 128)),
    ("SD UNet", "group", (2, 320, 64, 64)),
    ("SD UNet", "group+silu", (2, 320, 64, 64)),
    ("3x3 conv", "weight", (512, 512, 3, 3)),
    ("WaveNet", "weight", (512, 256, 3)),
)


@dataclass(frozen=True)
class Case:
    """One row of the table: a method on a shape. The layout is "-" if the method has none."""

    name: str
    method: str
    shape: tuple[int, ...]
    layout: str
    eps: float = EPS

    @property
    def layout_argument(self) -> Layout:
        """The functions' argument, which makes no difference to an array of rank 2."""
        return "NHWC" if self.layout == "NHWC" else "NCHW"

    @property
    def channel_axis(self) -> int:
        return 1 if self.layout == "NCHW" else len(self.shape) - 1

    @property
    def positions(self) -> tuple[int, ...]:
        """The axes of a sample's channel, such as height and width."""
        return tuple(axis for axis in range(1, len(self.shape)) if axis != self.channel_axis)

    @property
    def style_shape(self) -> tuple[int, ...]:
        """The shape of AdaIN's style, which has another spatial size: 48 by 80 beside a content of 64 by 64."""
        shape = list(self.shape)
        shape[self.positions[0]] = -(-shape[self.positions[0]] * 3 // 4)
        shape[self.positions[-1]] = -(-shape[self.positions[-1]] * 5 // 4)
        return tuple(shape)

    @property
    def instance_channels(self) -> int:
        """The channels of IBN that are instance normalized, the first half."""
        return self.shape[self.channel_axis] // 2

    @property
    def normalized_shape(self) -> tuple[int, ...]:
        """The features of a token for layer and RMS norm; for pictures and volumes, all axes but the samples."""
        return self.shape[1:] if len(self.shape) > 3 else self.shape[-1:]

    @property
    def parameter_shape(self) -> tuple[int, ...]:
        return (self.shape[self.channel_axis],) if METHODS[self.method].has_layout else self.normalized_shape

    @property
    def num_groups(self) -> int:
        """The largest number of groups up to 32, as in models, whose groups have two channels or more."""
        channels = self.shape[self.channel_axis]
        return max((n for n in range(1, min(32, channels // 2) + 1) if channels % n == 0), default=1)

    @property
    def activation(self) -> str | None:
        return METHODS[self.method].activation

    def broadcast(self, parameter: Array) -> Array:
        """Reshapes a parameter, (C,), (N, C) or that of x, so that NumPy broadcasts it against x."""
        if parameter.ndim == len(self.shape):
            return parameter
        ones = (1,) * (len(self.shape) - 2)
        shapes = {"NCHW": parameter.shape + ones, "NHWC": parameter.shape[:-1] + ones + parameter.shape[-1:]}
        return parameter.reshape(shapes.get(self.layout, parameter.shape))


class Job(NamedTuple):
    case: Case
    x: Array | None  # with None, x has normal random values


def model_jobs(methods: Collection[str], layouts: Collection[str]) -> list[Job]:
    """Returns the models' cases of these methods (as in ``Method.option``) and layouts."""
    jobs = []
    for name, method, shape in MODELS:
        if METHODS[method].option in methods:
            last = (shape[0], *shape[2:], shape[1])
            by_layout = {"NCHW": shape, "NHWC": last} if METHODS[method].has_layout else {"-": shape}
            jobs += [Job(Case(name, method, s, k), None) for k, s in by_layout.items() if k in (*layouts, "-")]
    return jobs


def array_jobs(
    name: str, by_layout: dict[str, Array], methods: Collection[str], picture: bool
) -> tuple[list[Job], dict[str, str]]:
    """Returns the cases of the methods that fit an array, which is given in each layout to run.

    With them it returns the reasons why the other methods do not fit, by method.
    """
    jobs, misfits = [], {}
    first = next(iter(by_layout.values()))
    for key, method in METHODS.items():
        if not method.compared or method.option not in methods:
            continue
        if reason := method.misfit(first.ndim, picture):
            misfits[key] = reason
            continue
        arrays = by_layout if method.has_layout and first.ndim > 2 else {"-": first}
        jobs += [Job(Case(name, key, x.shape, layout), x) for layout, x in arrays.items()]
    return jobs, misfits


def arrays(job: Job) -> dict[str, Array]:
    """Returns x and its parameters, which are random but the same in every run."""
    case, random = job.case, np.random.default_rng(7)
    method = METHODS[case.method]
    x = random.standard_normal(case.shape, np.float32) * np.float32(1.7) if job.x is None else job.x
    makers = {**ARRAYS, **method.own_arrays}
    return {"x": x, **{name: make(case, random) for name, make in makers.items() if name in method.parameters}}


def call(module: ModuleType, case: Case, data: dict[str, Array], bare: bool = False) -> Callable[..., Any]:
    """Returns what computes the case in `normcy` or `normcy.reference`; if ``bare``, only up to the affine step."""
    method = METHODS[case.method]
    left_out = ("post_add", "activation") if bare else ()
    return method.build(module, case, data, [name for name in method.parameters if name not in left_out])


def nbytes(case: Case) -> int:
    """Returns the bytes that any implementation moves: it reads x, a residual and a style once, and writes y once."""
    residuals = sum(name in ("pre_add", "post_add") for name in METHODS[case.method].parameters)
    style = prod(case.style_shape) if case.method == "adain" else 0
    return ((2 + residuals) * prod(case.shape) + style) * np.dtype(np.float32).itemsize
