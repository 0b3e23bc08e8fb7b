"""Every method against its paper's formula, written out here in float64, and against the libraries that have it.

Each test runs for the reference and for normcy itself. The reference has to agree to float64's rounding; normcy may
round to float32 eight times on the way, so it is held to 8 * 2**-24 of the terms that a result is made of.
"""

import importlib.util
import itertools
import math
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from methods import every_layout

import normcy

every_implementation = pytest.mark.parametrize("m", [normcy.reference, normcy], ids=["reference", "normcy"])
SHAPES = [(4, 6, 5, 7), (3, 6, 11), (2, 6, 3, 4, 5)]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
FLOAT32_ON_THEIR_SIDE = dict(rtol=2e-5, atol=2e-5)  # for libraries that take statistics in float32


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="needs torch to compare with")


@pytest.fixture
def evo_norm(monkeypatch, torch):
    """Loads timm's file of EvoNorms alone, since all of timm needs torchvision."""
    spec = importlib.util.find_spec("timm")
    for name, folder in (("timm", ""), ("timm.layers", "layers")):
        package = types.ModuleType(name)
        package.__path__ = [str(Path(place, folder)) for place in (spec.submodule_search_locations if spec else ())]
        monkeypatch.setitem(sys.modules, name, package)
    return pytest.importorskip("timm.layers.evo_norm", reason="needs timm to compare with")


def assert_agrees(y, expected, *terms):
    """Checks equality up to roundings of y's dtype; `terms` are the parameters and residuals that make up a result."""
    expected = np.asarray(expected, np.float64)
    roundings = 8 * 2.0**-24 if y.dtype == np.float32 else 2000 * 2.0**-53  # a sum of some 1000 values, twice
    size = 1 + np.abs(expected) + sum(np.max(np.abs(t), initial=0) for t in terms if t is not None)
    assert y.shape == expected.shape
    assert np.array_equal(np.isnan(y), np.isnan(expected))
    worst = np.nanmax(np.abs(y - expected) / size, initial=0) / roundings
    assert worst <= 1, f"error is {worst:.3g} times the bound"


def run(function, x, *args, layout="NCHW", **keywords):
    """Calls a function in either layout with arrays that have their channels first; the result has them first, too."""
    if layout == "NCHW":
        return function(x, *args, layout=layout, **keywords)

    def last(v):
        return np.ascontiguousarray(np.moveaxis(v, 1, -1)) if isinstance(v, np.ndarray) and v.ndim > 2 else v

    keywords = {name: last(v) for name, v in keywords.items()}
    return np.moveaxis(function(last(x), *map(last, args), layout=layout, **keywords), -1, 1)


def c(v, x):
    """Reshapes (C,) or (N, C) to broadcast against x, in float64."""
    v = np.asarray(v, np.float64)
    return v.reshape((-1 if v.ndim == 2 else 1, x.shape[1]) + (1,) * (x.ndim - 2))


def instance_statistics(x, ddof=0):
    axes = tuple(range(2, x.ndim))
    return x.mean(axes, np.float64, keepdims=True), x.var(axes, np.float64, ddof=ddof, keepdims=True)


def batch_statistics(x, ddof=0):
    """Returns lists of each channel's mean and variance."""
    channels = [x[:, k].astype(np.float64).ravel() for k in range(x.shape[1])]
    return np.array([v.mean() for v in channels]), np.array([v.var(ddof=ddof) for v in channels])


def normal(shape, seed, mean=0.0, scale=1.0):
    return (np.random.default_rng(seed).standard_normal(shape) * scale + mean).astype(np.float32)


def double(torch, a):
    return None if a is None else torch.from_numpy(np.array(a, np.float64))


# Residuals and activations


ACTIVATIONS = {
    "relu": lambda y: np.where(y > 0, y, 0),
    "silu": lambda y: y * (0.5 + 0.5 * np.tanh(y / 2)),
    "gelu": lambda y: y * np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in y.ravel()]).reshape(y.shape),
    "gelu_tanh": lambda y: 0.5 * y * (1 + np.tanh(math.sqrt(2 / math.pi) * (y + 0.044715 * y**3))),
    None: lambda y: y,
}
every_activation = pytest.mark.parametrize("activation", ACTIVATIONS)


@every_implementation
@every_activation
def test_activation(m, activation):
    """Inputs go from -13 to 13, where GELU's tail is far below what 1 + erf can hold."""
    x = normal((40, 50), 1, scale=3)
    bias = np.linspace(-10, 10, 50, dtype=np.float32)
    before = (x - x.mean(1, np.float64, keepdims=True)) / np.sqrt(x.var(1, np.float64, keepdims=True) + 1e-5) + bias
    assert_agrees(m.layer_norm(x, 50, bias=bias, activation=activation), ACTIVATIONS[activation](before), before)


