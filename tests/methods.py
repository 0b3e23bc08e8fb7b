"""The table of all methods, which are called in one way, and the error bound of each."""

from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import pytest

import normcy

LAYOUTS = ("NCHW", "NHWC")
ISAS = [name for name, runs in normcy.get_config()["isa_levels"].items() if runs]


@dataclass(frozen=True)
class Method:
    """A way to call one function: ``call(module, x, layout, **keywords)``, where module is normcy or its reference."""

    name: str
    call: object
    weights: str = "channel"  # shape of weight and bias: "channel" (or a layer's "own"), "trailing" axes, or "none"
    has_bias: bool = True
    units: int = 4  # the error bound, in units of 2**-24 * scale; 5 where weights vary within a slot
    min_rank: int = 2
    per_sample: bool = True  # whether a sample's result does not depend on the rest of the batch
    slots: str = ""  # the name of the method that has the same slots, if it is another one
    scale: object = None  # scale(x, layout, weight, bias), the size for the bound, if it is not the affine one
    operands: object = None  # operands(x, layout): arrays by name, with a row for each sample, that every call gets
    activation: str | None = None
    least_values: int = 1  # the fewest positions that a slot needs
    group: int = 1  # channels of a group; if they do not divide x's, one group has all of them

    def limit(self, x, layout, units=None, **kw):
        """The largest error allowed, element by element.

        A residual after the norm adds one rounding. An activation scales the error of its input by a slope of at most
        1.13, and adds 3 * 2**-24 of its input.
        """
        scale = (self.scale or partial(affine_scale, self))(x, layout, **kw)
        units = (units or self.units) + self.has_weights_within_rows(x, layout)
        if "post_add" in self.of_samples(x, layout):
            units, scale = units + 1, scale + np.abs(residual(x, layout))
        return 2.0**-24 * scale * (units if self.activation in (None, "relu") else 1.13 * units + 3)

    def has_weights_within_rows(self, x, layout):
        """Returns whether a group of single values is a row, in which each has its own weight: one rounding more."""
        return self.name.startswith("group") and np.prod(x.shape[1:]) == channels(x, layout)

    def of_samples(self, x, layout):
        """Returns the arrays that have a row for each sample of x: a residual, or the styles."""
        return self.operands(x, layout) if self.operands else {}

    def alone(self, module, x, layout, i, **kw):
        """Returns the i-th sample by itself, with the operands that it has in the batch."""
        part = slice(i, i + 1)
        return self.call(module, x[part], layout, **{k: v[part] for k, v in self.of_samples(x, layout).items()}, **kw)


def affine_scale(method, x, layout, weight=None, bias=None, **kw):
    """Returns |w| * max(1, |xhat|) + |b|."""
    where = layout if method.weights == "channel" else "trailing"
    if method.operands or method.activation:
        method = next(m for m in METHODS if m.name == method.slots)
    xhat = method.call(normcy.reference, x, layout, **kw)
    w = 1.0 if weight is None else np.abs(against(x, weight, where))
    b = 0.0 if bias is None else np.abs(against(x, bias, where))
    return w * np.maximum(1, np.abs(xhat)) + b


def channels(x, layout):
    return x.shape[1 if layout == "NCHW" else -1]


def portable(shape, seed):
    """Returns roughly normal values in steps of 2**-15, by a hash of the index, equal on every machine and NumPy."""
    shape = (shape,) if isinstance(shape, int) else shape
    z = np.arange(np.prod(shape, dtype=np.int64), dtype=np.uint64) + np.uint64(seed << 40)
    with np.errstate(over="ignore"):
        for factor, shift in ((0x9E3779B97F4A7C15, 30), (0xBF58476D1CE4E5B9, 27), (0x94D049BB133111EB, 31)):
            z = z * np.uint64(factor)
            z ^= z >> np.uint64(shift)
    return (z.view(np.uint16).reshape(-1, 4).sum(1, np.int64).reshape(shape) - 131070) * 2.0**-15


