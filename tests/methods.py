"""Every method in one table, called the same way, and the error bound that its results are held to."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

import normcy

LAYOUTS = ("NCHW", "NHWC")
LEVELS = [name for name, runs in normcy.get_config()["isa_levels"].items() if runs]


@dataclass(frozen=True)
class Method:
    """A way to call one function: ``call(module, x, layout, **keywords)`` with module normcy or its reference."""

    name: str
    call: object
    weights: str = "channel"  # what weight and bias go with: "channel", or the "trailing" axes
    has_bias: bool = True
    units: int = 4  # the error bound; 5 where weights vary within a slot, which takes two roundings more
    min_rank: int = 2
    per_sample: bool = True  # a sample's result does not depend on the rest of the batch


def _batch_eval(m, x, layout, **kw):
    c = x.shape[1 if layout == "NCHW" else -1]
    g = np.random.default_rng(c)
    centre = round(float(x.mean(dtype=np.float64)), 1) if x.size else 0.0  # the same for every memory order
    mean = (g.standard_normal(c) + centre).astype(np.float32)
    return m.batch_norm(x, mean, g.random(c, np.float32) + 0.5, layout=layout, **kw)


def _group(m, x, layout, groups, **kw):
    return m.group_norm(x, groups(x.shape[1 if layout == "NCHW" else -1]), layout=layout, **kw)


def _largest_divisor(c):
    return next(g for g in range(max(c // 2, 1), 0, -1) if c % g == 0)


METHODS = [
    Method("batch_train", lambda m, x, layout, **kw: m.batch_norm(x, None, None, training=True, layout=layout, **kw), per_sample=False),
    Method("batch_eval", _batch_eval),
    Method("instance", lambda m, x, layout, **kw: m.instance_norm(x, layout=layout, **kw), min_rank=3),
    Method("group_1", partial(_group, groups=lambda c: 1)),
    Method("group_some", partial(_group, groups=_largest_divisor)),
    Method("group_all", partial(_group, groups=lambda c: c), min_rank=3),
    Method("layer2d", lambda m, x, layout, **kw: m.layer_norm2d(x, layout=layout, **kw), units=5),
    Method("layer_last", lambda m, x, layout, **kw: m.layer_norm(x, x.shape[-1], **kw), weights="trailing", units=5),
    Method("layer_chw", lambda m, x, layout, **kw: m.layer_norm(x, x.shape[1:], **kw), weights="trailing", units=5),
    Method("rms_last", lambda m, x, layout, **kw: m.rms_norm(x, x.shape[-1], **kw), weights="trailing", units=5, has_bias=False),
]  # fmt: skip

every_method = pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
every_layout = pytest.mark.parametrize("layout", LAYOUTS)


def sample(shape, mean=0.0, seed=0):
    """Normal values of standard deviation 1 about `mean`."""
    return (np.random.default_rng(seed).standard_normal(shape) + mean).astype(np.float32)


def parameter_shape(method, x, layout):
    if method.weights == "channel":
        return (x.shape[1 if layout == "NCHW" else -1],)
    return x.shape[1:] if method.name.endswith("chw") else x.shape[-1:]


def parameters(method, x, layout, seed=1):
    """Random weight and bias, as keywords."""
    g = np.random.default_rng(seed)
    shape = parameter_shape(method, x, layout)
    found = {"weight": g.standard_normal(shape, np.float32), "bias": g.standard_normal(shape, np.float32)}
    return found if method.has_bias else {"weight": found["weight"]}


def against(x, v, layout):
    """A parameter broadcast against x, in float64."""
    v = np.asarray(v, np.float64)
    if v.ndim == 1 and layout == "NCHW":
        return v.reshape((1, -1) + (1,) * (x.ndim - 2))
    return v


def bound(method, x, layout, weight=None, bias=None, units=None, **kw):
    """units * 2**-24 * (|w| * max(1, |xhat|) + |b|), element by element."""
    xhat = method.call(normcy.reference, x, layout, **kw)
    where = layout if method.weights == "channel" else "trailing"
    w = 1.0 if weight is None else np.abs(against(x, weight, where))
    b = 0.0 if bias is None else np.abs(against(x, bias, where))
    return (units or method.units) * 2.0**-24 * (w * np.maximum(1, np.abs(xhat)) + b)


def assert_close(y, expected, limit):
    error = np.abs(y.astype(np.float64) - expected)
    assert error.shape == expected.shape
    worst = np.max(error / limit, initial=0)
    assert np.all(error <= limit), f"error is {worst:.3g} times the bound"


def check(method, x, layout, **kw):
    """normcy against the reference, within the method's bound; returns the result."""
    kw = {**parameters(method, x, layout), **kw}
    y = method.call(normcy, x, layout, **kw)
    assert y.dtype == np.float32
    assert y.shape == x.shape
    assert_close(y, method.call(normcy.reference, x, layout, **kw), bound(method, x, layout, **kw))
    return y


def same_bits(a, b):
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
