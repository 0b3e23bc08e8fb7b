"""Layers: what they add to the functions, which is parameters, modes, running statistics, and construction."""

import copy
import inspect
import pickle
import re

import numpy as np
import pytest
from methods import LAYOUTS, every_layout, same_bits, sample
from odd_values import Raises

import normcy

# One of each kind, with arguments that differ from the defaults: its constructor, and how it is called.
LAYERS = {
    "BatchNorm": (lambda: normcy.BatchNorm(6, 1e-3, 0.2, layout="NHWC", activation="relu"), (4, 5, 6)),
    "BatchNorm, decay": (lambda: normcy.BatchNorm(6, decay=0.99, unbiased_running_var=False), (4, 6, 5)),
    "BatchNorm, bare": (lambda: normcy.BatchNorm(6, momentum=None, affine=False, track_running_stats=False), (4, 6, 5)),
    "InstanceNorm": (lambda: normcy.InstanceNorm(6, affine=True), (4, 6, 5)),
    "InstanceNorm, tracking": (lambda: normcy.InstanceNorm(6, track_running_stats=True, activation="silu"), (4, 6, 5)),
    "LayerNorm": (lambda: normcy.LayerNorm((6, 5), 1e-6, bias=False, correction=1, eps_mode="outside_sqrt"), (4, 6, 5)),
    "LayerNorm, bare": (lambda: normcy.LayerNorm(5, elementwise_affine=False), (4, 6, 5)),
    "LayerNorm2d": (lambda: normcy.LayerNorm2d(6, activation="gelu"), (4, 6, 5)),
    "GroupNorm": (lambda: normcy.GroupNorm(3, 6, layout="NHWC"), (4, 5, 6)),
    "RMSNorm": (lambda: normcy.RMSNorm(5, 1e-6, weight_offset=1.0), (4, 6, 5)),
    "ConditionalInstanceNorm": (lambda: normcy.ConditionalInstanceNorm(3, 6, activation="relu"), (4, 6, 5)),
    "AdaIN": (lambda: normcy.AdaIN(alpha=0.5, correction=1, style_eps=0.0), (4, 6, 5)),
    "IBN": (lambda: normcy.IBN(6, 0.4, order="bn_first", momentum=None), (4, 6, 5)),
    "EvoNormB0": (lambda: normcy.EvoNormB0(6, momentum=0.3), (4, 6, 5)),
    "EvoNormB0, affine": (lambda: normcy.EvoNormB0(6, apply_act=False), (4, 6, 5)),
    "EvoNormS0": (lambda: normcy.EvoNormS0(6, 2), (4, 6, 5)),
    "BatchRenorm": (lambda: normcy.BatchRenorm(6, activation="relu"), (4, 6, 5)),
    "WeightNorm": (lambda: normcy.WeightNorm((4, 6, 5), dim=1), None),
    "WeightNorm, whole": (lambda: normcy.WeightNorm((4, 6, 5), dim=None), None),
}  # fmt: skip
every_layer = pytest.mark.parametrize(("make", "shape"), LAYERS.values(), ids=LAYERS)


def run(layer, shape, seed=0):
    """Makes one call, with whatever other arguments it takes."""
    if shape is None:
        return layer()
    x = sample(shape, mean=1, seed=seed)
    if isinstance(layer, normcy.AdaIN):
        return layer(x, sample(shape, mean=-2, seed=9))
    if isinstance(layer, normcy.ConditionalInstanceNorm):
        return layer(x, np.arange(len(x)) % layer.num_styles)
    return layer(x)


WITH_CHANNELS = {name: made for name, made in LAYERS.items() if not name.startswith(("AdaIN", "WeightNorm"))}


@pytest.mark.parametrize(("make", "shape"), WITH_CHANNELS.values(), ids=WITH_CHANNELS)
@pytest.mark.parametrize("training", [False, True])
def test_another_number_of_channels(make, shape, training):
    """The error names x, whether the layer has weights or not, and nothing has changed."""
    layer, untouched = make().train(training), make().train(training)
    wrong = tuple(8 if n == (5 if isinstance(layer, (normcy.LayerNorm, normcy.RMSNorm)) else 6) else n for n in shape)
    with pytest.raises(ValueError, match=r"^x: expected .*[56].*got shape") as caught:
        run(layer, wrong)
    assert str(wrong) in str(caught.value)
    assert same_state(layer, untouched)


@pytest.mark.parametrize(("make", "shape"), WITH_CHANNELS.values(), ids=WITH_CHANNELS)
def test_the_other_layout_is_named(make, shape):
    layer = make()
    if isinstance(layer, (normcy.LayerNorm, normcy.RMSNorm)):
        return
    other = "NCHW" if shape[-1] == 6 else "NHWC"
    turned = (4, 6, 5, 7) if other == "NCHW" else (4, 5, 7, 6)
    with pytest.raises(ValueError, match=rf'^x: expected 6 channels, .*; with layout="{other}" x has 6$'):
        run(layer, turned)
    if other == "NHWC":
        with pytest.raises(
            ValueError, match=r"^x: expected 6 channels, .*; is the batch axis missing\? Then x\[None\] has 6$"
        ):
            run(layer, (6, 5, 7))


def scramble(layer, seed=0):
    """Fills all arrays with values that differ from those of a new layer."""
    g = np.random.default_rng(seed)
    for key, array in layer.state_dict().items():
        array[...] = g.integers(2, 90) if key.endswith("tracked") else g.random(array.shape) + 0.5
    return layer


