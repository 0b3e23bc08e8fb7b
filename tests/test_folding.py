"""fold_batch_norm: the folded layer against the layer followed by batch norm, in float64; and PyTorch's fusion."""

import numpy as np
import pytest
from methods import sample

import normcy


def linear(x, w, b):
    return x @ w.T + b


def conv1d(x, w, b, groups=1):
    """Cross-correlation without padding, written out."""
    outputs, inputs, taps = w.shape
    y = np.zeros((len(x), outputs, x.shape[2] - taps + 1))
    for o in range(outputs):
        first = o // (outputs // groups) * inputs
        for i in range(inputs):
            for k in range(taps):
                y[:, o] += w[o, i, k] * x[:, first + i, k : k + y.shape[2]]
    return y + b.reshape(-1, 1)


def transposed1d(x, w, b, groups=1):
    """Each input spreads over the taps of its group's outputs."""
    inputs, outputs, taps = w.shape
    y = np.zeros((len(x), outputs * groups, x.shape[2] + taps - 1))
    for i in range(inputs):
        first = i // (inputs // groups) * outputs
        for o in range(outputs):
            for k in range(taps):
                y[:, first + o, k : k + x.shape[2]] += w[i, o, k] * x[:, i]
    return y + b.reshape(-1, 1)


def statistics(channels, seed=3):
    g = np.random.default_rng(seed)
    mean, var = g.standard_normal(channels, np.float32), g.random(channels, np.float32) + 0.1
    return mean, var, g.standard_normal(channels, np.float32), g.standard_normal(channels, np.float32)


def after(y, mean, var, weight, bias, eps):
    along = (1, -1) + (1,) * (y.ndim - 2)
    mean, var, weight, bias = (v.astype(np.float64).reshape(along) for v in (mean, var, weight, bias))
    return (y - mean) / np.sqrt(var + eps) * weight + bias


CASES = {
    "linear": (linear, (4, 6), (5, 6), {}),
    "conv": (conv1d, (2, 6, 9), (4, 6, 3), {}),
    "conv, groups": (conv1d, (2, 6, 9), (4, 3, 3), {"groups": 2}),
    "depthwise": (conv1d, (2, 6, 9), (6, 1, 3), {"groups": 6}),
    "transposed": (transposed1d, (2, 6, 9), (6, 4, 3), {"transposed": True}),
    "transposed, groups": (transposed1d, (2, 6, 9), (6, 2, 3), {"transposed": True, "groups": 2}),
    "transposed, depthwise": (transposed1d, (2, 6, 9), (6, 1, 3), {"transposed": True, "groups": 6}),
}


