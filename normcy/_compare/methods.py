"""The table of methods: the function of each, its arguments, and the error that normcy allows itself."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import normcy

if TYPE_CHECKING:
    from normcy._compare.cases import Case

Array = NDArray[Any]  # float32, except the ids of styles
EPS = 1e-5
R_MAX, D_MAX = 3.0, 5.0  # of batch renorm; the paper's values for late training
STYLES = 32


def _function(module: ModuleType, case: Case, data: dict[str, Array], names: Collection[str]) -> Callable[..., Any]:
    """Returns the method's function, which has the same arguments in `normcy` and in `normcy.reference`."""
    method = METHODS[case.method]
    options = {
        "eps": case.eps,
        "normalized_shape": case.normalized_shape,
        "num_groups": case.num_groups,
        "training": method.training,
        "layout": case.layout_argument,
        "activation": case.activation,
        "r_max": R_MAX,
        "d_max": D_MAX,
    }
    known = data | options
    return partial(getattr(module, method.function), data["x"], **{name: known[name] for name in names})


def _ibn(module: ModuleType, case: Case, data: dict[str, Array], names: Collection[str]) -> Callable[..., Any]:
    """Returns the layer; the reference has none, so that the functions of its halves are combined there."""
    half = case.instance_channels
    of_in = {name: data[name][:half] for name in ("weight", "bias")}
    of_bn = {name: data[name][half:] for name in names}
    if module is not normcy.reference:
        layer = module.IBN(len(data["weight"]), eps=case.eps, layout=case.layout)
        state = {f"IN.{name}": value for name, value in of_in.items()}
        layer.load_state_dict(state | {f"BN.{name}": value for name, value in of_bn.items()})
        return partial(layer.eval(), data["x"])

    def twin() -> Array:
        first, last = np.split(data["x"], [half], case.channel_axis)
        options = {"eps": case.eps, "layout": case.layout}
        halves = module.instance_norm(first, **of_in, **options), module.batch_norm(last, **of_bn, **options)
        return np.concatenate(halves, case.channel_axis)

    return twin


@dataclass(frozen=True)
class Method:
    """A method of the table: the option that selects it, its function, and the arguments of the function after x."""

    option: str
    function: str
    parameters: tuple[str, ...]
    least_rank: int = 3
    has_layout: bool = True
    training: bool = False
    activation: str | None = None
    units: int = 4  # the largest error of the norm alone that normcy allows itself, in the units of `accuracy`
    on_pictures: bool = True  # a picture is no weight, and has no residual
    compared: bool = True  # `normcy compare` leaves out methods that differ from another one only in their activation
    least_values: int = 1  # the fewest values that a slot of statistics needs
    build: Callable[..., Callable[..., Any]] = _function
    own_arrays: Mapping[str, Callable[..., Array]] = field(default_factory=dict)  # unlike `ARRAYS`

    def misfit(self, rank: int, picture: bool) -> str | None:
        """Returns why the method makes no sense on the user's array or picture; None if it does."""
        if rank < self.least_rank:
            return f"needs rank {self.least_rank} or more, the array has {rank}"
        if picture and not self.on_pictures:
            return "a picture is no weight" if self.option == "weight" else "on pictures, norms run alone"
        return None

    @property
    def norm(self) -> str:
        """The key of the norm alone, without residuals and activation."""
        return f"{self.option} train" if self.training else self.option

    @property
    def bound(self) -> float:
        """The bound of the norm with what follows, in units.

        A residual adds one rounding. An activation scales errors by its slope, up to 1.13, and adds 3 units. ReLU has a
        slope of 1 and is exact.
        """
        units = self.units + ("post_add" in self.parameters)
        return units if self.activation in (None, "relu") else round(1.13 * units + 3, 2)


def _normal(case: Case, random: np.random.Generator) -> Array:
    return random.standard_normal(case.parameter_shape, np.float32)


def _positive(case: Case, random: np.random.Generator) -> Array:
    return random.random(case.parameter_shape, np.float32) + np.float32(0.5)


def _like_x(case: Case, random: np.random.Generator) -> Array:
    return random.standard_normal(case.shape, np.float32)


def _style(case: Case, random: np.random.Generator) -> Array:
    return random.standard_normal(case.style_shape, np.float32)


