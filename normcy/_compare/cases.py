"""What is run: the table of methods, the table of models' shapes, and the arrays of a case."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
EPS = 1e-5
LAYOUTS = ("NCHW", "NHWC")


@dataclass(frozen=True)
class Method:
    """How a method is asked for, which function it is, and with which of `arguments` that is called."""

    option: str
    function: str
    parameters: tuple[str, ...]
    least_rank: int = 3
    has_layout: bool = True
    training: bool = False
    bound: int = 4  # the largest error that normcy allows itself, in the units of `accuracy`


_RUNNING = ("running_mean", "running_var", "weight", "bias", "training", "layout")
METHODS = {
    "batch": Method("batch", "batch_norm", _RUNNING, least_rank=2),
    "batch train": Method("batch", "batch_norm", _RUNNING, least_rank=2, training=True),
    "layer": Method("layer", "layer_norm", ("normalized_shape", "weight", "bias"), 2, has_layout=False, bound=5),
    "rms": Method("rms", "rms_norm", ("normalized_shape", "weight"), 2, has_layout=False, bound=5),
    "layer2d": Method("layer2d", "layer_norm2d", ("weight", "bias", "layout"), bound=5),
    "instance": Method("instance", "instance_norm", ("weight", "bias", "layout")),
    "group": Method("group", "group_norm", ("num_groups", "weight", "bias", "layout")),
}

# Shapes with the channels first; where the method has a layout, each is run with the channels last too.
MODELS = (
    ("ResNet-50", "batch", (8, 256, 56, 56)),
    ("ResNet-50", "batch", (8, 2048, 7, 7)),
    ("ResNet-50", "batch train", (8, 256, 56, 56)),
    ("ResNet-50", "batch train", (32, 256, 14, 14)),
    ("BERT-base", "layer", (8, 128, 768)),
    ("ViT-B/16", "layer", (32, 197, 768)),
    ("LLM prefill", "layer", (2048, 4096)),
    ("LLM prefill", "rms", (2048, 4096)),
    ("LLM decode", "layer", (1, 4096)),
    ("LLM decode", "rms", (1, 4096)),
    ("ConvNeXt", "layer2d", (8, 96, 56, 56)),
    ("style net", "instance", (1, 128, 256, 256)),
    ("SD UNet", "group", (2, 320, 64, 64)),
)


@dataclass(frozen=True)
class Case:
    """One row: a method on a shape. The layout is "-" where the method has none."""

    name: str
    method: str
    shape: tuple[int, ...]
    layout: str

    @property
    def channel_axis(self) -> int:
        return 1 if self.layout == "NCHW" else len(self.shape) - 1

    @property
    def normalized_shape(self) -> tuple[int, ...]:
        """Of layer and RMS norm: the features of a token; of pictures and volumes, all but the samples."""
        return self.shape[1:] if len(self.shape) > 3 else self.shape[-1:]

    @property
    def parameter_shape(self) -> tuple[int, ...]:
        return (self.shape[self.channel_axis],) if METHODS[self.method].has_layout else self.normalized_shape

    @property
    def num_groups(self) -> int:
        """The most groups up to 32, as models use, that have two channels or more."""
        channels = self.shape[self.channel_axis]
        return max((n for n in range(1, min(32, channels // 2) + 1) if channels % n == 0), default=1)

    def broadcast(self, parameter: Array) -> Array:
        """A parameter in a shape that NumPy broadcasts against x."""
        return parameter.reshape(-1, *[1] * (len(self.shape) - 2)) if self.layout == "NCHW" else parameter


class Job(NamedTuple):
    case: Case
    x: Array | None  # None: normal random values


def model_jobs(methods: Collection[str], layouts: Collection[str]) -> list[Job]:
    """The models' cases of these methods (as in ``Method.option``) and layouts."""
    jobs = []
    for name, method, shape in MODELS:
        if METHODS[method].option in methods:
            last = (shape[0], *shape[2:], shape[1])
            by_layout = {"NCHW": shape, "NHWC": last} if METHODS[method].has_layout else {"-": shape}
            jobs += [Job(Case(name, method, s, k), None) for k, s in by_layout.items() if k in (*layouts, "-")]
    return jobs


def array_jobs(name: str, by_layout: dict[str, Array], methods: Collection[str]) -> list[Job]:
    """Cases of the methods that fit an array, given in each layout to run."""
    jobs = []
    first = next(iter(by_layout.values()))
    for key, method in METHODS.items():
        if method.option in methods and first.ndim >= method.least_rank:
            arrays = by_layout if method.has_layout and first.ndim > 2 else {"-": first}
            jobs += [Job(Case(name, key, x.shape, layout), x) for layout, x in arrays.items()]
    return jobs


def arrays(job: Job) -> dict[str, Array]:
    """x and its parameters, random but the same in every run."""
    case, generator = job.case, np.random.default_rng(7)
    x = generator.standard_normal(case.shape, np.float32) * np.float32(1.7) if job.x is None else job.x
    names = ("weight", "bias", "running_mean")
    parameters = {name: generator.standard_normal(case.parameter_shape, np.float32) for name in names}
    return {"x": x, **parameters, "running_var": generator.random(case.parameter_shape, np.float32) + np.float32(0.5)}


def arguments(case: Case, data: dict[str, Array]) -> dict[str, Any]:
    """Arguments of the method's function, which is the same in `normcy` and in `normcy.reference`."""
    method = METHODS[case.method]
    options = {
        "normalized_shape": case.normalized_shape,
        "num_groups": case.num_groups,
        "training": method.training,
        "layout": "NCHW" if case.layout == "-" else case.layout,
    }
    known = data | options
    return {"x": data["x"], "eps": EPS} | {name: known[name] for name in method.parameters}


def nbytes(case: Case) -> int:
    """Bytes that no implementation can avoid: x is read once, y is written once."""
    return 2 * prod(case.shape) * np.dtype(np.float32).itemsize
