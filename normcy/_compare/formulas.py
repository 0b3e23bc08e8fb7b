"""The methods as NumPy users write them in float32, or JAX users: ``xp`` is `numpy` or `jax.numpy`.

Each returns a tuple: y, and in training the new running statistics. ``y *= ...`` works in place in NumPy, which saves
it a new array, and makes a new one in JAX, as any operation does there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from normcy._compare.cases import EPS, Case


def formula(xp: Any, case: Case) -> Callable[..., tuple]:
    """The function of the case's arrays, by name."""
    return partial(_FORMULAS[case.method], xp, case)


def axes(case: Case) -> tuple[int, ...]:
    """The axes that the statistics of a method without groups span."""
    rank, channel = len(case.shape), case.channel_axis
    positions = tuple(axis for axis in range(1, rank) if axis != channel)
    trailing = tuple(range(rank - len(case.normalized_shape), rank))
    return {"batch train": (0, *positions), "instance": positions, "layer2d": (channel,)}.get(case.method, trailing)


def _centre(xp, x, axes):
    mean = x.mean(axes, keepdims=True)
    y = x - mean
    return y, mean, xp.mean(xp.square(y), axes, keepdims=True)


def _batch(xp, case, x, weight, bias, running_mean, running_var):
    y = x - case.broadcast(running_mean)
    y *= case.broadcast(weight / xp.sqrt(running_var + EPS))
    y += case.broadcast(bias)
    return (y,)


def _batch_train(xp, case, x, weight, bias, running_mean, running_var):
    y, mean, var = _centre(xp, x, axes(case))
    count = x.size / mean.size
    y *= case.broadcast(weight) / xp.sqrt(var + EPS)
    y += case.broadcast(bias)
    unbiased = var * (count / (count - 1))
    return y, 0.9 * running_mean + 0.1 * mean.ravel(), 0.9 * running_var + 0.1 * unbiased.ravel()


def _instance(xp, case, x, weight, bias, **_):
    y, _, var = _centre(xp, x, axes(case))
    y *= case.broadcast(weight) / xp.sqrt(var + EPS)
    y += case.broadcast(bias)
    return (y,)


def _layer(xp, case, x, weight, bias, **_):
    y, _, var = _centre(xp, x, axes(case))
    y *= 1 / xp.sqrt(var + EPS)
    y *= case.broadcast(weight)
    y += case.broadcast(bias)
    return (y,)


def _rms(xp, case, x, weight, **_):
    y = x * (1 / xp.sqrt(xp.mean(xp.square(x), axes(case), keepdims=True) + EPS))
    y *= weight
    return (y,)


def _group(xp, case, x, weight, bias, **_):
    at = case.channel_axis
    groups = x.reshape(*x.shape[:at], case.num_groups, -1, *x.shape[at + 1 :])
    y, _, var = _centre(xp, groups, tuple(axis for axis in range(1, groups.ndim) if axis != at))
    y *= 1 / xp.sqrt(var + EPS)
    y = y.reshape(x.shape)
    y *= case.broadcast(weight)
    y += case.broadcast(bias)
    return (y,)


_FORMULAS = {
    "batch": _batch,
    "batch train": _batch_train,
    "layer": _layer,
    "rms": _rms,
    "layer2d": _layer,
    "instance": _instance,
    "group": _group,
}
