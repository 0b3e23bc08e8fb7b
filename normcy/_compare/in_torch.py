"""The methods in PyTorch: its operators, or what its users compose of others where it has none.

Channels are at axis 1 of every tensor, whatever the memory order, except in `layer2d`, where they are last. Weights of
x's shape, which no operator takes, are applied after it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from normcy._compare.cases import Case
from normcy._compare.methods import D_MAX, METHODS, R_MAX


def runner(
    case: Case, x: Tensor, pre_add: Tensor | None = None, post_add: Tensor | None = None, **parameters: Tensor
) -> Callable[[], Tensor]:
    """Returns the norm with the operations before and after it, as a function without arguments."""
    each = {name: parameters.pop(name) for name in ("weight", "bias") if _is_like(parameters.get(name), x)}
    norm = partial(_NORMS[METHODS[case.method].norm], case, **parameters)
    activate = _ACTIVATIONS[case.activation]
    if not each and pre_add is None and post_add is None and activate is None:
        return partial(norm, x)

    def run() -> Tensor:
        y = norm(x if pre_add is None else x + pre_add)
        if each:
            y = y.mul_(each["weight"])
        if "bias" in each:
            y = y.add_(each["bias"])
        if post_add is not None:
            y = y.add_(post_add)
        return y if activate is None else activate(y)

    return run


_ACTIVATIONS = {
    None: None,
    "relu": F.relu_,
    "silu": partial(F.silu, inplace=True),
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
}


def _is_like(parameter: Tensor | None, x: Tensor) -> bool:
    return parameter is not None and parameter.shape == x.shape


def _to_positions(case: Case, parameter: Tensor) -> Tensor:
    """Reshapes a parameter, (C,) or (N, C), so that it broadcasts against x."""
    return parameter.reshape(*parameter.shape, *[1] * (len(case.shape) - 2))


def _affine(case: Case, y: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return y.mul_(_to_positions(case, weight)).add_(_to_positions(case, bias))


def _var_mean(x: Tensor, start: int, *more: int) -> tuple[Tensor, Tensor]:
    """Takes variance and mean over the axes from start on, and over others."""
    axes = (*more, *range(start, x.ndim))
    return torch.var_mean(x, axes, correction=0, keepdim=True) if axes else (torch.zeros_like(x), x)  # () means all


def _batch(case, x, running_mean, running_var, weight=None, bias=None, training=False):
    return F.batch_norm(x, running_mean, running_var, weight, bias, training, 0.1, case.eps)


def _layer(case, x, weight=None, bias=None):
    return F.layer_norm(x, case.parameter_shape, weight, bias, case.eps)


def _rms(case, x, weight=None):
    return F.rms_norm(x, case.parameter_shape, weight, case.eps)


def _instance(case, x, weight=None, bias=None):
    return F.instance_norm(x, weight=weight, bias=bias, eps=case.eps)


def _group(case, x, weight=None, bias=None):
    return F.group_norm(x, case.num_groups, weight, bias, case.eps)


def _adain(case, x, style):
    var, mean = _var_mean(style, 2)
    return F.instance_norm(x, eps=case.eps).mul_(var.add_(case.eps).sqrt_()).add_(mean)


def _conditional(case, x, style, weight, bias):
    return _affine(case, F.instance_norm(x, eps=case.eps), weight[style], bias[style])


def _ibn(case, x, weight, bias, running_mean, running_var):
    half = case.instance_channels
    first, last = (part.contiguous() for part in torch.split(x, (half, x.shape[1] - half), 1))
    first = _instance(case, first, weight[:half], bias[:half])
    last = _batch(case, last, running_mean[half:], running_var[half:], weight[half:], bias[half:])
    return torch.cat((first, last), 1)


def _evonorm_s0(case, x, weight, bias, v):
    groups = (1, (case.num_groups, -1))
    var, _ = _var_mean(x.unflatten(*groups), 2)
    y = x * torch.sigmoid(_to_positions(case, v) * x)
    y = (y.unflatten(*groups) * torch.rsqrt(var + case.eps)).flatten(1, 2)
    return _affine(case, y, weight, bias)


def _evonorm_b0(case, x, weight, bias, v, running_var, training=False):
    if training:
        var, _ = _var_mean(x, 2, 0)
        count = x.numel() / x.shape[1]
        running_var.lerp_(var.flatten() * (count / (count - 1)), 0.1)
        left = torch.sqrt(var + case.eps)
    else:
        left = _to_positions(case, torch.sqrt(running_var + case.eps))
    var, _ = _var_mean(x, 2)
    y = x / (_to_positions(case, v) * x).add_(torch.sqrt(var + case.eps)).maximum(left)
    return _affine(case, y, weight, bias)


def _renorm(case, x, weight, bias, running_mean, running_std):
    y = (x - _to_positions(case, running_mean)).mul_(_to_positions(case, 1 / running_std))
    return _affine(case, y, weight, bias)


def _renorm_train(case, x, weight, bias, running_mean, running_std):
    var, mean = (v.flatten() for v in _var_mean(x, 2, 0))
    std = torch.sqrt(var + case.eps)
    r = (std / running_std).clamp_(1 / R_MAX, R_MAX)
    d = ((mean - running_mean) / running_std).clamp_(-D_MAX, D_MAX)
    y = (x - _to_positions(case, mean)).mul_(_to_positions(case, r / std)).add_(_to_positions(case, d))
    running_mean.lerp_(mean, 0.01)
    running_std.lerp_(std, 0.01)
    return _affine(case, y, weight, bias)


def _weight(case, x, g):
    """The function that `torch.nn.utils.weight_norm` calls."""
    return torch._weight_norm(x, g.reshape(-1, *[1] * (x.ndim - 1)), 0)


_NORMS: dict[str, Callable[..., Tensor]] = {
    "batch": _batch,
    "batch train": partial(_batch, training=True),
    "layer": _layer,
    "rms": _rms,
    "layer2d": _layer,
    "instance": _instance,
    "adain": _adain,
    "conditional": _conditional,
    "ibn": _ibn,
    "group": _group,
    "evonorm_s0": _evonorm_s0,
    "evonorm_b0": _evonorm_b0,
    "evonorm_b0 train": partial(_evonorm_b0, training=True),
    "renorm": _renorm,
    "renorm train": _renorm_train,
    "weight": _weight,
}
