"""Views, memory orders, out= and overlap; for anything else there is one clear error, and nothing is written."""

import numpy as np
import pytest
from methods import (
    METHODS,
    assert_close,
    bound,
    check,
    every_layout,
    every_method,
    parameters,
    portable,
    same_bits,
    sample,
)
from pairs import every, in_part

import normcy

SHAPE = (4, 6, 10, 12)
KINDS = [("c", None), (None, "c"), ("nc", "nc"), ("full", "full"), ("c", "nc"), ("c", "full"), ("full", "c"), ("nc", "full"), ("full", None), (None, "full"), ("full", "nc")]  # fmt: skip


def misaligned(x):
    raw = np.empty(x.nbytes + 1, np.uint8)
    y = raw[1:].view(np.float32).reshape(x.shape)
    y[...] = x
    return y


def views(x):
    """Returns arrays of the same values with every other memory layout."""
    wide = np.full((*x.shape[:-1], x.shape[-1] * 2), 99, np.float32)
    wide[..., ::2] = x
    yield "strided", wide[..., ::2]
    yield "fortran", np.asfortranarray(x)
    yield "reversed", np.ascontiguousarray(x[::-1, ..., ::-1])[::-1, ..., ::-1]
    yield "misaligned", misaligned(x)
    yield "swapped", np.ascontiguousarray(x.swapaxes(2, 3)).swapaxes(2, 3)
    read_only = x.copy()
    read_only.flags.writeable = False
    yield "read-only", read_only


@every_method
@every_layout
def test_views(method, layout):
    """A view gives the bits of the contiguous array and is not written."""
    x = sample(SHAPE, mean=3)
    kw = parameters(method, x, layout)
    expected = method.call(normcy, x, layout, **kw)
    for name, view in views(x):
        before = view.copy()
        assert same_bits(np.ascontiguousarray(method.call(normcy, view, layout, **kw)), expected), name
        assert np.array_equal(view, before)


CHANNEL_METHODS = [m for m in METHODS if m.weights == "channel"]


@pytest.mark.parametrize("method", CHANNEL_METHODS, ids=lambda m: m.name)
@pytest.mark.parametrize("shape", [(3, 5, 20), (3, 5, 9, 8), (2, 5, 3, 4, 6)], ids=str)
def test_channels_last_memory(method, shape):
    """An NHWC array seen as NCHW runs the channels-last kernel, and the result has the same memory order."""
    nhwc = sample((shape[0], *shape[2:], shape[1]))
    nchw = np.moveaxis(nhwc, -1, 1)
    kw = parameters(method, nhwc, "NHWC")
    a, b = method.call(normcy, nhwc, "NHWC", **kw), method.call(normcy, nchw, "NCHW", **kw)
    assert b.shape == nchw.shape
    assert b.strides == nchw.strides
    assert same_bits(np.ascontiguousarray(np.moveaxis(b, 1, -1)), a)
    full = {k: np.ascontiguousarray(np.broadcast_to(v, nhwc.shape)) for k, v in kw.items()}
    c = method.call(normcy, nhwc, "NHWC", **full)
    d = method.call(normcy, nchw, "NCHW", **{k: np.ascontiguousarray(np.moveaxis(v, -1, 1)) for k, v in full.items()})
    assert same_bits(np.ascontiguousarray(np.moveaxis(d, 1, -1)), c)


@pytest.mark.parametrize("method", CHANNEL_METHODS, ids=lambda m: m.name)
@pytest.mark.parametrize("samples", [1, 3])
def test_channels_first_memory(method, samples):
    """And the other way around; a single sample has no step to the next, which would tell how memory lies."""
    nchw = sample((samples, 5, 9, 8))
    nhwc = np.moveaxis(nchw, 1, -1)
    kw = parameters(method, nchw, "NCHW")
    a, b = method.call(normcy, nchw, "NCHW", **kw), method.call(normcy, nhwc, "NHWC", **kw)
    assert b.strides == nhwc.strides
    assert same_bits(np.ascontiguousarray(np.moveaxis(b, -1, 1)), a)


@pytest.mark.parametrize("method", CHANNEL_METHODS, ids=lambda m: m.name)
def test_layouts_agree(method):
    """NCHW(x) and NHWC(x transposed) run different kernels, and are within one bound of each other."""
    x = sample((5, 7, 11, 13), mean=10)
    check(method, x, "NCHW")
    check(method, np.ascontiguousarray(np.moveaxis(x, 1, -1)), "NHWC")


@every_method
@every_layout
def test_out(method, layout):
    """out= takes any memory order and is returned; in place gives the same bits."""
    x = sample(SHAPE)
    kw = parameters(method, x, layout)
    expected = method.call(normcy, x, layout, **kw)
    for name, view in views(np.zeros(SHAPE, np.float32)):
        if name != "read-only":
            assert method.call(normcy, x, layout, out=view, **kw) is view
            assert same_bits(np.ascontiguousarray(view), expected), name
    for name, view in views(x):
        if name != "read-only":
            assert method.call(normcy, view, layout, out=view, **kw) is view
            assert same_bits(np.ascontiguousarray(view), expected), name


