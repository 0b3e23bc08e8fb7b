"""State dicts: loading, refusals, and PyTorch's modules, value by value and step by step."""

from types import MappingProxyType

import numpy as np
import pytest
from methods import same_bits, sample

import normcy


def full(layer):
    """Returns values for every key, in float64, which loading casts."""
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


def test_values_may_be_arrays_of_the_layer_itself():
    """All values are copied before the first array is written."""
    layer = normcy.LayerNorm(2)
    layer.weight[:], layer.bias[:] = (1, 2), (3, 4)
    layer.load_state_dict({"weight": layer.bias, "bias": layer.weight})
    assert layer.weight.tolist() == [3, 4]
    assert layer.bias.tolist() == [1, 2]


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
    """Dicts of PyTorch before 0.4.1 have none, so that the layer keeps its own."""
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
    """They are those of torch.nn.utils.parametrizations.weight_norm."""
    layer, other = normcy.WeightNorm((4, 3)), normcy.WeightNorm((4, 3))
    g, v = sample((4, 1)), sample((4, 3))
    new = "conv.parametrizations.weight."
    layer.load_state_dict({new + "original0": g, new + "original1": v}, "conv.")
    other.load_state_dict({"weight_g": g, "weight_v": v})
    assert same_bits(layer(), other())
    with pytest.raises(ValueError, match="weight_g under two names"):
        layer.load_state_dict({"weight_g": g, "weight_v": v, "parametrizations.weight.original0": g})


def test_weight_norm_leaves_the_rest_of_a_layer_alone():
    """It is one weight of a convolution, and ignores the bias and the arrays of other modules."""
    layer, v = normcy.WeightNorm((4, 3)), sample((4, 3))
    rest = {"conv.bias": np.zeros(4), "conv.norm.weight": np.zeros(4)}
    for strict in (True, False):
        found = layer.load_state_dict({"conv.weight_g": np.ones((4, 1)), "conv.weight_v": v} | rest, "conv.", strict)
        assert found == ([], [])
    assert same_bits(layer.weight_v, v)
    with pytest.raises(ValueError, match=r"missing conv\.weight_g; missing conv\.weight_v$"):
        layer.load_state_dict(rest, "conv.")
    assert layer.load_state_dict(rest, "conv.", False) == (["conv.weight_g", "conv.weight_v"], [])


# -- strict ------------------------------------------------------------------------------------------------------------


def test_what_is_returned():
    layer = normcy.BatchNorm(3)
    found = layer.load_state_dict(full(layer))
    assert found == ([], [])
    assert found.missing_keys == found.unexpected_keys == []
    given = {"bn.weight": np.full(3, 2), "bn.extra": 0, "bn.deep.weight": np.ones(3), "head.bias": np.ones(3)}
    layer = normcy.BatchNorm(3)
    found = layer.load_state_dict(given, prefix="bn.", strict=False)
    assert found.missing_keys == ["bn.bias", "bn.running_mean", "bn.running_var"]
    assert found.unexpected_keys == ["bn.extra", "bn.deep.weight"]
    assert (layer.weight == 2).all()
    assert (layer.running_var == 1).all()
    assert layer.load_state_dict({}, strict=False).missing_keys == ["weight", "bias", "running_mean", "running_var"]
    assert layer.load_state_dict({**full(layer), 7: 0}, strict=False) == ([], ["7"])


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"bn.weight": np.ones(4)}, r"bn\.weight: expected shape \(3,\), got \(4,\)"),
        ({"bn.bias": ["a", "b", "c"]}, r"bn\.bias: expected numbers, got dtype <U1"),
        ({"bn.running_mean": np.ma.array([1.0, 2, 3], mask=[0, 1, 0])}, r"bn\.running_mean: expected an array without a mask"),
        ({"bn.num_batches_tracked": -1}, r"bn\.num_batches_tracked: expected a whole number from 0 up, got -1"),
        ({"bn.gamma": np.ones(3)}, r"bn\.weight under two names, bn\.gamma and bn\.weight"),
    ],
)  # fmt: skip
def test_wrong_values_are_errors_also_when_not_strict(strict, wrong, problem):
    layer = normcy.BatchNorm(3)
    given = {"bn." + key: value for key, value in full(layer).items()} | wrong
    with pytest.raises(ValueError, match=rf"^mapping: does not fit BatchNorm\(3\): {problem}"):
        layer.load_state_dict(given, "bn.", strict)
    assert same_bits(layer.weight, np.ones(3, np.float32))
    assert same_bits(layer.running_mean, np.zeros(3, np.float32))