def test_activation_tails():
    """-10 * Phi(-10) has all digits of tables of the normal distribution; the others are tested far below that."""
    y = np.array([-10.0])
    np.testing.assert_allclose(normcy.reference.activate(y, "gelu"), [-7.619853024160527e-23], rtol=1e-13)
    np.testing.assert_allclose(
        normcy.reference.activate(y, "silu"), [-10 * math.exp(-10) / (1 + math.exp(-10))], rtol=1e-15
    )
    u = math.sqrt(2 / math.pi) * (10 + 0.044715 * 1000)
    np.testing.assert_allclose(normcy.reference.activate(y, "gelu_tanh"), [-10 * math.exp(-2 * u)], rtol=1e-13)


@every_implementation
@every_activation
def test_activation_torch(m, activation, torch):
    """Results are PyTorch's; NaN stays NaN, also in ReLU."""
    F = torch.nn.functional
    theirs = {"relu": F.relu, "silu": F.silu, "gelu": F.gelu, "gelu_tanh": lambda y: F.gelu(y, approximate="tanh")}.get(
        activation, lambda y: y
    )
    x = normal((8, 33), 2)
    x[3, 4] = np.nan
    bias = np.linspace(-6, 6, 33, dtype=np.float32)
    before = F.layer_norm(double(torch, x), (33,), None, double(torch, bias))
    y = m.layer_norm(x, 33, bias=bias, activation=activation)
    assert np.isnan(y[3]).all()
    assert_agrees(y, theirs(before).numpy(), before[[0, 1, 2]].numpy())


def _layer2d(torch, x, w, b):
    return torch.nn.functional.layer_norm(x.movedim(1, -1), (x.shape[1],), w, b, 1e-6).movedim(-1, 1)


RESIDUAL_METHODS = {
    "batch": (lambda m, x, **kw: run(m.batch_norm, x, None, None, training=True, **kw),
              lambda torch, x, w, b: torch.nn.functional.batch_norm(x, None, None, w, b, True)),
    "batch_eval": (lambda m, x, **kw: run(m.batch_norm, x, np.full(6, 0.5, np.float32), np.full(6, 2, np.float32), **kw),
                   lambda torch, x, w, b: torch.nn.functional.batch_norm(x, torch.full((6,), 0.5).double(), torch.full((6,), 2).double(), w, b)),
    "instance": (lambda m, x, **kw: run(m.instance_norm, x, **kw),
                 lambda torch, x, w, b: torch.nn.functional.instance_norm(x, weight=w, bias=b)),
    "group": (lambda m, x, **kw: run(m.group_norm, x, 3, **kw),
              lambda torch, x, w, b: torch.nn.functional.group_norm(x, 3, w, b)),
    "layer2d": (lambda m, x, **kw: run(m.layer_norm2d, x, **kw), _layer2d),
}  # fmt: skip


@every_implementation
@every_layout
@every_activation
@pytest.mark.parametrize("name", RESIDUAL_METHODS)
def test_residuals(m, layout, activation, name, torch):
    """pre_add, sum_out, post_add and activation, together and each by itself, in every norm of channels."""
    ours, theirs = RESIDUAL_METHODS[name]
    for shape in SHAPES:
        x, before, after = (normal(shape, seed) for seed in (1, 2, 3))
        w, b = normal(6, 4), normal(6, 5)
        for pre_add, post_add in itertools.product((None, before), (None, after)):
            s = x if pre_add is None else x + pre_add  # in float32, as the stored sum is normalized
            y = theirs(torch, double(torch, s), double(torch, w), double(torch, b)).numpy()
            y = y if post_add is None else y + post_add
            found = ours(
                m, x, weight=w, bias=b, layout=layout, activation=activation, pre_add=pre_add, post_add=post_add
            )
            assert_agrees(found, ACTIVATIONS[activation](y), y, w, b, post_add)