def fixed(c, seed, low=-1.5, high=1.5):
    """Returns one value for each channel, the same for every array with as many."""
    return (low + (high - low) * (portable(c, seed) / 4 % 1)).astype(np.float32)


def residual(x, layout):
    """Returns an array to add, which depends on x only by its size, which is small beside the deviation of x.

    Its elements depend on sample, channel and position, so that they are the same for x in another memory order or
    layout; a part of a batch gets its own part (Method.alone).
    """
    axis = 1 if layout == "NCHW" else -1
    z = np.moveaxis(x, axis, 1)
    first = z.flat[:4096].astype(np.float64)
    first = first[np.isfinite(first)]
    middle = np.median(first) if first.size else 0
    spread = np.median(np.abs(first - middle)) if first.size else 0
    size = np.ldexp(1.0, int(np.frexp(spread or abs(middle) or 1)[1]) - 6)  # a power of two rounds no digit
    found = np.empty_like(x, np.float32, subok=False)
    found[...] = np.moveaxis(_values(z.shape) * size, 1, axis)
    return found


@lru_cache(8)
def _values(shape):
    return portable(shape, 9)


def centre(x):
    """Returns about the middle of x's finite values, whatever their order in memory, or 0 if they spread around it."""
    finite = x[np.isfinite(x)].astype(np.float64)
    middle = float(np.median(finite)) if finite.size else 0
    return 0 if not finite.size or abs(middle) < np.std(finite) / 2 else round(middle)


def running(x, layout):
    c = channels(x, layout)
    return fixed(c, c) + np.float32(centre(x)), fixed(c, c + 1, 0.5, 1.5)


def _batch_eval(m, x, layout, **kw):
    return m.batch_norm(x, *running(x, layout), layout=layout, **kw)


def _group(m, x, layout, groups, **kw):
    return m.group_norm(x, groups(channels(x, layout)), layout=layout, **kw)


def _of_size(size):
    def groups(c):
        return c // size if c and c % size == 0 else 1

    return Method(f"group_of_{size}", partial(_group, groups=groups), slots=f"group_of_{size}", group=size)


