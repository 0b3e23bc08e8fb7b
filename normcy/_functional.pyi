from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, TypedDict, overload

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Unpack

Array: TypeAlias = NDArray[np.float32]
Layout: TypeAlias = Literal["NCHW", "NHWC"]
Activation: TypeAlias = Literal["relu", "silu", "gelu", "gelu_tanh"] | None

class _Trailing(TypedDict, total=False):
    weight_offset: float
    pre_add: Array | None
    sum_out: Array | None
    post_add: Array | None
    activation: Activation
    out: Array | None

class _Channels(_Trailing, total=False):
    layout: Layout

@overload
def batch_norm(
    x: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None = None,
    bias: Array | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    return_stats: Literal[False] = False,
    unbiased_running_var: bool = True,
    **keywords: Unpack[_Channels],
) -> Array: ...
@overload
def batch_norm(
    x: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None = None,
    bias: Array | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    return_stats: Literal[True],
    unbiased_running_var: bool = True,
    **keywords: Unpack[_Channels],
) -> tuple[Array, Array, Array]: ...
@overload
def instance_norm(
    x: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    weight: Array | None = None,
    bias: Array | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    return_stats: Literal[False] = False,
    unbiased_running_var: bool = True,
    **keywords: Unpack[_Channels],
) -> Array: ...
@overload
def instance_norm(
    x: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    weight: Array | None = None,
    bias: Array | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    return_stats: Literal[True],
    unbiased_running_var: bool = True,
    **keywords: Unpack[_Channels],
) -> tuple[Array, Array, Array]: ...
@overload
def layer_norm(
    x: Array,
    normalized_shape: int | Sequence[int],
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
    *,
    return_stats: Literal[False] = False,
    correction: float = 0,
    eps_mode: Literal["inside_sqrt", "outside_sqrt"] = "inside_sqrt",
    **keywords: Unpack[_Trailing],
) -> Array: ...
@overload
def layer_norm(
    x: Array,
    normalized_shape: int | Sequence[int],
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
    *,
    return_stats: Literal[True],
    correction: float = 0,
    eps_mode: Literal["inside_sqrt", "outside_sqrt"] = "inside_sqrt",
    **keywords: Unpack[_Trailing],
) -> tuple[Array, Array, Array]: ...
@overload
def layer_norm2d(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-6,
    *,
    return_stats: Literal[False] = False,
    **keywords: Unpack[_Channels],
) -> Array: ...
@overload
def layer_norm2d(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-6,
    *,
    return_stats: Literal[True],
    **keywords: Unpack[_Channels],
) -> tuple[Array, Array, Array]: ...
@overload
def group_norm(
    x: Array,
    num_groups: int,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
    *,
    return_stats: Literal[False] = False,
    **keywords: Unpack[_Channels],
) -> Array: ...
@overload
def group_norm(
    x: Array,
    num_groups: int,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
    *,
    return_stats: Literal[True],
    **keywords: Unpack[_Channels],
) -> tuple[Array, Array, Array]: ...
@overload
def rms_norm(
    x: Array,
    normalized_shape: int | Sequence[int],
    weight: Array | None = None,
    eps: float | None = None,
    *,
    return_stats: Literal[False] = False,
    **keywords: Unpack[_Trailing],
) -> Array: ...
@overload
def rms_norm(
    x: Array,
    normalized_shape: int | Sequence[int],
    weight: Array | None = None,
    eps: float | None = None,
    *,
    return_stats: Literal[True],
    **keywords: Unpack[_Trailing],
) -> tuple[Array, Array]: ...
def adain(
    content: Array,
    style: Array | tuple[Array, Array],
    eps: float = 1e-5,
    *,
    alpha: float = 1.0,
    correction: float = 0,
    style_eps: float | None = None,
    layout: Layout = "NCHW",
    out: Array | None = None,
) -> Array: ...
def conditional_instance_norm(
    x: Array,
    style: NDArray[np.integer[Any]] | Array,
    weight: Array,
    bias: Array,
    eps: float = 1e-5,
    *,
    layout: Layout = "NCHW",
    activation: Activation = None,
    out: Array | None = None,
) -> Array: ...
def evonorm_b0(
    x: Array,
    running_var: Array,
    weight: Array | None,
    bias: Array | None,
    v: Array | None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-3,
    *,
    layout: Layout = "NCHW",
    out: Array | None = None,
) -> Array: ...
def evonorm_s0(
    x: Array,
    num_groups: int,
    weight: Array | None,
    bias: Array | None,
    v: Array | None,
    eps: float = 1e-5,
    *,
    layout: Layout = "NCHW",
    out: Array | None = None,
) -> Array: ...
def batch_renorm(
    x: Array,
    running_mean: Array,
    running_std: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    training: bool = False,
    momentum: float = 0.01,
    eps: float = 1e-3,
    *,
    r_max: float = 1.0,
    d_max: float = 0.0,
    layout: Layout = "NCHW",
    activation: Activation = None,
    out: Array | None = None,
) -> Array: ...
def weight_norm(v: Array, g: Array | float, dim: int | None = 0, *, out: Array | None = None) -> Array: ...
def moments(
    x: Array, axes: int | Sequence[int] | None, *, correction: float = 0, keepdims: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
