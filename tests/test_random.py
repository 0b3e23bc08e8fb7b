"""Random methods, shapes, layouts and values: results are within the bounds and have the same bits everywhere.

The shapes and values are the same in every run; `make torture` makes 30 times as many.
"""

import numpy as np
import pytest
from methods import ISAS, LAYOUTS, METHODS, assert_close, bound, parameters, same_bits

import normcy


def random_shape(g, rank):
    """Returns axes of 1 to 500, with up to 400,000 values in all."""
    most, shape = 10 ** g.uniform(1, 5.6), []
    for _ in range(rank):
        left = max(1, int(most) // int(np.prod(shape or [1])))
        shape.append(max(1, int(min(left, 10 ** g.uniform(0, 2.7)))))
    return tuple(g.permutation(shape).tolist())


def trend(g, x, axis):
    """Returns a ramp, wave, step, saw or square along an axis, up to 1000 times x, on a mean of up to 1e6 times."""
    at = np.arange(x.shape[axis]) + int(g.integers(1000))
    period = int(g.choice([3, 16, 21, 32, 33, 64, 100, 1000]))
    kinds = at / at[-1], np.sin(at / period), at % period < period / 3, at % period / period, np.floor(at / period) % 2
    values = kinds[g.integers(len(kinds))] * 10 ** g.uniform(-2, 3) + g.choice([0, 1, 1e6])
    return np.std(x) * np.expand_dims(values, [k for k in range(x.ndim) if k != axis])


def random_values(g, shape):
    """Returns normal values of any scale: about 0, about a mean of up to 1e6, extreme, rounded, or along a trend."""
    x = g.standard_normal(shape) * 10 ** g.uniform(-3, 3)
    kind = g.integers(5)
    if kind == 1:
        x += 10 ** g.uniform(-2, 6)
    elif kind == 2:
        x *= 10 ** g.uniform(-38, 33)
    elif kind == 3:
        x = np.round(x)
    elif kind == 4:
        x += trend(g, x, int(g.integers(x.ndim)))
    return x.astype(np.float32)


def check_slice(g, method, x, layout, kw, expected):
    """Runs x as some channels of a larger array, into such a slice: the bits are the same, nothing else is written."""
    axis = 1 if layout == "NCHW" else x.ndim - 1
    shape = list(x.shape)
    shape[axis] += int(g.integers(1, 40))
    begin = int(g.integers(0, shape[axis] - x.shape[axis] + 1))
    part = (slice(None),) * axis + (slice(begin, begin + x.shape[axis]),)
    whole, out = np.full(shape, np.nan, np.float32), np.full(shape, 7, np.float32)
    whole[part] = x
    method.call(normcy, whole[part], layout, out=out[part], **kw)
    assert same_bits(np.ascontiguousarray(out[part]), expected)
    out[part] = 7
    assert np.all(out == 7)


def check_array(g, use_isa):
    method, layout = METHODS[g.integers(len(METHODS))], LAYOUTS[g.integers(2)]
    x = random_values(g, random_shape(g, int(g.integers(method.min_rank, 5))))
    channel = 1 if layout == "NCHW" else -1
    positions = x[0].size // x.shape[channel]
    if positions < method.least_values or x.size < 2 * x.shape[channel] or not np.isfinite(x).all():
        return
    kw = parameters(method, x, layout)
    y, expected = method.call(normcy, x, layout, **kw), method.call(normcy.reference, x, layout, **kw)
    fits = np.abs(expected) < 3e38  # the result itself may be beyond float32
    assert_close(y[fits], expected[fits], bound(method, x, layout, **kw)[fits])
    for isa in ISAS:
        use_isa(isa)
        with normcy.num_threads(int(g.integers(1, 5))):
            assert same_bits(method.call(normcy, x, layout, **kw), y), (method.name, x.shape, layout, isa)
    use_isa("")
    if method.weights != "trailing" and g.integers(3) == 0:
        check_slice(g, method, x, layout, kw, y)


@pytest.mark.parametrize("times", [1, pytest.param(30, marks=pytest.mark.torture)])
def test_random_arrays(request, use_isa, times):
    with np.errstate(all="ignore"):
        for seed in range(times * request.config.getoption("--arrays")):
            check_array(np.random.default_rng(seed), use_isa)