def test_read_only_arrays_are_errors_also_when_not_strict():
    layer = normcy.LayerNorm(3)
    layer.bias.flags.writeable = False
    with pytest.raises(ValueError, match=r"bias: the layer's array is read-only$"):
        layer.load_state_dict({"weight": np.zeros(3), "bias": np.zeros(3)}, strict=False)
    assert (layer.weight == 1).all()
    assert layer.load_state_dict({"weight": np.zeros(3)}, strict=False) == (["bias"], [])


@pytest.mark.parametrize("strict", [None, 0, 1, "True", np.array(True)])
def test_strict_is_a_bool(strict):
    with pytest.raises(TypeError, match="strict: expected True or False, got "):
        normcy.BatchNorm(3).load_state_dict({}, strict=strict)
    assert normcy.BatchNorm(3).load_state_dict({"weight": [1, 2, 3]}, strict=np.False_).unexpected_keys == []


# -- other frameworks' names -------------------------------------------------------------------------------------------

KERAS = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
FLAX = {"weight": "scale", "running_mean": "mean", "running_var": "var"}
ONNX_LAYER = {"weight": "Scale", "bias": "B"}
ONNX = {"weight": "scale", "bias": "B", "running_mean": "input_mean", "running_var": "input_var"}


def renamed(state, names):
    """Returns keys with another last part, without the count, which only PyTorch has."""
    parts = [(key.rpartition("."), value) for key, value in state.items() if not key.endswith("tracked")]
    return {head + dot + names.get(last, last): value for (head, dot, last), value in parts}


@pytest.mark.parametrize("names", [KERAS, FLAX, ONNX, ONNX_LAYER], ids=["Keras", "Flax", "ONNX", "ONNX layer norm"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: normcy.BatchNorm(4),
        lambda: normcy.BatchNorm(4, affine=False),
        lambda: normcy.InstanceNorm(4, affine=True),
        lambda: normcy.LayerNorm((2, 3)),
        lambda: normcy.RMSNorm(3),
        lambda: normcy.GroupNorm(2, 4),
        lambda: normcy.EvoNormB0(4),
        lambda: normcy.IBN(5),
        lambda: normcy.ConditionalInstanceNorm(2, 3),
    ],
    ids=lambda make: type(make()).__name__,
)
def test_names_of_other_frameworks(names, make):
    layer, other, given = make(), make(), full(make())
    assert layer.load_state_dict(renamed(given, names)) == ([], [])
    other.load_state_dict(given | {key: 0 for key in given if key.endswith("tracked")})
    for key, array in layer.state_dict().items():
        assert same_bits(array, other.state_dict()[key]), key
    prefixed = {f"model/{key}": value for key, value in renamed(given, names).items()}
    assert layer.load_state_dict(prefixed, "model/") == ([], [])


def test_one_mapping_may_mix_names():
    """An example is BERT's layer norms beside PyTorch's; each name is read by itself."""
    layer = normcy.BatchNorm(2)
    layer.load_state_dict({"gamma": [3, 4], "bias": [5, 6], "mean": [0, 1], "running_var": [1, 2]})
    assert layer.weight.tolist() == [3, 4]
    assert layer.running_mean.tolist() == [0, 1]


