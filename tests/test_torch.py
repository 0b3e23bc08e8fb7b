"""PyTorch's values, for every legal combination of arguments; skipped if torch is not installed (CI installs it)."""

import itertools
import re

import numpy as np
import pytest
from methods import sample

import normcy

torch = pytest.importorskip("torch", reason="needs torch to compare with")
F = torch.nn.functional

SHAPES = [(5, 6), (4, 6, 7), (3, 6, 5, 4), (2, 6, 3, 4, 5)]
EPS = [1e-5, 0.0, 0.5, 1e30, 1e-30, -0.5]


def t(a):
    """Returns a tensor with memory of its own."""
    return None if a is None else torch.from_numpy(np.array(a))


def same_values(y, expected, **tol):
    """Checks equality up to torch's rounding in float32; NaN, inf and zeros are in the same places."""
    np.testing.assert_allclose(y, expected.detach().numpy(), **{"rtol": 2e-5, "atol": 2e-5, **tol})


def maybe(shape, seed):
    """Returns None, or an array of that shape."""
    return [None, np.random.default_rng(seed).standard_normal(shape, np.float32)]


def both(ours, theirs):
    """Returns both results; if torch refuses, checks that we refuse."""
    try:
        expected = theirs()
    except (ValueError, RuntimeError, TypeError):
        with pytest.raises((ValueError, TypeError)):
            ours()
        return
    y = ours()
    if isinstance(y, tuple):
        for a, b in zip(y, expected, strict=True):
            same_values(a, b)
    else:
        same_values(y, expected)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("tracked", [True, False])
