"""The reference: every function of normcy in plain NumPy with float64 reductions, which says what it computes.

Each function has the signature of its namesake in `normcy` and returns float64 (float32 only through ``out``), so that
errors can be measured against it. It is written to be read: it is not fast, and checks only what the mathematics needs.
"""

from __future__ import annotations

import math

import numpy as np

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

_quiet = np.errstate(all="ignore")  # inf and NaN are valid results


@_quiet
def batch_norm(
    x,
    running_mean,
    running_var,
    weight=None,
    bias=None,
    training=False,
    momentum=0.1,
    eps=1e-5,
    *,
    layout="NCHW",
    weight_offset=0.0,
    pre_add=None,
    sum_out=None,
    post_add=None,
    activation=None,
    out=None,
    return_stats=False,
    unbiased_running_var=True,
):
    """Statistics of each channel over samples and positions; see `normcy.batch_norm`."""
    z = _channels_first(_with_residual(x, pre_add, sum_out), layout)
    if training:
        axes = (0, *range(2, z.ndim))
        mean, var = moments(z, axes, keepdims=True)
        rstd = _rstd(var, eps, zero_guard=True)
        _update(running_mean, mean, z, momentum)
        _update(running_var, _unbiased(z, axes) if unbiased_running_var else var, z, momentum)
        stats = mean.ravel(), rstd.ravel()
    else:
        mean, var = _per_channel(running_mean, z), _per_channel(running_var, z)
        rstd = _rstd(var, eps)
        stats = np.empty(0), np.empty(0)
    y = _affine((z - mean) * rstd, weight, bias, weight_offset, layout)
    return _deliver(_channels_back(y, layout), out, post_add, activation, return_stats, stats)


@_quiet
def instance_norm(
    x,
    running_mean=None,
    running_var=None,
    weight=None,
    bias=None,
    use_input_stats=True,
    momentum=0.1,
    eps=1e-5,
    *,
    layout="NCHW",
    weight_offset=0.0,
    pre_add=None,
    sum_out=None,
    post_add=None,
    activation=None,
    out=None,
    return_stats=False,
    unbiased_running_var=True,
):
    """Statistics of each channel of each sample over its positions; see `normcy.instance_norm`."""
    if not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps, layout=layout,
                          weight_offset=weight_offset, pre_add=pre_add, sum_out=sum_out, post_add=post_add,
                          activation=activation, out=out, return_stats=return_stats)  # fmt: skip
    z = _channels_first(_with_residual(x, pre_add, sum_out), layout)
    axes = tuple(range(2, z.ndim))
    mean, var = moments(z, axes, keepdims=True)
    rstd = _rstd(var, eps, zero_guard=True)
    _update(running_mean, mean, z, momentum)
    _update(running_var, _unbiased(z, axes) if unbiased_running_var else var, z, momentum)
    y = _affine((z - mean) * rstd, weight, bias, weight_offset, layout)
    stats = mean.reshape(z.shape[:2]), rstd.reshape(z.shape[:2])
    return _deliver(_channels_back(y, layout), out, post_add, activation, return_stats, stats)


@_quiet
def layer_norm(
    x,
    normalized_shape,
    weight=None,
    bias=None,
    eps=1e-5,
    *,
    weight_offset=0.0,
    pre_add=None,
    sum_out=None,
    post_add=None,
    activation=None,
    out=None,
    return_stats=False,
    correction=0,
    eps_mode="inside_sqrt",
):
    """Statistics over the last axes; see `normcy.layer_norm`."""
    z = _with_residual(x, pre_add, sum_out)
    axes = _trailing(normalized_shape)
    mean, var = moments(z, axes, correction=correction, keepdims=True)
    rstd = _rstd(var, eps, outside=eps_mode == "outside_sqrt")
    y = _trailing_affine((z - mean) * rstd, len(axes), weight, bias, weight_offset)
    return _deliver(y, out, post_add, activation, return_stats, (mean, rstd))


@_quiet
def layer_norm2d(
    x,
    weight=None,
    bias=None,
    eps=1e-6,
    *,
    layout="NCHW",
    weight_offset=0.0,
    pre_add=None,
    sum_out=None,
    post_add=None,
    activation=None,
    out=None,
    return_stats=False,
):
    """Statistics of each position over its channels; see `normcy.layer_norm2d`."""
    z = _channels_first(_with_residual(x, pre_add, sum_out), layout)
    mean, var = moments(z, 1, keepdims=True)
    rstd = _rstd(var, eps)
    y = _affine((z - mean) * rstd, weight, bias, weight_offset, layout)
    stats = _channels_back(mean, layout), _channels_back(rstd, layout)
    return _deliver(_channels_back(y, layout), out, post_add, activation, return_stats, stats)


