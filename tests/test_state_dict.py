"""State dicts: loading, what is refused, and PyTorch's modules as the other end, value for value and step by step."""

from types import MappingProxyType

import numpy as np
import pytest
from methods import same_bits, sample

import normcy


def full(layer):
    """Values for every key, in float64, which loading casts."""
    g = np.random.default_rng(0)
    return {k: np.array(7) if k.endswith("tracked") else g.random(v.shape) + 0.5 for k, v in layer.state_dict().items()}


def test_values_are_copied_and_cast():
    layer = normcy.BatchNorm(3)
    live = layer.state_dict()
    given = full(layer)
    layer.load_state_dict(given)
    for key, array in layer.state_dict().items():
        assert array is live[key], "earlier references stay the layer's own arrays"
        assert not np.shares_memory(array, given[key])
        assert array.dtype == (np.int64 if key.endswith("tracked") else np.float32)
        assert same_bits(array, given[key].astype(array.dtype))
    assert layer.num_batches_tracked.shape == ()


def test_order_of_keys():
    keys = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert list(normcy.BatchNorm(3).state_dict()) == keys
    assert list(normcy.BatchNorm(3, affine=False).state_dict("bn1.")) == ["bn1." + key for key in keys[2:]]
    assert list(normcy.InstanceNorm(3).state_dict()) == []
    assert list(normcy.LayerNorm(3, bias=False).state_dict()) == ["weight"]
    assert list(normcy.EvoNormB0(3).state_dict()) == ["weight", "bias", "v", "running_var"]
    assert list(normcy.EvoNormB0(3, apply_act=False).state_dict()) == ["weight", "bias", "running_var"]
    assert list(normcy.BatchRenorm(3).state_dict()) == [*keys[:3], "running_std", keys[4]]
    assert list(normcy.WeightNorm(3).state_dict()) == ["weight_g", "weight_v"]
    assert list(normcy.IBN(4).state_dict()) == ["IN.weight", "IN.bias", *("BN." + key for key in keys)]


def test_prefix():
    """Only keys under the prefix count; layers share one dict."""
    first, second = normcy.BatchNorm(3), normcy.IBN(4)
    model = {f"layer1.bn.{k}": v for k, v in full(first).items()} | {
        f"layer1.ibn.{k}": v for k, v in full(second).items()
    }
    model["head.weight"] = np.zeros((9, 9))
    first.load_state_dict(model, "layer1.bn.")
    second.load_state_dict(MappingProxyType(model), prefix="layer1.ibn.")
    for key, array in (first.state_dict("layer1.bn.") | second.state_dict("layer1.ibn.")).items():
        np.testing.assert_array_equal(array, model[key].astype(array.dtype))


def test_every_problem_is_listed_and_nothing_changes():
    layer = normcy.IBN(5)
    before = {key: array.copy() for key, array in layer.state_dict().items()}
    given = full(layer)
    del given["IN.bias"], given["BN.running_var"]
    given["IN.weight"] = np.zeros(3)
    given["BN.weight"] = np.array(["a", "b", "c"])
    given["BN.bias"] = [[1.0], [2.0, 3.0], [0.0]]
    given["BN.num_batches_tracked"] = 2.5
    given["extra"] = np.zeros(3)
    given[7] = np.zeros(3)
    with pytest.raises(ValueError, match=r"^mapping: does not fit IBN\(5\): ") as caught:
        layer.load_state_dict(given)
    for problem in (
        "missing IN.bias",
        "missing BN.running_var",
        "unexpected extra",
        "unexpected 7",
        "IN.weight: expected shape (2,), got (3,)",
        "BN.weight: expected numbers, got dtype <U1",
        "BN.bias: ",
        "BN.num_batches_tracked: expected a whole number from 0 up, got 2.5",
    ):
        assert problem in str(caught.value)
    assert str(caught.value).count(";") == 7
    assert all(same_bits(array, before[key]) for key, array in layer.state_dict().items())


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.5])
def test_a_count_is_a_whole_number(value):
    layer = normcy.BatchNorm(3)
    with pytest.raises(ValueError, match="num_batches_tracked: expected a whole number"):
        layer.load_state_dict({**full(layer), "num_batches_tracked": value})
    layer.load_state_dict({**full(layer), "num_batches_tracked": 3.0})
    assert layer.num_batches_tracked == 3


@pytest.mark.parametrize("mapping", [None, [("weight", 1)], "weight", 3])
def test_not_a_mapping(mapping):
    with pytest.raises(TypeError, match="mapping: expected a mapping of names to arrays, got "):
        normcy.BatchNorm(3).load_state_dict(mapping)