@pytest.mark.parametrize("eps", EPS)
def test_batch_norm(shape, training, tracked, eps):
    x = sample(shape, mean=1)
    for w, b, momentum in itertools.product(maybe(6, 1), maybe(6, 2), [0.1, 0.0, 1.0, -0.5, 3.0]):
        mean, var = (
            (np.linspace(-1, 1, 6, dtype=np.float32), np.linspace(0.5, 2, 6, dtype=np.float32))
            if tracked
            else (None, None)
        )
        mean_t, var_t = t(mean), t(var)
        both(
            lambda w=w, b=b, m=momentum: normcy.batch_norm(x, mean, var, w, b, training, m, eps),
            lambda w=w, b=b, m=momentum: F.batch_norm(t(x), mean_t, var_t, t(w), t(b), training, m, eps),
        )
        if tracked:
            same_values(mean, mean_t, atol=1e-6)
            same_values(var, var_t, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("use_input_stats", [True, False])
@pytest.mark.parametrize("tracked", [True, False])
@pytest.mark.parametrize("eps", [e for e in EPS if not e < 0])
def test_instance_norm(shape, use_input_stats, tracked, eps):
    x = sample(shape, mean=1)
    for w, b, momentum in itertools.product(maybe(6, 1), maybe(6, 2), [0.1, 0.0, 1.0, -0.5, 3.0]):
        mean, var = (
            (np.linspace(-1, 1, 6, dtype=np.float32), np.linspace(0.5, 2, 6, dtype=np.float32))
            if tracked
            else (None, None)
        )
        mean_t, var_t = t(mean), t(var)
        both(
            lambda w=w, b=b, m=momentum: normcy.instance_norm(x, mean, var, w, b, use_input_stats, m, eps),
            lambda w=w, b=b, m=momentum: F.instance_norm(t(x), mean_t, var_t, t(w), t(b), use_input_stats, m, eps),
        )
        if tracked:
            same_values(mean, mean_t, atol=1e-6)
            same_values(var, var_t, atol=1e-6)


def test_instance_norm_negative_eps():
    """PyTorch accepts it with the input's own statistics: NaN where var + eps < 0."""
    x = np.concatenate([sample((2, 3, 50)), sample((2, 3, 50)) * 0.1], axis=1)
    both(lambda: normcy.instance_norm(x, eps=-0.3), lambda: F.instance_norm(t(x), eps=-0.3))


@pytest.mark.parametrize("shape", [(6,), *SHAPES], ids=str)
@pytest.mark.parametrize("eps", EPS)
def test_layer_norm(shape, eps):
    x = sample(shape, mean=1)
    for rank in range(1, len(shape) + 1):
        ns = shape[-rank:]
        for w, b in itertools.product(maybe(ns, 1), maybe(ns, 2)):
            both(
                lambda ns=ns, w=w, b=b: normcy.layer_norm(x, ns, w, b, eps, return_stats=True),
                lambda ns=ns, w=w, b=b: torch.native_layer_norm(t(x), ns, t(w), t(b), eps),
            )


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("groups", [1, 2, 3, 6, 4, 0, -1])
@pytest.mark.parametrize("eps", EPS)
def test_group_norm(shape, groups, eps):
    x = sample(shape, mean=1)
    s = int(np.prod(shape[2:]))
    if groups == 6 and s == 1 and eps < 1e-3:
        eps = 1e-3  # one value a group: PyTorch returns its rounding error times 1 / sqrt(eps), we return the bias
    for w, b in itertools.product(maybe(6, 1), maybe(6, 2)):
        both(
            lambda w=w, b=b: normcy.group_norm(x, groups, w, b, eps),
            lambda w=w, b=b: F.group_norm(t(x), groups, t(w), t(b), eps) if groups else F.group_norm(t(x), -1),
        )
        if groups > 0 and 6 % groups == 0:
            both(
                lambda w=w, b=b: normcy.group_norm(x, groups, w, b, eps, return_stats=True),
                lambda w=w, b=b: torch.native_group_norm(t(x), t(w), t(b), shape[0], 6, s, groups, eps),
            )


@pytest.mark.parametrize("shape", [(6,), *SHAPES], ids=str)
@pytest.mark.parametrize("eps", [None, *EPS])
def test_rms_norm(shape, eps):
    x = sample(shape, mean=1)
    for rank in range(1, len(shape) + 1):
        ns = shape[-rank:]
        for w in maybe(ns, 1):
            both(lambda ns=ns, w=w: normcy.rms_norm(x, ns, w, eps), lambda ns=ns, w=w: F.rms_norm(t(x), ns, t(w), eps))


@pytest.mark.parametrize("shape", [(0, 6, 4), (2, 6, 0), (2, 0, 3), (0, 0, 0)], ids=str)
def test_empty(shape):
    x = np.empty(shape, np.float32)
    c = shape[1]
    mean, var = np.zeros(c, np.float32), np.ones(c, np.float32)
    both(
        lambda: normcy.batch_norm(x, mean, var, training=True),
        lambda: F.batch_norm(t(x), t(mean), t(var), training=True),
    )
    both(lambda: normcy.batch_norm(x, mean, var), lambda: F.batch_norm(t(x), t(mean), t(var)))
    both(
        lambda: normcy.layer_norm(x, shape[2], return_stats=True),
        lambda: torch.native_layer_norm(t(x), shape[2:], None, None, 1e-5),
    )
    if c:
        both(lambda: normcy.instance_norm(x), lambda: F.instance_norm(t(x)))
        both(
            lambda: normcy.group_norm(x, 2, return_stats=True),
            lambda: torch.native_group_norm(t(x), None, None, shape[0], c, shape[2], 2, 1e-5),
        )


def test_shapes_of_statistics():
    """return_stats has the shapes of the native operators; outside of training BatchNorm has none."""
    x = sample((3, 6, 5, 4))
    mean, var = np.zeros(6, np.float32), np.ones(6, np.float32)
    for training in (True, False):
        both(
            lambda training=training: normcy.batch_norm(
                x, mean.copy(), var.copy(), training=training, return_stats=True
            ),
            lambda training=training: torch.native_batch_norm(t(x), None, None, t(mean), t(var), training, 0.1, 1e-5),
        )
    both(
        lambda: normcy.rms_norm(x, (5, 4), return_stats=True),
        lambda: (F.rms_norm(t(x), (5, 4)), (t(x).pow(2).mean((2, 3), keepdim=True) + 2.0**-23).rsqrt()),
    )


def test_zero_variance():
    """eps = 0 on a constant gives 0 in batch statistics, NaN in layer and group norm.

    With given statistics the result is the formula's, infinity; PyTorch's x * alpha + beta has NaN there.
    """
    x = np.full((2, 4, 3), 5, np.float32)
    both(lambda: normcy.instance_norm(x, eps=0), lambda: F.instance_norm(t(x), eps=0))
    both(lambda: normcy.group_norm(x, 2, eps=0), lambda: F.group_norm(t(x), 2, eps=0))
    both(lambda: normcy.layer_norm(x, 3, eps=0), lambda: F.layer_norm(t(x), (3,), eps=0))
    zero = np.zeros(4, np.float32)
    assert np.all(normcy.batch_norm(x, zero, zero, eps=0) == np.inf)
    assert F.batch_norm(t(x), t(zero), t(zero), eps=0).isnan().all()
    both(lambda: normcy.batch_norm(x, zero, zero - 1), lambda: F.batch_norm(t(x), t(zero), t(zero - 1)))


def test_channels_last_memory():
    """PyTorch's channels_last tensors are not copied for batch norm."""
    x = sample((2, 5, 6, 7)).transpose(0, 3, 1, 2)
    w, b = sample(7, seed=1), sample(7, seed=2)
    theirs = torch.from_numpy(x)
    for ours, expected in (
        (normcy.batch_norm(x, None, None, w, b, True), F.batch_norm(theirs, None, None, t(w), t(b), True)),
        (normcy.instance_norm(x, weight=w, bias=b), F.instance_norm(theirs, weight=t(w), bias=t(b))),
        (normcy.group_norm(x, 7, w, b), F.group_norm(theirs, 7, t(w), t(b))),
    ):
        same_values(ours, expected)
        assert ours.strides == x.strides


@pytest.mark.parametrize(("tensor", "way"), [
    (torch.ones(2, 3), "x.numpy()"),
    (torch.ones(2, 3, requires_grad=True), "x.detach().numpy()"),
    (torch.ones(2, 3, dtype=torch.bfloat16), "x.float().numpy()"),
    (torch.ones(2, 3, device="meta"), "x.cpu().numpy()"),
], ids=str)  # fmt: skip
def test_tensors_are_told_how_to_pass(tensor, way):
    with pytest.raises(TypeError, match=f"^x: expected a float32 numpy.ndarray, got Tensor; pass {re.escape(way)}$"):
        normcy.layer_norm(tensor, 3)
    if tensor.device.type == "cpu":
        assert normcy.layer_norm(eval(way, {"x": tensor}), 3).shape == (2, 3)