@_quiet
def group_norm(
    x,
    num_groups,
    weight=None,
    bias=None,
    eps=1e-5,
    *,
    layout="NCHW",
    weight_offset=0.0,
    pre_add=None,
    sum_out=None,
    post_add=None,
    activation=None,
    out=None,
    return_stats=False,
):
    """Statistics of groups of neighbouring channels over each sample's positions; see `normcy.group_norm`."""
    z = _channels_first(_with_residual(x, pre_add, sum_out), layout)
    groups = _grouped(z, num_groups)
    mean, var = moments(groups, 2, keepdims=True)
    rstd = _rstd(var, eps)
    y = _affine(((groups - mean) * rstd).reshape(z.shape), weight, bias, weight_offset, layout)
    stats = mean[:, :, 0], rstd[:, :, 0]
    return _deliver(_channels_back(y, layout), out, post_add, activation, return_stats, stats)


@_quiet
def rms_norm(
    x,
    normalized_shape,
    weight=None,
    eps=None,
    *,
    weight_offset=0.0,
    pre_add=None,
    sum_out=None,
    post_add=None,
    activation=None,
    out=None,
    return_stats=False,
):
    """Root mean square over the last axes; see `normcy.rms_norm`."""
    z = _with_residual(x, pre_add, sum_out)
    axes = _trailing(normalized_shape)
    rstd = _rstd(_mean(z**2, axes), np.finfo(np.float32).eps if eps is None else eps)
    y = _trailing_affine(z * rstd, len(axes), weight, None, weight_offset)
    return _deliver(y, out, post_add, activation, return_stats, (rstd,))


@_quiet
def adain(content, style, eps=1e-5, *, alpha=1.0, correction=0, style_eps=None, layout="NCHW", out=None):
    """Gives the content's instances the style's mean and standard deviation; see `normcy.adain`."""
    z = _channels_first(content, layout)
    mean, var = moments(z, range(2, z.ndim), correction=correction, keepdims=True)
    if isinstance(style, np.ndarray):
        s = _channels_first(style, layout)
        style_mean, style_var = moments(s, range(2, s.ndim), correction=correction)
        style_std = np.sqrt(style_var + (eps if style_eps is None else style_eps))
    else:
        style_mean, style_std = style
    y = (z - mean) * _rstd(var, eps) * _per_channel(style_std, z) + _per_channel(style_mean, z)
    return _deliver(_channels_back(alpha * y + (1 - alpha) * z, layout), out)


@_quiet
def conditional_instance_norm(x, style, weight, bias, eps=1e-5, *, layout="NCHW", activation=None, out=None):
    """Instance norm with the weights of each sample's style; see `normcy.conditional_instance_norm`."""

    def chosen(table):
        return style.astype(np.float64) @ table.astype(np.float64) if style.ndim == 2 else table[style]

    if style.ndim == 1 and np.any((style < 0) | (style >= len(weight))):
        raise ValueError(f"style: expected ids from 0 to {len(weight) - 1}, got {style}")
    return instance_norm(
        x, weight=chosen(weight), bias=chosen(bias), eps=eps, layout=layout, activation=activation, out=out
    )


@_quiet
def evonorm_b0(x, running_var, weight, bias, v, training=False, momentum=0.1, eps=1e-3, *, layout="NCHW", out=None):
    """Divides x by the larger of the batch's deviation and v * x + the instance's; see `normcy.evonorm_b0`."""
    z = _channels_first(x, layout)
    y = z
    if v is not None:
        _, instance_var = moments(z, range(2, z.ndim), keepdims=True)
        if training:
            axes = (0, *range(2, z.ndim))
            _, var = moments(z, axes, keepdims=True)
            _update(running_var, _unbiased(z, axes), z, momentum)
        else:
            var = _per_channel(running_var, z)
        y = z / np.maximum(np.sqrt(var + eps), _per_channel(v, z) * z + np.sqrt(instance_var + eps))
    return _deliver(_channels_back(_affine(y, weight, bias, 0.0, layout), layout), out)