def test_names_mean_only_what_the_layer_has():
    """A variance is not read as a deviation, and a layer without statistics has no mean."""
    renorm = normcy.BatchRenorm(2)
    for name in ("var", "moving_variance", "input_var", "running_var"):
        given = {"gamma": [1, 1], "beta": [0, 0], "moving_mean": [0, 0], name: [1, 1]}
        with pytest.raises(ValueError, match=f"missing running_std; unexpected {name}$"):
            renorm.load_state_dict(given)
    assert renorm.load_state_dict({"moving_mean": [3, 4], "var": [1, 1]}, strict=False).unexpected_keys == ["var"]
    assert renorm.running_mean.tolist() == [3, 4]
    with pytest.raises(ValueError, match=r"unexpected moving_mean$"):
        normcy.LayerNorm(2).load_state_dict({"gamma": [1, 1], "beta": [0, 0], "moving_mean": [0, 0]})
    with pytest.raises(ValueError, match=r"unexpected beta$"):
        normcy.LayerNorm(2, bias=False).load_state_dict({"gamma": [1, 1], "beta": [0, 0]})


@pytest.mark.parametrize("strict", [True, False])
def test_one_array_under_two_names(strict):
    layer = normcy.IBN(4)
    given = full(layer)
    given |= {"IN.gamma": np.ones(2), "BN.mean": np.ones(2), "BN.moving_mean": np.ones(2)}
    with pytest.raises(ValueError, match="does not fit") as caught:
        layer.load_state_dict(given, strict=strict)
    assert "IN.weight under two names, IN.gamma and IN.weight" in str(caught.value)
    assert "BN.running_mean under 3 names, BN.mean, BN.moving_mean and BN.running_mean" in str(caught.value)
    assert (layer.IN.weight == 1).all()


# -- the prefix that would have fitted ---------------------------------------------------------------------------------


def model(*prefixes, size=3, names=None):
    """Returns the arrays of a model that has a batch norm under each prefix, between convolutions."""
    state = {"stem.weight": np.zeros((size, 3)), "stem.bias": np.zeros(size)}
    for prefix in prefixes:
        values = full(normcy.BatchNorm(size))
        state |= {prefix + key: value for key, value in (renamed(values, names) if names else values).items()}
    return state


@pytest.mark.parametrize("names", [None, KERAS, FLAX, ONNX], ids=["PyTorch", "Keras", "Flax", "ONNX"])
@pytest.mark.parametrize("prefix", ["", "layer1.", "layer1.bn1", "bn1.", "layer1.bn1.weight"])
def test_the_prefix_that_would_have_fitted(prefix, names):
    layer = normcy.BatchNorm(3)
    with pytest.raises(ValueError, match=r'; with prefix="layer1\.bn1\." it would fit$'):
        layer.load_state_dict(model("layer1.bn1.", names=names), prefix)
    assert layer.load_state_dict(model("layer1.bn1.", names=names), "layer1.bn1.") == ([], [])


def test_a_prefix_may_end_in_a_slash():
    with pytest.raises(ValueError, match=r'; with prefix="stem/bn/" it would fit$'):
        normcy.BatchNorm(3).load_state_dict(model("stem/bn/"))


def test_no_prefix_would_have_fitted():
    layer = normcy.IBN(4)
    with pytest.raises(ValueError, match=r'missing ibn\.BN\.running_var; with prefix="" it would fit$'):
        layer.load_state_dict(full(layer), "ibn.")


def test_only_the_dot_is_missing():
    """The message suggests that prefix, even if others would fit."""
    with pytest.raises(ValueError, match=r'; with prefix="b\." it would fit$'):
        normcy.BatchNorm(3).load_state_dict(model("a.", "b.", "c."), "b")


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, 'with prefix="0.bn." it would fit'),
        (2, 'with prefix="0.bn." or "1.bn." it would fit'),
        (3, 'with prefix="0.bn.", "1.bn." or "2.bn." it would fit'),
        (50, 'with prefix="0.bn.", "1.bn.", "2.bn." or 47 more it would fit'),
    ],
)
def test_several_prefixes_would_have_fitted(count, expected):
    with pytest.raises(ValueError, match="missing weight") as caught:
        normcy.BatchNorm(3).load_state_dict(model(*(f"{i}.bn." for i in range(count))))
    assert str(caught.value).endswith("; " + expected)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("layer", "given"),
    [
        (normcy.BatchNorm(4), model("layer1.bn1.")),  # of other shapes
        (normcy.BatchNorm(3, affine=False), model("layer1.bn1.")),  # with more arrays
        (normcy.InstanceNorm(3), model("layer1.bn1.")),  # which has no arrays
        (normcy.BatchNorm(3, affine=False), {"running_mean": np.zeros(3), "running_var": np.ones(4)}),  # no prefix
        (normcy.BatchNorm(3), model("layer1.bn1.") | {7: np.ones(3)}),
        (normcy.LayerNorm(3), {"ln.weight": np.ones(3), "ln.gamma": np.ones(3), "ln.bias": np.ones(3)}),
    ],
)  # fmt: skip
def test_prefixes_that_would_not_fit_are_not_named(layer, given):
    with pytest.raises(ValueError, match="does not fit") as caught:
        layer.load_state_dict(given)
    assert "with prefix" not in str(caught.value)