def test_read_only_array_of_the_layer():
    layer = normcy.LayerNorm(3)
    layer.bias.flags.writeable = False
    with pytest.raises(ValueError, match="bias: the layer's array is read-only"):
        layer.load_state_dict(full(layer))
    assert (layer.weight == 1).all()


def test_without_the_count():
    """Dicts of PyTorch before 0.4.1 have none: the layer's own stays."""
    layer = normcy.IBN(4)
    layer.BN.num_batches_tracked[...] = 5
    given = full(layer)
    del given["BN.num_batches_tracked"]
    layer.load_state_dict(given)
    assert layer.BN.num_batches_tracked == 5


def test_npz_files(tmp_path):
    layer = normcy.EvoNormS0(4, 2)
    np.savez(tmp_path / "s.npz", **full(layer))
    with np.load(tmp_path / "s.npz") as file:
        layer.load_state_dict(file)
    np.testing.assert_array_equal(layer.v, full(layer)["v"].astype(np.float32))


def test_weight_norm_under_its_newer_names():
    """What torch.nn.utils.parametrizations.weight_norm writes."""
    layer, other = normcy.WeightNorm((4, 3)), normcy.WeightNorm((4, 3))
    g, v = sample((4, 1)), sample((4, 3))
    new = "conv.parametrizations.weight."
    layer.load_state_dict({new + "original0": g, new + "original1": v}, "conv.")
    other.load_state_dict({"weight_g": g, "weight_v": v})
    assert same_bits(layer(), other())
    with pytest.raises(ValueError, match="weight_g under two names"):
        layer.load_state_dict({"weight_g": g, "weight_v": v, "parametrizations.weight.original0": g})


# -- PyTorch -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="needs torch to compare with")


def randomized(torch, module):
    with torch.no_grad():
        for i, (name, value) in enumerate(module.state_dict().items()):
            value.copy_(torch.tensor(3 + i) if name.endswith("tracked") else torch.rand(value.shape) + 0.5)
    return module


PAIRS = {
    "BatchNorm": (lambda nn: nn.BatchNorm2d(6), lambda: normcy.BatchNorm(6), (4, 6, 5, 3)),
    "BatchNorm, not affine": (lambda nn: nn.BatchNorm1d(6, affine=False), lambda: normcy.BatchNorm(6, affine=False), (4, 6)),
    "BatchNorm, not tracking": (lambda nn: nn.BatchNorm1d(6, track_running_stats=False), lambda: normcy.BatchNorm(6, track_running_stats=False), (4, 6, 3)),
    "InstanceNorm": (lambda nn: nn.InstanceNorm2d(6, affine=True, track_running_stats=True), lambda: normcy.InstanceNorm(6, affine=True, track_running_stats=True), (4, 6, 5, 3)),
    "LayerNorm": (lambda nn: nn.LayerNorm((5, 3), 1e-3), lambda: normcy.LayerNorm((5, 3), 1e-3), (4, 6, 5, 3)),
    "LayerNorm, no bias": (lambda nn: nn.LayerNorm(3, bias=False), lambda: normcy.LayerNorm(3, bias=False), (4, 3)),
    "GroupNorm": (lambda nn: nn.GroupNorm(3, 6), lambda: normcy.GroupNorm(3, 6), (4, 6, 5, 3)),
    "RMSNorm": (lambda nn: nn.RMSNorm(3), lambda: normcy.RMSNorm(3), (4, 6, 3)),
}  # fmt: skip


@pytest.mark.parametrize(("theirs", "ours", "shape"), PAIRS.values(), ids=PAIRS)
def test_torch_round_trip(torch, theirs, ours, shape):
    """Their dict into our layer gives their values, and our dict goes back."""
    module, layer = randomized(torch, theirs(torch.nn)), ours()
    layer.load_state_dict(module.state_dict())
    assert list(layer.state_dict()) == list(module.state_dict())
    x = sample(shape, mean=1)
    for training in (False, True):
        module.train(training)
        layer.train(training)
        expected = module(torch.from_numpy(x.copy())).detach().numpy()
        np.testing.assert_allclose(layer(x), expected, rtol=2e-5, atol=2e-5)
    again = theirs(torch.nn)
    again.load_state_dict({key: torch.from_numpy(array.copy()) for key, array in layer.state_dict().items()})
    for key, value in again.state_dict().items():
        assert value.dtype == module.state_dict()[key].dtype
        np.testing.assert_array_equal(value.numpy(), layer.state_dict()[key])


