"""Identities between methods, running statistics, and moments over any axes."""

import itertools

import numpy as np
import pytest
from methods import assert_close, every_layout, same_bits, sample

import normcy

SHAPES = {"NCHW": (4, 6, 9, 11), "NHWC": (4, 9, 11, 6)}


@every_layout
def test_group_norm_of_single_channels_is_instance_norm(layout):
    x = sample(SHAPES[layout], mean=5)
    assert same_bits(normcy.group_norm(x, 6, layout=layout), normcy.instance_norm(x, layout=layout))


@every_layout
def test_one_group_is_layer_norm_over_c_h_w(layout):
    x = sample(SHAPES[layout], mean=5)
    a, b = normcy.group_norm(x, 1, layout=layout), normcy.layer_norm(x, x.shape[1:])
    if layout == "NCHW":
        assert same_bits(a, b)
    else:
        assert_close(a, b.astype(np.float64), 8 * 2.0**-24 * np.maximum(1, np.abs(b)))


@every_layout
def test_batch_norm_of_one_sample_is_instance_norm(layout):
    x = sample(SHAPES[layout], mean=5)[:1]
    assert same_bits(
        normcy.batch_norm(x, None, None, training=True, layout=layout), normcy.instance_norm(x, layout=layout)
    )


def test_layer_norm2d_is_layer_norm_of_channels_last():
    x = sample(SHAPES["NHWC"], mean=5)
    w, b = sample(6, seed=1), sample(6, seed=2)
    expected = normcy.layer_norm(x, 6, w, b, eps=1e-6)
    assert same_bits(normcy.layer_norm2d(x, w, b, layout="NHWC"), expected)
    y = np.moveaxis(normcy.layer_norm2d(np.ascontiguousarray(np.moveaxis(x, -1, 1)), w, b), 1, -1)
    assert_close(y, expected.astype(np.float64), 10 * 2.0**-24 * np.maximum(1, np.abs(expected)))


def test_slots_and_weights():
    """Pitfall 11: C slots (batch), N (layer), N x C (instance), N x G (group); weights by channel or element."""
    x = sample((4, 6, 9, 11), mean=5) * np.arange(1, 7, dtype=np.float32)[:, None, None]
    z = x.astype(np.float64)
    calls = {
        (6,): (lambda **kw: normcy.batch_norm(x, None, None, training=True, **kw), (0, 2, 3), (6,)),
        (4, 1, 1, 1): (lambda **kw: normcy.layer_norm(x, (6, 9, 11), **kw), (1, 2, 3), (6, 9, 11)),
        (4, 6): (lambda **kw: normcy.instance_norm(x, **kw), (2, 3), (6,)),
        (4, 3): (lambda **kw: normcy.group_norm(x, 3, **kw), (2, 3, 4), (6,)),
        (4, 1, 9, 11): (lambda **kw: normcy.layer_norm2d(x, **kw), (1,), (6,)),
    }
    for shape, (call, axes, weights) in calls.items():
        y, mean, rstd = call(return_stats=True)
        slots = z.reshape(4, 3, 2, 9, 11) if shape == (4, 3) else z
        assert mean.shape == rstd.shape == shape
        np.testing.assert_allclose(mean, slots.mean(axes).reshape(shape), rtol=1e-6)
        w = sample(weights, seed=1)
        broadcast = w[:, None, None] if weights == (6,) else w
        np.testing.assert_allclose(call(weight=w, bias=w), y * broadcast + broadcast, atol=2e-5)
        with pytest.raises(ValueError, match="weight: expected shape"):
            call(weight=np.ones(9 if weights == (6,) else 6, np.float32))


def test_annotated_transformer():
    """Pitfall 5: it is a * (x - mean) / (std + eps) + b, with an unbiased std."""
    x, a, b = sample((5, 32)), sample(32, seed=1), sample(32, seed=2)
    z = x.astype(np.float64)
    expected = a * (z - z.mean(-1, keepdims=True)) / (z.std(-1, ddof=1, keepdims=True) + 1e-6) + b
    y = normcy.layer_norm(x, 32, a, b, eps=1e-6, correction=1, eps_mode="outside_sqrt")
    np.testing.assert_allclose(y, expected, atol=2e-6)
    assert np.isnan(normcy.layer_norm(x[:, :1].copy(), 1, correction=1, eps_mode="outside_sqrt")).all()


def test_gemma_and_dit():
    """(1 + weight) is applied by feature and by sample."""
    x, w = sample((3, 7, 16)), sample(16, seed=1)
    np.testing.assert_allclose(normcy.rms_norm(x, 16, w, weight_offset=1.0), normcy.rms_norm(x, 16, 1 + w), atol=2e-6)
    scale, shift = sample((3, 16), seed=2), sample((3, 16), seed=3)
    expected = normcy.layer_norm(x, 16, eps=1e-6) * (1 + scale[:, None]) + shift[:, None]
    y = normcy.layer_norm(x, 16, scale, shift, 1e-6, weight_offset=1.0)
    np.testing.assert_allclose(y, expected, atol=3e-6)