def test_very_many_unexpected_keys_are_counted():
    layer = normcy.LayerNorm(3)
    for count in (10, 11, 400):
        given = full(layer) | {f"other{i}": 0 for i in range(count)}
        with pytest.raises(ValueError, match="unexpected other0; unexpected other1") as caught:
            layer.load_state_dict(given)
        assert str(caught.value).endswith("unexpected other9" if count == 10 else f"{count - 5} more unexpected")
        assert len(layer.load_state_dict(given, strict=False).unexpected_keys) == count


# -- values ------------------------------------------------------------------------------------------------------------


class File:
    """Has the interface of an open safetensors file: no __getitem__, and shapes without reading."""

    def __init__(self, arrays):
        self._arrays, self.read = arrays, []

    def keys(self):
        return list(self._arrays)

    def get_tensor(self, key):
        self.read.append(key)
        return self._arrays[key]

    def get_slice(self, key):
        array = self._arrays[key]
        return type("Slice", (), {"get_shape": lambda self: list(array.shape)})()


def test_files_that_are_no_mappings():
    """Only what a layer needs is read, also in the search for a prefix that would fit."""
    layer = normcy.RMSNorm(3)
    file = File({"norm.weight": np.full(3, 5.0), **{f"{i}.weight": np.zeros((3, 3)) for i in range(20)}})
    with pytest.raises(ValueError, match=r'; with prefix="norm\." it would fit$'):
        layer.load_state_dict(file)
    layer.load_state_dict(file, "norm.")
    assert set(file.read) == {"norm.weight"}
    assert (layer.weight == 5).all()