def _style_ids(case: Case, random: np.random.Generator) -> Array:
    return random.integers(STYLES, size=case.shape[0], dtype=np.int32)


def _table(case: Case, random: np.random.Generator) -> Array:
    return random.standard_normal((STYLES, *case.parameter_shape), np.float32)


def _length(case: Case, random: np.random.Generator) -> Array:
    return random.random(case.shape[0], np.float32) + np.float32(0.5)


ARRAYS = {  # by parameter; `Method.own_arrays` has the exceptions
    "weight": _normal,
    "bias": _normal,
    "running_mean": _normal,
    "running_var": _positive,
    "running_std": _positive,
    "v": _normal,
    "pre_add": _like_x,
    "post_add": _like_x,
}

_AFFINE = ("weight", "bias", "eps", "layout")
_GROUP = ("num_groups", *_AFFINE)
_LAYER = ("normalized_shape", "weight", "bias", "eps")
_RUNNING = ("running_mean", "running_var", "training", *_AFFINE)
_B0 = ("running_var", "v", "training", *_AFFINE)
_RENORM = ("running_mean", "running_std", "training", "r_max", "d_max", *_AFFINE)
_IBN = ("weight", "bias", "running_mean", "running_var")

METHODS = {
    "batch": Method("batch", "batch_norm", _RUNNING, 2),
    "batch train": Method("batch", "batch_norm", _RUNNING, 2, training=True, least_values=2),
    "batch+relu": Method("batch", "batch_norm", (*_RUNNING, "activation"), 2, activation="relu", on_pictures=False),
    "batch+add+relu": Method(
        "batch", "batch_norm", (*_RUNNING, "post_add", "activation"), 2, activation="relu", on_pictures=False
    ),
    "layer": Method("layer", "layer_norm", _LAYER, 2, has_layout=False, units=5),
    "add+layer": Method("layer", "layer_norm", (*_LAYER, "pre_add"), 2, has_layout=False, units=5, on_pictures=False),
    "rms": Method("rms", "rms_norm", ("normalized_shape", "weight", "eps"), 2, has_layout=False, units=5),
    "layer2d": Method("layer2d", "layer_norm2d", _AFFINE, units=5),
    "instance": Method("instance", "instance_norm", _AFFINE, least_values=2),
    "adain": Method("adain", "adain", ("style", "eps", "layout"), units=5, own_arrays={"style": _style}),
    "conditional": Method(
        "conditional",
        "conditional_instance_norm",
        ("style", *_AFFINE),
        units=5,
        own_arrays={"style": _style_ids, "weight": _table, "bias": _table},
    ),
    "ibn": Method("ibn", "IBN", _IBN, build=_ibn, least_values=2),
    "group": Method("group", "group_norm", _GROUP),
    "group+silu": Method("group", "group_norm", (*_GROUP, "activation"), activation="silu", on_pictures=False),
    "group+gelu": Method(
        "group", "group_norm", (*_GROUP, "activation"), activation="gelu", on_pictures=False, compared=False
    ),
    "group+gelu_tanh": Method(
        "group", "group_norm", (*_GROUP, "activation"), activation="gelu_tanh", on_pictures=False, compared=False
    ),
    "evonorm_s0": Method("evonorm_s0", "evonorm_s0", (*_GROUP, "v"), units=6),
    "evonorm_b0": Method("evonorm_b0", "evonorm_b0", _B0, units=5),
    "evonorm_b0 train": Method("evonorm_b0", "evonorm_b0", _B0, training=True, units=5),
    "renorm": Method("renorm", "batch_renorm", _RENORM, 2),
    "renorm train": Method("renorm", "batch_renorm", _RENORM, 2, training=True, least_values=2),
    "weight": Method(
        "weight", "weight_norm", ("g",), 2, has_layout=False, units=3, on_pictures=False, own_arrays={"g": _length}
    ),
}


def plain(name: str) -> str:
    """Returns a name of a method as it is looked up: layer_norm and LayerNorm are the same.

    >>> plain("layer_norm") == plain("LayerNorm")
    True
    """
    return name.replace("_", "").lower()


# The options by plain names: an option may also be given as the name of the function or layer.
OPTIONS = {plain(name): method.option for method in METHODS.values() for name in (method.option, method.function)}