def test_torch_weight_norm(torch):
    """Both of PyTorch's forms, and a transposed convolution's dim."""
    conv = torch.nn.utils.parametrizations.weight_norm(torch.nn.ConvTranspose1d(3, 4, 5), dim=1)
    layer = normcy.WeightNorm((3, 4, 5), dim=1)
    state = {key: value for key, value in conv.state_dict().items() if key != "bias"}
    layer.load_state_dict(state)
    np.testing.assert_allclose(layer(), conv.weight.detach().numpy(), rtol=1e-6)
    v = sample((4, 3, 5))
    for dim in (0, 1, 2, None):
        ours = normcy.WeightNorm(v, dim)
        expected = torch.norm_except_dim(torch.from_numpy(v), 2, -1 if dim is None else dim)
        assert ours.weight_g.shape == tuple(expected.shape)
        np.testing.assert_allclose(ours.weight_g, expected.numpy(), rtol=1e-6)


def test_torch_parameters_that_need_gradients_are_named(torch):
    """np.asarray refuses them; the message says which."""
    layer = normcy.LayerNorm(3)
    with pytest.raises(ValueError, match="weight: Can't call numpy"):
        layer.load_state_dict(dict(torch.nn.LayerNorm(3).named_parameters()))


@pytest.mark.parametrize("momentum", [0.1, 0.7, None])
@pytest.mark.parametrize("track", [True, False])
@pytest.mark.parametrize("flip", [True, False])
def test_torch_step_by_step(torch, momentum, track, flip):
    """Pitfall 3: modes change on the way, as does the flag; every output and every buffer agrees at each step."""
    module = torch.nn.BatchNorm1d(3, momentum=momentum, track_running_stats=track)
    layer = normcy.BatchNorm(3, momentum=momentum, track_running_stats=track)
    for step, training in enumerate([True, True, False, True, False, False, True, True]):
        if flip and step in (3, 6):
            module.track_running_stats = layer.track_running_stats = not layer.track_running_stats
        module.train(training)
        layer.train(training)
        x = sample((8, 3, 4), mean=step, seed=step)
        expected = module(torch.from_numpy(x.copy())).detach().numpy()
        np.testing.assert_allclose(layer(x), expected, rtol=2e-5, atol=2e-5)
        assert list(layer.state_dict()) == list(module.state_dict())
        for key, value in module.state_dict().items():
            np.testing.assert_allclose(layer.state_dict()[key], value.numpy(), rtol=2e-6, atol=2e-6, err_msg=key)


def test_torch_instance_norm_step_by_step(torch):
    """With a momentum both agree but in the count, which PyTorch leaves at 0."""
    module = torch.nn.InstanceNorm1d(3, momentum=0.3, affine=True, track_running_stats=True)
    layer = normcy.InstanceNorm(3, momentum=0.3, affine=True, track_running_stats=True)
    for step, training in enumerate([True, False, True, True, False]):
        module.train(training)
        layer.train(training)
        x = sample((4, 3, 8), mean=step, seed=step)
        expected = module(torch.from_numpy(x.copy())).detach().numpy()
        np.testing.assert_allclose(layer(x), expected, rtol=2e-5, atol=2e-5)
        for key in ("running_mean", "running_var"):
            np.testing.assert_allclose(getattr(layer, key), getattr(module, key).numpy(), rtol=2e-6, atol=2e-6)
    assert layer.num_batches_tracked == 3
    assert module.num_batches_tracked == 0


@pytest.mark.parametrize("channels", [8, 64, 65])
@pytest.mark.parametrize("order", ["in_first", "bn_first"])
def test_torch_ibn(torch, channels, order):
    """IBN-a of modules of PyTorch on two slices: ResNet's order, and DenseNet's with its ratio of 0.4."""
    ratio = 0.5 if order == "in_first" else 0.4
    first = int(channels * ratio) if order == "in_first" else int(channels * (1 - ratio))
    sizes = [first, channels - first] if order == "in_first" else [channels - first, first]

    class Ibn(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.IN = torch.nn.InstanceNorm2d(sizes[0], affine=True)
            self.BN = torch.nn.BatchNorm2d(sizes[1])

        def forward(self, x):
            norms = (self.IN, self.BN) if order == "in_first" else (self.BN, self.IN)
            return torch.cat([norm(part) for norm, part in zip(norms, (x[:, :first], x[:, first:]), strict=True)], 1)

    module, layer = randomized(torch, Ibn()), normcy.IBN(channels, ratio, order=order)
    layer.load_state_dict(module.state_dict())
    for step, training in enumerate([False, True, True, False]):
        module.train(training)
        layer.train(training)
        x = sample((4, channels, 5, 3), mean=1, seed=step)
        expected = module(torch.from_numpy(x.copy())).detach().numpy()
        np.testing.assert_allclose(layer(x), expected, rtol=2e-5, atol=2e-5)
    for key, value in module.state_dict().items():
        np.testing.assert_allclose(layer.state_dict()[key], value.numpy(), rtol=2e-6, atol=2e-6, err_msg=key)
