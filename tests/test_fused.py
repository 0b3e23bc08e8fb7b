"""Residuals before and after the norm: values, arrays that may be the same memory, and slices of channels."""

import itertools

import numpy as np
import pytest
from methods import ISAS, assert_close, every_layout, same_bits, sample
from pairs import every, in_part

import normcy

CALLS = {
    "batch_train": lambda m, x, layout, **kw: m.batch_norm(x, None, None, training=True, layout=layout, **kw),
    "batch_eval": lambda m, x, layout, **kw: m.batch_norm(x, *statistics(x, layout), layout=layout, **kw),
    "instance": lambda m, x, layout, **kw: m.instance_norm(x, layout=layout, **kw),
    "group": lambda m, x, layout, **kw: m.group_norm(x, 2, layout=layout, **kw),
    "layer2d": lambda m, x, layout, **kw: m.layer_norm2d(x, layout=layout, **kw),
    "layer": lambda m, x, layout, **kw: m.layer_norm(x, x.shape[-1], **kw),
    "rms": lambda m, x, layout, **kw: m.rms_norm(x, x.shape[-1], **kw),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
SHAPES = {
    "NCHW": [(3, 6, 5, 7), (2, 64, 20, 21), (2, 6, 130, 131)],
    "NHWC": [(3, 5, 7, 6), (2, 20, 21, 64), (2, 130, 131, 6)],
}


def statistics(x, layout):
    c = x.shape[1 if layout == "NCHW" else -1]
    return np.linspace(-1, 1, c, dtype=np.float32), np.linspace(0.5, 2, c, dtype=np.float32)


def operands(shape):
    return [sample(shape, mean=1, seed=seed) for seed in (1, 2, 3)]


@every_call
@every_layout
@pytest.mark.parametrize("activation", [None, "relu", "silu"])
def test_values(call, layout, activation):
    """Values are the reference's for the float32 sum, which has the same bits on every instruction set and thread."""
    for shape in SHAPES[layout]:
        x, before, after = operands(shape)
        total = np.empty_like(x)
        expected = call(normcy.reference, x, layout, pre_add=before, post_add=after, activation=activation)
        bare = call(normcy.reference, x + before, layout)
        limit = 2.0**-24 * (1.13 * 6 + 3) * (np.maximum(1, np.abs(bare)) + np.abs(after))
        kw = dict(pre_add=before, post_add=after, activation=activation)
        y = call(normcy, x, layout, sum_out=total, **kw)
        assert_close(y, expected, limit)
        assert same_bits(total, x + before)
        assert same_bits(call(normcy, x, layout, **kw), y)
        assert same_bits(call(normcy, total, layout, post_add=after, activation=activation), y)


@every_call
@every_layout
def test_isas_and_threads(call, layout, use_isa):
    for shape in SHAPES[layout]:
        x, before, after = operands(shape)
        results = []
        for isa, threads in itertools.product(ISAS, (1, 2, 3)):
            use_isa(isa)
            with normcy.num_threads(threads):
                total = np.empty_like(x)
                results.append(
                    call(normcy, x, layout, pre_add=before, post_add=after, activation="gelu", sum_out=total)
                )
                assert same_bits(total, x + before)
        assert all(same_bits(results[0], y) for y in results[1:])


OUT, SUM_OUT = ["x", "pre_add", "post_add", None], ["x", "pre_add", "own", None]


@every_call
@every_layout
@pytest.mark.parametrize("out", OUT)
@pytest.mark.parametrize("sum_out", SUM_OUT)
@in_part(3)
def test_in_place(call, layout, out, sum_out, share):
    """out may be x, pre_add or post_add, and sum_out x or pre_add, one each: the bits do not change."""
    if out == sum_out and out is not None:
        return
    for shape in every(share, SHAPES[layout], OUT.index(out) + SUM_OUT.index(sum_out) + (layout == "NHWC")):
        arrays = dict(zip(("x", "pre_add", "post_add"), operands(shape), strict=True))
        arrays["own"] = np.empty(shape, np.float32)
        x, before, after = (arrays[k] for k in ("x", "pre_add", "post_add"))
        expected, total = call(normcy, x, layout, pre_add=before, post_add=after, activation="relu"), x + before
        kept = {k: v.copy() for k, v in arrays.items() if k not in (out, sum_out, "own")}
        y = call(normcy, x, layout, pre_add=before, post_add=after, activation="relu",
                 out=arrays.get(out), sum_out=arrays.get(sum_out))  # fmt: skip
        assert same_bits(y, expected)
        assert out is None or y is arrays[out]
        assert sum_out is None or same_bits(arrays[sum_out], total)
        assert all(same_bits(arrays[k], v) for k, v in kept.items())


@every_call
@every_layout
def test_operands_of_any_memory_order(call, layout):
    """A residual, a sum or a result with another memory order gives the same bits."""
    x, before, after = operands(SHAPES[layout][0])
    expected = call(normcy, x, layout, pre_add=before, post_add=after)
    for order in (np.asfortranarray, lambda a: np.repeat(a, 2, axis=-1)[..., ::2]):
        total, out = order(np.empty_like(x)), order(np.empty_like(x))
        y = call(normcy, order(x), layout, pre_add=order(before), post_add=order(after), sum_out=total, out=out)
        assert y is out
        assert same_bits(np.ascontiguousarray(y), expected)
        assert same_bits(np.ascontiguousarray(total), x + before)
        y = call(normcy, x, layout, pre_add=order(before), post_add=order(after), sum_out=total)
        assert same_bits(y, expected)


def test_overflow_of_the_sum():
    """The norm uses the float32 sum: if that is infinite, its slot is NaN, and no other slot is."""
    x = sample((4, 64))
    before = x.copy()
    x[1, 3] = before[1, 3] = 3e38
    y = normcy.layer_norm(x, 64, pre_add=before)
    assert np.isnan(y[1]).all()
    assert np.isfinite(y[[0, 2, 3]]).all()


@every_call
@every_layout
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite_residuals(call, layout, bad):
    """As in the reference, one before the norm spoils its slot, one after it its element, and nothing else."""
    x, before, after = operands(SHAPES[layout][0])
    for name, array in (("pre_add", before), ("post_add", after)):
        kw = {"pre_add": before, "post_add": after}
        clean = call(normcy, x, layout, **kw)
        kw[name] = array.copy()
        kw[name][1, 2, 3, 4] = bad
        with np.errstate(all="ignore"):
            y, expected = (call(m, x, layout, **kw) for m in (normcy, normcy.reference))
        np.testing.assert_array_equal(np.isnan(y), np.isnan(expected))
        np.testing.assert_array_equal(np.isinf(y), np.isinf(expected))
        left = np.isfinite(expected)
        assert not left.all()
        assert left.any()
        if call is not CALLS["rms"]:  # an infinite sum leaves zeros in a slot of RMS norm
            assert same_bits(y[left], clean[left])


@pytest.mark.parametrize("pre", [0, 1])
@every_call
@every_layout
def test_rescue_after_a_sum(call, layout, pre):
    """A slot that is computed again, scaled, is not added to twice, in place or not."""
    x, before, _ = operands(SHAPES[layout][0])
    x *= np.float32(1e30)
    before *= np.float32(1e30 if pre else 1)
    expected = call(normcy.reference, x, layout, pre_add=before)
    y = call(normcy, x, layout, pre_add=before)
    np.testing.assert_allclose(y, expected, rtol=2e-6, atol=2e-6)
    assert same_bits(call(normcy, x, layout, pre_add=before, out=x), y)


X = sample((4, 6, 10))
WRONG = [
    ("pre_add shape", dict(pre_add=X[:2]), ValueError, "pre_add: expected the shape of x, (4, 6, 10), got (2, 6, 10)"),
    ("post_add dtype", dict(post_add=X.astype(np.float64)), TypeError, "post_add: expected dtype float32"),
    ("no pre_add", dict(sum_out=np.empty_like(X)), ValueError, "sum_out: expected None, as pre_add is not given"),
    ("sum_out shape", dict(pre_add=X, sum_out=np.empty((4, 6), np.float32)), ValueError, "sum_out: expected the shape of x"),
    ("sum_out is post_add", (lambda a: dict(pre_add=X, post_add=a, sum_out=a))(X.copy()), ValueError, "sum_out: shares memory with post_add"),
    ("sum_out is out", (lambda a: dict(pre_add=X, out=a, sum_out=a))(X.copy()), ValueError, "sum_out: shares memory with out"),
    ("sum_out is weight", (lambda a: dict(pre_add=X, weight=a, sum_out=a))(X.copy()), ValueError, "sum_out: shares memory with weight"),
    ("out overlaps pre_add", (lambda a: dict(pre_add=a[:4], out=a[1:]))(np.zeros((5, 6, 10), np.float32)), ValueError, "out: overlaps pre_add in memory without being exactly pre_add"),
    ("out overlaps post_add", (lambda a: dict(post_add=a[:4], out=a[1:]))(np.zeros((5, 6, 10), np.float32)), ValueError, "out: overlaps post_add in memory without being exactly post_add"),
]  # fmt: skip


@pytest.mark.parametrize(("kw", "kind", "message"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_errors(kw, kind, message):
    """Nothing is written."""
    before = {k: v.copy() for k, v in kw.items()}
    x = X.copy()
    with pytest.raises(kind) as caught:
        normcy.instance_norm(x, **kw)
    assert message in str(caught.value)
    assert same_bits(x, X)
    assert all(same_bits(kw[k], v) for k, v in before.items())


SLICES = {"NCHW": lambda a, c: a[:, c], "NHWC": lambda a, c: a[..., c]}


@every_call
@every_layout
@pytest.mark.parametrize("channels", [(64, 0, 32), (64, 16, 64), (80, 3, 67), (9, 3, 9)], ids=str)
def test_slices_of_channels(call, layout, channels):
    """Some of the channels, in place in a larger array, have the bits of a copy, and nothing else is written."""
    c, begin, end = channels
    for n, h, w in ((3, 5, 7), (1, 1, 9), (2, 60, 61), (40, 1, 1)):
        if h * w == 1 and call is CALLS["instance"]:
            continue
        whole = sample((n, c, h, w) if layout == "NCHW" else (n, h, w, c), mean=2)
        part = SLICES[layout](whole, slice(begin, end))
        before, after = sample(whole.shape, seed=4), sample(whole.shape, seed=5)
        before, after = (SLICES[layout](a, slice(begin, end)) for a in (before, after))
        copies = [np.ascontiguousarray(a) for a in (part, before, after)]
        for kw in ({}, {"pre_add": 1}, {"post_add": 2, "activation": "silu"}, {"pre_add": 1, "post_add": 2}):
            views = [part, before, after]
            expected = call(
                normcy, copies[0], layout, **{k: copies[v] if k != "activation" else v for k, v in kw.items()}
            )
            given = {k: views[v] if k != "activation" else v for k, v in kw.items()}
            out = np.full_like(whole, 7)
            y = SLICES[layout](out, slice(begin, end))
            assert call(normcy, part, layout, out=y, **given) is y
            assert same_bits(np.ascontiguousarray(y), expected)
            rest = np.ones(c, bool)
            rest[begin:end] = False
            assert np.all(SLICES[layout](out, rest) == 7)
            assert same_bits(call(normcy, part, layout, **given), expected)