@pytest.mark.parametrize("error", ["ignore", "warn", "raise"])
def test_values_beyond_float32(error):
    """They become infinite or 0 without a warning, whatever np.seterr the caller has set."""
    layer = normcy.BatchNorm(2)
    values = np.array([1e300, -1e300]), np.array([1e-300, 1e-42])
    with np.errstate(all=error):
        layer.load_state_dict(dict(zip(("weight", "bias"), values, strict=True)), strict=False)
        layer.load_state_dict({"running_mean": [1e300, np.nan], "running_var": np.longdouble([1, 2])}, strict=False)
    assert layer.weight.tolist() == [np.inf, -np.inf]
    assert layer.bias.tolist() == [0, np.float32(1e-42)]
    assert layer.running_mean[0] == np.inf


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
    """Their dict loads into our layer with equal values, and our dict loads into theirs."""
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
    """Both of PyTorch's forms are read, beside the convolution's bias, and a transposed one's dim."""
    conv = torch.nn.utils.parametrizations.weight_norm(torch.nn.ConvTranspose1d(3, 4, 5), dim=1)
    layer = normcy.WeightNorm((3, 4, 5), dim=1)
    assert layer.load_state_dict(conv.state_dict()) == ([], [])
    np.testing.assert_allclose(layer(), conv.weight.detach().numpy(), rtol=1e-6)
    v = sample((4, 3, 5))
    for dim in (0, 1, 2, None):
        ours = normcy.WeightNorm(v, dim)
        expected = torch.norm_except_dim(torch.from_numpy(v), 2, -1 if dim is None else dim)
        assert ours.weight_g.shape == tuple(expected.shape)
        np.testing.assert_allclose(ours.weight_g, expected.numpy(), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_torch_parameters_of_any_dtype(torch, dtype):
    """They have gradients and bfloat16 values, both of which np.asarray refuses."""
    module = randomized(torch, torch.nn.LayerNorm(3)).to(getattr(torch, dtype))
    layer = normcy.LayerNorm(3)
    layer.load_state_dict(dict(module.named_parameters()))
    for key, value in module.state_dict().items():
        np.testing.assert_array_equal(layer.state_dict()[key], value.float().numpy())


def test_torch_returns_the_same_keys(torch):
    """The result is PyTorch's for the same dict, field by field."""
    module, layer = torch.nn.BatchNorm1d(3), normcy.BatchNorm(3)
    state = module.state_dict()
    del state["bias"], state["num_batches_tracked"]
    state |= {"other": state["weight"], "more.other": state["weight"]}
    expected, found = module.load_state_dict(state, strict=False), layer.load_state_dict(state, strict=False)
    assert found._fields == expected._fields
    assert found == ([k for k in expected.missing_keys if k != "num_batches_tracked"], expected.unexpected_keys)


@pytest.mark.parametrize("framework", ["pt", "np"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_safetensors_files(torch, tmp_path, framework, dtype):
    """An open file has keys() and get_tensor(), and is no mapping."""
    save_file = pytest.importorskip("safetensors.torch", reason="needs safetensors").save_file
    safe_open = pytest.importorskip("safetensors").safe_open
    if (framework, dtype) == ("np", "bfloat16"):
        pytest.importorskip("ml_dtypes", reason="needs ml_dtypes for NumPy's bfloat16")
    model = torch.nn.Sequential(torch.nn.Conv1d(3, 4, 1), randomized(torch, torch.nn.BatchNorm1d(4)))
    save_file(model.to(getattr(torch, dtype)).state_dict(), tmp_path / "model.safetensors")
    layer = normcy.BatchNorm(4)
    with safe_open(tmp_path / "model.safetensors", framework=framework) as file:
        assert layer.load_state_dict(file, "1.") == ([], [])
        with pytest.raises(ValueError, match=r'; with prefix="1\." it would fit$'):
            layer.load_state_dict(file)
    np.testing.assert_array_equal(layer.running_var, model[1].running_var.float().numpy())
    assert layer.num_batches_tracked == model[1].num_batches_tracked


def test_bfloat16_of_numpy():
    """The dtype of an extension has the kind of records, which are refused."""
    bfloat16 = pytest.importorskip("ml_dtypes", reason="needs ml_dtypes for NumPy's bfloat16").bfloat16
    layer = normcy.BatchNorm(3)
    layer.load_state_dict({key: array.astype(bfloat16) for key, array in full(layer).items()})
    assert same_bits(layer.bias, full(layer)["bias"].astype(bfloat16).astype(np.float32))
    assert layer.num_batches_tracked == 7


@pytest.mark.parametrize("momentum", [0.1, 0.7, None])
@pytest.mark.parametrize("track", [True, False])
@pytest.mark.parametrize("flip", [True, False])
def test_torch_step_by_step(torch, momentum, track, flip):
    """Pitfall 3: modes and the flag change between steps; every output and every buffer agrees at each step."""
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
    """With a momentum both agree except in the count, which PyTorch leaves at 0."""
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
    """IBN-a is composed of modules of PyTorch on two slices: ResNet's order, and DenseNet's with its ratio of 0.4."""
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


def test_names_of_tensorflow_variables():
    """Keras wrote them with the number of an output."""
    layer = normcy.BatchNorm(2)
    keras = {"bn/gamma:0": [1, 2], "bn/beta:0": [3, 4], "bn/moving_mean:0": [5, 6], "bn/moving_variance:0": [7, 8]}
    layer.load_state_dict(keras, prefix="bn/")
    assert layer.weight.tolist() == [1, 2]
    assert layer.running_var.tolist() == [7, 8]