@pytest.mark.parametrize(("layer", "shape", "weights", "options"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("eps", [1e-5, 0.1])
def test_folding_is_exact(layer, shape, weights, options, with_bias, affine, eps):
    """Pitfall 12: a batch norm *after* the layer folds. Both arrays are rounded once: 2**-24 of the magnitudes' sum."""
    x, w = sample(shape).astype(np.float64), sample(weights, seed=1)
    groups = options.get("groups", 1)
    channels = weights[1] * groups if options.get("transposed") else weights[0]
    b = sample(channels, seed=2) if with_bias else None
    mean, var, bn_weight, bn_bias = statistics(channels)
    given = (bn_weight, bn_bias) if affine else (None, None)
    kept = [a.copy() for a in (w, mean, var, bn_weight, bn_bias)]
    folded = normcy.fold_batch_norm(w, b, mean, var, *given, eps, **options)
    assert [a.dtype for a in folded] == [np.float32, np.float32]
    assert [a.shape for a in folded] == [weights, (channels,)]
    assert all(np.array_equal(a, k) for a, k in zip((w, mean, var, bn_weight, bn_bias), kept, strict=True))
    more = {"groups": groups} if layer is not linear else {}
    old_bias = np.zeros(channels) if b is None else b.astype(np.float64)
    if not affine:
        bn_weight, bn_bias = np.ones(channels), np.zeros(channels)
    expected = after(layer(x, w.astype(np.float64), old_bias, **more), mean, var, bn_weight, bn_bias, eps)
    folded = [a.astype(np.float64) for a in folded]
    limit = layer(np.abs(x), np.abs(folded[0]), np.abs(folded[1]), **more) * 2.0**-24
    assert np.all(np.abs(layer(x, *folded, **more) - expected) <= 1.001 * limit)


@pytest.mark.parametrize(("layer", "shape", "weights", "options"), CASES.values(), ids=CASES)
def test_reference(layer, shape, weights, options):
    w = sample(weights)
    channels = weights[1] * options.get("groups", 1) if options.get("transposed") else weights[0]
    arguments = (w, sample(channels, seed=2), *statistics(channels), 1e-3)
    expected = normcy.reference.fold_batch_norm(*arguments, **options)
    for ours, reference in zip(normcy.fold_batch_norm(*arguments, **options), expected, strict=True):
        # there is cancellation only in float64, and one rounding of each element to float32
        np.testing.assert_allclose(ours, reference, rtol=1.001 * 2.0**-24, atol=1e-14)


def test_before_a_padded_convolution_it_cannot_fold():
    """Pitfall 12: zero padding puts zeros where batch norm in front would have put its own value of zero."""
    x, w = sample((1, 1, 5)).astype(np.float64), np.ones((1, 1, 3))
    mean, var, weight, bias = (np.array([v], np.float32) for v in (2, 1, 1, 0))
    normalized = after(x, mean, var, weight, bias, 0.0)
    padded = ((0, 0), (0, 0), (1, 1))
    right = conv1d(np.pad(normalized, padded), w, np.zeros(1))
    folded = conv1d(np.pad(x, padded), w, np.array([-2.0 * 3]))
    np.testing.assert_allclose(folded[..., 1:-1], right[..., 1:-1])
    assert np.abs(folded - right)[..., [0, -1]].min() > 1


def test_large_means_do_not_cancel():
    """Pitfall 7: (bias - mean) * scale is formed in float64."""
    b, mean = np.array([1e4 + 0.5], np.float32), np.array([1e4], np.float32)
    var, bn_bias = np.array([1e-4], np.float32), np.array([0.25], np.float32)
    _, bias = normcy.fold_batch_norm(np.ones((1, 1), np.float32), b, mean, var, None, bn_bias, 0.0)
    np.testing.assert_allclose(bias, [0.5 / np.sqrt(np.float64(var[0])) + 0.25], rtol=2.0**-24)


def test_any_memory_order():
    w = np.asfortranarray(sample((4, 3, 2, 2)))
    stats = statistics(4)
    expected = normcy.fold_batch_norm(np.ascontiguousarray(w), None, *stats)
    backwards = [np.ascontiguousarray(v[::-1])[::-1] for v in stats]
    for ours, plain in zip(normcy.fold_batch_norm(w, None, *backwards), expected, strict=True):
        np.testing.assert_array_equal(ours, plain)


ONE = np.ones(4, np.float32)
W = np.ones((4, 3, 2), np.float32)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((W.astype(np.float64), None, ONE, ONE), {}, TypeError, "weight: expected dtype float32 in native byte order, got shape (4, 3, 2) and dtype float64"),
        (([1.0], None, ONE, ONE), {}, TypeError, "weight: expected a float32 numpy.ndarray, got list"),
        ((ONE, None, ONE, ONE), {}, ValueError, "weight: expected an array of rank 2 or more, got shape (4,)"),
        ((W, ONE[:3], ONE, ONE), {}, ValueError, "bias: expected shape (4,), one value an output channel, got (3,)"),
        ((W, None, ONE[:1], ONE), {}, ValueError, "running_mean: expected shape (4,)"),
        ((W, None, None, ONE), {}, TypeError, "running_mean: expected a float32 numpy.ndarray, got NoneType"),
        ((W, None, ONE, ONE, ONE[:2]), {}, ValueError, "bn_weight: expected shape (4,)"),
        ((W, None, ONE, ONE, None, ONE[:2]), {}, ValueError, "bn_bias: expected shape (4,)"),
        ((W, None, ONE, ONE), {"transposed": True}, ValueError, "running_mean: expected shape (3,)"),
        ((W, None, ONE, ONE), {"transposed": 1}, TypeError, "transposed: expected True or False, got int"),
        ((W, None, ONE, ONE), {"groups": 3}, ValueError, "groups: expected a divisor of 4, the first axis of weight, got 3"),
        ((W, None, ONE, ONE), {"groups": 0}, ValueError, "groups: expected an int from 1 up, got 0"),
        ((W, None, ONE, ONE), {"eps": "1e-5"}, TypeError, "eps: expected a number, got str"),
        ((W, None, ONE, ONE * 0), {"eps": 0}, ValueError, "running_var: expected running_var + eps > 0, got 0.0 in channel 0"),
        ((W, None, ONE, ONE * np.nan), {}, ValueError, "running_var: expected running_var + eps > 0, got nan in channel 0"),
    ],
)  # fmt: skip
def test_errors(arguments, options, error, message):
    with pytest.raises(error) as caught:
        normcy.fold_batch_norm(*arguments, **options)
    assert message in str(caught.value)


def test_options_that_were_forgotten():
    """The statistics show how the weight is meant, and the error names the options that say so."""
    expected = "running_mean: expected shape ({},), one value an output channel, got ({},); with {} the weight would have {} output channels"
    for weight, options, statistics, channels, remedy in [
        ((6, 2, 3), {"transposed": True}, 4, 2, "groups=2"),
        ((6, 2, 3), {"transposed": True, "groups": 3}, 2, 6, "groups=1"),
        ((6, 1, 3), {"transposed": True}, 6, 1, "groups=6"),
        ((6, 4, 3), {}, 4, 6, "transposed=True"),
        ((6, 2, 3), {}, 4, 6, "transposed=True and groups=2"),
        ((6, 2, 3), {"groups": 2}, 4, 6, "transposed=True"),
        ((6, 2, 3), {"groups": 3}, 4, 6, "transposed=True and groups=2"),
        ((5, 7), {}, 7, 5, "transposed=True"),
        ((5, 7), {"transposed": True}, 5, 7, "transposed=False"),
    ]:
        given = sample(weight), None, *(np.ones(statistics, np.float32),) * 2
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            normcy.fold_batch_norm(*given, **options)
        assert str(caught.value) == expected.format(channels, statistics, remedy, statistics)


