"""The types of the reference, which has the signatures of _functional.pyi, and takes floats of any size."""

from typing import Any, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypeVar

from normcy._types import Activation, Convention, EpsMode, Flag, Float64, Ids, Layout, Number, Size, Sizes

__all__ = [
    "adain",
    "batch_norm",
    "batch_renorm",
    "checkpoint_momentum",
    "conditional_instance_norm",
    "evonorm_b0",
    "evonorm_s0",
    "fold_batch_norm",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "layer_norm2d",
    "moments",
    "rms_norm",
    "weight_norm",
]

_Floats: TypeAlias = NDArray[np.floating[Any]]
_Out = TypeVar("_Out", bound=_Floats, default=Float64)  # the type of `out`, which is returned; float64 without it

@overload
def batch_norm(
    x: _Floats, running_mean: _Floats | None, running_var: _Floats | None, weight: _Floats | None = None,
    bias: _Floats | None = None, training: Flag = False, momentum: Number = 0.1, eps: Number = 1e-5, *,
    layout: Layout = "NCHW", weight_offset: Number = 0.0, pre_add: _Floats | None = None,
    sum_out: _Floats | None = None, post_add: _Floats | None = None, activation: Activation = None,
    out: _Out | None = None, return_stats: Literal[False] = False, unbiased_running_var: Flag = True,
) -> _Out: ...  # fmt: skip
@overload
def batch_norm(
    x: _Floats, running_mean: _Floats | None, running_var: _Floats | None, weight: _Floats | None = None,
    bias: _Floats | None = None, training: Flag = False, momentum: Number = 0.1, eps: Number = 1e-5, *,
    layout: Layout = "NCHW", weight_offset: Number = 0.0, pre_add: _Floats | None = None,
    sum_out: _Floats | None = None, post_add: _Floats | None = None, activation: Activation = None,
    out: _Out | None = None, return_stats: Literal[True], unbiased_running_var: Flag = True,
) -> tuple[_Out, Float64, Float64]: ...  # fmt: skip
@overload
def batch_norm(
    x: _Floats, running_mean: _Floats | None, running_var: _Floats | None, weight: _Floats | None = None,
    bias: _Floats | None = None, training: Flag = False, momentum: Number = 0.1, eps: Number = 1e-5, *,
    layout: Layout = "NCHW", weight_offset: Number = 0.0, pre_add: _Floats | None = None,
    sum_out: _Floats | None = None, post_add: _Floats | None = None, activation: Activation = None,
    out: _Out | None = None, return_stats: Flag, unbiased_running_var: Flag = True,
) -> _Out | tuple[_Out, Float64, Float64]: ...  # fmt: skip
@overload
def instance_norm(
    x: _Floats, running_mean: _Floats | None = None, running_var: _Floats | None = None, weight: _Floats | None = None,
    bias: _Floats | None = None, use_input_stats: Flag = True, momentum: Number = 0.1, eps: Number = 1e-5, *,
    layout: Layout = "NCHW", weight_offset: Number = 0.0, pre_add: _Floats | None = None,
    sum_out: _Floats | None = None, post_add: _Floats | None = None, activation: Activation = None,
    out: _Out | None = None, return_stats: Literal[False] = False, unbiased_running_var: Flag = True,
) -> _Out: ...  # fmt: skip
@overload
def instance_norm(
    x: _Floats, running_mean: _Floats | None = None, running_var: _Floats | None = None, weight: _Floats | None = None,
    bias: _Floats | None = None, use_input_stats: Flag = True, momentum: Number = 0.1, eps: Number = 1e-5, *,
    layout: Layout = "NCHW", weight_offset: Number = 0.0, pre_add: _Floats | None = None,
    sum_out: _Floats | None = None, post_add: _Floats | None = None, activation: Activation = None,
    out: _Out | None = None, return_stats: Literal[True], unbiased_running_var: Flag = True,
) -> tuple[_Out, Float64, Float64]: ...  # fmt: skip
@overload
def instance_norm(
    x: _Floats, running_mean: _Floats | None = None, running_var: _Floats | None = None, weight: _Floats | None = None,
    bias: _Floats | None = None, use_input_stats: Flag = True, momentum: Number = 0.1, eps: Number = 1e-5, *,
    layout: Layout = "NCHW", weight_offset: Number = 0.0, pre_add: _Floats | None = None,
    sum_out: _Floats | None = None, post_add: _Floats | None = None, activation: Activation = None,
    out: _Out | None = None, return_stats: Flag, unbiased_running_var: Flag = True,
) -> _Out | tuple[_Out, Float64, Float64]: ...  # fmt: skip
@overload
def layer_norm(
    x: _Floats, normalized_shape: Sizes, weight: _Floats | None = None, bias: _Floats | None = None, eps: Number = 1e-5,
    *, weight_offset: Number = 0.0, pre_add: _Floats | None = None, sum_out: _Floats | None = None,
    post_add: _Floats | None = None, activation: Activation = None, out: _Out | None = None,
    return_stats: Literal[False] = False, correction: Number = 0, eps_mode: EpsMode = "inside_sqrt",
) -> _Out: ...  # fmt: skip
@overload
def layer_norm(
    x: _Floats, normalized_shape: Sizes, weight: _Floats | None = None, bias: _Floats | None = None, eps: Number = 1e-5,
    *, weight_offset: Number = 0.0, pre_add: _Floats | None = None, sum_out: _Floats | None = None,
    post_add: _Floats | None = None, activation: Activation = None, out: _Out | None = None,
    return_stats: Literal[True], correction: Number = 0, eps_mode: EpsMode = "inside_sqrt",
) -> tuple[_Out, Float64, Float64]: ...  # fmt: skip
@overload
def layer_norm(
    x: _Floats, normalized_shape: Sizes, weight: _Floats | None = None, bias: _Floats | None = None, eps: Number = 1e-5,
    *, weight_offset: Number = 0.0, pre_add: _Floats | None = None, sum_out: _Floats | None = None,
    post_add: _Floats | None = None, activation: Activation = None, out: _Out | None = None, return_stats: Flag,
    correction: Number = 0, eps_mode: EpsMode = "inside_sqrt",
) -> _Out | tuple[_Out, Float64, Float64]: ...  # fmt: skip
@overload
def layer_norm2d(
    x: _Floats, weight: _Floats | None = None, bias: _Floats | None = None, eps: Number = 1e-6, *,
    layout: Layout = "NCHW", weight_offset: Number = 0.0, pre_add: _Floats | None = None,
    sum_out: _Floats | None = None, post_add: _Floats | None = None, activation: Activation = None,
    out: _Out | None = None, return_stats: Literal[False] = False,
) -> _Out: ...  # fmt: skip
@overload
def layer_norm2d(
    x: _Floats, weight: _Floats | None = None, bias: _Floats | None = None, eps: Number = 1e-6, *,
    layout: Layout = "NCHW", weight_offset: Number = 0.0, pre_add: _Floats | None = None,
    sum_out: _Floats | None = None, post_add: _Floats | None = None, activation: Activation = None,
    out: _Out | None = None, return_stats: Literal[True],
) -> tuple[_Out, Float64, Float64]: ...  # fmt: skip
@overload
def layer_norm2d(
    x: _Floats, weight: _Floats | None = None, bias: _Floats | None = None, eps: Number = 1e-6, *,
    layout: Layout = "NCHW", weight_offset: Number = 0.0, pre_add: _Floats | None = None,
    sum_out: _Floats | None = None, post_add: _Floats | None = None, activation: Activation = None,
    out: _Out | None = None, return_stats: Flag,
) -> _Out | tuple[_Out, Float64, Float64]: ...  # fmt: skip
@overload
def group_norm(
    x: _Floats, num_groups: Size, weight: _Floats | None = None, bias: _Floats | None = None, eps: Number = 1e-5, *,
    layout: Layout = "NCHW", weight_offset: Number = 0.0, pre_add: _Floats | None = None,
    sum_out: _Floats | None = None, post_add: _Floats | None = None, activation: Activation = None,
    out: _Out | None = None, return_stats: Literal[False] = False,
) -> _Out: ...  # fmt: skip
@overload
def group_norm(
    x: _Floats, num_groups: Size, weight: _Floats | None = None, bias: _Floats | None = None, eps: Number = 1e-5, *,
    layout: Layout = "NCHW", weight_offset: Number = 0.0, pre_add: _Floats | None = None,
    sum_out: _Floats | None = None, post_add: _Floats | None = None, activation: Activation = None,
    out: _Out | None = None, return_stats: Literal[True],
) -> tuple[_Out, Float64, Float64]: ...  # fmt: skip
@overload
def group_norm(
    x: _Floats, num_groups: Size, weight: _Floats | None = None, bias: _Floats | None = None, eps: Number = 1e-5, *,
    layout: Layout = "NCHW", weight_offset: Number = 0.0, pre_add: _Floats | None = None,
    sum_out: _Floats | None = None, post_add: _Floats | None = None, activation: Activation = None,
    out: _Out | None = None, return_stats: Flag,
) -> _Out | tuple[_Out, Float64, Float64]: ...  # fmt: skip
@overload
def rms_norm(
    x: _Floats, normalized_shape: Sizes, weight: _Floats | None = None, eps: Number | None = None, *,
    weight_offset: Number = 0.0, pre_add: _Floats | None = None, sum_out: _Floats | None = None,
    post_add: _Floats | None = None, activation: Activation = None, out: _Out | None = None,
    return_stats: Literal[False] = False,
) -> _Out: ...  # fmt: skip
@overload
def rms_norm(
    x: _Floats, normalized_shape: Sizes, weight: _Floats | None = None, eps: Number | None = None, *,
    weight_offset: Number = 0.0, pre_add: _Floats | None = None, sum_out: _Floats | None = None,
    post_add: _Floats | None = None, activation: Activation = None, out: _Out | None = None,
    return_stats: Literal[True],
) -> tuple[_Out, Float64]: ...  # fmt: skip
@overload
def rms_norm(
    x: _Floats, normalized_shape: Sizes, weight: _Floats | None = None, eps: Number | None = None, *,
    weight_offset: Number = 0.0, pre_add: _Floats | None = None, sum_out: _Floats | None = None,
    post_add: _Floats | None = None, activation: Activation = None, out: _Out | None = None, return_stats: Flag,
) -> _Out | tuple[_Out, Float64]: ...  # fmt: skip
def adain(
    content: _Floats, style: _Floats | tuple[_Floats, _Floats], eps: Number = 1e-5, *, alpha: Number = 1.0,
    correction: Number = 0, style_eps: Number | None = None, layout: Layout = "NCHW", out: _Out | None = None,
) -> _Out: ...  # fmt: skip
def conditional_instance_norm(
    x: _Floats, style: Ids | _Floats, weight: _Floats, bias: _Floats, eps: Number = 1e-5, *, layout: Layout = "NCHW",
    activation: Activation = None, out: _Out | None = None,
) -> _Out: ...  # fmt: skip
def evonorm_b0(
    x: _Floats, running_var: _Floats, weight: _Floats | None, bias: _Floats | None, v: _Floats | None,
    training: Flag = False, momentum: Number = 0.1, eps: Number = 1e-3, *, layout: Layout = "NCHW",
    out: _Out | None = None,
) -> _Out: ...  # fmt: skip
def evonorm_s0(
    x: _Floats, num_groups: Size, weight: _Floats | None, bias: _Floats | None, v: _Floats | None, eps: Number = 1e-5,
    *, layout: Layout = "NCHW", out: _Out | None = None,
) -> _Out: ...  # fmt: skip
def batch_renorm(
    x: _Floats, running_mean: _Floats, running_std: _Floats, weight: _Floats | None = None, bias: _Floats | None = None,
    training: Flag = False, momentum: Number = 0.01, eps: Number = 1e-3, *, r_max: Number = 1.0, d_max: Number = 0.0,
    layout: Layout = "NCHW", activation: Activation = None, out: _Out | None = None,
) -> _Out: ...  # fmt: skip
@overload
def weight_norm(v: _Floats, g: _Floats, dim: Size | None = 0, *, out: _Out | None = None) -> _Out: ...
@overload
def weight_norm(v: _Floats, g: Number, dim: None, *, out: _Out | None = None) -> _Out: ...

# With every axis in `axes` and no `keepdims`, these are np.float64, which have the attributes of arrays.
@overload
def moments(
    x: _Floats, axes: None, *, correction: Number = 0, keepdims: Literal[False] = False
) -> tuple[np.float64, np.float64]: ...
@overload
def moments(
    x: _Floats, axes: Sizes | None, *, correction: Number = 0, keepdims: Literal[True]
) -> tuple[Float64, Float64]: ...
@overload
def moments(x: _Floats, axes: Sizes, *, correction: Number = 0, keepdims: Flag = False) -> tuple[Float64, Float64]: ...
@overload
def moments(x: _Floats, axes: None, *, correction: Number = 0, keepdims: Flag) -> tuple[Any, Any]: ...
def fold_batch_norm(
    weight: _Floats, bias: _Floats | None, running_mean: _Floats, running_var: _Floats,
    bn_weight: _Floats | None = None, bn_bias: _Floats | None = None, eps: Number = 1e-5, *, transposed: Flag = False,
    groups: Size = 1,
) -> tuple[Float64, Float64]: ...  # fmt: skip
def checkpoint_momentum(momentum: Number, times: Size = 2, *, convention: Convention = "pytorch") -> float: ...
def activate(y: Float64, name: Activation) -> Float64: ...
