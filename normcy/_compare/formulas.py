"""The methods as users of NumPy or JAX write them in float32: ``xp`` is `numpy` or `jax.numpy`.

Each returns a tuple: y, and in training the new running statistics. ``y *= ...`` works in place in NumPy, which saves a
new array, and makes a new array in JAX, as any operation does there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from normcy._compare.cases import Case
from normcy._compare.methods import D_MAX, METHODS, R_MAX


def formula(xp: Any, case: Case) -> Callable[..., tuple[Any, ...]]:
    """Returns the function that computes the case from its arrays, given by name."""
    return partial(_whole, xp, case)


def axes(case: Case) -> tuple[int, ...]:
    """Returns the axes over which a method without groups takes statistics."""
    rank = len(case.shape)
    spans = {
        "batch": (0, *case.positions),
        "renorm": (0, *case.positions),
        "layer": tuple(range(rank - len(case.normalized_shape), rank)),
        "rms": tuple(range(rank - len(case.normalized_shape), rank)),
        "layer2d": (case.channel_axis,),
        "weight": tuple(range(1, rank)),
    }
    return spans.get(METHODS[case.method].option, case.positions)


def _whole(xp, case, x, pre_add=None, post_add=None, **parameters):
    """Computes the norm with the operations before and after it."""
    norm = _FORMULAS[METHODS[case.method].norm]
    y, *running = norm(xp, case, x if pre_add is None else x + pre_add, **parameters)
    if post_add is not None:
        y += post_add
    return (_ACTIVATIONS[case.activation](xp, y), *running)


def _silu(xp, y):
    y *= 1 / (1 + xp.exp(-y))
    return y


def _gelu(xp, y):
    """NumPy itself has no erf."""
    if xp.__name__ == "jax.numpy":
        from jax.nn import gelu

        return gelu(y, approximate=False)
    erf = xp.vectorize(math.erf, otypes=[xp.float32])
    y *= 0.5 * (1 + erf(y / math.sqrt(2)))
    return y


def _gelu_tanh(xp, y):
    y *= 0.5 * (1 + xp.tanh(math.sqrt(2 / math.pi) * (y + 0.044715 * y**3)))
    return y


_ACTIVATIONS = {
    None: lambda xp, y: y,
    "relu": lambda xp, y: xp.maximum(y, 0),
    "silu": _silu,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
}


def _centre(xp, x, axes):
    mean = x.mean(axes, keepdims=True)
    y = x - mean
    return y, mean, xp.mean(xp.square(y), axes, keepdims=True)


def _affine(case, y, weight, bias):
    if weight is not None:
        y *= case.broadcast(weight)
    if bias is not None:
        y += case.broadcast(bias)
    return y


def _scaled(case, y, std, weight, bias):
    """Divides by the deviation of channels, whose weights take no pass of their own."""
    if weight is not None and weight.ndim < y.ndim:
        y *= case.broadcast(weight) / std
        return _affine(case, y, None, bias)
    y *= 1 / std
    return _affine(case, y, weight, bias)


def _moved(old, new, momentum):
    return (1 - momentum) * old + momentum * new.ravel()


def _unbiased(x, var):
    count = x.size / var.size
    return var * (count / (count - 1))


def _batch(xp, case, x, running_mean, running_var, weight=None, bias=None):
    y = x - case.broadcast(running_mean)
    return (_scaled(case, y, case.broadcast(xp.sqrt(running_var + case.eps)), weight, bias),)


def _batch_train(xp, case, x, running_mean, running_var, weight=None, bias=None):
    y, mean, var = _centre(xp, x, axes(case))
    y = _scaled(case, y, xp.sqrt(var + case.eps), weight, bias)
    return y, _moved(running_mean, mean, 0.1), _moved(running_var, _unbiased(x, var), 0.1)


def _instance(xp, case, x, weight=None, bias=None):
    y, _, var = _centre(xp, x, axes(case))
    return (_scaled(case, y, xp.sqrt(var + case.eps), weight, bias),)


def _layer(xp, case, x, weight=None, bias=None):
    y, _, var = _centre(xp, x, axes(case))
    y *= 1 / xp.sqrt(var + case.eps)
    return (_affine(case, y, weight, bias),)


def _rms(xp, case, x, weight=None):
    y = x * (1 / xp.sqrt(xp.mean(xp.square(x), axes(case), keepdims=True) + case.eps))
    return (_affine(case, y, weight, None),)


def _grouped(case, x):
    """Reshapes x so that an axis of groups precedes that of their channels; also returns the axes of a group."""
    at = case.channel_axis
    groups = x.reshape(*x.shape[:at], case.num_groups, -1, *x.shape[at + 1 :])
    return groups, tuple(axis for axis in range(1, groups.ndim) if axis != at)


def _group(xp, case, x, weight=None, bias=None):
    y, _, var = _centre(xp, *_grouped(case, x))
    y *= 1 / xp.sqrt(var + case.eps)
    return (_affine(case, y.reshape(x.shape), weight, bias),)


def _adain(xp, case, x, style):
    y, _, var = _centre(xp, x, axes(case))
    y *= xp.sqrt((style.var(axes(case), keepdims=True) + case.eps) / (var + case.eps))
    y += style.mean(axes(case), keepdims=True)
    return (y,)


def _conditional(xp, case, x, style, weight, bias):
    return _instance(xp, case, x, weight[style], bias[style])


def _ibn(xp, case, x, weight, bias, running_mean, running_var):
    half = case.instance_channels
    first, last = xp.split(x, [half], case.channel_axis)
    (first,) = _instance(xp, case, first, weight[:half], bias[:half])
    (last,) = _batch(xp, case, last, running_mean[half:], running_var[half:], weight[half:], bias[half:])
    return (xp.concatenate((first, last), case.channel_axis),)


def _evonorm_s0(xp, case, x, weight, bias, v):
    groups, along = _grouped(case, x)
    y = x / (1 + xp.exp(-case.broadcast(v) * x))
    y = y.reshape(groups.shape)
    y *= 1 / xp.sqrt(groups.var(along, keepdims=True) + case.eps)
    return (_affine(case, y.reshape(x.shape), weight, bias),)


def _evonorm_b0(xp, case, x, weight, bias, v, running_var):
    right = case.broadcast(v) * x
    right += xp.sqrt(x.var(axes(case), keepdims=True) + case.eps)
    y = x / xp.maximum(xp.sqrt(case.broadcast(running_var) + case.eps), right)
    return (_affine(case, y, weight, bias),)


def _evonorm_b0_train(xp, case, x, weight, bias, v, running_var):
    var = x.var((0, *axes(case)))
    (y,) = _evonorm_b0(xp, case, x, weight, bias, v, var)
    return y, _moved(running_var, _unbiased(x, var), 0.1)


def _renorm(xp, case, x, weight, bias, running_mean, running_std):
    y = x - case.broadcast(running_mean)
    y *= case.broadcast(weight / running_std)
    y += case.broadcast(bias)
    return (y,)


def _renorm_train(xp, case, x, weight, bias, running_mean, running_std):
    y, mean, var = _centre(xp, x, axes(case))
    mean, std = mean.ravel(), xp.sqrt(var.ravel() + case.eps)
    r = xp.clip(std / running_std, 1 / R_MAX, R_MAX)
    d = xp.clip((mean - running_mean) / running_std, -D_MAX, D_MAX)
    y *= case.broadcast(weight * r / std)
    y += case.broadcast(weight * d + bias)
    return y, _moved(running_mean, mean, 0.01), _moved(running_std, std, 0.01)


def _weight(xp, case, x, g):
    return (x * (g.reshape(-1, *[1] * (x.ndim - 1)) / xp.sqrt(xp.sum(xp.square(x), axes(case), keepdims=True))),)


_FORMULAS: dict[str, Callable[..., Any]] = {
    "batch": _batch,
    "batch train": _batch_train,
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
    "evonorm_b0 train": _evonorm_b0_train,
    "renorm": _renorm,
    "renorm train": _renorm_train,
    "weight": _weight,
}
