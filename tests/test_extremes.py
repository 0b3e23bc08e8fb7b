"""Weights, gains and given statistics at the ends of float32: results are within the bound, each by its own data."""

import itertools
from functools import partial

import numpy as np
import pytest
from methods import (
    ISAS,
    METHODS,
    against,
    assert_right,
    bound,
    every_layout,
    parameter_shape,
    parameters,
    same_bits,
    sample,
)

import normcy

AFFINE = [m for m in METHODS if m.weights != "none" and not m.name.startswith(("evonorm", "renorm"))]
every_affine = pytest.mark.parametrize("method", AFFINE, ids=lambda m: m.name)
TINY = [
    (1e18, 1e-25),
    (1e10, 1e-33),
    (1e3, 1e-37),
    (1e18, 1e-21),
    (1e30, 1e-30),
    (1, 1e-40),
    (1e36, 1e-44),
    (1e-20, 1e-44),
]
HUGE = [(1, 1e25), (1e10, 1e30), (1e-10, 1e22), (1e30, 3e37), (1e-30, 1e20)]
SHAPES = {"NCHW": (3, 8, 5, 7), "NHWC": (3, 5, 7, 8)}
EXTREMES = [1e30, np.inf, 1e-30, 1e-44, 0.0]


def quietly(call):
    with np.errstate(all="ignore"):
        return call()


@every_affine
@every_layout
@pytest.mark.parametrize(("size", "weight"), TINY + HUGE)
@pytest.mark.parametrize("with_bias", [False, True])
def test_gains(method, layout, size, weight, with_bias):
    """Gains, weight / std, are far below 1e-38 or far above 1e20."""
    x = (sample(SHAPES[layout], mean=0.5) * size).astype(np.float32)
    kw = parameters(method, x, layout)
    kw["weight"] = (kw["weight"] * weight).astype(np.float32)
    if method.has_bias:
        kw["bias"] *= np.float32(weight if with_bias else 0)
    kw["eps"] = 1e-5 if size > 1e-3 else 1e-42
    y = method.call(normcy, x, layout, **kw)
    expected = quietly(lambda: method.call(normcy.reference, x, layout, **kw))
    assert_right(y, expected, bound(method, x, layout, **kw))


@every_layout
@pytest.mark.parametrize(
    ("size", "length"), [(1e10, 1e-30), (1e25, 1e-20), (1e37, 1e-44), (1e-30, 1e-40), (1e-40, 1e30)]
)
def test_lengths(layout, size, length):
    v = (sample(SHAPES[layout]) * size).astype(np.float32)
    g = (sample(8, seed=1) * length).astype(np.float32)
    dim = 1 if layout == "NCHW" else -1
    expected = normcy.reference.weight_norm(v, g, dim)
    assert_right(normcy.weight_norm(v, g, dim), expected, 3 * 2.0**-24 * np.abs(expected))


@every_layout
@pytest.mark.parametrize("size", [1e-20, 1, 1e15, 1e30])
@pytest.mark.parametrize("style", [1e-44, 1e-30, 1e-10, 1e20, 1e36])
def test_styles(layout, size, style):
    """AdaIN's gain is the ratio of two stds."""
    x = (sample(SHAPES[layout]) * size).astype(np.float32)
    std = (np.abs(sample((3, 8), seed=1)) * style).astype(np.float32)
    mean = (sample((3, 8), seed=2) * style).astype(np.float32)
    y = normcy.adain(x, (mean, std), 0.0, layout=layout)
    xhat = normcy.reference.instance_norm(x, layout=layout, eps=0.0)
    fit = (lambda a: a[:, :, None, None]) if layout == "NCHW" else (lambda a: a[:, None, None])
    limit = 5 * 2.0**-24 * (fit(std).astype(float) * np.maximum(1, np.abs(xhat)) + np.abs(fit(mean)))
    assert_right(y, normcy.reference.adain(x, (mean, std), 0.0, layout=layout), limit)


@pytest.mark.parametrize("offset", [0.1, 0.3, 1.1, 1 / 3, -0.7])
@pytest.mark.parametrize("shape", [(100,), (6, 100)])
def test_weight_offsets_that_float32_cannot_hold(offset, shape):
    """The weight is the sum with the offset in float64, also where weights do not fold."""
    x = sample((6, 100), mean=2)
    weight = (np.float32(-offset) * (1 + sample(shape, seed=1) * 2e-7)).astype(np.float32)
    left = offset + weight.astype(np.float64)
    xhat = normcy.reference.layer_norm(x, 100)
    limit = 5 * 2.0**-24 * np.abs(left) * np.maximum(1, np.abs(xhat))
    for call in (lambda m, **kw: m.layer_norm(x, 100, weight, weight_offset=offset),
                 lambda m, **kw: m.layer_norm2d(x, weight, weight_offset=offset)):  # fmt: skip
        assert_right(call(normcy), call(normcy.reference), limit)