@every_method
@every_layout
def test_batch_invariance(method, layout):
    """A sample's result has the same bits alone and in a batch."""
    for shape in (SHAPE, (40, 6, 70, 30)):
        x = sample(shape)
        kw = parameters(method, x, layout)
        if not method.per_sample:
            continue
        whole = method.call(normcy, x, layout, **kw)
        parts = [method.alone(normcy, x, layout, i, **kw) for i in range(len(x))]
        assert same_bits(np.concatenate(parts), whole)


@pytest.mark.parametrize("method", [m for m in CHANNEL_METHODS if not m.slots], ids=lambda m: m.name)
@every_layout
@pytest.mark.parametrize("kinds", KINDS, ids=str)
@pytest.mark.parametrize("offset", [0.0, 1.0])
@in_part(3)
def test_parameter_shapes(method, layout, kinds, offset, share):
    """weight and bias may be (C,), (N, C) or x's shape in every combination, also as (1 + weight)."""
    turn = KINDS.index(kinds) + CHANNEL_METHODS.index(method) + (layout == "NHWC") + int(offset)
    for shape in every(share, (SHAPE, (3, 5, 7), (70, 4, 30, 20)), turn):
        if len(shape) < method.min_rank:
            continue
        x = sample(shape, mean=1)
        c = x.shape[1 if layout == "NCHW" else -1]
        g = np.random.default_rng(5)
        shapes = {"c": (c,), "nc": (shape[0], c), "full": shape}
        kw = {k: g.standard_normal(shapes[v], np.float32) for k, v in zip(("weight", "bias"), kinds, strict=True) if v}
        y = method.call(normcy, x, layout, weight_offset=offset, **kw)
        r = method.call(normcy.reference, x, layout, weight_offset=offset, **kw)
        xhat = method.call(normcy.reference, x, layout)
        w = 1.0 if "weight" not in kw else np.abs(expand(kw["weight"], x, layout) + offset)
        b = 0.0 if "bias" not in kw else np.abs(expand(kw["bias"], x, layout))
        extra = 1.0 if offset and "full" in kinds else 0.0  # 1 + weight is rounded once more if it does not fold
        assert_close(y, r, (5 + extra) * 2.0**-24 * (w * np.maximum(1, np.abs(xhat)) + b))
        strided = {k: np.repeat(v, 2, axis=-1)[..., ::2] for k, v in kw.items()}
        assert same_bits(method.call(normcy, x, layout, weight_offset=offset, **strided), y)


@pytest.mark.parametrize("method", [m for m in CHANNEL_METHODS if m.slots], ids=lambda m: m.name)
@every_layout
@pytest.mark.parametrize("kinds", [("c", "nc"), ("nc", "c"), ("full", "full"), ("nc", "full"), ("full", "c")], ids=str)
def test_parameter_shapes_of_variants(method, layout, kinds):
    """The same holds with residuals, activations, EvoNorm and batch renorm."""
    for shape in (SHAPE, (70, 4, 30, 20)):
        x = sample(shape, mean=1)
        c = x.shape[1 if layout == "NCHW" else -1]
        g = np.random.default_rng(5)
        shapes = {"c": (c,), "nc": (shape[0], c), "full": shape}
        kw = {k: g.standard_normal(shapes[v], np.float32) for k, v in zip(("weight", "bias"), kinds, strict=True)}
        y, r = (method.call(m, x, layout, **kw) for m in (normcy, normcy.reference))
        assert_close(y, r, bound(method, x, layout, units=max(method.units, 5) + 1, **kw))


def expand(v, x, layout):
    v = v.astype(np.float64)
    if v.shape == x.shape:
        return v
    v = v if v.ndim == 2 else v[None]
    ones = (1,) * (x.ndim - 2)
    return v.reshape(v.shape + ones) if layout == "NCHW" else v.reshape(v.shape[0], *ones, v.shape[1])


@pytest.mark.parametrize("shape", [(3, 5, 16), (4, 33), (2, 3, 4, 40)], ids=str)
@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_layer_norm_parameters_per_sample(shape, offset):
    """AdaLN has one set of parameters for each sample."""
    x = sample(shape)
    g = np.random.default_rng(2)
    w, b = g.standard_normal((2, shape[0], shape[-1])).astype(np.float32)
    method = next(m for m in METHODS if m.name == "layer_last")
    y = normcy.layer_norm(x, shape[-1], w, b, weight_offset=offset)
    for n in range(shape[0]):
        assert same_bits(normcy.layer_norm(x[n : n + 1], shape[-1], w[n], b[n], weight_offset=offset)[0], y[n])
        assert_close(y[n], normcy.reference.layer_norm(x[n], shape[-1], w[n], b[n], weight_offset=offset),
                     bound(method, x[n : n + 1], "NCHW", w[n] + np.float32(offset), b[n], units=6)[0])  # fmt: skip
    z = normcy.rms_norm(x, shape[-1], w)
    assert all(same_bits(normcy.rms_norm(x[n], shape[-1], w[n]), z[n]) for n in range(shape[0]))