@_quiet
def evonorm_s0(x, num_groups, weight, bias, v, eps=1e-5, *, layout="NCHW", out=None):
    """Divides x * sigmoid(v * x) by the deviation of its group; see `normcy.evonorm_s0`."""
    z = _channels_first(x, layout)
    y = z
    if v is not None:
        _, var = moments(_grouped(z, num_groups), 2, keepdims=True)
        swish = z / (1 + np.exp(-_per_channel(v, z) * z))
        y = (_grouped(swish, num_groups) * _rstd(var, eps)).reshape(z.shape)
    return _deliver(_channels_back(_affine(y, weight, bias, 0.0, layout), layout), out)


@_quiet
def batch_renorm(
    x,
    running_mean,
    running_std,
    weight=None,
    bias=None,
    training=False,
    momentum=0.01,
    eps=1e-3,
    *,
    r_max=1.0,
    d_max=0.0,
    layout="NCHW",
    activation=None,
    out=None,
):
    """Batch statistics, corrected towards the running ones within limits; see `normcy.batch_renorm`."""
    z = _channels_first(x, layout)
    long_mean, long_std = _per_channel(running_mean, z), _per_channel(running_std, z)
    if training:
        mean, var = moments(z, (0, *range(2, z.ndim)), keepdims=True)
        std = np.sqrt(var + eps)
        r = np.clip(std / long_std, 1 / r_max, r_max)
        d = np.clip((mean - long_mean) / long_std, -d_max, d_max)
        y = (z - mean) / std * r + d
        _update(running_mean, mean, z, momentum)
        _update(running_std, std, z, momentum)
    else:
        y = (z - long_mean) / long_std
    return _deliver(_channels_back(_affine(y, weight, bias, 0.0, layout), layout), out, None, activation)


@_quiet
def weight_norm(v, g, dim=0, *, out=None):
    """Computes g * v / ||v||, where the norm is taken over all axes but dim; see `normcy.weight_norm`."""
    z = np.asarray(v, np.float64)
    axes = tuple(range(z.ndim)) if dim is None else tuple(np.delete(np.arange(z.ndim), dim))
    norm = np.sqrt(np.sum(z**2, axes, keepdims=True))
    return _deliver(np.asarray(g, np.float64).reshape(norm.shape) * z / norm, out)


@_quiet
def moments(x, axes, *, correction=0, keepdims=False):
    """Computes the mean, and then the mean squared deviation from it, in float64; see `normcy.moments`."""
    z = np.asarray(x, np.float64)
    axes = tuple(range(z.ndim)) if axes is None else (axes,) if np.ndim(axes) == 0 else tuple(axes)
    count = np.prod([z.shape[a] for a in axes], dtype=np.float64)
    mean = _mean(z, axes)
    var = np.sum((z - mean) ** 2, axes, keepdims=True) / max(count - correction, 0.0)
    if not keepdims:
        mean, var = np.squeeze(mean, axes), np.squeeze(var, axes)
    return mean[()], var[()]


@_quiet
def fold_batch_norm(
    weight, bias, running_mean, running_var, bn_weight=None, bn_bias=None, eps=1e-5, *, transposed=False, groups=1
):
    """Scales the layer's weight by the norm, and applies the norm to its bias; see `normcy.fold_batch_norm`."""
    mean, var = running_mean.astype(np.float64), running_var.astype(np.float64)
    scale = _rstd(var, eps) * (1.0 if bn_weight is None else bn_weight)
    folded_bias = ((0.0 if bias is None else bias) - mean) * scale + (0.0 if bn_bias is None else bn_bias)
    if not transposed:
        return weight * scale.reshape((-1,) + (1,) * (weight.ndim - 1)), folded_bias
    grouped = weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])  # (groups, in, out, ...)
    scale = scale.reshape((groups, 1, -1) + (1,) * (weight.ndim - 2))
    return (grouped * scale).reshape(weight.shape), folded_bias


@_quiet
def checkpoint_momentum(momentum, times=2, *, convention="pytorch"):
    """Makes `times` equal updates as strong as one with momentum; see `normcy.checkpoint_momentum`."""
    if convention == "keras":
        return float(momentum ** (1 / times))
    return float(-np.expm1(np.log1p(-momentum) / times))  # 1 - (1 - momentum) ** (1 / times)


@_quiet
def activate(y, name):
    """Applies the activation of that name, or returns y itself for None. NaN stays NaN."""
    if name not in _ACTIVATIONS:
        raise ValueError(f'activation: expected None, "relu", "silu", "gelu" or "gelu_tanh", got {name!r}')
    return _ACTIVATIONS[name](y)