def same_state(a, b):
    a, b = a.state_dict(), b.state_dict()
    return list(a) == list(b) and all(same_bits(a[key], b[key]) for key in a)


@every_layer
def test_repr_rebuilds(make, shape):
    layer = make()
    again = eval(repr(layer), vars(normcy))
    assert type(again) is type(layer)
    assert repr(again) == repr(layer)
    again.load_state_dict(scramble(layer).state_dict())
    assert same_bits(run(layer, shape), run(again, shape))
    assert same_state(layer, again)


@every_layer
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies_are_independent(make, shape, duplicate):
    layer = scramble(make())
    layer.eval()
    again = duplicate(layer)
    assert again.training is False
    assert repr(again) == repr(layer)
    assert same_state(layer, again)
    assert not any(
        np.shares_memory(a, b) for a, b in zip(layer.state_dict().values(), again.state_dict().values(), strict=True)
    )
    layer.train()
    again.train()
    assert same_bits(run(layer, shape), run(again, shape))
    assert same_state(layer, again)


@every_layer
def test_modes(make, shape):
    layer = make()
    assert layer.training is True
    assert layer.eval() is layer
    assert layer.training is False
    assert layer.train() is layer
    assert layer.training is True
    if isinstance(layer, normcy.IBN):
        assert layer.IN.training
        assert layer.BN.training
        layer.eval()
        assert not layer.IN.training
        assert not layer.BN.training
    with pytest.raises(TypeError, match="mode: expected True or False, got int"):
        layer.train(1)


