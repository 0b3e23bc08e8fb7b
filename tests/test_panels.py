"""Short rows, single values, single channels and single groups, which take other panels than ordinary shapes do."""

import itertools

import numpy as np
import pytest
from methods import same_bits

import normcy

SIZES = [*itertools.product((1, 2, 6, 16, 66), (1, 2, 3, 7, 16, 17)), (1, 300), (2, 300)]  # channels, positions
ABSENT, CHANNEL, WHOLE = range(3)  # what a weight or a bias has a value for
NORMS = {
    "batch_eval": lambda m, x, **kw: m.batch_norm(x, *running(x, kw["layout"]), **kw),
    "batch_train": lambda m, x, **kw: m.batch_norm(x, None, None, training=True, **kw),
    "instance": lambda m, x, **kw: m.instance_norm(x, **kw),
    "group_1": lambda m, x, **kw: m.group_norm(x, 1, **kw),
    "group": lambda m, x, **kw: m.group_norm(x, -(-channels(x, kw["layout"]) // 2), **kw),
    "layer2d": lambda m, x, **kw: m.layer_norm2d(x, **kw),
}


def channels(x, layout):
    return x.shape[1 if layout == "NCHW" else -1]


def running(x, layout):
    g = np.random.default_rng(7)
    c = channels(x, layout)
    return g.standard_normal(c, np.float32), g.uniform(0.5, 2, c).astype(np.float32)


def operand(g, kind, x, layout):
    return {
        ABSENT: None,
        CHANNEL: g.standard_normal(channels(x, layout), np.float32),
        WHOLE: g.standard_normal(x.shape, np.float32),
    }[kind]


def cases(samples, layout):
    """Yields x, weight and bias of every shape and kind."""
    g = np.random.default_rng(samples)
    for (c, s), weight, bias in itertools.product(SIZES, range(3), range(3)):
        shape = (samples, c, s) if layout == "NCHW" else (samples, s, c)
        x = g.standard_normal(shape, np.float32)
        for image in [x] if s > 1 else [x, x.reshape(samples, c)]:
            yield image, operand(g, weight, image, layout), operand(g, bias, image, layout)


def takes(norm, x, layout):
    c, values = channels(x, layout), x[0].size // channels(x, layout)
    least = {"batch_train": values * len(x), "instance": values, "group": values * 2}.get(norm, 2)
    return least > 1 and (norm != "group" or c % -(-c // 2) == 0)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("norm", NORMS)
def test_right(norm, layout):
    """Six roundings of |weight| max(1, |xhat|) + |bias|."""
    for x, weight, bias in itertools.chain(*(cases(n, layout) for n in (1, 2, 5, 40))):
        if takes(norm, x, layout):
            y = NORMS[norm](normcy, x, weight=weight, bias=bias, layout=layout)
            exact = NORMS[norm](normcy.reference, x, weight=weight, bias=bias, layout=layout)
            xhat = NORMS[norm](normcy.reference, x, layout=layout)
            size = np.abs(against(weight, x, layout, 1)) * np.maximum(1, np.abs(xhat))
            limit = 6 * 2.0**-24 * (size + np.abs(against(bias, x, layout, 0)))
            assert np.all(np.abs(y - exact) <= limit), (x.shape, kind_of(weight), kind_of(bias))


def against(operand, x, layout, absent):
    """Returns an operand as it broadcasts against x."""
    if operand is None or operand.ndim == x.ndim or layout == "NHWC":
        return absent if operand is None else operand
    return operand.reshape(-1, *[1] * (x.ndim - 2))


def kind_of(operand):
    return None if operand is None else operand.shape


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("norm", [name for name in NORMS if name != "batch_train"])
def test_sample_alone(norm, layout):
    """A sample has the bits that it has in the batch, which may go through memory in another way."""
    for x, weight, bias in itertools.chain(*(cases(n, layout) for n in (2, 5))):
        if takes(norm, x, layout):
            y = NORMS[norm](normcy, x, weight=weight, bias=bias, layout=layout)
            for i in (0, len(x) - 1):
                w, b = (v[i : i + 1] if v is not None and v.ndim > 1 else v for v in (weight, bias))
                alone = NORMS[norm](normcy, x[i : i + 1], weight=w, bias=b, layout=layout)
                assert same_bits(alone, y[i : i + 1]), (x.shape, kind_of(weight), kind_of(bias))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("norm", NORMS)
def test_slice(norm, layout):
    """Some channels of a larger array have the bits of their copy."""
    for x, weight, bias in cases(5, layout):
        if takes(norm, x, layout):
            c, axis = channels(x, layout), 1 if layout == "NCHW" else x.ndim - 1
            part = (slice(None),) * axis + (slice(2, 2 + c),)
            whole, out = (np.full([n + 5 * (i == axis) for i, n in enumerate(x.shape)], 9, np.float32) for _ in "xy")
            whole[part] = x
            NORMS[norm](normcy, whole[part], weight=weight, bias=bias, layout=layout, out=out[part])
            y = NORMS[norm](normcy, x, weight=weight, bias=bias, layout=layout)
            assert same_bits(np.ascontiguousarray(out[part]), y), (x.shape, kind_of(weight), kind_of(bias))
            out[part] = 9
            assert np.all(out == 9)


# Its mean is within 2**-53 of the middle of two floats, so that it shows in which order a slot is summed.
NEAR_TIE = np.array([8 / 3, 13 / 3, 4, 1, 6, 19 / 3, 7 / 3, 5], np.float32).reshape(4, 1, 2)


@pytest.mark.parametrize("c", [1, 2])
def test_the_order_of_a_sum_depends_on_the_shape_alone(c):
    """Not on gaps, nor on weights, nor on the layout of a single channel."""
    x = np.concatenate([NEAR_TIE] * c, 1)
    whole = np.zeros((4, c + 1, 2), np.float32)
    whole[:, :c] = x

    def means(x, weight=None, bias=None, **kw):
        return normcy.batch_norm(x, None, None, weight, bias, training=True, return_stats=True, **kw)[1]

    expected = means(x)
    assert same_bits(means(whole[:, :c]), expected)
    assert same_bits(means(whole[:, :c], out=np.empty_like(whole)[:, :c]), expected)
    kinds = [None, np.ones(c, np.float32), np.ones((4, c), np.float32), np.ones((4, c, 2), np.float32)]
    for weight, bias in itertools.product(kinds, kinds):
        assert same_bits(means(x, weight, bias), expected), (kind_of(weight), kind_of(bias))
        if c == 1 and all(v is None or v.ndim < 3 for v in (weight, bias)):
            assert same_bits(means(x.reshape(4, 2, 1), weight, bias, layout="NHWC"), expected)
    last = np.ones((4, 2, 1), np.float32)
    assert c > 1 or same_bits(means(x.reshape(4, 2, 1), last, layout="NHWC"), expected)


@pytest.mark.parametrize("training", [False, True])
def test_evonorm_b0_of_single_values(training):
    """A value so large that instances get scales of their own does not change the bits of the other channels."""
    g = np.random.default_rng(3)
    for eps, gain in itertools.product((1e-5, 1e-20, 1e-30, 1e-50, 1e-62), (1.0, 2.0**20, 2.0**50)):
        x = g.standard_normal((9, 33), np.float32) * np.float32(g.choice([1, eps**0.5]))
        var = (g.uniform(0.5, 2, 33) * eps**0.5).astype(np.float32)
        gate = np.full(33, gain, np.float32)
        large = x.copy()
        large[4, 5] = 2.0**70

        def norm(module, x, var=var, gate=gate, eps=eps):
            return module.evonorm_b0(x, var.copy(), None, None, gate, eps=eps, training=training)

        together, alone = norm(normcy, x), norm(normcy, large)
        others = np.arange(33) != 5
        assert same_bits(together[:, others].copy(), alone[:, others].copy()), (eps, gain)
        for y, expected in ((together, norm(normcy.reference, x)), (alone, norm(normcy.reference, large))):
            assert np.all(np.abs(y - expected) <= 6 * 2.0**-24 * np.abs(expected) + 2.0**-149), (eps, gain)