@every_implementation
@every_activation
@pytest.mark.parametrize("normalized", [1, 2])
def test_residuals_trailing(m, activation, normalized, torch):
    """The same holds for layer and RMS norm."""
    F = torch.nn.functional
    x, before, after = (normal((4, 5, 6, 7), seed) for seed in (1, 2, 3))
    ns = x.shape[-normalized:]
    w, b = normal(ns, 4), normal(ns, 5)
    for pre_add, post_add in itertools.product((None, before), (None, after)):
        s = double(torch, x if pre_add is None else x + pre_add)
        extra = {"activation": activation, "pre_add": pre_add, "post_add": post_add}
        layer = F.layer_norm(s, ns, double(torch, w), double(torch, b)).numpy() + (0 if post_add is None else post_add)
        rms = F.rms_norm(s, ns, double(torch, w), 1e-6).numpy() + (0 if post_add is None else post_add)
        assert_agrees(m.layer_norm(x, ns, w, b, **extra), ACTIVATIONS[activation](layer), layer, w, b, post_add)
        assert_agrees(m.rms_norm(x, ns, w, 1e-6, **extra), ACTIVATIONS[activation](rms), rms, w, post_add)


@every_implementation
@every_layout
def test_resnet_block_end(m, layout, torch):
    """The end of a ResNet block is relu(bn(x) + identity), in inference."""
    bn = torch.nn.BatchNorm2d(6).double().eval()
    with torch.no_grad():
        for tensor in (bn.weight, bn.bias, bn.running_mean):
            tensor.normal_(generator=torch.Generator().manual_seed(1))
        bn.running_var.uniform_(0.5, 2, generator=torch.Generator().manual_seed(2))
        values = {k: v.numpy().astype(np.float32) for k, v in bn.state_dict().items() if v.ndim}
        bn.load_state_dict({**bn.state_dict(), **{k: double(torch, v) for k, v in values.items()}})
        x, identity = normal((4, 6, 5, 7), 3), normal((4, 6, 5, 7), 4)
        expected = torch.relu(bn(double(torch, x)) + double(torch, identity)).numpy()
    y = run(m.batch_norm, x, **values, post_add=identity, activation="relu", layout=layout)
    scale = values["weight"] / np.sqrt(values["running_var"])
    assert_agrees(y, expected, scale * (np.abs(x).max() + np.abs(values["running_mean"])), values["bias"], identity)


@every_implementation
@pytest.mark.parametrize("norm", ["layer_norm", "rms_norm"])
def test_transformer_residual_stream(m, norm, torch):
    """In pre-norm blocks, the stream takes a block's output (sum_out), and its norm is the next block's input."""
    gains = normal((4, 32), 1)
    stream = normal((2, 9, 32), 2)
    kept, scratch = stream.copy(), np.empty_like(stream)
    for gain in gains:
        block = np.tanh(stream)  # any block; both sides have the same float32 values
        stream = stream + block
        x = double(torch, stream)
        expected = getattr(torch.nn.functional, norm)(x, (32,), double(torch, gain), eps=1e-5).numpy()
        y = getattr(m, norm)(block, 32, gain, eps=1e-5, pre_add=kept, sum_out=kept)
        assert_agrees(y, expected, gain)
        assert np.array_equal(kept, stream)
        again = getattr(m, norm)(
            block, 32, gain, eps=1e-5, pre_add=kept - block, sum_out=scratch, out=np.empty_like(block)
        )
        assert again.dtype == np.float32
        assert np.array_equal(scratch, (kept - block) + block)


@every_implementation
def test_transformer_post_norm(m, torch):
    """Post-norm blocks, x = norm(x + block(x)), run in place: the sum needs no memory of its own."""
    x = normal((2, 9, 32), 1)
    w, b = normal(32, 2), normal(32, 3)
    for _ in range(3):
        block = np.cos(x)
        expected = torch.nn.functional.layer_norm(double(torch, x + block), (32,), double(torch, w), double(torch, b))
        before = x.copy()
        assert m.layer_norm(block, 32, w, b, pre_add=x, out=x) is x
        assert_agrees(x, expected.numpy(), w, b)
        assert not np.array_equal(x, before)


@every_implementation
def test_statistics_of_the_sum(m):
    """With pre_add the statistics are those of x + pre_add."""
    x, other = normal((5, 6, 8), 1), normal((5, 6, 8), 2, mean=3)
    s = (x + other).astype(np.float64)
    _, mean, rstd = m.layer_norm(x, 8, pre_add=other, return_stats=True)
    assert_agrees(mean, s.mean(-1, keepdims=True))
    assert_agrees(rstd, 1 / np.sqrt(s.var(-1, keepdims=True) + 1e-5), rstd)
    running_mean, running_var = np.zeros(6, np.float32), np.ones(6, np.float32)
    m.batch_norm(x, running_mean, running_var, training=True, momentum=1.0, pre_add=other)
    assert_agrees(running_mean, s.mean((0, 2)))
    assert_agrees(running_var, s.var((0, 2), ddof=1))