@pytest.mark.parametrize("width", range(1, 19))
@pytest.mark.parametrize("step", [1, -1, 2])
def test_narrow_slices(width, step):
    """Slices of few channels, which are copied row by row, in both directions, and touch nothing beside them."""
    shape = (3, 5, 4, width + 3)
    whole, addends = (portable(shape, seed).astype(np.float32) for seed in (3, 4))
    part = (slice(None, None, step), slice(None), slice(None), slice(1, 1 + width))
    x, addend = whole[part], addends[part]
    expected = normcy.instance_norm(x.copy(), pre_add=addend.copy(), layout="NHWC")
    for out in (None, np.full(shape, 7, np.float32)[part], np.empty_like(x)):
        y = normcy.instance_norm(x, pre_add=addend, layout="NHWC", out=out)
        assert out is None or y is out
        assert same_bits(y, expected)
        if out is not None and out.base is not None:
            out[...] = 7
            assert np.all(out.base == 7)
    assert same_bits(normcy.instance_norm(x, pre_add=addend, layout="NHWC", out=x), expected)
    assert same_bits(whole[..., 0], portable(shape, 3).astype(np.float32)[..., 0])


def test_memmap(tmp_path):
    x = np.memmap(tmp_path / "x", np.float32, "w+", shape=(8, 64))
    x[...] = sample((8, 64))
    y = normcy.layer_norm(x, 64)
    assert type(y) is np.ndarray
    assert same_bits(y, normcy.layer_norm(np.array(x), 64))
    assert normcy.layer_norm(x, 64, out=x) is x
    assert same_bits(np.array(x), y)


X = sample((4, 6, 10))
PAIR = sample((2, 3))
LAST = sample((4, 5, 7, 6))  # channels last
C6, C5, C36 = np.ones(6, np.float32), np.ones(5, np.float32), np.ones((3, 6), np.float32)


def read_only(a):
    a.flags.writeable = False
    return a


class Tensor:
    """Claims to be a tensor, without a library of tensors."""

    requires_grad = True

    def numpy(self):
        return X


class Subclass(np.ndarray):
    pass


def overlapping():
    buffer = np.zeros(300, np.float32)
    return buffer[:240].reshape(4, 6, 10), buffer[60:].reshape(4, 6, 10)