def _largest_divisor(c):
    return next(g for g in range(max(c // 2, 1), 0, -1) if c % g == 0)


def _after(x, layout):
    return {"post_add": residual(x, layout)}


def _before(x, layout):
    return {"pre_add": residual(x, layout)}


def _fused_batch(m, x, layout, **kw):
    return _batch_eval(m, x, layout, activation="relu", **_after(x, layout) | kw)


def _residual_layer(m, x, layout, **kw):
    return m.layer_norm(x, x.shape[-1], **_before(x, layout) | kw)


def _residual_layer_scale(x, layout, **kw):
    with np.errstate(all="ignore"):
        total = x + residual(x, layout)
        return affine_scale(next(m for m in METHODS if m.name == "layer_last"), total, layout, **kw)


def _style(x, layout):
    """Returns a style with x's samples and channels and another spatial size."""
    axis = 2 if layout == "NCHW" else 1
    with np.errstate(all="ignore"):
        return np.take(x, range(x.shape[axis] // 2 + 1 if x.shape[axis] else 0), axis) * np.float32(0.5) + 3


def _adain(m, x, layout, **kw):
    return m.adain(x, _style(x, layout), layout=layout, **kw)


def _adain_scale(x, layout, eps=1e-5):
    axes = tuple(range(2, x.ndim)) if layout == "NCHW" else tuple(range(1, x.ndim - 1))
    mean, var = normcy.reference.moments(_style(x, layout), axes, keepdims=True)
    xhat = normcy.reference.instance_norm(x, layout=layout, eps=eps)
    return np.sqrt(var + eps) * np.maximum(1, np.abs(xhat)) + np.abs(mean)


def _ids(x, layout):
    """Returns style ids that differ from one sample to the next."""
    return {"style": (2 - np.arange(len(x)) % 3).astype(np.uint8)}


def _mixing(x, layout):
    """Returns weights of three styles, which differ for all samples."""
    return {"style": (_values((len(x), 3)) / 4).astype(np.float32)}


def _tables(x, layout):
    c = channels(x, layout)
    return fixed((3, c), c), fixed((3, c), c + 1)


def _conditional(m, x, layout, operands=_ids, **kw):
    return m.conditional_instance_norm(x, weight=_tables(x, layout)[0], bias=_tables(x, layout)[1], layout=layout,
                                       **operands(x, layout) | kw)  # fmt: skip


def _conditional_scale(x, layout, operands=_ids, **kw):
    style = operands(x, layout)["style"]
    weight, bias = (t[style] if style.ndim == 1 else style.astype(np.float64) @ t for t in _tables(x, layout))
    return affine_scale(next(m for m in METHODS if m.name == "instance"), x, layout, weight, bias, **kw)


def _evonorm_s0(m, x, layout, weight=None, bias=None, **kw):
    c = channels(x, layout)
    return m.evonorm_s0(x, _largest_divisor(c), weight, bias, fixed(c, c), layout=layout, **kw)


def _evonorm_s0_scale(x, layout, weight=None, bias=None, eps=1e-5):
    """Returns |w x| / std + |b|: the sigmoid's error counts in full where the sigmoid is close to 0."""
    c = channels(x, layout)
    _, _, rstd = normcy.reference.group_norm(x, _largest_divisor(c), eps=eps, layout=layout, return_stats=True)
    rstd = against(x, np.repeat(rstd, c // _largest_divisor(c), axis=1), layout)
    w, b = (
        np.abs(against(x, v, layout))
        for v in (np.ones(c) if weight is None else weight, np.zeros(c) if bias is None else bias)
    )
    return w * np.abs(x.astype(np.float64)) * rstd + b


def _evonorm_b0(m, x, layout, weight=None, bias=None, training=False, **kw):
    c = channels(x, layout)
    return m.evonorm_b0(x, fixed(c, c + 1, 0.5, 1.5), weight, bias, fixed(c, c), training, layout=layout, **kw)


def _evonorm_b0_scale(x, layout, weight=None, bias=None, eps=1e-3, training=False):
    """Returns |w x| / den * (1 + (|v x| + own) / den) + |b|: cancellation of v x and the instance's std counts."""
    c = channels(x, layout)
    z = x.astype(np.float64)
    spatial = tuple(range(2, x.ndim)) if layout == "NCHW" else tuple(range(1, x.ndim - 1))
    own = np.sqrt(normcy.reference.moments(x, spatial, keepdims=True)[1] + eps)
    batch = against(x, fixed(c, c + 1, 0.5, 1.5), layout)
    if training:
        batch = normcy.reference.moments(x, (0, *spatial), keepdims=True)[1]
    right = against(x, fixed(c, c), layout) * z
    den = np.maximum(np.sqrt(batch + eps), right + own)
    w, b = (
        np.abs(against(x, v, layout))
        for v in (np.ones(c) if weight is None else weight, np.zeros(c) if bias is None else bias)
    )
    return w * np.abs(z) / den * (1 + (np.abs(right) + own) / den) + b


def _renorm(m, x, layout, training=False, **kw):
    mean, std = running(x, layout)
    return m.batch_renorm(x, mean, std, training=training, r_max=1.5, d_max=0.5, layout=layout, **kw)


def _renorm_scale(x, layout, weight=None, bias=None, training=False, **kw):
    """Returns |w| * (max(1, |xhat|) + |d| + std_B / std) + |b|: d has the batch mean's error over the running std."""
    xhat = _renorm(normcy.reference, x, layout, training, **kw)
    ratio = 0.0
    if training:
        axes = (0, *range(2, x.ndim)) if layout == "NCHW" else tuple(range(x.ndim - 1))
        var = normcy.reference.moments(x, axes, keepdims=True)[1]
        ratio = np.sqrt(var) / against(x, running(x, layout)[1], layout)
    w, b = (0.0 if v is None else np.abs(against(x, v, layout)) for v in (weight, bias))
    return (1.0 if weight is None else w) * (np.maximum(1, np.abs(xhat)) + 0.5 + ratio) + b


def _weight_norm(m, x, layout, eps=None, **kw):
    return m.weight_norm(x, fixed(channels(x, layout), 3, 0.5, 2), 1 if layout == "NCHW" else -1, **kw)


def _weight_norm_scale(x, layout, **kw):
    return np.abs(_weight_norm(normcy.reference, x, layout))


def _ibn(m, x, layout, weight=None, bias=None, out=None, eps=1e-5):
    """Returns the layer in training; its twin is composed of two norms."""
    c = channels(x, layout)
    first = c // 2
    weight, bias = (
        np.ones(c, np.float32) if weight is None else weight,
        np.zeros(c, np.float32) if bias is None else bias,
    )
    if m is normcy:
        layer = normcy.IBN(c, eps=eps, layout=layout)
        layer.IN.weight, layer.IN.bias = weight[:first], bias[:first]
        layer.BN.weight, layer.BN.bias = weight[first:], bias[first:]
        return layer(x, out)
    axis = 1 if layout == "NCHW" else -1
    parts = np.split(x, [first], axis)
    return np.concatenate([
        m.instance_norm(parts[0], None, None, weight[:first], bias[:first], eps=eps, layout=layout),
        m.batch_norm(parts[1], None, None, weight[first:], bias[first:], True, eps=eps, layout=layout),
    ], axis)  # fmt: skip


def _ibn_scale(x, layout, weight, bias, **kw):
    """Uses |y - b|, which is |w xhat|."""
    w, b = (np.abs(against(x, v, layout)) for v in (weight, bias))
    y = _ibn(normcy.reference, x, layout, weight, bias, **kw)
    return np.maximum(w, np.abs(y - against(x, bias, layout))) + b


METHODS = [
    Method("batch_train", lambda m, x, layout, **kw: m.batch_norm(x, None, None, training=True, layout=layout, **kw), per_sample=False),
    Method("batch_eval", _batch_eval),
    Method("instance", lambda m, x, layout, **kw: m.instance_norm(x, layout=layout, **kw), min_rank=3, least_values=2),
    Method("group_1", partial(_group, groups=lambda c: 1)),
    Method("group_some", partial(_group, groups=_largest_divisor)),
    Method("group_all", partial(_group, groups=lambda c: c), min_rank=3, least_values=2),
    *(_of_size(size) for size in (4, 10, 40)),
    Method("layer2d", lambda m, x, layout, **kw: m.layer_norm2d(x, layout=layout, **kw), units=5),
    Method("layer_last", lambda m, x, layout, **kw: m.layer_norm(x, x.shape[-1], **kw), weights="trailing", units=5),
    Method("layer_chw", lambda m, x, layout, **kw: m.layer_norm(x, x.shape[1:], **kw), weights="trailing", units=5),
    Method("rms_last", lambda m, x, layout, **kw: m.rms_norm(x, x.shape[-1], **kw), weights="trailing", units=5, has_bias=False),
    Method("batch_add_relu", _fused_batch, slots="batch_eval", operands=_after, activation="relu"),
    Method("instance_silu", lambda m, x, layout, **kw: m.instance_norm(x, layout=layout, activation="silu", **kw), min_rank=3, least_values=2, slots="instance", activation="silu"),
    Method("group_gelu", partial(_group, groups=_largest_divisor, activation="gelu"), slots="group_some", activation="gelu"),
    Method("layer2d_gelu_tanh", lambda m, x, layout, **kw: m.layer_norm2d(x, layout=layout, activation="gelu_tanh", **kw), units=5, slots="layer2d", activation="gelu_tanh"),
    Method("add_layer", _residual_layer, weights="trailing", units=5, slots="layer_last", operands=_before, scale=_residual_layer_scale),
    Method("adain", _adain, weights="none", units=5, min_rank=3, slots="instance", scale=_adain_scale),
    Method("conditional", _conditional, weights="none", units=5, min_rank=3, slots="instance", operands=_ids, scale=_conditional_scale),
    Method("conditional_mixed", partial(_conditional, operands=_mixing), weights="none", units=5, min_rank=3, slots="instance", operands=_mixing, scale=partial(_conditional_scale, operands=_mixing)),
    Method("evonorm_s0", _evonorm_s0, units=6, slots="group_some", scale=_evonorm_s0_scale),
    Method("evonorm_b0", _evonorm_b0, units=5, min_rank=3, slots="instance", scale=_evonorm_b0_scale),
    Method("evonorm_b0_train", partial(_evonorm_b0, training=True), units=5, min_rank=3, per_sample=False, slots="batch_train", scale=partial(_evonorm_b0_scale, training=True)),
    Method("renorm", _renorm, slots="batch_eval", scale=_renorm_scale),
    Method("renorm_train", partial(_renorm, training=True), per_sample=False, slots="batch_train", scale=partial(_renorm_scale, training=True)),
    Method("weight_norm", _weight_norm, weights="none", units=3, per_sample=False, slots="batch_train", scale=_weight_norm_scale),
    Method("ibn", _ibn, weights="own", min_rank=3, per_sample=False, slots="ibn", scale=_ibn_scale, least_values=2),
]  # fmt: skip

every_method = pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
every_layout = pytest.mark.parametrize("layout", LAYOUTS)


def sample(shape, mean=0.0, seed=0):
    """Returns normal values of standard deviation 1 about `mean`."""
    return (np.random.default_rng(seed).standard_normal(shape) + mean).astype(np.float32)


def parameter_shape(method, x, layout):
    if method.weights != "trailing":
        return (channels(x, layout),)
    return x.shape[1:] if method.name.endswith("chw") else x.shape[-1:]


def parameters(method, x, layout, seed=1):
    """Returns random weight and bias, as keywords."""
    if method.weights == "none":
        return {}
    shape = parameter_shape(method, x, layout)
    found = {name: portable(shape, seed + i).astype(np.float32) for i, name in enumerate(("weight", "bias"))}
    return found if method.has_bias else {"weight": found["weight"]}


def against(x, v, layout):
    """Reshapes a parameter, (C,) or (N, C), to broadcast against x, in float64."""
    v = np.asarray(v, np.float64)
    if v.ndim == 2 and x.ndim > 2 and layout != "trailing":
        v = v.reshape(v.shape + (1,) * (x.ndim - 2))
        return v if layout == "NCHW" else np.moveaxis(v, 1, -1)
    if v.ndim == 1 and layout == "NCHW":
        return v.reshape((1, -1) + (1,) * (x.ndim - 2))
    return v


def bound(method, x, layout, weight=None, bias=None, units=None, **kw):
    with np.errstate(all="ignore"):
        given = {k: v for k, v in (("weight", weight), ("bias", bias)) if v is not None}
        return method.limit(x, layout, units=units, **given, **kw)


def assert_close(y, expected, limit):
    assert y.shape == expected.shape
    error = np.abs(y.astype(np.float64) - expected)
    both = np.isnan(y) & np.isnan(expected)
    error, limit = np.where(both, 0, error), np.where(both, 1, limit)
    with np.errstate(all="ignore"):
        worst = np.max(error / limit, initial=0)
    assert np.all(error <= limit), f"error is {worst:.3g} times the bound"


def assert_right(y, expected, limit):
    """Checks the bound, or float32's smallest step; NaN where the reference is, infinite where float32 overflows."""
    fits = np.abs(expected) < 3e38
    assert_close(y[fits], expected[fits], np.nan_to_num(limit[fits], nan=np.inf) + 2.0**-149)
    assert np.array_equal(np.isnan(y), np.isnan(expected))
    beyond = ~fits & ~np.isnan(expected)
    assert np.all(y[beyond] * np.sign(expected[beyond]) > 1e38)


def check(method, x, layout, **kw):
    """Checks normcy against the reference, within the method's bound; returns the result."""
    kw = {**parameters(method, x, layout), **kw}
    y = method.call(normcy, x, layout, **kw)
    assert y.dtype == np.float32
    assert y.shape == x.shape
    assert_close(y, method.call(normcy.reference, x, layout, **kw), bound(method, x, layout, **kw))
    return y


def same_bits(a, b):
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
