"""Difficult values: means far from zero, huge and tiny values, NaN and inf, constants, empty arrays."""

import numpy as np
import pytest
from methods import (
    LAYOUTS,
    METHODS,
    against,
    assert_right,
    bound,
    check,
    every_layout,
    every_method,
    parameters,
    same_bits,
    sample,
)
from pairs import every, in_part

import normcy

OWN_STATISTICS = [m for m in METHODS if "batch_eval" not in (m.name, m.slots)]
own_statistics = pytest.mark.parametrize("method", OWN_STATISTICS, ids=lambda m: m.name)
SHAPES = {"NCHW": (3, 8, 13, 11), "NHWC": (3, 13, 11, 8)}


RATIOS = [0, 1, 1e2, 1e4, 1e6]


@every_method
@every_layout
@pytest.mark.parametrize("ratio", RATIOS)
@in_part(3)
def test_mean_far_from_zero(method, layout, ratio, share):
    """Pitfalls 6 and 7: E[x^2] - E[x]^2 and a folded x * a + b are wrong by orders of magnitude here."""
    turn = METHODS.index(method) + RATIOS.index(ratio) + (layout == "NHWC")
    for shape in every(share, (SHAPES[layout], (2, 64, 30, 31), (1, 4, 200, 201)), turn):
        check(method, sample(shape, mean=ratio), layout)


