"""AdaIN and the conditional norm with every option are within their bounds, and equal to the bit everywhere."""

import itertools

import numpy as np
import pytest
from methods import ISAS, against, assert_close, every_layout, fixed, same_bits, sample

import normcy

SHAPES = [(3, 5, 7, 9), (2, 64, 20, 21), (2, 3, 130, 131), (4, 20, 50)]
STYLES = [(3, 5, 4, 30), (2, 64, 9, 8), (2, 3, 12, 200), (4, 20, 7)]


def in_layout(x, layout):
    return x if layout == "NCHW" else np.ascontiguousarray(np.moveaxis(x, 1, -1))


def on_every_isa(call, use_isa):
    results = []
    for isa, threads in itertools.product(ISAS, (1, 2, 3)):
        use_isa(isa)
        with normcy.num_threads(threads):
            results.append(call())
    assert all(same_bits(results[0], y) for y in results[1:])
    return results[0]


def slot_moments(x, layout, correction=0):
    axes = tuple(range(2, x.ndim)) if layout == "NCHW" else tuple(range(1, x.ndim - 1))
    return normcy.reference.moments(x, axes, correction=correction, keepdims=True)


@every_layout
@pytest.mark.parametrize("options", [{}, {"correction": 1}, {"style_eps": 0.0}, {"alpha": 0.3}, {"alpha": -1.5}, {"eps": 1e-3, "style_eps": 1e-2}], ids=str)  # fmt: skip
@pytest.mark.parametrize("mean", [0, 1e4])
def test_adain(layout, options, mean, use_isa):
    alpha, correction = options.get("alpha", 1.0), options.get("correction", 0)
    eps = options.get("eps", 1e-5)
    for shape, style_shape in zip(SHAPES, STYLES, strict=True):
        x = in_layout(sample(shape, mean=mean), layout)
        style = in_layout(sample(style_shape, mean=-mean / 2, seed=1) * 3, layout)
        y = on_every_isa(lambda: normcy.adain(x, style, layout=layout, **options), use_isa)
        mean_c, var_c = slot_moments(x, layout, correction)
        mean_s, var_s = slot_moments(style, layout, correction)
        xhat, std = (x - mean_c) / np.sqrt(var_c + eps), np.sqrt(var_s + options.get("style_eps", eps))
        scale = abs(alpha) * (std * np.maximum(1, np.abs(xhat)) + np.abs(mean_s))
        scale = scale + abs(1 - alpha) * (np.abs(x - mean_c) + np.abs(mean_c))
        assert_close(y, normcy.reference.adain(x, style, layout=layout, **options), 5 * 2.0**-24 * scale)


@every_layout
def test_adain_to_given_statistics(layout, use_isa):
    """A pair (mean, std) gives an instance norm with these as bias and weight."""
    for shape in SHAPES:
        x = in_layout(sample(shape, mean=3), layout)
        mean, std = sample(shape[:2], seed=1), sample(shape[:2], seed=2)
        y = on_every_isa(lambda: normcy.adain(x, (mean, std), layout=layout), use_isa)
        expected = normcy.instance_norm(x, weight=std, bias=mean, layout=layout)
        limit = 9 * 2.0**-24 * (np.abs(against(x, std, layout)) * 5 + np.abs(against(x, mean, layout)))
        assert_close(y, expected.astype(np.float64), limit)


@every_layout
def test_a_style_of_fewer_values_than_the_correction(layout):
    """Its std is that of the formula: infinite, or NaN if the style is constant."""
    x, style = in_layout(sample((2, 3, 9)), layout), in_layout(sample((2, 3, 2), seed=1), layout)
    style[0] = 1
    with np.errstate(all="ignore"):
        y, expected = (m.adain(x, style, correction=3, layout=layout) for m in (normcy, normcy.reference))
    np.testing.assert_array_equal(y, expected.astype(np.float32))


def test_adain_of_its_own_style():
    """pytorch-AdaIN's convention returns the content, the Lua program's a slightly smaller one."""
    x = sample((2, 4, 9, 9), mean=2) * np.float32(1e-2)
    np.testing.assert_allclose(normcy.adain(x, x, correction=1), x, atol=1e-8)
    smaller = normcy.adain(x, x, style_eps=0)
    assert np.all(smaller.std((2, 3)) < 0.97 * x.std((2, 3)))


@every_layout
@pytest.mark.parametrize("activation", [None, "relu", "gelu"])
@pytest.mark.parametrize("mixed", [False, True])
def test_conditional(layout, activation, mixed, use_isa):
    for shape in SHAPES:
        x = in_layout(sample(shape, mean=10), layout)
        tables = fixed((6, shape[1]), 1), fixed((6, shape[1]), 2)
        style = sample((shape[0], 6), seed=3) if mixed else np.arange(shape[0], dtype=np.int8)[::-1] % 6
        kw = dict(layout=layout, activation=activation)
        y = on_every_isa(lambda: normcy.conditional_instance_norm(x, style, *tables, **kw), use_isa)
        w, b = ((style.astype(np.float64) @ t) if mixed else t[style].astype(np.float64) for t in tables)
        xhat = normcy.reference.instance_norm(x, layout=layout)
        scale = np.abs(against(x, w, layout)) * np.maximum(1, np.abs(xhat)) + np.abs(against(x, b, layout))
        units = 5 if activation in (None, "relu") else 1.13 * 5 + 3
        expected = normcy.reference.conditional_instance_norm(x, style, *tables, **kw)
        assert_close(y, expected, units * 2.0**-24 * scale)