@pytest.mark.parametrize("statistics", [(5,), (0,), (4, 1), (), (8,)], ids=str)
@pytest.mark.parametrize("weight", [(6, 2, 3), (6, 0, 3)], ids=str)
def test_statistics_that_fit_no_reading(weight, statistics):
    """Four groups do not divide six channels, and no number of groups makes five of twos."""
    for transposed in (False, True):
        if statistics == (0,) and transposed and weight[1] == 0:
            continue  # a layer without output channels has no statistics
        values = np.ones(statistics, np.float32)
        with pytest.raises(ValueError, match=r"^running_mean: expected shape \(\d,\).* got \([\d, ]*\)$"):
            normcy.fold_batch_norm(np.ones(weight, np.float32), None, values, values, transposed=transposed)


EXTREMES = [0.0, 1.0, -1e-30, 1e-45, 1.1e-38, 3e38, -np.inf, np.inf, np.nan]


@pytest.mark.parametrize("eps", [0.0, 5e-324, 1e-5, 1.7e308])
def test_any_values_while_numpy_raises(eps):
    """Results that round to 0, infinity or NaN are no errors, whatever np.seterr the caller has set."""
    all_of_them = np.array(np.meshgrid(EXTREMES, EXTREMES, EXTREMES), np.float32).reshape(3, -1)
    bn_weight, mean, bias = all_of_them
    for variance in (1e-45, 1e-30, 1.0, 3e38, np.inf):
        var = np.full_like(mean, variance)
        arguments = (bn_weight[:, np.newaxis].copy(), bias, mean, var, bn_weight, bias, eps)
        plain = normcy.fold_batch_norm(*arguments)
        with np.errstate(all="raise"):
            raising = normcy.fold_batch_norm(*arguments)
        reference = normcy.reference.fold_batch_norm(*arguments)
        with np.errstate(all="ignore"):
            reference = [a.astype(np.float32) for a in reference]
        for ours, same, expected in zip(plain, raising, reference, strict=True):
            np.testing.assert_array_equal(ours.view(np.int32), same.view(np.int32))
            np.testing.assert_allclose(ours, expected, rtol=2.0**-23, atol=2e-45)


# -- PyTorch ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="needs torch to compare with")


def module_state(torch, module, bn):
    """Returns the arrays of the two modules, with random statistics."""
    with torch.no_grad():
        for value in (bn.weight, bn.bias, bn.running_mean, bn.running_var):
            value.copy_(torch.rand(value.shape) + 0.5)
    arrays = [module.weight, module.bias, bn.running_mean, bn.running_var, bn.weight, bn.bias]
    return [None if a is None else a.detach().numpy() for a in arrays]


MODULES = {
    "conv": (lambda nn: (nn.Conv2d(6, 4, 3, groups=2), nn.BatchNorm2d(4)), (2, 6, 5, 5), {"groups": 2}, True),
    "conv, no bias": (lambda nn: (nn.Conv1d(6, 4, 3, bias=False), nn.BatchNorm1d(4)), (2, 6, 5), {}, True),
    "linear": (lambda nn: (nn.Linear(6, 4), nn.BatchNorm1d(4)), (5, 6), {}, True),
    "transposed": (lambda nn: (nn.ConvTranspose2d(6, 4, 3), nn.BatchNorm2d(4)), (2, 6, 5, 5), {"transposed": True}, True),
    "transposed, groups": (lambda nn: (nn.ConvTranspose2d(6, 4, 3, groups=2), nn.BatchNorm2d(4)), (2, 6, 5, 5), {"transposed": True, "groups": 2}, False),
}  # fmt: skip


@pytest.mark.parametrize(("make", "shape", "options", "torch_can"), MODULES.values(), ids=MODULES)
def test_torch(torch, make, shape, options, torch_can):
    """The folded module gives the result of the two; the arrays are those of torch's fusion where that is right."""
    fusion = torch.nn.utils.fusion
    module, bn = (m.eval() for m in make(torch.nn))
    weight, bias = normcy.fold_batch_norm(*module_state(torch, module, bn), bn.eps, **options)
    if torch_can:
        if isinstance(module, torch.nn.Linear):
            fused = fusion.fuse_linear_bn_eval(module, bn)
        else:
            fused = fusion.fuse_conv_bn_eval(module, bn, transpose=options.get("transposed", False))
        np.testing.assert_allclose(weight, fused.weight.detach().numpy(), rtol=1e-6)
        np.testing.assert_allclose(bias, fused.bias.detach().numpy(), rtol=1e-6, atol=1e-6)
    x = torch.from_numpy(sample(shape))
    expected = bn(module(x)).detach().numpy()
    module.weight = torch.nn.Parameter(torch.from_numpy(weight))
    module.bias = torch.nn.Parameter(torch.from_numpy(bias))
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-5, atol=1e-5)
