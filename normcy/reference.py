"""What every function of normcy computes, in plain NumPy with float64 reductions: documentation that runs.

Each function has the signature of its namesake in `normcy` and returns float64 (float32 only through ``out``), so that
errors can be measured against it. It is written to be read: no speed, and only the checks that the mathematics needs.
"""

from __future__ import annotations

import numpy as np

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "layer_norm2d", "moments", "rms_norm"]


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
    out=None,
    return_stats=False,
    unbiased_running_var=True,
):
    """Statistics of each channel over samples and positions; see `normcy.batch_norm`."""
    z = _channels_first(x, layout)
    if training:
        axes = (0, *range(2, z.ndim))
        mean, var = moments(z, axes, keepdims=True)
        _update(running_mean, running_var, mean, var, z.size // max(z.shape[1], 1), momentum, unbiased_running_var)
        rstd = _rstd(var, eps, zero_guard=True)
        stats = mean.ravel(), rstd.ravel()
    else:
        mean, var = (_per_channel(v.astype(np.float64), z) for v in (running_mean, running_var))
        rstd = _rstd(var, eps)
        stats = np.empty(0), np.empty(0)
    y = _affine((z - mean) * rstd, weight, bias, weight_offset, layout)
    return _deliver(_channels_back(y, layout), out, return_stats, stats)


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
    out=None,
    return_stats=False,
    unbiased_running_var=True,
):
    """Statistics of each channel of each sample over its positions; see `normcy.instance_norm`."""
    if not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps, layout=layout,
                          weight_offset=weight_offset, out=out, return_stats=return_stats)  # fmt: skip
    z = _channels_first(x, layout)
    mean, var = moments(z, range(2, z.ndim), keepdims=True)
    rstd = _rstd(var, eps, zero_guard=True)
    _update(running_mean, running_var, mean, var, z[0, 0].size if z.size else 0, momentum, unbiased_running_var)
    y = _affine((z - mean) * rstd, weight, bias, weight_offset, layout)
    stats = mean.reshape(z.shape[:2]), rstd.reshape(z.shape[:2])
    return _deliver(_channels_back(y, layout), out, return_stats, stats)


def layer_norm(
    x,
    normalized_shape,
    weight=None,
    bias=None,
    eps=1e-5,
    *,
    weight_offset=0.0,
    out=None,
    return_stats=False,
    correction=0,
    eps_mode="inside_sqrt",
):
    """Statistics over the last axes; see `normcy.layer_norm`."""
    axes = _trailing(normalized_shape)
    mean, var = moments(x, axes, correction=correction, keepdims=True)
    rstd = _rstd(var, eps, outside=eps_mode == "outside_sqrt")
    y = _trailing_affine((x - mean) * rstd, len(axes), weight, bias, weight_offset)
    return _deliver(y, out, return_stats, (mean, rstd))


def layer_norm2d(
    x, weight=None, bias=None, eps=1e-6, *, layout="NCHW", weight_offset=0.0, out=None, return_stats=False
):
    """Statistics of each position over its channels; see `normcy.layer_norm2d`."""
    z = _channels_first(x, layout)
    mean, var = moments(z, 1, keepdims=True)
    rstd = _rstd(var, eps)
    y = _affine((z - mean) * rstd, weight, bias, weight_offset, layout)
    stats = _channels_back(mean, layout), _channels_back(rstd, layout)
    return _deliver(_channels_back(y, layout), out, return_stats, stats)