# Layer norm's variants, modulation


@every_implementation
def test_annotated_transformer(m):
    """It is a * (x - mean) / (std + eps) + b with the unbiased std."""
    x, a, b = normal((3, 10, 40), 1, mean=2), normal(40, 2), normal(40, 3)
    z = x.astype(np.float64)
    expected = a * (z - z.mean(-1, keepdims=True)) / (z.std(-1, ddof=1, keepdims=True) + 1e-6) + b
    assert_agrees(m.layer_norm(x, 40, a, b, 1e-6, correction=1, eps_mode="outside_sqrt"), expected, a, b)


@every_implementation
def test_dit_modulate(m):
    """DiT uses x * (1 + scale) + shift after a layer norm without parameters, with both for each sample."""
    x, scale, shift = normal((3, 10, 40), 1), normal((3, 40), 2), normal((3, 40), 3)
    z = x.astype(np.float64)
    z = (z - z.mean(-1, keepdims=True)) / np.sqrt(z.var(-1, keepdims=True) + 1e-6)
    expected = z * (1 + scale[:, None].astype(np.float64)) + shift[:, None]
    assert_agrees(m.layer_norm(x, 40, scale, shift, 1e-6, weight_offset=1.0), expected, scale, shift)


@every_implementation
@every_layout
@every_shape
def test_biggan_conditional_batch_norm(m, layout, shape):
    """It is a batch norm without parameters, and then out * (1 + gain) + bias with parameters (N, C)."""
    x, gain, bias = normal(shape, 1), normal(shape[:2], 2), normal(shape[:2], 3)
    mean, var = batch_statistics(x)
    expected = (x - c(mean, x)) / np.sqrt(c(var, x) + 1e-5) * (1 + c(gain, x)) + c(bias, x)
    y = run(m.batch_norm, x, None, None, gain, bias, training=True, weight_offset=1.0, layout=layout)
    assert_agrees(y, expected, gain, bias)


@every_implementation
@every_layout
@every_shape
@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_spade(m, layout, shape, norm):
    """It is normalized * (1 + gamma) + beta with maps of x's own shape."""
    x, gamma, beta = normal(shape, 1), normal(shape, 2), normal(shape, 3)
    if norm == "batch":
        mean, var = (c(v, x) for v in batch_statistics(x))
        y = run(m.batch_norm, x, None, None, gamma, beta, training=True, weight_offset=1.0, layout=layout)
    else:
        mean, var = instance_statistics(x)
        y = run(m.instance_norm, x, weight=gamma, bias=beta, weight_offset=1.0, layout=layout)
    assert_agrees(y, (x - mean) / np.sqrt(var + 1e-5) * (1 + gamma.astype(np.float64)) + beta, gamma, beta)


# Styles


@every_implementation
@every_layout
@every_shape
@pytest.mark.parametrize("convention", ["pytorch-AdaIN", "Lua", "default"])
def test_adain(m, layout, shape, convention):
    """The two originals are unbiased with eps on both sides, and biased with eps on the content's only."""
    ddof, style_eps, options = {
        "pytorch-AdaIN": (1, 1e-5, {"correction": 1}),
        "Lua": (0, 0.0, {"style_eps": 0}),
        "default": (0, 1e-5, {}),
    }[convention]
    content, style = normal(shape, 1, mean=1), normal((*shape[:2], *(n + 2 for n in shape[2:])), 2, mean=-3, scale=2)
    mean_c, var_c = instance_statistics(content, ddof)
    mean_s, var_s = instance_statistics(style, ddof)
    std_s = np.sqrt(var_s + style_eps)
    expected = (content - mean_c) / np.sqrt(var_c + 1e-5) * std_s + mean_s
    assert_agrees(run(m.adain, content, style, layout=layout, **options), expected, std_s, mean_s)
    y = run(m.adain, content, style, layout=layout, alpha=0.3, **options)
    assert_agrees(y, 0.3 * expected + 0.7 * content.astype(np.float64), std_s, mean_s, content)


@every_implementation
@every_layout
def test_adain_of_given_statistics(m, layout):
    """A pair is used unchanged, without eps; a mixture of styles gives the mixture of results."""
    content = normal((3, 6, 5, 4), 1)
    mean, std = normal((3, 6), 2), np.abs(normal((3, 6), 3))
    mean_c, var_c = instance_statistics(content)
    expected = (content - mean_c) / np.sqrt(var_c + 1e-5) * c(std, content) + c(mean, content)
    assert_agrees(run(m.adain, content, (mean, std), style_eps=9.0, layout=layout), expected, std, mean)


