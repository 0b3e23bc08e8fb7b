"""Folding a batch norm into the convolution or linear layer before it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from normcy import _checks
from normcy._arithmetic import by_default_rules
from normcy._types import Array, Flag, Float64, Maybe, Number, Size

__all__ = ["fold_batch_norm"]


@by_default_rules  # infinities, NaN and numbers too small for float32 are valid results
def fold_batch_norm(
    weight: Array,
    bias: Maybe,
    running_mean: Array,
    running_var: Array,
    bn_weight: Maybe = None,
    bn_bias: Maybe = None,
    eps: Number = 1e-5,
    *,
    transposed: Flag = False,
    groups: Size = 1,
) -> tuple[Array, Array]:
    """Weight and bias with which a convolution or linear layer also computes the batch norm after it.

    They are ``weight * s`` and ``(bias - running_mean) * s + bn_bias`` with
    ``s = bn_weight / sqrt(running_var + eps)``, in each output channel.

    Parameters
    ----------
    weight : ndarray of float32
        The weight of the layer: (out, in / groups, ...) for a convolution, (out, in) for a linear layer,
        (in, out / groups, ...) for a transposed convolution.
    bias : ndarray of float32, shape (out,), or None
        The bias of the layer; None means 0.
    running_mean, running_var : ndarray of float32, shape (out,)
        Statistics of the batch norm.
    bn_weight, bn_bias : ndarray of float32, shape (out,), or None
        Affine parameters of the batch norm; None means 1 and 0.
    eps : float, default 1e-5
        The eps of the batch norm.
    transposed : bool, default False
        Whether the layer is a transposed convolution.
    groups : int, default 1
        Groups of the convolution.

    Returns
    -------
    weight, bias : ndarray of float32
        New arrays of the shape of ``weight``, and (out,); computed in float64. The arguments are not changed.

    Raises
    ------
    TypeError
        If an array is not a float32 ``numpy.ndarray``, or an argument has the wrong type.
    ValueError
        If shapes do not fit together, or ``running_var + eps`` is not positive in every channel.

    Notes
    -----
    Folding is exact for a batch norm *after* the layer and before any activation. A batch norm before a convolution can
    be folded only if the convolution has no zero padding: the batch norm does not see the zeros of the padding.

    References
    ----------
    ``torch.nn.utils.fusion``, whose transposed form is right only without groups.

    Examples
    --------
    >>> import numpy as np, normcy
    >>> weight, bias = np.array([[2.0], [3.0]], np.float32), np.array([1.0, 0.0], np.float32)
    >>> mean, var = np.array([1.0, 2.0], np.float32), np.array([4.0, 0.25], np.float32)
    >>> normcy.fold_batch_norm(weight, bias, mean, var, eps=0)
    (array([[1.],
           [6.]], dtype=float32), array([ 0., -4.], dtype=float32))
    """
    transposed, groups = _checks.flag(transposed, "transposed"), _checks.integer(groups, "groups")
    channels = _output_channels(_checks.floats(weight, "weight"), transposed, groups)
    mean = _per_channel(running_mean, "running_mean", channels, partial(_other_reading, weight, transposed, groups))
    variance = _per_channel(running_var, "running_var", channels) + _checks.number(eps, "eps")
    if not np.all(variance > 0):
        worst = np.flatnonzero(~(variance > 0))[0]
        raise ValueError(f"running_var: expected running_var + eps > 0, got {variance[worst]} in channel {worst}")
    old_bias = 0.0 if bias is None else _per_channel(bias, "bias", channels)
    shift = 0.0 if bn_bias is None else _per_channel(bn_bias, "bn_bias", channels)
    scale = (1.0 if bn_weight is None else _per_channel(bn_weight, "bn_weight", channels)) / np.sqrt(variance)
    return _scaled(weight, scale, transposed, groups), ((old_bias - mean) * scale + shift).astype(np.float32)


def _output_channels(weight: Array, transposed: bool, groups: int) -> int:
    if weight.ndim < 2:
        raise ValueError(f"weight: expected an array of rank 2 or more, got shape {weight.shape}")
    if weight.shape[0] % groups:
        raise ValueError(f"groups: expected a divisor of {weight.shape[0]}, the first axis of weight, got {groups}")
    return weight.shape[1] * groups if transposed else weight.shape[0]


def _per_channel(
    value: Array, name: str, channels: int, remedy: Callable[[tuple[int, ...]], str] = lambda shape: ""
) -> Float64:
    shape = _checks.floats(value, name).shape
    if shape != (channels,):
        wanted = f"{name}: expected shape ({channels},), one value an output channel, got {shape}"
        raise ValueError(wanted + remedy(shape))
    return value.astype(np.float64)


def _other_reading(weight: Array, transposed: bool, groups: int, shape: tuple[int, ...]) -> str:
    """Names the options with which the weight would have as many output channels as there are statistics, if any."""
    first, second = weight.shape[:2]
    found = math.prod(shape)
    needed = found // second if second else 0
    if len(shape) == 1 and found and needed * second == found and first % needed == 0:
        options = [] if transposed else ["transposed=True"]
        options += [] if needed == groups else [f"groups={needed}"]
    elif transposed and shape == (first,):
        options = ["transposed=False"]
    else:
        return ""
    return f"; with {' and '.join(options)} the weight would have {found} output channels"


def _scaled(weight: Array, scale: Float64, transposed: bool, groups: int) -> Array:
    ones = (1,) * (weight.ndim - 2)
    if not transposed:
        return (weight * scale.reshape(-1, 1, *ones)).astype(np.float32)
    inputs, outputs = weight.shape[0] // groups, weight.shape[1]  # a group's outputs use only its own inputs
    rows = np.repeat(scale.reshape(groups, outputs), inputs, axis=0)
    return (weight * rows.reshape(groups * inputs, outputs, *ones)).astype(np.float32)