def taking_away(offset, shape):
    """Returns weights that cancel an offset, except for about a millionth of it or for float32's last digit."""
    g = sample(shape, seed=1)
    share = np.choose(np.arange(g.size).reshape(shape) % 3, [np.abs(g) / 8, 1 + g * 2.0**-20, np.ones(shape)])
    return (-offset * share).astype(np.float32)


KINDS = ("a channel", "a sample and channel", "an element")
OFFSET = [
    (m, kind)
    for m in AFFINE
    if m.name != "ibn"
    for kind in KINDS[: 3 if m.weights == "channel" else 1 if m.name == "layer_chw" else 2]
]


@pytest.mark.parametrize(("method", "kind"), OFFSET, ids=lambda v: getattr(v, "name", v))
@every_layout
def test_huge_weight_offsets(method, kind, layout):
    """The offset adds a rounding only where weights vary within a slot.

    One weight of a slot and the offset are added in float64, and are a part of the gain. Weights that vary within a
    slot are added to the offset in float32.
    """
    by_sample = "batch_train" not in (method.name, method.slots) and "batch_eval" not in (method.name, method.slots)
    folds = method.units == 4 and (kind == "a channel" or (kind == "a sample and channel" and by_sample))
    for offset, size in itertools.product((1e30, -3e38, 2.0**64, 1e10), (1e-20, 1, 1e20)):
        if method.activation not in (None, "relu"):
            offset = min(max(offset, -1e36), 1e36)  # not so large that the activation's input overflows
        x = (sample(SHAPES[layout], mean=0.5) * size).astype(np.float32)
        shape = parameter_shape(method, x, layout)
        shape = {"a channel": shape, "a sample and channel": (3, shape[-1]), "an element": x.shape}[kind]
        where = layout if method.weights == "channel" else "trailing" if kind == "a channel" else "NHWC"
        w, b = taking_away(offset, shape), sample(shape, seed=2)
        kw = {"weight": w, "weight_offset": offset} | ({"bias": b} if method.has_bias else {})
        left, b = against(x, w, where) + offset, against(x, b, where) if method.has_bias else None
        limit = bound(method, x, layout, left, b, units=method.units if folds else 6)
        expected = quietly(lambda: method.call(normcy.reference, x, layout, **kw))
        assert_right(method.call(normcy, x, layout, **kw), expected, limit)


@every_layout
def test_given_statistics_do_what_the_formula_says(layout):
    """x, mean and variance or std are any of 0, infinity, NaN, and float32's smallest and largest numbers."""
    values = np.array([0, -0.0, 1, -3, 1e-30, -1e30, np.inf, -np.inf, np.nan, 3.4e38], np.float32)
    mean, spread = (a.ravel() for a in np.meshgrid(values, values))
    x = np.repeat(values, mean.size * 2)
    x = x.reshape(values.size, mean.size, 2) if layout == "NCHW" else x.reshape(values.size, 2, mean.size)
    for name, weight, bias in itertools.product(("batch_norm", "batch_renorm"), (None, 2.0, -1e-30), (None, 7.0)):
        kw = {k: np.full(mean.size, v, np.float32) for k, v in (("weight", weight), ("bias", bias)) if v is not None}
        bare = getattr(normcy.reference, name)(x, mean, spread, layout=layout)
        expected = getattr(normcy.reference, name)(x, mean, spread, layout=layout, **kw)
        y = getattr(normcy, name)(x, mean, spread, layout=layout, **kw)
        limit = 4 * 2.0**-24 * (abs(weight or 1.0) * np.maximum(1, np.abs(bare)) + abs(bias or 0.0))
        fits = np.abs(expected) < 3e38
        assert np.all(np.abs(y[fits] - expected[fits]) <= limit[fits])
        assert np.array_equal(np.isnan(y), np.isnan(expected))
        beyond = np.isinf(expected)
        assert np.array_equal(y[beyond], expected[beyond])