@every_implementation
def test_adain_of_itself(m):
    """pytorch-AdaIN returns a content that is its own style; the Lua program shrinks it by sqrt(var / (var + eps))."""
    x = normal((2, 4, 9, 9), 1, mean=2, scale=0.01)
    assert_agrees(m.adain(x, x, correction=1), x)
    mean, var = instance_statistics(x)
    assert_agrees(m.adain(x, x, style_eps=0), (x - mean) * np.sqrt(var / (var + 1e-5)) + mean)


@every_implementation
@every_layout
@every_shape
def test_conditional_instance_norm(m, layout, shape):
    """Magenta has gamma and beta tables, by labels of any integer dtype, and an activation."""
    x, gamma, beta = normal(shape, 1), normal((5, 6), 2), normal((5, 6), 3)
    labels = np.arange(shape[0]) * 3 % 5
    mean, var = instance_statistics(x)
    expected = (x - mean) / np.sqrt(var + 1e-5) * c(gamma[labels], x) + c(beta[labels], x)
    for dtype in ("i1", "u1", "<i2", ">i4", "u4", "i8", "u8"):
        y = run(m.conditional_instance_norm, x, labels.astype(dtype), gamma, beta, layout=layout)
        assert_agrees(y, expected, gamma, beta)
    y = run(m.conditional_instance_norm, x, labels, gamma, beta, layout=layout, activation="relu")
    assert_agrees(y, np.maximum(expected, 0), expected)


@every_implementation
@every_layout
def test_weighted_instance_norm(m, layout):
    """Magenta's mixture of styles is sum_k w_k * gamma_k, here with weights for each sample."""
    x, gamma, beta = normal((4, 6, 5, 7), 1), normal((5, 6), 2), normal((5, 6), 3)
    mix = np.random.default_rng(4).dirichlet(np.ones(5), 4).astype(np.float32)
    mean, var = instance_statistics(x)
    g, b = (sum(mix[:, k, None].astype(np.float64) * table[k] for k in range(5)) for table in (gamma, beta))
    expected = (x - mean) / np.sqrt(var + 1e-5) * c(g, x) + c(b, x)
    assert_agrees(run(m.conditional_instance_norm, x, mix, gamma, beta, layout=layout), expected, gamma, beta)
    one = np.eye(5, dtype=np.float32)[[2, 0, 4, 2]]
    y = run(m.conditional_instance_norm, x, one, gamma, beta, layout=layout)
    assert_agrees(
        y, run(m.conditional_instance_norm, x, np.array([2, 0, 4, 2]), gamma, beta, layout=layout), gamma, beta
    )


@every_implementation
@pytest.mark.parametrize("label", [-1, 5, 200])
def test_style_out_of_range(m, label):
    table = np.ones((5, 6), np.float32)
    with pytest.raises(ValueError, match="style: expected"):
        m.conditional_instance_norm(normal((2, 6, 4), 1), np.array([0, label]), table, table)


# EvoNorm


def evonorm_arrays(kind, x):
    """Returns weight and bias of a kind, v, and weight and bias reshaped for x."""
    shape = {"none": None, "c": (6,), "nc": x.shape[:2], "full": x.shape}[kind]
    v = normal(6, 9, mean=0.5)
    if shape is None:
        return None, None, v, 1.0, 0.0
    w, b = normal(shape, 7), normal(shape, 8)
    return w, b, v, *((w, b) if kind == "full" else (c(w, x), c(b, x)))


every_kind = pytest.mark.parametrize("kind", ["none", "c", "nc", "full"])


@every_implementation
@every_layout
@every_shape
@every_kind
def test_evonorm_b0(m, layout, shape, kind):
    """It is x / max(batch std, v * x + instance std) * weight + bias; the unbiased variance is stored."""
    x = normal(shape, 1, mean=0.5)
    weight, bias, v, w, b = evonorm_arrays(kind, x)
    w, b = np.asarray(w, np.float64), np.asarray(b, np.float64)
    instance = np.sqrt(instance_statistics(x)[1] + 1e-3)
    running = np.linspace(0.5, 2, 6, dtype=np.float32)
    before = running.copy()
    denominator = np.maximum(np.sqrt(c(running, x) + 1e-3), c(v, x) * x + instance)
    y = run(m.evonorm_b0, x, running, weight, bias, v, layout=layout)
    assert_agrees(y, x / denominator * w + b, w * np.abs(x).max(), b)
    assert np.array_equal(running, before)
    denominator = np.maximum(np.sqrt(c(batch_statistics(x)[1], x) + 1e-3), c(v, x) * x + instance)
    y = run(m.evonorm_b0, x, running, weight, bias, v, training=True, momentum=0.3, layout=layout)
    assert_agrees(y, x / denominator * w + b, w * np.abs(x).max(), b)
    assert_agrees(running, 0.7 * before.astype(np.float64) + 0.3 * batch_statistics(x, ddof=1)[1])