@own_statistics
@every_layout
@pytest.mark.parametrize("shift", [0, 300, -7e4])
def test_steps_and_trends(method, layout, shift):
    """The means of blocks differ: steps, ramps, and one value far off."""
    shape = (2, 8, 40, 50)
    step = np.where(np.arange(np.prod(shape)) // 256 % 2, 1.1, 7.7).reshape(shape)
    ramp = np.linspace(-5, 9, int(np.prod(shape))).reshape(shape)
    far = sample(shape)
    far.flat[:: far.size // 3] = 1e6
    for x in (step, ramp, far):
        check(method, (x + shift).astype(np.float32), layout)


@own_statistics
@every_layout
@pytest.mark.parametrize("length", [24, 32, 64, 100, 1000, 2048])
def test_trends_within_a_slot(method, layout, length):
    """A shift that is the mean of other values, such as those before, makes results up to 6 units off here."""
    at = np.arange(length)
    trends = at / length, np.sin(at / length * 3), at < length / 3, at % 21 / 21, at // 16 % 2
    for trend in trends:
        x = sample((2, 16, 1, length)) * 0.01 + trend * np.linspace(0.5, 2, 16)[:, None, None]
        check(method, (x if layout == "NCHW" else x.transpose(0, 2, 3, 1)).astype(np.float32, order="C"), layout)


@own_statistics
@every_layout
@pytest.mark.parametrize("far", [100, -1e6])
@in_part(2)
def test_shifts_far_off(method, layout, far, share):
    """If the values that make the shift of a row say nothing about the others, it is summed again."""
    for positions in every(share, (300, 1024, 5000, 20000), METHODS.index(method) + (layout == "NHWC") + (far < 0)):
        x = sample((2, 16, positions))
        for k in (1, 3, 5, 7):  # the middles of its quarters
            at = k * min(positions, 16384) // 8 // 16 * 16
            x[..., at : at + 16] = far
        check(method, x if layout == "NCHW" else np.ascontiguousarray(x.transpose(0, 2, 1)), layout)


def test_eval_does_not_cancel():
    """Pitfall 7: x = 1e4 + {0, 1, 2, 3}e-3 about a mean of 1e4, where a folded affine step returns 0.117 for 0."""
    x = (1e4 + np.array([[0, 1, 2, 3]]).T * 1e-3).astype(np.float32)
    y = normcy.batch_norm(x, np.array([1e4], np.float32), np.array([1e-6], np.float32), eps=0)
    assert y[0, 0] == 0
    np.testing.assert_allclose(
        y, (x.astype(np.float64) - 1e4) / np.sqrt(np.float32(1e-6).astype(np.float64)), rtol=3e-7
    )


@own_statistics
@every_layout
@pytest.mark.parametrize("scale", [1e30, 1e37, 2.0**100, 1e19])
def test_huge(method, layout, scale):
    """Pitfall 9: above 1.8e19 the variance overflows float32."""
    check(method, sample(SHAPES[layout]) * np.float32(scale), layout)
    check(method, sample(SHAPES[layout], mean=4) * np.float32(scale), layout)


@pytest.mark.parametrize(
    "method",  # evonorm_b0 divides by the std of another batch here, so that its result is beyond float32
    [m for m in OWN_STATISTICS if m.name != "evonorm_b0"],
    ids=lambda m: m.name,
)
@every_layout
def test_largest_of_both_signs(method, layout):
    x = np.where(sample(SHAPES[layout]) > 0, np.float32(2.7e38), np.float32(-2.7e38))
    check(method, x, layout)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("scale", [1e-25, 1e-38, 1e-43])
@pytest.mark.parametrize("eps", [0, 1e-30, 1e-80])
def test_tiny(layout, scale, eps):
    """Below 1e-19 the variance underflows float32, which a small eps does not hide."""
    for mean in (0, 3):
        x = (sample(SHAPES[layout], mean=mean) * scale).astype(np.float32)
        for method in OWN_STATISTICS:
            if eps > 0 or not {method.name, method.slots} & {"batch_train", "ibn"}:
                check(method, x, layout, eps=eps)


@pytest.mark.parametrize("method", [m for m in METHODS if m.weights != "none"], ids=lambda m: m.name)
@every_layout
@pytest.mark.parametrize("weight", [np.inf, -np.inf, 3e37, -1e36, 2.0**64])
@pytest.mark.parametrize("scale", [1, 1e-3])
def test_extreme_weights(method, layout, weight, scale):
    """Extreme weights stand beside ordinary ones. Products with them are beyond float32, or NaN, where y is not."""
    x = sample(SHAPES[layout], mean=1) * np.float32(scale)
    kw = parameters(method, x, layout)
    kw["weight"].flat[2::5] = weight
    with np.errstate(all="ignore"):
        exact, limit = method.call(normcy.reference, x, layout, **kw), bound(method, x, layout, **kw)
    assert_right(method.call(normcy, x, layout, **kw), exact, limit)


@every_layout
def test_extreme_styles(layout):
    x = sample(SHAPES[layout], mean=1)
    n, c = 3, 8
    table, bias = sample((n, c)), sample((n, c), seed=1)
    table[:, ::3] = [[np.inf], [3e38], [-1e36]]
    w, b = (against(x, v, layout) for v in (table, bias))
    xhat = np.abs(normcy.reference.instance_norm(x, layout=layout))
    limit = 5 * 2.0**-24 * (np.abs(w) * np.maximum(1, xhat) + np.abs(b))
    exact = normcy.reference.conditional_instance_norm(x, np.arange(n), table, bias, layout=layout)
    assert_right(normcy.conditional_instance_norm(x, np.arange(n), table, bias, layout=layout), exact, limit)
    for scale in (1e-3, 1e25):  # a gain that is beyond float32, and one whose slots were computed scaled
        std = np.where(np.isfinite(table), np.abs(table), 1)
        y, exact = (
            m.adain(x * np.float32(scale), (bias, std), layout=layout, eps=1e-12) for m in (normcy, normcy.reference)
        )
        limit = 5 * 2.0**-24 * (against(x, std, layout) * np.maximum(1, xhat) + np.abs(b))
        assert_right(y, exact, limit)


@every_layout
@pytest.mark.parametrize("scale", [1e-30, 1e-22])
def test_running_statistics_near_zero(layout, scale):
    """1 / std of running statistics is beyond float32."""
    x, c = sample(SHAPES[layout]) * np.float32(scale), 8
    std = np.full(c, scale * 1e-15, np.float32)
    y, exact = (m.batch_renorm(x, np.zeros(c, np.float32), std, layout=layout) for m in (normcy, normcy.reference))
    assert_right(y, exact, 4 * 2.0**-24 * np.maximum(1, np.abs(exact)))
    y, exact = (
        m.batch_norm(x, np.zeros(c, np.float32), std, eps=0, weight=np.full(c, 1e-30, np.float32), layout=layout)
        for m in (normcy, normcy.reference)
    )
    assert_right(y, exact, 5 * 2.0**-24 * np.maximum(1e-30, np.abs(exact)))


def test_scales_side_by_side():
    """A slot out of range is computed again without a change to the bits of its neighbours."""
    x = sample((4, 8, 9, 9))
    y = normcy.instance_norm(x, eps=0)
    z = x.copy()
    z[1, 3] *= np.float32(1e30)
    z[2, 0] *= np.float32(1e-30)
    for layout, view in (("NCHW", z), ("NHWC", np.ascontiguousarray(np.moveaxis(z, 1, -1)))):
        plain = normcy.instance_norm(
            x if layout == "NCHW" else np.ascontiguousarray(np.moveaxis(x, 1, -1)), layout=layout, eps=0
        )
        mixed = normcy.instance_norm(view, layout=layout, eps=0)
        if layout == "NHWC":
            plain, mixed = np.moveaxis(plain, -1, 1), np.moveaxis(mixed, -1, 1)
        untouched = np.ones((4, 8), bool)
        untouched[1, 3] = untouched[2, 0] = False
        assert same_bits(plain[untouched], mixed[untouched])
        np.testing.assert_allclose(mixed[1, 3], y[1, 3], atol=2e-6)


def slots_of(method, x, layout):
    """Returns an array that numbers the slot of every element."""
    n, c = np.indices(x.shape)[0], np.indices(x.shape)[1 if layout == "NCHW" else -1]
    channels = x.shape[1 if layout == "NCHW" else -1]
    position = np.arange(x[0].size // channels)
    position = position.reshape(x.shape[2:] if layout == "NCHW" else (*x.shape[1:-1], 1))
    position = np.broadcast_to(position, x.shape)
    return {
        "batch_train": c,
        "ibn": np.where(c < channels // 2, n * channels + c, c - x.size),
        "batch_eval": np.arange(x.size).reshape(x.shape),
        "instance": n * channels + c,
        "group_1": n,
        "group_some": n * channels + c // (channels // (channels // 2)),
        "group_all": n * channels + c,
        "group_of_4": n * channels + c // (4 if channels % 4 == 0 else channels),
        "group_of_10": n * channels + c // (10 if channels % 10 == 0 else channels),
        "group_of_40": n * channels + c // (40 if channels % 40 == 0 else channels),
        "layer2d": n * 10000 + position,
        "layer_last": np.arange(x.size).reshape(x.shape) // x.shape[-1],
        "layer_chw": n,
        "rms_last": np.arange(x.size).reshape(x.shape) // x.shape[-1],
    }[method.slots or method.name]


@every_method
@every_layout
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite_stays_in_its_slot(method, layout, bad):
    """Pitfall 10: there the result is that of the reference."""
    x = sample(SHAPES[layout])
    clean = method.call(normcy, x, layout)
    x2 = x.copy()
    x2[1, 2, 3, 4] = bad
    y, expected = method.call(normcy, x2, layout), method.call(normcy.reference, x2, layout)
    slots = slots_of(method, x, layout)
    elsewhere = slots != slots[1, 2, 3, 4]
    assert same_bits(y[elsewhere], clean[elsewhere])
    np.testing.assert_array_equal(np.isnan(y), np.isnan(expected))
    np.testing.assert_array_equal(np.isinf(y), np.isinf(expected))


@own_statistics
@every_layout
@pytest.mark.parametrize("value", [0.0, 5.0, -3.3333333, 1e10, 1e-20])
def test_constant(method, layout, value):
    """Pitfall 10: a constant slot has variance exactly 0; centred about its mean it is the bias, to the bit."""
    x = np.full({"NCHW": (2, 8, 17, 19), "NHWC": (2, 17, 19, 8)}[layout], value, np.float32)
    y = check(method, x, layout)
    if not method.slots and method.has_bias:
        where = layout if method.weights == "channel" else "trailing"
        bias = against(x, parameters(method, x, layout)["bias"], where)
        assert same_bits(y, np.broadcast_to(bias, x.shape).astype(np.float32))


@every_layout
def test_constant_without_eps(layout):
    """1 / std is beyond float32, but what it multiplies is exactly 0."""
    x = np.full(SHAPES[layout], -1, np.float32)
    assert not normcy.layer_norm2d(x, eps=1e-80, layout=layout).any()
    assert not normcy.group_norm(x, 2, eps=1e-80, layout=layout).any()


@every_method
@every_layout
@pytest.mark.parametrize("shape", [(0, 4, 5, 5), (2, 4, 0, 5), (2, 4, 5, 0), (0, 0, 2), (2, 0)], ids=str)
def test_empty(method, layout, shape):
    """Pitfall 10: the result of an empty array is empty."""
    if "group" in method.name + method.slots and 0 in shape[1:2] + shape[-1:]:
        shape = (0, 4, 3)
    x = np.empty(shape, np.float32)
    if len(shape) >= method.min_rank and (method.name != "ibn" or shape[1 if layout == "NCHW" else -1]):
        y = method.call(normcy, x, layout)
        assert y.shape == shape
        assert y.dtype == np.float32


def test_empty_batch_leaves_running_statistics():
    mean, var = np.full(3, 2, np.float32), np.full(3, 4, np.float32)
    normcy.batch_norm(np.empty((0, 3, 5), np.float32), mean, var, training=True)
    normcy.instance_norm(np.empty((0, 3, 5), np.float32), mean, var)
    assert mean.tolist() == [2, 2, 2]
    assert var.tolist() == [4, 4, 4]


@pytest.mark.parametrize("call", [
    lambda x: normcy.batch_norm(x, None, None, training=True),
    lambda x: normcy.instance_norm(x),
], ids=["batch", "instance"])  # fmt: skip
def test_one_value_a_channel(call):
    """Pitfall 10: there is nothing to take statistics of."""
    with pytest.raises(ValueError, match="x: expected more than one value"):
        call(np.ones((1, 3, 1), np.float32))


@every_layout
def test_one_value_a_group(layout):
    """It has no variance: group norm gives the bias, EvoNorm-S0 its activation over sqrt(eps), alone as in a batch."""
    x = sample((2, 4, 1))
    x = x if layout == "NCHW" else np.ascontiguousarray(np.moveaxis(x, 1, -1))
    w, b = sample(4, seed=1), sample(4, seed=2)
    y, s = normcy.group_norm(x, 4, w, b, layout=layout), normcy.evonorm_s0(x, 4, w, b, w, layout=layout)
    assert np.all(y == b.reshape(4, 1) if layout == "NCHW" else y == b)
    np.testing.assert_allclose(s, normcy.reference.evonorm_s0(x, 4, w, b, w, layout=layout), rtol=1e-6)
    assert same_bits(normcy.group_norm(x[:1], 4, w, b, layout=layout), y[:1])
    assert same_bits(normcy.evonorm_s0(x[:1], 4, w, b, w, layout=layout), s[:1])


def test_long_reduction():
    """Pitfall 8: the mean of a (3e6, 2) array is off by 7.7e-4 with naive float32 sums."""
    x = np.random.default_rng(0).uniform(250, 320, (3_000_000, 2)).astype(np.float32)
    mean, var = normcy.moments(x, 0)
    np.testing.assert_allclose(mean, x.mean(0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(var, x.var(0, dtype=np.float64), rtol=1e-8)


@every_layout
def test_caller_flushes_denormals(layout):
    """A thread in flush-to-zero mode (as torch.set_flush_denormal sets it) gets the same bits, and keeps its mode."""
    torch = pytest.importorskip("torch", reason="needs torch to set the mode")
    x = (sample(SHAPES[layout]) * 1e-41).astype(np.float32)
    expected = normcy.instance_norm(x, eps=0, layout=layout)
    assert torch.set_flush_denormal(True)
    try:
        y = normcy.instance_norm(x, eps=0, layout=layout)
        assert float(torch.tensor(1e-41) * 1) == 0
    finally:
        torch.set_flush_denormal(False)
    assert same_bits(y, expected)


@pytest.mark.torture
def test_short_columns():
    """With normal values, variances were up to two units off when columns were summed in float32."""
    largest = 0
    for seed in range(4):
        x = np.random.default_rng(seed).standard_normal((49, 60000), np.float32) + 1
        y, expected = (m.batch_norm(x, None, None, training=True, eps=1e-30) for m in (normcy, normcy.reference))
        units = np.abs(y - expected) / (2.0**-24 * np.maximum(1, np.abs(expected)))
        largest = max(largest, units.max())
    assert largest <= 4