@every_layout
@pytest.mark.parametrize("form", ["dense", "slice", "reversed"])
@pytest.mark.parametrize("where", ["new", "out", "in place"])
def test_no_style_at_all_is_the_content_to_the_bit(layout, form, where):
    c = sample(SHAPES[layout])
    c.ravel()[:8] = [1e-6, 1e3, -1e3, 0, -0.0, np.inf, 1e-45, -np.nan]
    style, kept = sample(SHAPES[layout], seed=1), c.copy()
    axis = 1 if layout == "NCHW" else -1
    if form == "slice":
        c = np.split(np.concatenate([c, c], axis), 2, axis)[0]
    elif form == "reversed":
        c = c[::-1].copy()[::-1]
    out = {"new": None, "out": np.empty_like(kept), "in place": c}[where]
    y = normcy.adain(c, style, alpha=0.0, layout=layout, out=out)
    assert out is None or y is out
    assert np.ascontiguousarray(y).tobytes() == kept.tobytes()
    with pytest.raises(ValueError, match="style: expected 3 samples of 8 channels"):
        normcy.adain(c, style[:2], alpha=0.0, layout=layout)


BY_SAMPLE = {
    "instance": lambda x, layout, **kw: normcy.instance_norm(x, layout=layout, **kw),
    "group": lambda x, layout, **kw: normcy.group_norm(x, 2, layout=layout, **kw),
    "layer2d": lambda x, layout, **kw: normcy.layer_norm2d(x, layout=layout, **kw),
    "layer": lambda x, layout, **kw: normcy.layer_norm(x, x.shape[-1], **kw),
}


@pytest.mark.parametrize("name", BY_SAMPLE)
@every_layout
@pytest.mark.parametrize("kind", ["a sample", "an element"])
@pytest.mark.parametrize("extreme", EXTREMES)
@pytest.mark.parametrize("offset", [0.0, 1.0, 0.1])
def test_the_extreme_weight_of_another_sample(name, layout, kind, extreme, offset):
    """A sample alone has the bits that it has beside another sample whose weights are extreme, all or one of them."""
    x = sample(SHAPES[layout], mean=1)
    shape = (3, 8) if kind == "a sample" else x.shape
    shape = (3, x.shape[-1]) if name == "layer" else shape
    for everywhere in (False, True):
        w, b = sample(shape, seed=1), sample(shape, seed=2)
        w[1].ravel()[: None if everywhere else 1] = extreme
        y = BY_SAMPLE[name](x, layout, weight=w, bias=b, weight_offset=offset)
        for i in range(3):
            part = slice(i, i + 1)
            alone = BY_SAMPLE[name](x[part], layout, weight=w[part], bias=b[part], weight_offset=offset)
            assert np.array_equal(np.isnan(alone), np.isnan(y[part]))
            assert same_bits(np.nan_to_num(alone, nan=0), np.nan_to_num(y[part], nan=0))


@every_layout
@pytest.mark.parametrize("weight", [None, -4e-39, 1.0])
def test_signs_of_zeros(layout, weight, use_isa):
    """Slots that are computed again, scaled, are beside others or not, depending on threads and batches."""
    x = (sample((64, 32, 3)) * 1e-30).astype(np.float32)
    x[::10, ::9] = 1e30
    x = x if layout == "NCHW" else np.ascontiguousarray(np.moveaxis(x, 1, -1))
    kw = {} if weight is None else {"weight": np.full(32, weight, np.float32)}
    results = []
    for isa, threads in itertools.product(ISAS, (1, 2, 3, 5)):
        use_isa(isa)
        with normcy.num_threads(threads):
            results.append(normcy.instance_norm(np.tile(x, (8, 1, 1)), layout=layout, **kw)[:64])
    results.append(np.concatenate([normcy.instance_norm(x[i : i + 1], layout=layout, **kw) for i in range(64)]))
    assert all(same_bits(results[0], y) for y in results[1:])