def group_norm(
    x, num_groups, weight=None, bias=None, eps=1e-5, *, layout="NCHW", weight_offset=0.0, out=None, return_stats=False
):
    """Statistics of groups of neighbouring channels over each sample's positions; see `normcy.group_norm`."""
    z = _channels_first(x, layout)
    positions = int(np.prod(z.shape[2:]))
    groups = z.reshape(z.shape[0], num_groups, z.shape[1] // num_groups * positions)
    mean, var = moments(groups, 2, keepdims=True)
    rstd = _rstd(var, eps)
    y = _affine(((groups - mean) * rstd).reshape(z.shape), weight, bias, weight_offset, layout)
    return _deliver(_channels_back(y, layout), out, return_stats, (mean[:, :, 0], rstd[:, :, 0]))


def rms_norm(x, normalized_shape, weight=None, eps=None, *, weight_offset=0.0, out=None, return_stats=False):
    """Root mean square over the last axes; see `normcy.rms_norm`."""
    axes = _trailing(normalized_shape)
    z = np.asarray(x, np.float64)
    rstd = _rstd(_mean(z**2, axes), np.finfo(np.float32).eps if eps is None else eps)
    y = _trailing_affine(z * rstd, len(axes), weight, None, weight_offset)
    return _deliver(y, out, return_stats, (rstd,))


def moments(x, axes, *, correction=0, keepdims=False):
    """Mean, then the mean squared deviation from it: two passes in float64; see `normcy.moments`."""
    z = np.asarray(x, np.float64)
    axes = tuple(range(z.ndim)) if axes is None else (axes,) if np.ndim(axes) == 0 else tuple(axes)
    count = np.prod([z.shape[a] for a in axes], dtype=np.float64)
    mean = _mean(z, axes)
    with np.errstate(all="ignore"):
        var = np.sum((z - mean) ** 2, axes, keepdims=True) / max(count - correction, 0.0)
    if not keepdims:
        mean, var = np.squeeze(mean, axes), np.squeeze(var, axes)
    return mean[()], var[()]


def _mean(z, axes):
    count = np.prod([z.shape[a] for a in axes], dtype=np.float64)
    with np.errstate(all="ignore"):
        return np.sum(z, axes, keepdims=True) / count


def _rstd(var, eps, *, outside=False, zero_guard=False):
    """1 / std. With nothing to divide by it is infinite, or 0 where PyTorch's batch statistics say so."""
    with np.errstate(all="ignore"):
        std = np.sqrt(var) + eps if outside else np.sqrt(var + eps)
        return np.where(std == 0, 0.0 if zero_guard else np.inf, 1 / std)


def _update(running_mean, running_var, mean, var, count, momentum, unbiased):
    """running = (1 - momentum) * running + momentum * batch, in place; samples' statistics are averaged first."""
    if running_mean is None or count == 0:
        return
    if unbiased:
        var = var * count / (count - 1)
    for running, new in ((running_mean, mean), (running_var, var)):
        running[...] = (1 - momentum) * running.astype(np.float64) + momentum * new.mean(axis=0).ravel()


def _channels_first(x, layout):
    """x in float64 with its channels at axis 1."""
    z = np.asarray(x, np.float64)
    return z if layout == "NCHW" else np.moveaxis(z, -1, 1)


def _channels_back(z, layout):
    return z if layout == "NCHW" else np.moveaxis(z, 1, -1)


def _per_channel(v, z):
    """(C,) or (N, C) against z, whose channels are at axis 1."""
    return v.reshape(v.shape + (1,) * (z.ndim - 2)) if v.ndim == 2 else v.reshape((1, -1) + (1,) * (z.ndim - 2))


def _affine(xhat, weight, bias, offset, layout):
    """xhat * (offset + weight) + bias, with parameters of shape (C,), (N, C) or that of x."""

    def fit(v):
        v = v.astype(np.float64)
        return _per_channel(v, xhat) if v.ndim < max(xhat.ndim, 2) or v.ndim == 2 else _channels_first(v, layout)

    y = xhat if weight is None else xhat * (offset + fit(weight))
    return y if bias is None else y + fit(bias)


def _trailing(normalized_shape):
    """The axes that normalized_shape names, counted from the end."""
    rank = 1 if np.ndim(normalized_shape) == 0 else len(normalized_shape)
    return tuple(range(-rank, 0))


def _trailing_affine(xhat, rank, weight, bias, offset):
    """The same with parameters of normalized_shape, or one such set a sample."""

    def fit(v):
        v = v.astype(np.float64)
        return v if v.ndim == rank else v.reshape(v.shape[:1] + (1,) * (xhat.ndim - 1 - rank) + v.shape[1:])

    y = xhat if weight is None else xhat * (offset + fit(weight))
    return y if bias is None else y + fit(bias)


def _deliver(y, out, return_stats, stats):
    if out is not None:
        out[...] = y
        y = out
    return (y, *stats) if return_stats else y