WRONG = [
    ("list", lambda: normcy.layer_norm([1.0, 2.0], 2), TypeError, "x: expected a float32 numpy.ndarray, got list"),
    ("float64", lambda: normcy.layer_norm(np.ones(3), 3), TypeError, "x: expected dtype float32 in native byte order, got shape (3,) and dtype float64"),
    ("float16", lambda: normcy.rms_norm(np.ones(3, np.float16), 3), TypeError, "x: expected dtype float32"),
    ("byte order", lambda: normcy.rms_norm(np.ones(3, ">f4"), 3), TypeError, "dtype >f4"),
    ("object", lambda: normcy.group_norm(np.ones((1, 2, 3), object), 1), TypeError, "x: expected dtype float32"),
    ("masked", lambda: normcy.instance_norm(np.ma.ones((1, 2, 3), np.float32)), TypeError, "x: expected a float32 numpy.ndarray, got MaskedArray of shape"),
    ("subclass", lambda: normcy.layer_norm(X.view(Subclass), 10), TypeError, "got Subclass of shape"),
    ("None", lambda: normcy.layer_norm2d(None), TypeError, "x: expected a float32 numpy.ndarray, got NoneType"),
    ("rank 1", lambda: normcy.instance_norm(C6), ValueError, "x: expected an array of rank 2 or more, (N, C, ...), got shape (6,)"),
    ("rank 0", lambda: normcy.batch_norm(np.array(3, np.float32), None, None, training=True), ValueError, "x: expected an array of rank 2"),
    ("layout", lambda: normcy.instance_norm(X, layout="nchw"), ValueError, 'layout: expected "NCHW" (channels at axis 1) or "NHWC" (channels last), got \'nchw\''),
    ("weight shape", lambda: normcy.instance_norm(X, weight=C5), ValueError, "weight: expected shape (6,), one value a channel, (4, 6), one a sample and channel, or that of x, (4, 6, 10); got (5,)"),
    ("bias dtype", lambda: normcy.instance_norm(X, bias=np.ones(6)), TypeError, "bias: expected dtype float32"),
    ("weight in training", lambda: normcy.batch_norm(X, C6.copy(), C6.copy(), "w", training=True), TypeError, "weight: expected a float32 numpy.ndarray, got str"),
    ("bias in renorm", lambda: normcy.batch_renorm(X, C6.copy(), C6.copy(), None, [1], training=True), TypeError, "bias: expected a float32 numpy.ndarray, got list"),
    ("v in B0", lambda: normcy.evonorm_b0(X, C6.copy(), C6, C6, 3, True), TypeError, "v: expected a float32 numpy.ndarray, got int"),
    ("LN weight shape", lambda: normcy.layer_norm(X, 10, C6), ValueError, "weight: expected shape (10,) or (4, 10), one set a sample; got (6,)"),
    ("LN whole weight", lambda: normcy.layer_norm(C6, 6, C5), ValueError, "weight: expected shape (6,); got (5,)"),
    ("LN shape", lambda: normcy.layer_norm(X, (6, 9)), ValueError, "normalized_shape: expected one or more of the last axes of x, of shape (4, 6, 10); got (6, 9)"),
    ("LN shape empty", lambda: normcy.layer_norm(X, ()), ValueError, "normalized_shape: expected one or more"),
    ("LN shape long", lambda: normcy.layer_norm(C6, (1, 6)), ValueError, "normalized_shape: expected one or more"),
    ("LN shape type", lambda: normcy.layer_norm(X, "10"), TypeError, "normalized_shape: expected an int or a sequence of ints, got '10'"),
    ("eps_mode", lambda: normcy.layer_norm(X, 10, eps_mode="in"), ValueError, 'eps_mode: expected "inside_sqrt" or "outside_sqrt", got \'in\''),
    ("eps type", lambda: normcy.layer_norm(X, 10, eps="tiny"), TypeError, "eps: expected a number, got str"),
    ("eps None", lambda: normcy.layer_norm(X, 10, eps=None), TypeError, "eps: expected a number, got NoneType"),
    ("BN eps training", lambda: normcy.batch_norm(X, None, None, training=True, eps=0), ValueError, "eps: expected a positive number in training, got 0.0"),
    ("BN eps eval", lambda: normcy.batch_norm(X, C6, C6, eps=-1), ValueError, "eps: expected a number >= 0, got -1.0"),
    ("groups", lambda: normcy.group_norm(X, 4), ValueError, "num_groups: expected a positive divisor of the 6 channels, got 4"),
    ("no group", lambda: normcy.group_norm(X, 0), ValueError, "num_groups: expected a positive divisor"),
    ("groups type", lambda: normcy.group_norm(X, 2.0), TypeError, "num_groups: expected an int, got float"),
    ("eval without statistics", lambda: normcy.batch_norm(X, None, None), ValueError, "running_mean, running_var: expected two arrays"),
    ("IN without statistics", lambda: normcy.instance_norm(X, use_input_stats=False), ValueError, "running_mean, running_var: expected two arrays"),
    ("one statistic", lambda: normcy.batch_norm(X, C6, None, training=True), ValueError, "running_var: expected an array, as running_mean is given, got None"),
    ("running shape", lambda: normcy.batch_norm(X, C5, C5), ValueError, "running_mean: expected shape (6,), one value a channel of x in layout NCHW, got (5,)"),
    ("running rank", lambda: normcy.batch_norm(X, C6, C6.reshape(1, 6)), ValueError, "running_var: expected shape (6,), one value a channel of x in layout NCHW, got (1, 6)"),
    ("running alias", lambda: (lambda v: normcy.batch_norm(X, v, v, training=True))(C6.copy()), ValueError, "running_mean: shares memory with running_var"),
    ("running is weight", lambda: (lambda v: normcy.batch_norm(X, v, C6.copy(), v, training=True))(C6.copy()), ValueError, "running_mean: shares memory with weight"),
    ("momentum", lambda: normcy.batch_norm(X, None, None, training=True, momentum=None), TypeError, "momentum: expected a number, got NoneType"),
    ("out shape", lambda: normcy.layer_norm(X, 10, out=C6), ValueError, "out: expected the shape of x, (4, 6, 10), got (6,)"),
    ("out dtype", lambda: normcy.layer_norm(X, 10, out=np.empty(X.shape)), TypeError, "out: expected dtype float32"),
    ("out broadcast", lambda: normcy.layer_norm(X, 10, out=np.lib.stride_tricks.as_strided(np.zeros(10, np.float32), X.shape, (0, 0, 4))), ValueError, "out: expected an array whose elements are distinct"),
    ("out overlaps", lambda: (lambda p: normcy.layer_norm(p[0], 10, out=p[1]))(overlapping()), ValueError, "out: overlaps x in memory without being exactly x"),
    ("out backwards over x", lambda: (lambda a: normcy.layer_norm(a[:6], 8, out=a[9:3:-1]))(np.zeros((10, 8), np.float32)), ValueError, "out: overlaps x in memory"),
    ("out before x backwards", lambda: (lambda a: normcy.layer_norm(a[9:3:-1], 8, out=a[:6]))(np.zeros((10, 8), np.float32)), ValueError, "out: overlaps x in memory"),
    ("out with rows that share memory", lambda: normcy.layer_norm(PAIR, 3, out=np.lib.stride_tricks.as_strided(np.zeros(9, np.float32), (2, 3), (8, 4))), ValueError, "out: expected an array whose elements"),
    ("running_mean in post_add", lambda: (lambda a: normcy.batch_norm(PAIR, a.ravel()[:3], np.ones(3, np.float32), training=True, post_add=a))(np.zeros((2, 3), np.float32)), ValueError, "running_mean: shares memory with post_add"),
    ("running_var in pre_add", lambda: (lambda a: normcy.batch_norm(PAIR, np.ones(3, np.float32), a.ravel()[:3], training=True, pre_add=a))(np.zeros((2, 3), np.float32)), ValueError, "running_var: shares memory with pre_add"),
    ("out transposed", lambda: (lambda x: normcy.layer_norm(x, 5, out=x.T))(np.ones((5, 5), np.float32)), ValueError, "out: overlaps x in memory"),
    ("out is weight", lambda: (lambda w: normcy.instance_norm(X, weight=w, out=w))(X.copy()), ValueError, "out: shares memory with weight"),
    ("adain style", lambda: normcy.adain(X, [1.0]), TypeError, "style: expected a float32 numpy.ndarray, got list"),
    ("adain style shape", lambda: normcy.adain(X, X[:2]), ValueError, "style: expected 4 samples of 6 channels, as content has, got shape (2, 6, 10)"),
    ("adain pair", lambda: normcy.adain(X, (C6, C6)), ValueError, "style: expected an array or a pair (mean, std) of shape (4, 6)"),
    ("adain three", lambda: normcy.adain(X, (X[..., 0], X[..., 1], X[..., 2])), ValueError, "style: expected an array or a pair (mean, std)"),
    ("adain empty style", lambda: normcy.adain(X, X[..., :0]), ValueError, "style: expected at least one position to take statistics of"),
    ("adain alpha", lambda: normcy.adain(X, X, alpha="half"), TypeError, "alpha: expected a number, got str"),
    ("adain content", lambda: normcy.adain(C6, X), ValueError, "content: expected an array of rank 2 or more"),
    ("adain out is style", lambda: (lambda s: normcy.adain(X, s, out=s))(X.copy()), ValueError, "out: shares memory with style"),
    ("CIN ids", lambda: normcy.conditional_instance_norm(X, np.array([0, 1, 2, 3]), C36, C36), ValueError, "style: expected ids from 0 to 2, got 3"),
    ("CIN negative id", lambda: normcy.conditional_instance_norm(X, np.array([0, 1, -1, 0]), C36, C36), ValueError, "style: expected ids from 0 to 2, got -1"),
    ("CIN number of ids", lambda: normcy.conditional_instance_norm(X, np.array([0, 1]), C36, C36), ValueError, "style: expected shape (4,) of integers, an id for each sample, or (4, 3) of float32, mixing weights; got shape (2,) of int64"),
    ("CIN mixing shape", lambda: normcy.conditional_instance_norm(X, np.ones((4, 2), np.float32), C36, C36), ValueError, "style: expected shape (4, 3) of float32, mixing weights of every sample, or (4,) of integers, ids; got shape (4, 2) of float32"),
    ("CIN mixing dtype", lambda: normcy.conditional_instance_norm(X, np.ones((4, 3)), C36, C36), TypeError, "style: expected dtype float32"),
    ("CIN list", lambda: normcy.conditional_instance_norm(X, [0, 1, 2, 0], C36, C36), TypeError, "style: expected an array of integer ids, one a sample, or of float32 mixing weights, got list; convert it with numpy.array(style"),
    ("CIN weight", lambda: normcy.conditional_instance_norm(X, np.array([0] * 4), C6, C36), ValueError, "weight: expected shape (styles, 6), a row for each style, got (6,)"),
    ("CIN bias", lambda: normcy.conditional_instance_norm(X, np.array([0] * 4), C36, C36[:2]), ValueError, "bias: expected the shape of weight, (3, 6), got (2, 6)"),
    ("S0 groups", lambda: normcy.evonorm_s0(X, 4, C6, C6, C6), ValueError, "num_groups: expected a positive divisor of the 6 channels, got 4"),
    ("S0 v", lambda: normcy.evonorm_s0(X, 2, C6, C6, C5), ValueError, "v: expected shape (6,), one value a channel of x in layout NCHW, got (5,)"),
    ("B0 running_var", lambda: normcy.evonorm_b0(X, C5, C6, C6, C6), ValueError, "running_var: expected shape (6,), one value a channel of x in layout NCHW, got (5,)"),
    ("B0 one value", lambda: normcy.evonorm_b0(X[:1, :, :1], C6.copy(), C6, C6, C6, True), ValueError, "x: expected more than one value a channel"),
    ("B0 alias", lambda: (lambda v: normcy.evonorm_b0(X, v, C6, C6, v, True))(C6.copy()), ValueError, "running_var: shares memory with v"),
    ("B0 read-only", lambda: normcy.evonorm_b0(X, read_only(C6.copy()), C6, C6, C6, True), ValueError, "running_var: expected a writeable array"),
    ("renorm r_max", lambda: normcy.batch_renorm(X, C6.copy(), C6.copy(), training=True, r_max=0.5), ValueError, "r_max: expected a number >= 1, got 0.5"),
    ("renorm d_max", lambda: normcy.batch_renorm(X, C6.copy(), C6.copy(), training=True, d_max=-1), ValueError, "d_max: expected a number >= 0, got -1"),
    ("renorm d_max NaN", lambda: normcy.batch_renorm(X, C6.copy(), C6.copy(), training=True, d_max=float("nan")), ValueError, "d_max: expected a number >= 0, got nan"),
    ("renorm running_std", lambda: normcy.batch_renorm(X, C6, None), TypeError, "running_std: expected a float32 numpy.ndarray, got NoneType"),
    ("renorm alias", lambda: (lambda v: normcy.batch_renorm(X, v, v, training=True))(C6.copy()), ValueError, "running_mean: shares memory with running_std"),
    ("weight norm dim", lambda: normcy.weight_norm(X, C6, 3), ValueError, "dim: expected None or an axis of v, of shape (4, 6, 10), got 3"),
    ("weight norm g", lambda: normcy.weight_norm(X, C6, 0), ValueError, "g: expected shape (4,) or (4, 1, 1), one value a slice of v, got (6,)"),
    ("weight norm scalar g", lambda: normcy.weight_norm(X, C6, None), ValueError, "g: expected a scalar, one value a slice of v, got (6,)"),
    ("weight norm g type", lambda: normcy.weight_norm(X, [1.0] * 4), TypeError, "g: expected a float32 numpy.ndarray, got list"),
    ("weight norm out", lambda: normcy.weight_norm(X, C6, 1, out=C6), ValueError, "out: expected the shape of v, (4, 6, 10), got (6,)"),
    ("adain out overlaps", lambda: (lambda p: normcy.adain(p[0], X, out=p[1]))(overlapping()), ValueError, "out: overlaps content in memory without being exactly content"),
    ("weight norm 0-d", lambda: normcy.weight_norm(np.array(3, np.float32), np.float32(1)), ValueError, "dim: expected None or an axis of v, of shape (), got 0"),
    ("no layout", lambda: normcy.group_norm(X, 1, layout=None), ValueError, "layout: expected \"NCHW\""),
    ("layout array", lambda: normcy.instance_norm(X, layout=np.array(["NCHW", "NHWC"])), ValueError, "layout: expected \"NCHW\""),
    ("activation array", lambda: normcy.layer_norm(X, 10, activation=np.array("relu")), ValueError, "activation: expected None, \"relu\""),
    ("eps bool", lambda: normcy.layer_norm(X, 10, eps=True), TypeError, "eps: expected a number, got bool"),
    ("eps NaN", lambda: normcy.rms_norm(X, 10, eps=float("nan")), ValueError, "eps: expected a finite number, got nan"),
    ("momentum inf", lambda: normcy.batch_norm(X, C6.copy(), C6.copy(), training=True, momentum=np.inf), ValueError, "momentum: expected a finite number, got inf"),
    ("correction inf", lambda: normcy.moments(X, 0, correction=-np.inf), ValueError, "correction: expected a finite number, got -inf"),
    ("r_max NaN", lambda: normcy.batch_renorm(X, C6.copy(), C6.copy(), training=True, r_max=np.nan), ValueError, "r_max: expected a number >= 1, got nan"),
    ("CIN one-hot", lambda: normcy.conditional_instance_norm(X, np.eye(3, dtype=np.int64)[[0, 1, 2, 0]], C36, C36), ValueError, "style: expected shape (4,) of integers, an id for each sample, or (4, 3) of float32, mixing weights; got shape (4, 3) of int64; convert mixing weights with style.astype(numpy.float32)"),
    ("CIN float ids", lambda: normcy.conditional_instance_norm(X, C6[:4], C36, C36), ValueError, "got shape (4,) of float32; convert ids with style.astype(numpy.int64)"),
    ("other layout", lambda: normcy.batch_norm(LAST, C6, C6), ValueError, 'running_mean: expected shape (5,), one value a channel of x in layout NCHW, got (6,); with layout="NHWC" x has 6'),
    ("other layout of weights", lambda: normcy.instance_norm(LAST, weight=C6), ValueError, 'got (6,); with layout="NHWC" x has 6'),
    ("other layout of tables", lambda: normcy.conditional_instance_norm(LAST, np.array([0] * 4), C36, C36), ValueError, 'got (3, 6); with layout="NHWC" x has 6'),
    ("other layout of v", lambda: normcy.evonorm_s0(LAST, 5, None, None, C6), ValueError, 'got (6,); with layout="NHWC" x has 6'),
    ("other layout of groups", lambda: normcy.group_norm(LAST, 3), ValueError, 'num_groups: expected a positive divisor of the 5 channels, got 3; with layout="NHWC" x has 6'),
    ("out of float64", lambda: normcy.layer_norm(X, 10, out=X.astype(float)), TypeError, "; make it with numpy.empty(x.shape, numpy.float32)"),
    ("no batch axis", lambda: normcy.instance_norm(LAST[..., 0], weight=C6[:4]), ValueError, "got (4,); is the batch axis missing? Then x[None] has 4"),
    ("x list", lambda: normcy.layer_norm([1.0], 1), TypeError, "x: expected a float32 numpy.ndarray, got list; convert it with numpy.array(x, numpy.float32)"),
    ("x tensor", lambda: normcy.layer_norm(Tensor(), 1), TypeError, "x: expected a float32 numpy.ndarray, got Tensor; pass x.detach().numpy()"),
    ("bias masked", lambda: normcy.layer_norm(X, 10, bias=np.ma.array(X[0, 0])), TypeError, "; its mask would be lost: pass bias.filled(...)"),
    ("eps text", lambda: normcy.layer_norm(X, 10, eps=np.str_("1e-5")), TypeError, "eps: expected a number, got str_"),
    ("eps complex", lambda: normcy.layer_norm(X, 10, eps=np.complex64(1)), TypeError, "eps: expected a number, got complex64"),
    ("eps timedelta", lambda: normcy.layer_norm(X, 10, eps=np.timedelta64(1)), TypeError, "eps: expected a number, got timedelta64"),
    ("eps huge", lambda: normcy.layer_norm(X, 10, eps=10**400), ValueError, "eps: expected a number within float64, got 1000"),
    ("eps very huge", lambda: normcy.layer_norm(X, 10, eps=10**5000), ValueError, "eps: expected a number within float64, got int"),
    ("offset huge", lambda: normcy.layer_norm(X, 10, weight_offset=1e300), ValueError, "weight_offset: expected a finite number within float32, got 1e+300"),
    ("groups huge", lambda: normcy.group_norm(X, 2**63), ValueError, "num_groups: expected an int of 64 bits, got 9223372036854775808"),
    ("groups array", lambda: normcy.group_norm(X, np.array([2])), TypeError, "num_groups: expected an int, got ndarray"),
    ("groups class", lambda: normcy.group_norm(X, int), TypeError, "num_groups: expected an int, got type"),
    ("LN shape bytes", lambda: normcy.layer_norm(X, b"\n"), TypeError, "normalized_shape: expected an int or a sequence of ints, got b'\\n'"),
    ("LN shape endless", lambda: normcy.layer_norm(X, iter(int, 1)), TypeError, "normalized_shape: expected an int or a sequence of ints, got <callable_iterator"),
    ("training text", lambda: normcy.batch_norm(X, None, None, training="False"), TypeError, "training: expected True or False, got str"),
    ("return_stats array", lambda: normcy.layer_norm(X, 10, return_stats=np.ones(2)), TypeError, "return_stats: expected True or False, got ndarray"),
    ("out interleaved", lambda: normcy.layer_norm(X, 10, out=np.lib.stride_tricks.as_strided(np.zeros(20, np.float32), X.shape, (4, 4, 4))), ValueError, "out: expected an array whose elements are distinct"),
    ("adain style_eps beside a pair", lambda: normcy.adain(X, (X[..., 0], X[..., 1]), style_eps="x"), TypeError, "style_eps: expected a number, got str"),
    ("CIN masked ids", lambda: normcy.conditional_instance_norm(X, np.ma.masked_array([0, 1, 2, 0], [1, 0, 0, 0]), C36, C36), TypeError, "style: expected a float32 numpy.ndarray, got MaskedArray"),
    ("B0 out is running_var", lambda: (lambda v: normcy.evonorm_b0(X, v[0, 0, :6], C6, C6, None, out=v))(X.copy()), ValueError, "out: shares memory with running_var"),
    ("axes huge", lambda: normcy.moments(X, 2**70), ValueError, "axes: expected distinct axes of an array of rank 3, got 1180591620717411303424"),
    ("axes", lambda: normcy.moments(X, 3), ValueError, "axes: expected distinct axes of an array of rank 3, got 3"),
    ("axes twice", lambda: normcy.moments(X, (0, -3)), ValueError, "axes: expected distinct axes"),
    ("axes type", lambda: normcy.moments(X, 1.5), TypeError, "axes: expected an int, a sequence of ints or None, got 1.5"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "message"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_errors(call, kind, message):
    """The message says what came and what was expected, and begins with the argument's name."""
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value)


def test_strides_of_one_element_say_nothing():
    """An axis of length 1 may have any stride: such a view is exactly x all the same."""
    x = sample((4, 1, 6))
    expected = normcy.layer_norm(x, 6)
    view = np.lib.stride_tricks.as_strided(x, x.shape, (24, 4, 4))
    assert normcy.layer_norm(x, 6, out=view) is view
    assert same_bits(x, expected)


def test_results_beyond_float32_are_not_finite():
    """There is no warning, as where all of a call is compiled: NumPy's would be an error if warnings are errors."""
    zeros, ones = np.zeros(2, np.float32), np.ones(2, np.float32)
    huge = np.full((2, 2), 3e38, np.float32)
    _, rstd = normcy.rms_norm(zeros, 2, eps=1e-100, return_stats=True)
    mixed = normcy.conditional_instance_norm(sample((2, 2, 4)), huge, huge, huge)
    folded, _ = normcy.fold_batch_norm(huge, None, zeros, ones, 4 * ones)
    for result in (rstd, mixed, folded, normcy.WeightNorm(huge).weight_g):
        assert not np.isfinite(result).any()


def test_errors_write_nothing():
    out, mean, var = np.full(X.shape, 7, np.float32), np.full(6, 2, np.float32), np.full(6, 3, np.float32)
    for wrong in (
        dict(weight=C5),
        dict(eps=-1.0),
        dict(layout="CHWN"),
        dict(bias=C6.astype(np.float64)),
        dict(momentum="fast"),
    ):
        with pytest.raises((TypeError, ValueError)):
            normcy.batch_norm(X, mean, var, **{"training": True, "out": out, **wrong})
    for stats in (np.ones(2), "yes", None):
        with pytest.raises(TypeError, match="return_stats: expected True or False"):
            normcy.batch_norm(X, mean, var, training=True, out=out, return_stats=stats)
    with pytest.raises(ValueError, match="running_var: expected a writeable array"):
        normcy.batch_norm(X, mean, read_only(var.copy()), training=True, out=out)
    with pytest.raises(ValueError, match="out: expected a writeable array"):
        normcy.batch_norm(X, mean, var, training=True, out=read_only(out.copy()))
    assert np.all(out == 7)
    assert np.all(mean == 2)
    assert np.all(var == 3)


def placed(x, floats):
    """Returns a copy of x that begins `floats` behind a cache line."""
    raw = np.empty(x.size + 32, np.float32)
    at = -(raw.ctypes.data // 4) % 16 + floats
    y = raw[at : at + x.size].reshape(x.shape)
    y[...] = x
    return y


@pytest.mark.parametrize("activation", [None, "relu", "silu"])
@pytest.mark.parametrize("channels", [3, 16, 24, 64, 80, 272])
def test_every_place_in_a_line(channels, activation):
    """Channels last, rows may begin at any float of a line: the bits are the same, and nothing is written beside y."""
    x = sample((2, 50, channels))
    w, b = sample((2, channels))
    kw = {"weight": w, "bias": b, "layout": "NHWC", "activation": activation}
    expected = normcy.instance_norm(placed(x, 0), **kw, post_add=x)
    for floats in range(16):
        y = placed(x, floats)
        y.base[...] = 7
        normcy.instance_norm(x, **kw, post_add=placed(x, 5), out=y)
        assert same_bits(y, expected), floats
        assert np.count_nonzero(y.base == 7) >= 32
        y = placed(x, floats)
        assert same_bits(normcy.instance_norm(y, **kw, post_add=x, out=y), expected), floats


@pytest.mark.parametrize("shape", [(1, 16400, 256), (1, 257, 16400)], ids=str)
def test_past_the_caches(shape):
    """Results of 16 MiB for each thread are stored past the caches, with the same bits and edges."""
    x, layout = sample(shape), "NHWC" if shape[1] > shape[2] else "NCHW"
    channels = shape[-1 if layout == "NHWC" else 1]
    mean, var = np.linspace(-1, 1, channels, dtype=np.float32), np.linspace(1, 2, channels, dtype=np.float32)
    with normcy.num_threads(2):
        expected = normcy.batch_norm(x, mean, var, layout=layout)
    exact = normcy.reference.batch_norm(x, mean, var, layout=layout)
    assert np.abs(expected - exact).max() < 1e-5
    for floats in (0, 4, 7):
        y = placed(x, floats)
        y.base[...] = 7
        with normcy.num_threads(1):
            normcy.batch_norm(x, mean, var, layout=layout, out=y)
        assert same_bits(y, expected), floats
        assert np.count_nonzero(y.base == 7) >= 32
