"""The entries, as functions and layers call them: all arguments by position, in the order of the public functions."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[np.float32]
_Maybe = _Array | None
_Count = NDArray[np.int64] | None

# Norms. `channels` is the number that the calling layer expects, or -1 for any; `tracked` counts the layer's batches.
def adain(
    content: _Array, style: _Array | tuple[_Array, _Array], eps: float, alpha: float, correction: float,
    style_eps: float | None, layout: str, out: _Maybe,
) -> _Array: ...  # fmt: skip
def batch_norm(
    x: _Array, running_mean: _Maybe, running_var: _Maybe, weight: _Maybe, bias: _Maybe, training: bool,
    momentum: float | None, eps: float, layout: str, weight_offset: float, pre_add: _Maybe, sum_out: _Maybe,
    post_add: _Maybe, activation: str | None, out: _Maybe, return_stats: bool, unbiased_running_var: bool,
    channels: int = -1, tracked: _Count = None,
) -> Any: ...  # fmt: skip
def batch_renorm(
    x: _Array, running_mean: _Array, running_std: _Array, weight: _Maybe, bias: _Maybe, training: bool,
    momentum: float | None, eps: float, r_max: float, d_max: float, layout: str, activation: str | None, out: _Maybe,
    channels: int = -1, tracked: _Count = None,
) -> _Array: ...  # fmt: skip
def conditional_instance_norm(
    x: _Array, style: NDArray[Any], weight: _Array, bias: _Array, eps: float, layout: str, activation: str | None,
    out: _Maybe, channels: int = -1,
) -> _Array: ...  # fmt: skip
def evonorm_b0(
    x: _Array, running_var: _Array, weight: _Array, bias: _Array, v: _Maybe, training: bool, momentum: float,
    eps: float, layout: str, out: _Maybe, channels: int = -1,
) -> _Array: ...  # fmt: skip
def evonorm_s0(
    x: _Array, num_groups: int, weight: _Array, bias: _Array, v: _Maybe, eps: float, layout: str, out: _Maybe,
    channels: int = -1,
) -> _Array: ...  # fmt: skip
def group_norm(
    x: _Array, num_groups: int, weight: _Maybe, bias: _Maybe, eps: float, layout: str, weight_offset: float,
    pre_add: _Maybe, sum_out: _Maybe, post_add: _Maybe, activation: str | None, out: _Maybe, return_stats: bool,
    channels: int = -1,
) -> Any: ...  # fmt: skip
def instance_norm(
    x: _Array, running_mean: _Maybe, running_var: _Maybe, weight: _Maybe, bias: _Maybe, use_input_stats: bool,
    momentum: float | None, eps: float, layout: str, weight_offset: float, pre_add: _Maybe, sum_out: _Maybe,
    post_add: _Maybe, activation: str | None, out: _Maybe, return_stats: bool, unbiased_running_var: bool,
    channels: int = -1, tracked: _Count = None,
) -> Any: ...  # fmt: skip
def layer_norm(
    x: _Array, normalized_shape: int | tuple[int, ...], weight: _Maybe, bias: _Maybe, eps: float,
    weight_offset: float, pre_add: _Maybe, sum_out: _Maybe, post_add: _Maybe, activation: str | None, out: _Maybe,
    return_stats: bool, correction: float, eps_mode: str, of_layer: bool = False,
) -> Any: ...  # fmt: skip
def layer_norm2d(
    x: _Array, weight: _Maybe, bias: _Maybe, eps: float, layout: str, weight_offset: float, pre_add: _Maybe,
    sum_out: _Maybe, post_add: _Maybe, activation: str | None, out: _Maybe, return_stats: bool, channels: int = -1,
) -> Any: ...  # fmt: skip
def moments(
    x: NDArray[Any], axes: Any, correction: float, keepdims: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
def rms_norm(
    x: _Array, normalized_shape: int | tuple[int, ...], weight: _Maybe, eps: float | None, weight_offset: float,
    pre_add: _Maybe, sum_out: _Maybe, post_add: _Maybe, activation: str | None, out: _Maybe, return_stats: bool,
    of_layer: bool = False,
) -> Any: ...  # fmt: skip
def weight_norm(v: _Array, g: _Array | float, dim: int | None, out: _Maybe) -> _Array: ...
def copy(x: _Array, out: _Array) -> None: ...

# checks
def check_channels(x: _Array, layout: str, channels: int) -> None: ...
def describe(obj: Any) -> str: ...
def flag(value: Any, name: str) -> bool: ...
def floats(obj: Any, name: str) -> _Array: ...
def integer(value: Any, name: str) -> int: ...
def integers(value: Any, name: str, expected: str = "an int or a sequence of ints") -> tuple[int, ...]: ...
def narrow(value: Any, name: str) -> float: ...
def number(value: Any, name: str) -> float: ...
def shown(value: Any) -> str: ...
def writeable(a: _Array, name: str) -> int: ...

# the state of the process
class DefaultMode(AbstractContextManager[DefaultMode]):
    def __exit__(self, *error: object) -> None: ...

def current_isa() -> str: ...
def forked() -> bool: ...
def get_num_threads() -> int: ...
def has_openmp() -> bool: ...
def is_crowded() -> bool: ...
def isas() -> dict[str, bool]: ...
def judge_calls(wanted: bool) -> None: ...
def judge_team(size: int, wall_ns: int, own_ns: int, waited_ns: int) -> bool: ...
def override_threads(n: int | None) -> int | None: ...
def set_num_threads(n: int) -> None: ...
def use_isa(wanted: str) -> None: ...
def use_runner(wanted: Callable[[int, Callable[[int], None]], None] | None) -> None: ...