@every_layout
@pytest.mark.parametrize("momentum", [0.1, 0.0, 1.0, -0.3])
@pytest.mark.parametrize("unbiased", [True, False])
def test_running_statistics(layout, momentum, unbiased):
    """Pitfalls 1 and 4: momentum is the weight of the new batch; the stored variance is over n - 1, or over n."""
    x = sample(SHAPES[layout], mean=100)
    z = x.astype(np.float64) if layout == "NCHW" else np.moveaxis(x.astype(np.float64), -1, 1)
    batch = z.mean((0, 2, 3)), z.var((0, 2, 3), ddof=int(unbiased))
    instance = z.mean((2, 3)).mean(0), z.var((2, 3), ddof=int(unbiased)).mean(0)
    kw = {"momentum": momentum, "layout": layout, "unbiased_running_var": unbiased}
    for new, call in (
        (batch, lambda m, mean, var: m.batch_norm(x, mean, var, training=True, **kw)),
        (instance, lambda m, mean, var: m.instance_norm(x, mean, var, **kw)),
    ):
        store = np.zeros((2, 12), np.float32)
        mean, var = store[0, ::2], store[1, ::2]  # with strides
        mean[...], var[...] = 1.5, 2.5
        call(normcy, mean, var)
        np.testing.assert_allclose(mean, (1 - momentum) * 1.5 + momentum * new[0], rtol=2e-7)
        np.testing.assert_allclose(var, (1 - momentum) * 2.5 + momentum * new[1], rtol=2e-7)
        assert not store[:, 1::2].any()
        mean2, var2 = np.full(6, 1.5, np.float32), np.full(6, 2.5, np.float32)
        call(normcy.reference, mean2, var2)
        np.testing.assert_allclose(mean2, mean, rtol=2e-7)
        np.testing.assert_allclose(var2, var, rtol=2e-7)


@every_layout
def test_eval_leaves_running_statistics(layout):
    mean, var = np.ones(6, np.float32), np.full(6, 2, np.float32)
    for a in (mean, var):
        a.flags.writeable = False
    normcy.batch_norm(sample(SHAPES[layout]), mean, var, layout=layout)
    normcy.instance_norm(sample(SHAPES[layout]), mean, var, use_input_stats=False, layout=layout)
    assert mean.tolist() == [1] * 6
    assert var.tolist() == [2] * 6


@every_layout
def test_returned_statistics(layout):
    x = sample(SHAPES[layout], mean=3)
    ref = normcy.reference
    w = sample(6, seed=1)
    for call in (
        lambda m: m.batch_norm(x, None, None, w, training=True, layout=layout, return_stats=True),
        lambda m: m.instance_norm(x, weight=w, layout=layout, return_stats=True),
        lambda m: m.group_norm(x, 2, w, layout=layout, return_stats=True),
        lambda m: m.layer_norm2d(x, w, layout=layout, return_stats=True),
        lambda m: m.layer_norm(x, x.shape[-2:], return_stats=True),
        lambda m: m.rms_norm(x, x.shape[-1], return_stats=True),
    ):
        ours, theirs = call(normcy), call(ref)
        assert len(ours) == len(theirs)
        for a, b in zip(ours[1:], theirs[1:], strict=True):
            assert a.shape == b.shape
            assert a.dtype == np.float32
            np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("shape", [(7,), (3, 5), (4, 1, 6), (3, 4, 5), (2, 3, 4, 5), (2, 3, 4, 3, 2)], ids=str)
@pytest.mark.parametrize("correction", [0, 1, 100])
def test_moments(shape, correction):
    """Any axes are compared with two passes in float64."""
    x = sample(shape, mean=1e3)
    for k in range(len(shape) + 1):
        for axes in itertools.combinations(range(len(shape)), k):
            for keepdims in (False, True):
                mean, var = normcy.moments(x, axes, correction=correction, keepdims=keepdims)
                mean64, var64 = normcy.reference.moments(x, axes, correction=correction, keepdims=keepdims)
                assert np.shape(mean) == np.shape(mean64)
                assert np.shape(var) == np.shape(var64)
                assert mean.dtype == var.dtype == np.float64
                np.testing.assert_allclose(mean, mean64, rtol=1e-14)
                np.testing.assert_allclose(var, var64, rtol=1e-12)
    assert np.array_equal(normcy.moments(x, None), normcy.moments(x, tuple(range(len(shape)))))
    assert np.array_equal(normcy.moments(x, -1), normcy.moments(x, [len(shape) - 1]))


@pytest.mark.parametrize("scale", [3e38, 1e30, 1e-10, 1e-25, 1e-45, 0])
@pytest.mark.parametrize("axis", [0, 1])
def test_moments_of_any_size(scale, axis):
    x = np.clip(sample((70, 40)) * np.float64(scale), -3e38, 3e38).astype(np.float32)
    for values in (x, np.full((70, 40), scale, np.float32)):
        mean, var = normcy.moments(values, axis)
        mean64, var64 = normcy.reference.moments(values, axis)
        np.testing.assert_allclose(mean, mean64, rtol=1e-12, atol=1e-15 * scale)
        np.testing.assert_allclose(var, var64, rtol=1e-12, atol=1e-30 * np.float64(scale) ** 2)


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 4)], ids=str)
def test_moments_of_nothing(shape):
    x = np.empty(shape, np.float32)
    for axes in (None, 0):
        mean, var = normcy.moments(x, axes)
        assert np.shape(mean) == (() if axes is None else shape[1:])
        assert np.isnan(mean).all()
        assert np.isnan(var).all()