def _gelu(y):
    """Uses erfc in place of 1 + erf, which loses all digits where y is far below zero."""
    erfc = np.frompyfunc(math.erfc, 1, 1)
    return 0.5 * y * np.asarray(erfc(-y / math.sqrt(2))).astype(np.float64)


def _gelu_tanh(y):
    """Computes 0.5 * (1 + tanh(u)) as 1 / (1 + exp(-2 u)), which keeps its digits far below zero."""
    return y / (1 + np.exp(-2 * math.sqrt(2 / math.pi) * (y + 0.044715 * y**3)))


_ACTIVATIONS = {
    None: lambda y: y,
    "relu": lambda y: np.maximum(y, 0.0),
    "silu": lambda y: y / (1 + np.exp(-y)),
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
}


def _with_residual(x, pre_add, sum_out):
    """Returns x in float64; with pre_add it is the sum, rounded to float32, since that is what is normalized."""
    if pre_add is not None:
        x = np.add(x, pre_add, dtype=np.float32)
    if sum_out is not None:
        sum_out[...] = x
    return np.asarray(x, np.float64)


def _mean(z, axes):
    count = np.prod([z.shape[a] for a in axes], dtype=np.float64)
    return np.sum(z, axes, keepdims=True) / count


def _unbiased(z, axes):
    return moments(z, axes, correction=1, keepdims=True)[1]


def _rstd(var, eps, *, outside=False, zero_guard=False):
    """Returns 1 / std. If var + eps is 0 it is infinite, or 0 where PyTorch's batch statistics have that."""
    std = np.sqrt(var) + eps if outside else np.sqrt(var + eps)
    return np.where(std == 0, 0.0 if zero_guard else np.inf, 1 / std)


def _update(running, batch, z, momentum):
    """Updates running to (1 - momentum) * running + momentum * batch, in place; averages samples' statistics first."""
    if running is not None and z.size:
        running[...] = (1 - momentum) * running.astype(np.float64) + momentum * batch.mean(axis=0).ravel()


def _channels_first(x, layout):
    """Returns x in float64 with its channels at axis 1."""
    z = np.asarray(x, np.float64)
    return z if layout == "NCHW" else np.moveaxis(z, -1, 1)


def _channels_back(z, layout):
    return z if layout == "NCHW" else np.moveaxis(z, 1, -1)


def _grouped(z, num_groups):
    """Reshapes (N, C, ...) to (N, num_groups, values of a group)."""
    return z.reshape(z.shape[0], num_groups, z.shape[1] // num_groups * int(np.prod(z.shape[2:])))


def _per_channel(v, z):
    """Reshapes (C,) or (N, C) to broadcast against z, whose channels are at axis 1, in float64."""
    v = np.asarray(v, np.float64)
    return v.reshape(v.shape + (1,) * (z.ndim - 2)) if v.ndim == 2 else v.reshape((1, -1) + (1,) * (z.ndim - 2))


def _affine(xhat, weight, bias, offset, layout):
    """Computes xhat * (offset + weight) + bias, with parameters of shape (C,), (N, C) or that of x."""

    def fit(v):
        return _per_channel(v, xhat) if v.ndim < max(xhat.ndim, 2) or v.ndim == 2 else _channels_first(v, layout)

    y = xhat if weight is None else xhat * (fit(weight) + (offset or -0.0))
    return y if bias is None else y + fit(bias)


def _trailing(normalized_shape):
    """Returns the axes that normalized_shape names, counted from the end."""
    rank = 1 if np.ndim(normalized_shape) == 0 else len(normalized_shape)
    return tuple(range(-rank, 0))


def _trailing_affine(xhat, rank, weight, bias, offset):
    """As `_affine`, with parameters of normalized_shape, or one such set for each sample."""

    def fit(v):
        v = v.astype(np.float64)
        return v if v.ndim == rank else v.reshape(v.shape[:1] + (1,) * (xhat.ndim - 1 - rank) + v.shape[1:])

    y = xhat if weight is None else xhat * (fit(weight) + (offset or -0.0))
    return y if bias is None else y + fit(bias)


def _deliver(y, out, post_add=None, activation=None, return_stats=False, stats=()):
    """The end of every method: adds the residual after the norm, applies the activation, and writes to out."""
    y = activate(y if post_add is None else y + post_add, activation)
    if out is not None:
        out[...] = y
        y = out
    return (y, *stats) if return_stats else y