@pytest.mark.parametrize("length", [1, 2, 9, 40, 700])
@pytest.mark.parametrize("weight", [None, -4e-39, 1.0, -3.0, -1e30, 0.0, -0.0])
def test_products_have_the_signs_of_their_factors(length, weight, use_isa):
    """RMSNorm and weight norm multiply and add nothing: a zero has the sign of x times that of the weight."""
    x = sample((64, length))
    x[::7] *= 1e-30
    x[1::7] *= 1e30
    x[:, ::2] = 0
    x[:, ::4] *= -1
    w = None if weight is None else np.full(length, weight, np.float32)
    negative = np.signbit(x) != (weight is not None and np.signbit(weight))
    for isa in ISAS:
        use_isa(isa)
        for kw in ({}, {"post_add": np.full_like(x, -0.0)}):
            for y in (normcy.rms_norm(x, length, w, **kw), normcy.reference.rms_norm(x, length, w, **kw)):
                assert np.array_equal(np.signbit(y), negative)
        y = normcy.weight_norm(x, np.full(64, 1.0 if weight is None else weight, np.float32))
        assert np.array_equal(np.signbit(y), negative) or length == 1  # the norm of a zero is 0 / 0


@every_layout
@pytest.mark.parametrize("values", [(np.inf,), (-np.inf, -np.inf), (np.inf, -np.inf), (np.nan,)])
def test_statistics_do_not_depend_on_where_an_infinity_stands(layout, values):
    """The mean is the infinity, or NaN for both signs or a NaN; the variance is NaN. Running statistics agree."""
    want = np.float32(np.sum(values)) if len(set(values)) == 1 else np.float32(np.nan)
    for size in (5, 3000):
        for where in itertools.permutations((0, 1, size // 2, size - 1), len(values)):
            x = sample((3, 4, size))
            x[1, 2, list(where)] = values
            mean, var = np.zeros(4, np.float32), np.ones(4, np.float32)
            given = x if layout == "NCHW" else np.ascontiguousarray(np.moveaxis(x, 1, -1))
            _, m, rstd = normcy.batch_norm(
                given, mean, var, training=True, momentum=1.0, layout=layout, return_stats=True
            )
            _, own, _ = normcy.instance_norm(given, layout=layout, return_stats=True)
            for found in (m[2], mean[2], own[1, 2]):
                assert np.array_equal(found, want, equal_nan=True)
            assert np.isnan([var[2], rstd[2]]).all()
            assert np.isfinite([mean[k] for k in (0, 1, 3)] + [var[k] for k in (0, 1, 3)]).all()


@every_layout
@pytest.mark.parametrize(("size", "weight"), [(1e-44, 1e33), (1e-44, 1e35), (1e-40, 1e37), (1e-45, 3e37)])
def test_gains_beyond_what_one_scale_holds(layout, size, weight):
    """Two factors of float32 cannot hold 2**255 and more, so that a third one is multiplied last."""
    x = (np.round(sample(SHAPES[layout]) * 4) * np.float32(size)).astype(np.float32)
    kw = {"weight": np.full(8, weight, np.float32), "bias": sample(8, seed=1), "eps": 0.0, "layout": layout}
    for name, more in (("instance_norm", ()), ("batch_norm", (None, None)), ("group_norm", (2,))):
        extra = {"training": True, "eps": 1e-120} if name == "batch_norm" else {}
        y = getattr(normcy, name)(x, *more, **kw | extra)
        expected = quietly(lambda: getattr(normcy.reference, name)(x, *more, **kw | extra))
        assert_right(y, expected, 6 * 2.0**-24 * (weight * np.maximum(1, np.abs(expected) / weight) + 3))
    std = np.full((3, 8), weight, np.float32)
    y = normcy.adain(x, (std * 0, std), 0.0, layout=layout)
    expected = normcy.reference.adain(x, (std * 0, std), 0.0, layout=layout)
    assert_right(y, expected, 6 * 2.0**-24 * np.maximum(weight, np.abs(expected)))


@pytest.mark.parametrize(
    ("value", "weight", "eps"), [(1, 2, 1e-200), (3e38, 1e18, 1e-40), (1.1e28, 1e14, 3.8e-37), (-1e-30, 1e19, 1e-300)]
)
@pytest.mark.parametrize("eps_mode", ["inside_sqrt", "outside_sqrt"])
def test_constant_slots_are_the_bias(value, weight, eps, eps_mode):
    """1 / std may be as large as it likes, since it multiplies an exact 0."""
    x, w, b = np.full((4, 8), value, np.float32), np.full(8, weight, np.float32), sample(8)
    assert np.all(normcy.layer_norm(x, 8, w, b, eps, eps_mode=eps_mode) == b)
    assert np.all(normcy.group_norm(x[:, :, None], 1, w, b, eps) == b[:, None])
    assert np.all(
        normcy.instance_norm(x[:, None], None, None, w * np.ones_like(x[:, None]), b + 0 * x[:, None], eps=eps) == b
    )


def test_small_values_beside_large_ones_keep_their_digits():
    """In weight norm, slices may have any magnitudes."""
    v = np.array([[7e18, 1e-20, 3e-30, -2e30]], np.float32)
    for g in (1e10, 1e30):
        expected = normcy.reference.weight_norm(v, np.array([g], np.float32))
        y = normcy.weight_norm(v, np.array([g], np.float32))
        assert_right(y, expected, 3 * 2.0**-24 * np.abs(expected))


@every_layout
def test_a_share_of_small_values_beside_large_ones(layout):
    """AdaIN with alpha below 1 adds the content itself, however small it is beside the rest."""
    x = np.array([[[1e30, -1e30, 1e-20, -1e-20]]], np.float32)
    x = x if layout == "NCHW" else np.ascontiguousarray(x.transpose(0, 2, 1))
    style = np.zeros((1, 1), np.float32), np.full((1, 1), 1e-25, np.float32)
    y, expected = (m.adain(x, style, alpha=0.5, layout=layout) for m in (normcy, normcy.reference))
    assert_right(y, expected, 5 * 2.0**-24 * np.abs(expected))


def test_an_infinite_running_statistic_stays_infinite():
    """The formula says so."""
    x = sample((16, 3))
    for norm, momentum in itertools.product((normcy.batch_norm, normcy.batch_renorm), (0.0, 0.1)):
        mean, spread = np.full(3, np.inf, np.float32), np.full(3, np.inf, np.float32)
        norm(x, mean, spread, training=True, momentum=momentum)
        assert np.all(mean == np.inf)
        assert np.all(spread == np.inf)


@every_layout
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_the_mean_of_a_group_is_that_of_all_its_channels(layout, bad):
    """This holds also if only the last of them has an infinity."""
    x = sample((2, 8, 5))
    x[1, 3, 2] = bad
    given = x if layout == "NCHW" else np.ascontiguousarray(x.transpose(0, 2, 1))
    _, mean, _ = normcy.group_norm(given, 2, layout=layout, return_stats=True)
    np.testing.assert_allclose(mean, x.reshape(2, 2, 20).astype(np.float64).mean(2), rtol=1e-5, atol=1e-6)


def test_tiny_values_over_their_own_deviation():
    """With eps as tiny, std + eps is right although float32 has no squares of these values."""
    x = sample((3, 500), mean=1) * np.float32(1e-25)
    options = {"eps": 1e-25, "eps_mode": "outside_sqrt", "correction": 1}
    y, expected = (m.layer_norm(x, 500, **options) for m in (normcy, normcy.reference))
    assert_right(y, expected, 16 * 2.0**-24 * np.maximum(1, np.abs(expected)))


@pytest.mark.parametrize("std", [np.inf, -np.inf])
def test_styles_of_infinite_std(std):
    """Values above and below the mean become infinities, also if float32 cannot hold the mean."""
    c = np.array([[[1, 1 + 2**-23, 1 + 2**-23]], [[-1, 0, 1]]], np.float32)
    style = np.full((2, 1), 3, np.float32), np.array([[std], [2]], np.float32)
    expected = normcy.reference.adain(c, style)
    assert np.isinf(expected[0]).all()
    assert np.array_equal(np.isnan(normcy.adain(c, style)), np.isnan(expected))
    assert np.array_equal(normcy.adain(c, style)[0], expected[0])
    np.testing.assert_allclose(normcy.adain(c, style)[1], expected[1], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("weight", [3e38, -(2.0**100)])
def test_a_product_beyond_float32_beside_what_is_added(weight):
    """The result fits float32 although (x - mean) * gain does not: a shift of batch renorm, or a bias, comes back."""
    x = np.array([[0.0], [1.0], [-1.5], [0.25]], np.float32)
    mean, std = np.array([2.0], np.float32), np.array([0.8], np.float32)
    for bias in (None, np.array([-0.9 * weight], np.float32)):
        w = np.array([weight], np.float32)
        for norm in (partial(normcy.batch_renorm, training=True), partial(normcy.batch_norm, training=True)):
            own = norm(x, mean.copy(), std.copy(), w, bias)
            exact = getattr(normcy.reference, norm.func.__name__)(x, mean.copy(), std.copy(), w, bias, training=True)
            fits = np.abs(exact) < 3e38
            assert fits.any()
            assert np.all(np.abs(own - exact)[fits] <= 2.0**-20 * abs(weight))