@pytest.mark.parametrize(
    ("layer", "shown"),
    [
        (normcy.BatchNorm(64), "BatchNorm(64)"),
        (normcy.BatchNorm(64, momentum=None, layout="NHWC"), "BatchNorm(64, momentum=None, layout='NHWC')"),
        (normcy.BatchNorm(64, decay=0.75), "BatchNorm(64, momentum=0.25)"),
        (normcy.InstanceNorm(8, affine=True), "InstanceNorm(8, affine=True)"),
        (normcy.LayerNorm(768, bias=False), "LayerNorm((768,), bias=False)"),
        (normcy.GroupNorm(4, 8, 1e-6), "GroupNorm(4, 8, eps=1e-06)"),
        (normcy.AdaIN(), "AdaIN()"),
        (normcy.IBN(64, 0.25, decay=0.5), "IBN(64, ratio=0.25, momentum=0.5)"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_repr(layer, shown):
    assert repr(layer) == shown


# -- the four combinations ------------------------------------------------------------------------------------------


def oracle(x, weight, bias, mean, var, eps=1e-5):
    """Computes y in float64, with channels at axis 1."""
    along = (1, -1) + (1,) * (x.ndim - 2)
    return (x - mean.reshape(along)) / np.sqrt(var.reshape(along) + eps) * weight.reshape(along) + bias.reshape(along)


def batch_statistics(x):
    axes = (0, *range(2, x.ndim))
    z = x.astype(np.float64)
    return z.mean(axes), z.var(axes), z.var(axes, ddof=1)


def close(y, expected):
    """Allows 4 units of 2**-24 for each of at most 8 in |weight * xhat| + |bias|, doubled for running values."""
    np.testing.assert_allclose(y, expected, rtol=0, atol=64 * 2.0**-24)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("track", [True, False])
@pytest.mark.parametrize("flipped", [True, False], ids=["flipped later", "from the start"])
def test_four_combinations(training, track, flipped):
    """Pitfall 3: training x track_running_stats, also with the flag changed on a layer that was built the other way."""
    layer = normcy.BatchNorm(3, track_running_stats=track != flipped)
    layer.weight[:], layer.bias[:] = [1, 2, 0.5], [0, 1, -1]
    buffers = layer.running_mean is not None
    if buffers:
        layer.running_mean[:], layer.running_var[:] = [1, -1, 0], [2, 1, 0.5]
    layer.track_running_stats = track
    layer.train(training)
    x = sample((4, 3, 5), mean=1)
    mean, var, unbiased = batch_statistics(x)
    uses_batch = training or not buffers
    old = (np.array([1.0, -1, 0]), np.array([2.0, 1, 0.5]))
    y = layer(x)
    close(y, oracle(x, layer.weight, layer.bias, *((mean, var) if uses_batch else old)))
    if not buffers:
        assert layer.running_mean is layer.running_var is layer.num_batches_tracked is None
        return
    updated = training and track
    expected = [0.9 * o + 0.1 * new for o, new in zip(old, (mean, unbiased), strict=True)] if updated else old
    close(layer.running_mean, expected[0])
    close(layer.running_var, expected[1])
    assert layer.num_batches_tracked == (1 if updated else 0)


def test_batches_count_without_running_statistics():
    """Buffers that were removed stay removed, and training goes on as in PyTorch."""
    layer = normcy.BatchNorm(3)
    layer.running_mean = layer.running_var = None
    layer(sample((4, 3)))
    assert layer.num_batches_tracked == 1
    assert layer.running_mean is None


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("track", [True, False])
@pytest.mark.parametrize("flipped", [True, False], ids=["flipped later", "from the start"])
def test_four_combinations_of_instance_norm(training, track, flipped):
    """Pitfall 3: as for batch norm, except that running statistics are used outside of training only if tracked."""
    layer = normcy.InstanceNorm(3, affine=True, track_running_stats=track != flipped)
    buffers = layer.running_mean is not None
    if buffers:
        layer.running_mean[:], layer.running_var[:] = [1, -1, 0], [2, 1, 0.5]
    layer.track_running_stats = track
    layer.train(training)
    x = sample((4, 3, 5), mean=1)
    z = x.astype(np.float64)
    y = layer(x)
    if training or not (buffers and track):
        close(y, (z - z.mean(2, keepdims=True)) / np.sqrt(z.var(2, keepdims=True) + 1e-5))
    else:
        close(y, oracle(x, layer.weight, layer.bias, np.array([1.0, -1, 0]), np.array([2.0, 1, 0.5])))
    if not buffers:
        return
    pace = 0.1 if training and track else 0.0
    close(layer.running_mean, (1 - pace) * np.array([1, -1, 0]) + pace * z.mean(2).mean(0))
    close(layer.running_var, (1 - pace) * np.array([2, 1, 0.5]) + pace * z.var(2, ddof=1).mean(0))
    assert layer.num_batches_tracked == (1 if pace else 0)


@pytest.mark.parametrize("kind", [normcy.BatchNorm, normcy.InstanceNorm])
def test_cumulative_average(kind):
    """With momentum=None each batch so far counts the same, also after a reset; an empty one does not count."""
    layer = kind(3, momentum=None, track_running_stats=True)
    batches = [sample((4, 3, 5), mean=k, seed=k) for k in range(5)]
    for _ in range(2):
        for x in batches:
            layer(x)
            layer(x[:0])
        stats = [batch_statistics(x) for x in batches]
        if kind is normcy.InstanceNorm:
            stats = [(x.mean(2).mean(0), None, x.astype(np.float64).var(2, ddof=1).mean(0)) for x in batches]
        close(layer.running_mean, np.mean([mean for mean, _, _ in stats], 0))
        close(layer.running_var, np.mean([var for _, _, var in stats], 0))
        assert layer.num_batches_tracked == 5
        layer.reset_running_stats()
        assert same_state(layer, kind(3, momentum=None, track_running_stats=True))


def test_cumulative_average_of_batch_renorm():
    layer = normcy.BatchRenorm(3, momentum=None)
    batches = [sample((4, 3, 5), mean=k, seed=k) for k in range(5)]
    for x in batches:
        layer(x)
    close(layer.running_std, np.mean([np.sqrt(batch_statistics(x)[1] + 1e-3) for x in batches], 0))
    assert layer.num_batches_tracked == 5


def test_decay_is_one_minus_momentum():
    """Pitfall 1: Keras' momentum is the weight of the old statistics: moving = moving * decay + new * (1 - decay)."""
    layer = normcy.BatchNorm(3, decay=0.9)
    x = sample((4, 3, 5), mean=2)
    layer(x)
    mean, _, unbiased = batch_statistics(x)
    close(layer.running_mean, 0 * 0.9 + mean * (1 - 0.9))
    close(layer.running_var, 1 * 0.9 + unbiased * (1 - 0.9))


@pytest.mark.parametrize("given", [0.1, 0.2, None])
@pytest.mark.parametrize("kind", [normcy.BatchNorm, normcy.InstanceNorm, normcy.BatchRenorm, normcy.IBN])
def test_momentum_and_decay(kind, given):
    with pytest.raises(ValueError, match="decay: expected either momentum or decay"):
        kind(4, momentum=given, decay=0.9)


def test_stored_variance():
    """Pitfall 4: x is normalized with the biased variance; the unbiased one is stored, or the biased one by option."""
    x = sample((4, 3), mean=1)
    _, biased, unbiased = batch_statistics(x)
    for stored, wanted in ((True, unbiased), (False, biased)):
        layer = normcy.BatchNorm(3, momentum=1.0, unbiased_running_var=stored)
        close(layer(x).astype(np.float64).var(0), biased / (biased + 1e-5))
        close(layer.running_var, wanted)
    renorm = normcy.BatchRenorm(3, momentum=1.0)
    renorm(x)
    close(renorm.running_std, np.sqrt(biased + 1e-3))
    evo = normcy.EvoNormB0(3, momentum=1.0)
    evo(x[:, :, None].repeat(2, axis=2))
    close(evo.running_var, biased * 8 / 7)


def test_a_failed_call_counts_nothing():
    for layer in (normcy.BatchNorm(3), normcy.InstanceNorm(3, track_running_stats=True), normcy.BatchRenorm(3)):
        for bad in (sample((4, 2, 5)), sample((4, 3, 5)).astype(np.float64), [1.0]):
            with pytest.raises((TypeError, ValueError)):
                layer(bad)
        assert layer.num_batches_tracked == 0
        assert not layer.running_mean.any()


def test_no_count():
    """A layer whose count was removed still trains."""
    layer = normcy.BatchNorm(3)
    layer.num_batches_tracked = None
    layer(sample((4, 3, 5), mean=1))
    assert layer.running_mean.all()
    assert "num_batches_tracked" not in layer.state_dict()
    layer.reset_running_stats()
    assert not layer.running_mean.any()


# -- arguments of calls ----------------------------------------------------------------------------------------------

RESIDUAL = {
    "BatchNorm": (normcy.BatchNorm, (6,), "batch_norm", lambda m: (None, None, None, None, True)),
    "InstanceNorm": (normcy.InstanceNorm, (6,), "instance_norm", lambda m: ()),
    "LayerNorm2d": (normcy.LayerNorm2d, (6,), "layer_norm2d", lambda m: ()),
    "GroupNorm": (normcy.GroupNorm, (3, 6), "group_norm", lambda m: (3,)),
    "LayerNorm": (normcy.LayerNorm, (5,), "layer_norm", lambda m: (5,)),
    "RMSNorm": (normcy.RMSNorm, (5,), "rms_norm", lambda m: (5,)),
}


@pytest.mark.parametrize(("kind", "sizes", "function", "arguments"), RESIDUAL.values(), ids=RESIDUAL)
@pytest.mark.parametrize("activation", [None, "relu", "silu", "gelu", "gelu_tanh"])
def test_residuals_and_activation(kind, sizes, function, arguments, activation):
    """A call has the bits of the function's, with every array that it takes."""
    layer = kind(*sizes, activation=activation)
    x, pre, post = (sample((4, 6, 5), seed=seed) for seed in range(3))
    expected_sum, sum_out, out = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    expected = getattr(normcy, function)(
        x, *arguments(layer), pre_add=pre, sum_out=expected_sum, post_add=post, activation=activation
    )
    assert layer(x, out, pre, post, sum_out=sum_out) is out
    assert same_bits(out, expected)
    assert same_bits(sum_out, expected_sum)
    assert same_bits(sum_out, x + pre)


@every_layer
def test_out(make, shape):
    first, second = make(), make()
    expected = run(first, shape)
    out = np.full_like(expected, np.nan)
    if shape is None:
        assert second(out) is out
    else:
        x = sample(shape, mean=1)
        others = {normcy.AdaIN: [sample(shape, mean=-2, seed=9)], normcy.ConditionalInstanceNorm: [np.arange(4) % 3]}
        arguments = others.get(type(second), [])
        assert second(x, *arguments, out=out) is out
        again = make()
        assert again(x, *arguments, out=x) is x
        assert same_bits(x, expected)
    assert same_bits(out, expected)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layers_are_their_functions(layout):
    """They agree with random parameters, in both layouts."""
    x = sample((4, 6, 5) if layout == "NCHW" else (4, 5, 6), mean=1)
    style = sample(x.shape, mean=3, seed=5)

    def pairs():
        layer = scramble(normcy.ConditionalInstanceNorm(3, 6, layout=layout))
        for ids in (np.array([2, 0, 1, 2]), np.random.default_rng(0).random((4, 3), np.float32)):
            yield layer(x, ids), normcy.conditional_instance_norm(x, ids, layer.weight, layer.bias, layout=layout)
        layer = normcy.AdaIN(1e-4, alpha=0.7, correction=1, style_eps=0.0, layout=layout)
        yield (
            layer(x, style),
            normcy.adain(x, style, 1e-4, alpha=0.7, correction=1, style_eps=0.0, layout=layout),
        )
        pair = (sample((4, 6), seed=1), sample((4, 6), seed=2))
        yield layer(x, pair), normcy.adain(x, pair, 1e-4, alpha=0.7, correction=1, style_eps=0.0, layout=layout)
        layer = scramble(normcy.EvoNormS0(6, 2, layout=layout))
        yield layer(x), normcy.evonorm_s0(x, 2, layer.weight, layer.bias, layer.v, layout=layout)
        for training in (True, False):
            layer = scramble(normcy.EvoNormB0(6, layout=layout)).train(training)
            var = layer.running_var.copy()
            yield layer(x), normcy.evonorm_b0(x, var, layer.weight, layer.bias, layer.v, training, layout=layout)
            assert same_bits(layer.running_var, var)
            layer = scramble(normcy.BatchRenorm(6, layout=layout, activation="relu")).train(training)
            layer.num_batches_tracked[...] = 20000
            mean, std = layer.running_mean.copy(), layer.running_std.copy()
            yield (
                layer(x),
                normcy.batch_renorm(
                    x, mean, std, layer.weight, layer.bias, training, r_max=1 + 2 * 15 / 35, d_max=3.75, layout=layout, activation="relu"
                ),
            )  # fmt: skip
            assert same_bits(layer.running_mean, mean)
            assert same_bits(layer.running_std, std)
            assert layer.num_batches_tracked == (20001 if training else 20000)

    for ours, expected in pairs():
        assert same_bits(ours, expected)


def test_weight_offset_starts_as_identity():
    """Gemma's weights are offsets from 1, so that zeros change nothing."""
    for layer in (normcy.RMSNorm(5, weight_offset=1.0), normcy.LayerNorm(5, weight_offset=1.0)):
        x = sample((3, 5))
        plain = normcy.RMSNorm(5) if isinstance(layer, normcy.RMSNorm) else normcy.LayerNorm(5)
        assert not layer.weight.any()
        assert same_bits(layer(x), plain(x))


def test_batch_renorm_limits():
    """The paper's schedule is 1 and 0 for 5000 steps, and then linear to 3 at 40,000 and to 5 at 25,000."""
    layer = normcy.BatchRenorm(3)
    assert layer.limits(0) == layer.limits(5000) == (1, 0)
    for step in (5001, 12345, 24999):
        np.testing.assert_allclose(layer.limits(step), (2 / 35000 * step + 25 / 35, 5 / 20000 * step - 25 / 20))
    assert layer.limits(25000) == (1 + 2 * 20 / 35, 5)
    assert layer.limits(40000) == layer.limits(10**9) == (3, 5)
    layer.num_batches_tracked[...] = 40000
    assert layer.limits() == (3, 5)
    with pytest.raises(ValueError, match="step: expected an int from 0 up, got -1"):
        layer.limits(-1)


# -- IBN -------------------------------------------------------------------------------------------------------------


def test_ibn_refuses_odd_parameters_by_name():
    """Whatever the parameter's own methods raise."""
    layer = normcy.IBN(6)
    layer.BN.weight = Raises()
    with pytest.raises(TypeError, match="weight: "):
        layer(np.ones((2, 6, 5), np.float32), np.empty((2, 6, 5), np.float32))


@every_layout
@pytest.mark.parametrize("order", ["in_first", "bn_first"])
@pytest.mark.parametrize("ratio", [0.0, 0.2, 0.4, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("channels", [1, 7, 8, 65])
def test_ibn(layout, order, ratio, channels):
    """It has the bits of two functions on two slices, in both modes and with residuals, for any size and ratio."""
    x, pre, post = (sample((3, channels, 4, 2), mean=1, seed=seed) for seed in range(3))
    if layout == "NHWC":
        x, pre, post = (np.ascontiguousarray(a.transpose(0, 2, 3, 1)) for a in (x, pre, post))
    first = int(channels * ratio) if order == "in_first" else int(channels * (1 - ratio))
    layer = scramble(normcy.IBN(channels, ratio, order=order, layout=layout, activation="relu"))
    parts = [np.s_[:, :first], np.s_[:, first:]] if layout == "NCHW" else [np.s_[..., :first], np.s_[..., first:]]
    in_part, bn_part = parts if order == "in_first" else parts[::-1]
    assert layer.IN.num_features == x[in_part].shape[1 if layout == "NCHW" else -1]
    for training in (True, False):
        layer.train(training)
        mean, var = layer.BN.running_mean.copy(), layer.BN.running_var.copy()
        expected, sums = np.empty_like(x), np.empty_like(x)
        keywords = [
            dict(pre_add=pre[p].copy(), post_add=post[p].copy(), layout=layout, activation="relu")
            for p in (in_part, bn_part)
        ]
        expected[in_part] = normcy.instance_norm(
            x[in_part].copy(), None, None, layer.IN.weight, layer.IN.bias, **keywords[0]
        )
        expected[bn_part] = normcy.batch_norm(
            x[bn_part].copy(), mean, var, layer.BN.weight, layer.BN.bias, training, **keywords[1]
        )
        assert same_bits(layer(x, None, pre, post, sum_out=sums), expected)
        assert same_bits(sums, x + pre)
        assert same_bits(layer.BN.running_mean, mean)
        assert same_bits(layer.BN.running_var, var)


@every_layout
def test_ibn_b(layout):
    """IBN-b ends a block with an instance norm of the sum, and its relu: relu(IN(x + identity)), formed in float64."""
    x, identity = (sample((3, 6, 9, 8), mean=1, seed=seed) for seed in range(2))
    layer = scramble(normcy.InstanceNorm(6, affine=True, activation="relu", layout=layout))
    y = layer(x if layout == "NCHW" else x.transpose(0, 2, 3, 1).copy(), None,
              identity if layout == "NCHW" else identity.transpose(0, 2, 3, 1).copy())  # fmt: skip
    z = (x + identity).astype(np.float64)
    xhat = (z - z.mean((2, 3), keepdims=True)) / np.sqrt(z.var((2, 3), keepdims=True) + 1e-5)
    w, b = (v.astype(np.float64)[:, None, None] for v in (layer.weight, layer.bias))
    error = np.abs((y if layout == "NCHW" else y.transpose(0, 3, 1, 2)) - np.maximum(w * xhat + b, 0))
    assert np.all(error <= 4 * 2.0**-24 * (np.abs(w) * np.maximum(1, np.abs(xhat)) + np.abs(b)))


def test_ibn_refuses_what_its_parts_cannot_see():
    layer = normcy.IBN(6).eval()
    buffer = np.zeros(2 * 6 * 5 + 15, np.float32)
    x, shifted = buffer[15:75].reshape(2, 6, 5), buffer[:60].reshape(2, 6, 5)
    with pytest.raises(ValueError, match="out: overlaps x in memory without being exactly x"):
        layer(x, shifted)
    channels = np.zeros((1, 9, 5), np.float32)  # one part's result overlaps only the other's input
    with pytest.raises(ValueError, match="out: overlaps x in memory without being exactly x"):
        layer(channels[:, :6], channels[:, 3:])
    with pytest.raises(ValueError, match="sum_out: overlaps pre_add in memory without being exactly pre_add"):
        layer(np.ones((1, 6, 5), np.float32), None, channels[:, :6], sum_out=channels[:, 3:])
    with pytest.raises(ValueError, match=r"out: expected the shape of x, \(2, 6, 5\), got \(2, 7, 5\)"):
        layer(x, np.zeros((2, 7, 5), np.float32))
    with pytest.raises(ValueError, match=r"post_add: expected the shape of x, \(2, 6, 5\), got \(2, 7, 5\)"):
        layer(x, post_add=np.zeros((2, 7, 5), np.float32))
    with pytest.raises(ValueError, match=r"x: expected 6 channels, at axis 1 in layout NCHW, got shape \(2, 7, 5\)"):
        layer(np.zeros((2, 7, 5), np.float32))
    with pytest.raises(TypeError, match=r"x: expected a float32 numpy\.ndarray, got list"):
        layer([[1.0]])
    with pytest.raises(TypeError, match=r"out: expected dtype float32 in native byte order, got shape"):
        layer(x, np.zeros((2, 6, 5)))


def test_ibn_refuses_its_own_arrays_as_results():
    """One part would write the other's weights, or running statistics that are read after they were updated."""
    x, buffer = sample((4, 6, 5)), np.zeros((4, 6, 5), np.float32)
    for part, name in (("IN", "weight"), ("BN", "bias"), ("BN", "running_mean")):
        layer = normcy.IBN(6)
        setattr(getattr(layer, part), name, buffer[0, 0, :3])
        with pytest.raises(ValueError, match=rf"^out: shares memory with {part}\.{name}"):
            layer(x, buffer)
        if name == "running_mean":
            with pytest.raises(ValueError, match=r"^BN\.running_mean: shares memory with x"):
                layer(buffer, np.empty_like(x))
        assert not buffer.any()
    layer.IN.weight = layer.BN.running_mean
    with pytest.raises(ValueError, match=r"^BN\.running_mean: shares memory with IN\.weight"):
        layer(x)


def test_ibn_refuses_a_result_of_which_one_part_is_distinct():
    """One channel of a broadcast array is an array like any other, but three are the same memory."""
    layer, out = normcy.IBN(4, 0.25), np.full((3, 1, 5), 7, np.float32)
    with pytest.raises(ValueError, match=r"^out: expected an array whose elements are distinct"):
        layer(sample((3, 4, 5)), np.lib.stride_tricks.as_strided(out, (3, 4, 5), (20, 0, 4)))
    assert (out == 7).all()


def break_eps(layer):
    layer.BN.eps = 0.0


def freeze(layer):
    layer.BN.running_var.flags.writeable = False


def misshape(layer):
    layer.BN.weight = np.ones(2, np.float32)


@pytest.mark.parametrize("spoil", [break_eps, freeze, misshape])
def test_ibn_fails_as_a_whole(spoil):
    """If only the batch norm refuses an argument, the instance norm's part of out is not written either."""
    layer = normcy.IBN(6)
    spoil(layer)
    x, y, total = sample((4, 6, 5)), np.full((4, 6, 5), 7, np.float32), np.full((4, 6, 5), 7, np.float32)
    before = x.copy()
    for out in (y, x):
        with pytest.raises(ValueError, match=r"eps: |running_var: |weight: "):
            layer(x, out, y if out is x else None, sum_out=total if out is x else None)
    assert (y == 7).all()
    assert (total == 7).all()
    assert same_bits(x, before)
    assert layer.BN.num_batches_tracked == 0


# -- weight norm -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [0, 1, 2, -1, None])
def test_weight_norm(dim):
    """A weight is split so that a call returns it; weight_g is its length along dim."""
    v = sample((4, 3, 5))
    layer = normcy.WeightNorm(v, dim)
    kept = (
        ()
        if dim is None
        else tuple(5 if a == dim % 3 == 2 else n if a == dim % 3 else 1 for a, n in enumerate(v.shape))
    )
    assert layer.weight_g.shape == kept
    np.testing.assert_allclose(layer(), v, rtol=4 * 2.0**-24)
    layer.weight_g *= 2
    np.testing.assert_allclose(layer(), 2 * v, rtol=4 * 2.0**-24)
    assert not np.shares_memory(layer.weight_v, v)


# -- documentation ---------------------------------------------------------------------------------------------------

TOOLS = ["Moments", "recalibrate", "checkpoint_momentum", "fold_batch_norm"]
CLASSES = [name for name in vars(normcy) if isinstance(getattr(normcy, name), type)]


@pytest.mark.parametrize("name", sorted({*CLASSES, *TOOLS}))
def test_docstrings(name):
    """A docstring has every argument, in order, and every section, and no placeholder is left."""
    text = inspect.getdoc(getattr(normcy, name))
    sections = dict(zip(*[iter(re.split(r"^(\w[\w ]+)\n-+\n", text, flags=re.MULTILINE)[1:])] * 2, strict=True))
    listed = [
        word
        for line in re.findall(r"^(\w[\w, ]*) : ", sections["Parameters"], re.MULTILINE)
        for word in line.split(", ")
    ]
    assert sorted(listed) == sorted(inspect.signature(getattr(normcy, name)).parameters)
    assert {"Raises", "Examples"} <= set(sections)
    assert "$" not in text


@pytest.mark.parametrize("name", ["checkpoint_momentum", "fold_batch_norm"])
def test_twins(name):
    ours, twin = (inspect.signature(getattr(m, name)).parameters.values() for m in (normcy, normcy.reference))
    assert [(p.name, p.kind, p.default) for p in ours] == [(p.name, p.kind, p.default) for p in twin]


# -- constructors ----------------------------------------------------------------------------------------------------

WRONG = {
    "num_features: expected an int, got str": lambda: normcy.BatchNorm("6"),
    "num_features: expected an int, got bool": lambda: normcy.IBN(True),
    "num_features: expected an int, got float": lambda: normcy.EvoNormB0(6.0),
    "num_features: expected an int from 0 up, got -1": lambda: normcy.BatchNorm(-1),
    "num_features: expected an int from 1 up, got 0": lambda: normcy.BatchRenorm(0),
    "num_channels: expected an int from 1 up, got 0": lambda: normcy.LayerNorm2d(0),
    "num_styles: expected an int from 1 up, got 0": lambda: normcy.ConditionalInstanceNorm(0, 6),
    "num_groups: expected a divisor of the 6 channels, got 4": lambda: normcy.GroupNorm(4, 6),
    "num_groups: expected a divisor of the 6 channels, got 32": lambda: normcy.EvoNormS0(6),
    "normalized_shape: expected an int or a sequence of ints, got None": lambda: normcy.LayerNorm(None),
    "normalized_shape: expected one size or more, got none": lambda: normcy.RMSNorm(()),
    "normalized_shape: expected an int or a sequence of ints, got (2, 3.0)": lambda: normcy.LayerNorm((2, 3.0)),
    "eps: expected a number, got str": lambda: normcy.GroupNorm(2, 6, "1e-5"),
    "eps: expected a finite number, got nan": lambda: normcy.AdaIN(float("nan")),
    "momentum: expected a number, got str": lambda: normcy.InstanceNorm(6, momentum="0.1"),
    "momentum: expected a number, got NoneType": lambda: normcy.EvoNormB0(6, momentum=None),
    "momentum: expected a finite number, got inf": lambda: normcy.BatchNorm(6, momentum=float("inf")),
    "decay: expected a number, got str": lambda: normcy.BatchNorm(6, decay="0.9"),
    "affine: expected True or False, got int": lambda: normcy.BatchNorm(6, affine=1),
    "bias: expected True or False, got NoneType": lambda: normcy.LayerNorm(6, bias=None),
    "layout: expected one of 'NCHW', 'NHWC', got 'NWHC'": lambda: normcy.LayerNorm2d(6, layout="NWHC"),
    "activation: expected one of None, 'relu', 'silu', 'gelu', 'gelu_tanh', got 'ReLU'": lambda: normcy.BatchNorm(6, activation="ReLU"),
    "eps_mode: expected one of 'inside_sqrt', 'outside_sqrt', got 'inside'": lambda: normcy.LayerNorm(6, eps_mode="inside"),
    "order: expected one of 'in_first', 'bn_first', got 'first'": lambda: normcy.IBN(6, order="first"),
    "ratio: expected a number from 0 to 1, got 1.5": lambda: normcy.IBN(6, 1.5),
    "dim: expected an axis of the 2 of weight, or None, got 2": lambda: normcy.WeightNorm((2, 3), 2),
    "dim: expected an int, got str": lambda: normcy.WeightNorm((2, 3), "0"),
    "weight: expected dtype float32 in native byte order, got shape (2, 2) and dtype float64": lambda: normcy.WeightNorm(np.zeros((2, 2))),
}  # fmt: skip


@pytest.mark.parametrize("message", WRONG)
def test_wrong_arguments(message):
    with pytest.raises((TypeError, ValueError)) as caught:
        WRONG[message]()
    assert str(caught.value).startswith(message)


def test_numpy_numbers_are_numbers():
    layer = normcy.BatchNorm(np.int64(6), np.float32(0.5), np.float64(0.25))
    assert repr(layer) == "BatchNorm(6, eps=0.5, momentum=0.25)"


@pytest.mark.parametrize("name", ["weight", "bias", "running_mean", "running_var"])
def test_assigned_arrays_are_checked_at_the_call(name):
    layer = normcy.BatchNorm(3)
    setattr(layer, name, np.zeros(3))
    with pytest.raises(TypeError, match=f"{name}: expected dtype float32"):
        layer(sample((4, 3, 5)))


# -- attributes that are assigned --------------------------------------------------------------------------------------

ASSIGNED = {
    "weight": np.ones(7, np.float32),
    "bias": np.zeros((4, 6, 5)),  # of float64
    "v": np.ones(7, np.float32),
    "running_mean": None,  # without running_var
    "running_var": None,
    "running_std": np.ones(7, np.float32),
    "momentum": "x",
    "eps": "x",
    "layout": "x",
    "activation": "x",
    "num_groups": 4,
    "normalized_shape": 7,
    "weight_offset": "x",
    "correction": "x",
    "eps_mode": "x",
    "alpha": "x",
    "style_eps": "x",
    "dim": 7,
}


def used(layer, name):
    """Returns whether a call of the layer reads the attribute, which is None in layers without running statistics."""
    return hasattr(layer, name) and not (name.startswith("running") and getattr(layer, name) is None)


MISUSES = [(kind, name) for kind, (make, _) in LAYERS.items() for name in ASSIGNED if used(make(), name)]


@pytest.mark.parametrize(("kind", "name"), MISUSES)
def test_assigned_attributes_are_checked_at_the_call(kind, name):
    """One error names the attribute; the layer is as before, and works again with a valid value."""
    make, shape = LAYERS[kind]
    layer, untouched = make(), make()
    good = getattr(layer, name)
    setattr(layer, name, ASSIGNED[name])
    blamed = "x" if name == "normalized_shape" else name  # the layer's value is valid, so that the error names x
    with pytest.raises((TypeError, ValueError), match=f"^{blamed}: expected "):
        run(layer, shape)
    setattr(layer, name, good)
    assert same_state(layer, untouched)
    assert same_bits(run(layer, shape), run(untouched, shape))


@pytest.mark.parametrize("kind", [normcy.BatchNorm, normcy.BatchRenorm])
def test_counts_are_checked_by_each_call(kind):
    """A count may have become read-only, or memory of another array, after it was assigned."""
    memory = np.zeros(64)
    x, out = memory[2:32].view(np.float32).reshape(4, 3, 5), memory[32:62].view(np.float32).reshape(4, 3, 5)
    x[...] = sample((4, 3, 5))
    for count, how in (
        (memory[2:3].view(np.int64).reshape(()), "shares memory with x"),
        (memory[33:34].view(np.int64).reshape(()), "shares memory with out"),
        (np.zeros((), np.int64), "expected a writeable array"),
    ):
        layer = kind(3)
        layer.num_batches_tracked = count
        count.flags.writeable = "writeable" not in how
        before = memory.tobytes()
        with pytest.raises(ValueError, match=f"^num_batches_tracked: {how}"):
            layer(x, out)
        assert memory.tobytes() == before


@pytest.mark.parametrize("kind", [normcy.BatchNorm, normcy.BatchRenorm])
def test_assigned_counts_are_checked_at_once(kind):
    """Counts that cannot be increased in place would otherwise be found only after the statistics are updated."""
    layer = kind(3)
    frozen = np.zeros((), np.int64)
    frozen.flags.writeable = False
    for count in (5, "x", np.zeros(1, np.int64), np.zeros(()), layer.num_batches_tracked + 1, frozen):
        with pytest.raises(
            TypeError, match=r"^num_batches_tracked: expected a writeable numpy.ndarray of int64, shape \(\), got "
        ):
            layer.num_batches_tracked = count
    layer.num_batches_tracked = count = np.array(7)
    layer.num_batches_tracked += 1
    layer(sample((4, 3, 5)))
    assert count == 9
    assert layer.state_dict()["num_batches_tracked"] is count
    for wrong in (-1, 2**63 - 1):  # the next number would be 0, by which momentum=None divides, or no int64
        layer, x = kind(3, momentum=None), sample((4, 3, 5))
        layer.num_batches_tracked[()] = wrong
        with pytest.raises(ValueError, match=r"^num_batches_tracked: expected a count from 0 to"):
            layer(x, x)
        assert same_bits(x, sample((4, 3, 5)))
        assert not layer.running_mean.any()


def test_lengths_of_nothing_are_zero():
    """A weight without values has lengths, in the shapes of any other."""
    for dim, shape in ((0, (3, 1)), (1, (1, 0)), (None, ())):
        layer = normcy.WeightNorm(np.zeros((3, 0), np.float32), dim)
        assert same_bits(layer.weight_g, np.zeros(shape, np.float32))
        assert layer().shape == (3, 0)


def test_assigned_parts_of_a_weight_are_checked_at_the_call():
    """The core's names of weight_g and weight_v are g and v."""
    for name, value in (("weight_g", np.ones(3, np.float32)), ("weight_v", np.ones((4, 6, 5)))):
        layer = normcy.WeightNorm((4, 6, 5))
        setattr(layer, name, value)
        with pytest.raises((TypeError, ValueError), match=f"^{name[-1]}: expected "):
            layer()


# -- where layers are found --------------------------------------------------------------------------------------------


@every_layer
def test_pickles_name_the_package_alone(make, shape):
    """A pickle can be read after its layer has moved to another file."""
    assert type(make()).__module__ == "normcy"
    assert b"normcy." not in pickle.dumps(make(), protocol=2)


@pytest.mark.parametrize(
    "make",
    [lambda: normcy.BatchNorm(3), lambda: normcy.BatchRenorm(3), lambda: normcy.EvoNormB0(3)],
    ids=["batch", "renorm", "evonorm"],
)
def test_statistics_are_reset_as_a_whole(make):
    """If one of them cannot be written, the others are not changed; one that does not exist is left out."""
    layer = make()
    layer(sample((8, 3, 5), mean=2))
    last = "running_std" if hasattr(layer, "running_std") else "running_var"
    before = {key: array.copy() for key, array in layer.state_dict().items()}
    getattr(layer, last).flags.writeable = False
    with pytest.raises(ValueError, match=f"^{last}: expected a writeable numpy.ndarray"):
        layer.reset_running_stats()
    assert all(same_bits(array, before[key]) for key, array in layer.state_dict().items())
    getattr(layer, last).flags.writeable = True
    if hasattr(layer, "num_batches_tracked"):
        layer.num_batches_tracked = None
    layer.reset_running_stats()
    assert np.all(getattr(layer, last) == 1)


@pytest.mark.parametrize("shape", [(2, 4), (2, 4, 3)], ids=["a sample", "an element"])
def test_ibn_with_weights_of_each_sample(shape):
    """Results are the same with out and without; if batch norm refuses, out is not changed."""
    layer, x = normcy.IBN(8), sample((2, 8, 3))
    layer.BN.weight = sample(shape, seed=1)
    expected, out = layer(x), np.full_like(x, 7)
    assert same_bits(layer(x, out), expected)
    assert same_bits(layer(x.copy(), None, x * 0, sum_out=out), expected)
    assert same_bits(out, x)
    out[...] = 7
    layer.BN.running_var = np.ones(3, np.float32)
    with pytest.raises(ValueError, match=r"^running_var: expected shape"):
        layer(x, out)
    assert np.all(out == 7)


def test_ibn_with_an_empty_half():
    """One position for each channel and sample is enough for the other half."""
    x = sample((3, 4))
    assert same_bits(normcy.IBN(4, 0.0)(x), normcy.BatchNorm(4)(x))
    assert normcy.IBN(1)(x[:, :1]).shape == (3, 1)
