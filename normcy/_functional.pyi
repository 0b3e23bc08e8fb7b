"""The types of the functions; those of their float64 twins are in reference.pyi."""

from typing import Any, Literal, overload

import numpy as np

from normcy._types import Activation, Array, EpsMode, Flag, Float64, Ids, Layout, Maybe, Number, Size, Sizes

__all__ = [
    "adain",
    "batch_norm",
    "batch_renorm",
    "conditional_instance_norm",
    "evonorm_b0",
    "evonorm_s0",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "layer_norm2d",
    "moments",
    "rms_norm",
    "weight_norm",
]

@overload
def batch_norm(
    x: Array, running_mean: Maybe, running_var: Maybe, weight: Maybe = None, bias: Maybe = None, training: Flag = False,
    momentum: Number = 0.1, eps: Number = 1e-5, *, layout: Layout = "NCHW", weight_offset: Number = 0.0,
    pre_add: Maybe = None, sum_out: Maybe = None, post_add: Maybe = None, activation: Activation = None,
    out: Maybe = None, return_stats: Literal[False] = False, unbiased_running_var: Flag = True,
) -> Array: ...  # fmt: skip
@overload
def batch_norm(
    x: Array, running_mean: Maybe, running_var: Maybe, weight: Maybe = None, bias: Maybe = None, training: Flag = False,
    momentum: Number = 0.1, eps: Number = 1e-5, *, layout: Layout = "NCHW", weight_offset: Number = 0.0,
    pre_add: Maybe = None, sum_out: Maybe = None, post_add: Maybe = None, activation: Activation = None,
    out: Maybe = None, return_stats: Literal[True], unbiased_running_var: Flag = True,
) -> tuple[Array, Array, Array]: ...  # fmt: skip
@overload
def batch_norm(
    x: Array, running_mean: Maybe, running_var: Maybe, weight: Maybe = None, bias: Maybe = None, training: Flag = False,
    momentum: Number = 0.1, eps: Number = 1e-5, *, layout: Layout = "NCHW", weight_offset: Number = 0.0,
    pre_add: Maybe = None, sum_out: Maybe = None, post_add: Maybe = None, activation: Activation = None,
    out: Maybe = None, return_stats: Flag, unbiased_running_var: Flag = True,
) -> Array | tuple[Array, Array, Array]: ...  # fmt: skip
@overload
def instance_norm(
    x: Array, running_mean: Maybe = None, running_var: Maybe = None, weight: Maybe = None, bias: Maybe = None,
    use_input_stats: Flag = True, momentum: Number = 0.1, eps: Number = 1e-5, *, layout: Layout = "NCHW",
    weight_offset: Number = 0.0, pre_add: Maybe = None, sum_out: Maybe = None, post_add: Maybe = None,
    activation: Activation = None, out: Maybe = None, return_stats: Literal[False] = False,
    unbiased_running_var: Flag = True,
) -> Array: ...  # fmt: skip
@overload
def instance_norm(
    x: Array, running_mean: Maybe = None, running_var: Maybe = None, weight: Maybe = None, bias: Maybe = None,
    use_input_stats: Flag = True, momentum: Number = 0.1, eps: Number = 1e-5, *, layout: Layout = "NCHW",
    weight_offset: Number = 0.0, pre_add: Maybe = None, sum_out: Maybe = None, post_add: Maybe = None,
    activation: Activation = None, out: Maybe = None, return_stats: Literal[True], unbiased_running_var: Flag = True,
) -> tuple[Array, Array, Array]: ...  # fmt: skip
@overload
def instance_norm(
    x: Array, running_mean: Maybe = None, running_var: Maybe = None, weight: Maybe = None, bias: Maybe = None,
    use_input_stats: Flag = True, momentum: Number = 0.1, eps: Number = 1e-5, *, layout: Layout = "NCHW",
    weight_offset: Number = 0.0, pre_add: Maybe = None, sum_out: Maybe = None, post_add: Maybe = None,
    activation: Activation = None, out: Maybe = None, return_stats: Flag, unbiased_running_var: Flag = True,
) -> Array | tuple[Array, Array, Array]: ...  # fmt: skip
@overload
def layer_norm(
    x: Array, normalized_shape: Sizes, weight: Maybe = None, bias: Maybe = None, eps: Number = 1e-5, *,
    weight_offset: Number = 0.0, pre_add: Maybe = None, sum_out: Maybe = None, post_add: Maybe = None,
    activation: Activation = None, out: Maybe = None, return_stats: Literal[False] = False, correction: Number = 0,
    eps_mode: EpsMode = "inside_sqrt",
) -> Array: ...  # fmt: skip
@overload
def layer_norm(
    x: Array, normalized_shape: Sizes, weight: Maybe = None, bias: Maybe = None, eps: Number = 1e-5, *,
    weight_offset: Number = 0.0, pre_add: Maybe = None, sum_out: Maybe = None, post_add: Maybe = None,
    activation: Activation = None, out: Maybe = None, return_stats: Literal[True], correction: Number = 0,
    eps_mode: EpsMode = "inside_sqrt",
) -> tuple[Array, Array, Array]: ...  # fmt: skip
@overload
def layer_norm(
    x: Array, normalized_shape: Sizes, weight: Maybe = None, bias: Maybe = None, eps: Number = 1e-5, *,
    weight_offset: Number = 0.0, pre_add: Maybe = None, sum_out: Maybe = None, post_add: Maybe = None,
    activation: Activation = None, out: Maybe = None, return_stats: Flag, correction: Number = 0,
    eps_mode: EpsMode = "inside_sqrt",
) -> Array | tuple[Array, Array, Array]: ...  # fmt: skip
@overload
def layer_norm2d(
    x: Array, weight: Maybe = None, bias: Maybe = None, eps: Number = 1e-6, *, layout: Layout = "NCHW",
    weight_offset: Number = 0.0, pre_add: Maybe = None, sum_out: Maybe = None, post_add: Maybe = None,
    activation: Activation = None, out: Maybe = None, return_stats: Literal[False] = False,
) -> Array: ...  # fmt: skip
@overload
def layer_norm2d(
    x: Array, weight: Maybe = None, bias: Maybe = None, eps: Number = 1e-6, *, layout: Layout = "NCHW",
    weight_offset: Number = 0.0, pre_add: Maybe = None, sum_out: Maybe = None, post_add: Maybe = None,
    activation: Activation = None, out: Maybe = None, return_stats: Literal[True],
) -> tuple[Array, Array, Array]: ...  # fmt: skip
@overload
def layer_norm2d(
    x: Array, weight: Maybe = None, bias: Maybe = None, eps: Number = 1e-6, *, layout: Layout = "NCHW",
    weight_offset: Number = 0.0, pre_add: Maybe = None, sum_out: Maybe = None, post_add: Maybe = None,
    activation: Activation = None, out: Maybe = None, return_stats: Flag,
) -> Array | tuple[Array, Array, Array]: ...  # fmt: skip
@overload
def group_norm(
    x: Array, num_groups: Size, weight: Maybe = None, bias: Maybe = None, eps: Number = 1e-5, *,
    layout: Layout = "NCHW", weight_offset: Number = 0.0, pre_add: Maybe = None, sum_out: Maybe = None,
    post_add: Maybe = None, activation: Activation = None, out: Maybe = None, return_stats: Literal[False] = False,
) -> Array: ...  # fmt: skip
@overload
def group_norm(
    x: Array, num_groups: Size, weight: Maybe = None, bias: Maybe = None, eps: Number = 1e-5, *,
    layout: Layout = "NCHW", weight_offset: Number = 0.0, pre_add: Maybe = None, sum_out: Maybe = None,
    post_add: Maybe = None, activation: Activation = None, out: Maybe = None, return_stats: Literal[True],
) -> tuple[Array, Array, Array]: ...  # fmt: skip
@overload
def group_norm(
    x: Array, num_groups: Size, weight: Maybe = None, bias: Maybe = None, eps: Number = 1e-5, *,
    layout: Layout = "NCHW", weight_offset: Number = 0.0, pre_add: Maybe = None, sum_out: Maybe = None,
    post_add: Maybe = None, activation: Activation = None, out: Maybe = None, return_stats: Flag,
) -> Array | tuple[Array, Array, Array]: ...  # fmt: skip
@overload
def rms_norm(
    x: Array, normalized_shape: Sizes, weight: Maybe = None, eps: Number | None = None, *, weight_offset: Number = 0.0,
    pre_add: Maybe = None, sum_out: Maybe = None, post_add: Maybe = None, activation: Activation = None,
    out: Maybe = None, return_stats: Literal[False] = False,
) -> Array: ...  # fmt: skip
@overload
def rms_norm(
    x: Array, normalized_shape: Sizes, weight: Maybe = None, eps: Number | None = None, *, weight_offset: Number = 0.0,
    pre_add: Maybe = None, sum_out: Maybe = None, post_add: Maybe = None, activation: Activation = None,
    out: Maybe = None, return_stats: Literal[True],
) -> tuple[Array, Array]: ...  # fmt: skip
@overload
def rms_norm(
    x: Array, normalized_shape: Sizes, weight: Maybe = None, eps: Number | None = None, *, weight_offset: Number = 0.0,
    pre_add: Maybe = None, sum_out: Maybe = None, post_add: Maybe = None, activation: Activation = None,
    out: Maybe = None, return_stats: Flag,
) -> Array | tuple[Array, Array]: ...  # fmt: skip
def adain(
    content: Array, style: Array | tuple[Array, Array], eps: Number = 1e-5, *, alpha: Number = 1.0,
    correction: Number = 0, style_eps: Number | None = None, layout: Layout = "NCHW", out: Maybe = None,
) -> Array: ...  # fmt: skip
def conditional_instance_norm(
    x: Array, style: Ids | Array, weight: Array, bias: Array, eps: Number = 1e-5, *, layout: Layout = "NCHW",
    activation: Activation = None, out: Maybe = None,
) -> Array: ...  # fmt: skip
def evonorm_b0(
    x: Array, running_var: Array, weight: Maybe, bias: Maybe, v: Maybe, training: Flag = False, momentum: Number = 0.1,
    eps: Number = 1e-3, *, layout: Layout = "NCHW", out: Maybe = None,
) -> Array: ...  # fmt: skip
def evonorm_s0(
    x: Array, num_groups: Size, weight: Maybe, bias: Maybe, v: Maybe, eps: Number = 1e-5, *, layout: Layout = "NCHW",
    out: Maybe = None,
) -> Array: ...  # fmt: skip
def batch_renorm(
    x: Array, running_mean: Array, running_std: Array, weight: Maybe = None, bias: Maybe = None, training: Flag = False,
    momentum: Number = 0.01, eps: Number = 1e-3, *, r_max: Number = 1.0, d_max: Number = 0.0, layout: Layout = "NCHW",
    activation: Activation = None, out: Maybe = None,
) -> Array: ...  # fmt: skip
@overload
def weight_norm(v: Array, g: Array, dim: Size | None = 0, *, out: Maybe = None) -> Array: ...
@overload
def weight_norm(v: Array, g: Number, dim: None, *, out: Maybe = None) -> Array: ...

# With every axis in `axes` and no `keepdims`, these are np.float64, which have the attributes of arrays.
@overload
def moments(
    x: Array, axes: None, *, correction: Number = 0, keepdims: Literal[False] = False
) -> tuple[np.float64, np.float64]: ...
@overload
def moments(
    x: Array, axes: Sizes | None, *, correction: Number = 0, keepdims: Literal[True]
) -> tuple[Float64, Float64]: ...
@overload
def moments(x: Array, axes: Sizes, *, correction: Number = 0, keepdims: Flag = False) -> tuple[Float64, Float64]: ...
@overload
def moments(x: Array, axes: None, *, correction: Number = 0, keepdims: Flag) -> tuple[Any, Any]: ...