@every_implementation
@every_layout
@every_shape
@every_kind
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_evonorm_s0(m, layout, shape, kind, groups):
    """It is x * sigmoid(v * x) / group std * weight + bias."""
    x = normal(shape, 1, mean=0.5)
    weight, bias, v, w, b = evonorm_arrays(kind, x)
    w, b = np.asarray(w, np.float64), np.asarray(b, np.float64)
    std = np.empty((shape[0], 6))
    for n, k in np.ndindex(shape[0], 6):
        first = k // (6 // groups) * (6 // groups)
        std[n, k] = math.sqrt(x[n, first : first + 6 // groups].astype(np.float64).var() + 1e-5)
    expected = x * (0.5 + 0.5 * np.tanh(c(v, x) * x / 2)) / c(std, x)
    y = run(m.evonorm_s0, x, groups, weight, bias, v, layout=layout)
    assert_agrees(y, expected * w + b, w * np.abs(expected).max(), b)


@every_implementation
@every_layout
@every_kind
def test_evonorm_without_v(m, layout, kind):
    """Without activation there is no normalization: only the affine step is applied, and nothing is stored."""
    x = normal((4, 6, 5, 7), 1, mean=0.5)
    weight, bias, _, w, b = evonorm_arrays(kind, x)
    expected = x * np.asarray(w, np.float64) + b
    running = np.full(6, 2, np.float32)
    for training in (True, False):
        y = run(m.evonorm_b0, x, running, weight, bias, None, training=training, layout=layout)
        assert_agrees(y, expected, expected, b)
        assert np.all(running == 2)
    assert_agrees(run(m.evonorm_s0, x, 3, weight, bias, None, layout=layout), expected, expected, b)


@every_implementation
@every_layout
@pytest.mark.parametrize("apply_act", [True, False])
def test_evonorm_b0_timm(m, layout, apply_act, evo_norm, torch):
    """There are three steps of training, and then inference."""
    theirs = evo_norm.EvoNorm2dB0(6, apply_act=apply_act)
    w, b, v, running = normal(6, 1), normal(6, 2), normal(6, 3), np.ones(6, np.float32)
    state = (
        {"weight": w, "bias": b, "v": v, "running_var": running}
        if apply_act
        else {"weight": w, "bias": b, "running_var": running}
    )
    theirs.load_state_dict({k: torch.from_numpy(a.copy()) for k, a in state.items()})
    for step in range(4):
        x = normal((4, 6, 5, 7), 10 + step, mean=1, scale=step + 1)
        theirs.train(step < 3)
        expected = theirs(torch.from_numpy(x)).detach().numpy()
        y = run(m.evonorm_b0, x, running, w, b, v if apply_act else None, training=step < 3, layout=layout)
        np.testing.assert_allclose(y, expected, **FLOAT32_ON_THEIR_SIDE)
        np.testing.assert_allclose(running, theirs.running_var.numpy(), rtol=1e-5)
    assert np.all(running == 1) != apply_act


@every_implementation
@every_layout
@pytest.mark.parametrize("apply_act", [True, False])
@pytest.mark.parametrize("groups", [2, 6])
def test_evonorm_s0_timm(m, layout, apply_act, groups, evo_norm, torch):
    theirs = evo_norm.EvoNorm2dS0(6, groups=groups, apply_act=apply_act)
    w, b, v = normal(6, 1), normal(6, 2), normal(6, 3)
    state = {"weight": w, "bias": b, "v": v} if apply_act else {"weight": w, "bias": b}
    theirs.load_state_dict({k: torch.from_numpy(a.copy()) for k, a in state.items()})
    x = normal((4, 6, 5, 7), 4, mean=1)
    y = run(m.evonorm_s0, x, groups, w, b, v if apply_act else None, layout=layout)
    np.testing.assert_allclose(y, theirs(torch.from_numpy(x)).detach().numpy(), **FLOAT32_ON_THEIR_SIDE)


# Batch renormalization


def clip(value, low, high):
    return min(max(value, low), high)


@every_implementation
@every_layout
@every_shape
def test_batch_renorm(m, layout, shape):
    """Algorithm 1 of the paper runs channel by channel, over four steps with limits that widen; then inference."""
    gamma, beta = normal(6, 1), normal(6, 2)
    mu, sigma = np.zeros(6, np.float32), np.ones(6, np.float32)
    for step, (r_max, d_max) in enumerate([(1, 0), (1.1, 0.1), (2, 1), (3, 5)]):
        x = normal(shape, 10 + step, mean=step, scale=1 + step)
        z, expected = x.astype(np.float64), np.empty(shape)
        next_mu, next_sigma = np.empty(6), np.empty(6)
        for k in range(6):
            mu_b = z[:, k].mean()
            sigma_b = math.sqrt(1e-3 + ((z[:, k] - mu_b) ** 2).mean())
            r = clip(sigma_b / float(sigma[k]), 1 / r_max, r_max)
            d = clip((mu_b - float(mu[k])) / float(sigma[k]), -d_max, d_max)
            expected[:, k] = ((z[:, k] - mu_b) / sigma_b * r + d) * gamma[k] + beta[k]
            next_mu[k] = mu[k] + 0.2 * (mu_b - float(mu[k]))
            next_sigma[k] = sigma[k] + 0.2 * (sigma_b - float(sigma[k]))
        y = run(
            m.batch_renorm,
            x,
            mu,
            sigma,
            gamma,
            beta,
            training=True,
            momentum=0.2,
            r_max=r_max,
            d_max=d_max,
            layout=layout,
        )
        assert_agrees(y, expected, 5 * gamma, beta)
        assert_agrees(mu, next_mu)
        assert_agrees(sigma, next_sigma)
    x, kept = normal(shape, 20), (mu.copy(), sigma.copy())
    expected = (x - c(mu, x)) / c(sigma, x) * c(gamma, x) + c(beta, x)
    assert_agrees(run(m.batch_renorm, x, mu, sigma, gamma, beta, layout=layout), expected, gamma * 5, beta)
    y = run(m.batch_renorm, x, mu, sigma, gamma, beta, layout=layout, activation="relu")
    assert_agrees(y, np.maximum(expected, 0), expected)
    assert np.array_equal(mu, kept[0])
    assert np.array_equal(sigma, kept[1])


@every_implementation
@every_layout
def test_batch_renorm_at_its_limits(m, layout):
    """Without limits training gives the result of inference; with r = 1 and d = 0 it is batch norm."""
    x, gamma, beta = normal((4, 6, 5, 7), 1, mean=2), normal(6, 2), normal(6, 3)
    mu, sigma = np.linspace(-1, 1, 6, dtype=np.float32), np.linspace(0.5, 2, 6, dtype=np.float32)
    arguments = (gamma, beta)
    free = run(
        m.batch_renorm,
        x,
        mu.copy(),
        sigma.copy(),
        *arguments,
        training=True,
        r_max=math.inf,
        d_max=math.inf,
        layout=layout,
    )
    expected = (x - c(mu, x)) / c(sigma, x) * c(gamma, x) + c(beta, x)
    assert_agrees(free, expected, expected, beta)
    mean, var = batch_statistics(x)
    plain = run(m.batch_renorm, x, mu, sigma, *arguments, training=True, layout=layout)
    assert_agrees(plain, (x - c(mean, x)) / np.sqrt(c(var, x) + 1e-3) * c(gamma, x) + c(beta, x), gamma, beta)


@every_implementation
def test_batch_renorm_parameters(m):
    """weight and bias may be (N, C) or have x's shape."""
    x = normal((4, 6, 5, 7), 1)
    mu, sigma = np.zeros(6, np.float32), np.full(6, 0.8, np.float32)
    xhat = x / c(sigma, x)
    for shape in (x.shape[:2], x.shape):
        w, b = normal(shape, 2), normal(shape, 3)
        full = (w.astype(np.float64), b) if shape == x.shape else (c(w, x), c(b, x))
        assert_agrees(m.batch_renorm(x, mu, sigma, w, b), xhat * full[0] + full[1], w * np.abs(xhat).max(), b)


# Weights


@every_implementation
@pytest.mark.parametrize("shape", [(5, 4, 3, 2), (7, 9), (6,), (3, 40, 50)], ids=str)
def test_weight_norm(m, shape):
    """g * v / ||v|| for every axis, from either end, and for the whole array; g in each of its forms; in place."""
    v = normal(shape, 1)
    z = v.astype(np.float64)
    for dim in range(-len(shape), len(shape)):
        g = normal(shape[dim], 2)
        form = [1] * len(shape)
        form[dim] = -1
        others = tuple(a for a in range(len(shape)) if a != dim % len(shape))
        expected = g.reshape(form) * z / np.sqrt((z**2).sum(others, keepdims=True))
        assert_agrees(m.weight_norm(v, g, dim), expected, expected)
        assert_agrees(m.weight_norm(v, g.reshape(form), dim), expected, expected)
        w = v.copy()
        assert m.weight_norm(w, g, dim, out=w) is w
        assert_agrees(w, expected, expected)
    for g in (2.5, np.array(2.5, np.float32)):
        assert_agrees(m.weight_norm(v, g, None), 2.5 * z / math.sqrt((z**2).sum()))


@every_implementation
@pytest.mark.parametrize("dim", [0, 1, 2, 3, None])
def test_weight_norm_torch(m, dim, torch):
    """PyTorch's convolutions have their outputs at axis 0, transposed ones at axis 1. A zero slice is NaN in both."""
    for layer in (torch.nn.Conv2d(4, 6, (3, 5)), torch.nn.ConvTranspose2d(4, 6, (3, 5))):
        torch.nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(3))
        if dim is not None:
            layer.weight.data.select(dim, 1).zero_()
        normed = torch.nn.utils.parametrizations.weight_norm(layer.double(), dim=dim)
        state = normed.state_dict()
        g, v = (state[f"parametrizations.weight.original{k}"].numpy().astype(np.float32) for k in (0, 1))
        g = (g + 0.5).astype(np.float32)  # not the norm itself, which would return v
        normed.parametrizations.weight.original0.data = double(torch, g)
        y = m.weight_norm(v, g, dim)
        assert_agrees(y, normed.weight.detach().numpy(), g)
        assert np.isnan(y).any() == (dim is not None)


@every_implementation
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("affine", [False, True])
def test_fold_batch_norm(m, groups, transposed, affine, torch):
    """The folded layer is compared with the layer followed by the norm."""
    F = torch.nn.functional
    w, b = normal((4, 6 // groups, 3, 3) if transposed else (6, 4 // groups, 3, 3), 1), normal(6, 2)
    mean, var = normal(6, 3), np.abs(normal(6, 4)) + np.float32(0.5)
    g, h = (normal(6, 5), normal(6, 6)) if affine else (None, None)
    x = double(torch, normal((2, 4, 8, 9), 7))
    layer = F.conv_transpose2d if transposed else F.conv2d
    for bias in (b, None):
        y = layer(x, double(torch, w), double(torch, bias), groups=groups)
        expected = F.batch_norm(y, *(double(torch, v) for v in (mean, var, g, h))).numpy()
        folded = m.fold_batch_norm(w, bias, mean, var, g, h, transposed=transposed, groups=groups)
        found = layer(x, *(double(torch, v) for v in folded), groups=groups).numpy()
        # each product of the convolution has a weight that was rounded to float32
        terms = layer(x.abs(), double(torch, np.abs(folded[0])), groups=groups).numpy().max()
        assert_agrees(found.astype(folded[0].dtype), expected, terms, folded[1])


@every_implementation
def test_fold_batch_norm_linear(m):
    w, b, mean, var = normal((6, 10), 1), normal(6, 2), normal(6, 3), np.abs(normal(6, 4)) + np.float32(0.5)
    x = normal((7, 10), 5).astype(np.float64)
    weight, bias = m.fold_batch_norm(w, b, mean, var)
    expected = (x @ w.T.astype(np.float64) + b - mean) / np.sqrt(var.astype(np.float64) + 1e-5)
    assert_agrees((x @ weight.T + bias).astype(weight.dtype), expected, (np.abs(x) @ np.abs(weight.T)).max(), bias)


@every_implementation
@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("momentum", [1e-8, 0.01, 0.1, 0.9, 1.0])
def test_checkpoint_momentum(m, times, momentum):
    """Pitfall 2: that many equal updates are, in either convention, one update with the original momentum."""
    pace = m.checkpoint_momentum(momentum, times)
    running = 5.0
    for _ in range(times):
        running = (1 - pace) * running + pace * 2.0
    assert running == pytest.approx((1 - momentum) * 5.0 + momentum * 2.0, rel=1e-15 * times)
    assert m.checkpoint_momentum(1 - momentum, times, convention="keras") == pytest.approx(
        1 - pace, rel=1e-12, abs=1e-15
    )
