"""What the pages for users of other libraries say of these: their defaults, and which call does the same."""

import inspect
import re
from pathlib import Path

import checkpoints
import numpy as np
import pages
import pytest
from checkpoints import agree, images

import normcy

PAGES = Path(__file__).parents[1] / "docs" / "coming_from"

pytestmark = [
    pytest.mark.doors,
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(not PAGES.exists(), reason="needs the source tree"),
]


def calls_of(page):
    """Returns the last column of a page's tables by the first: what the page says to write instead of what.

    Of a name that stands in several tables, the first one counts.
    """
    lines = (PAGES / page).read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| `")]
    return {row[0].split("`")[1]: re.findall("`(.+?)`", row[-1]) for row in reversed(rows)}


def made(call):
    """Returns the layer that a page's table names, for images of 32 channels and 6 by 6 positions."""
    return eval(call, vars(normcy) | {"C": 32, "H": 6, "W": 6})


def drawn(names):
    """Returns random values of the given shapes, by the same names."""
    draw = np.random.default_rng(7)
    return {name: draw.uniform(0.5, 1.5, shape).astype(np.float32) for name, shape in names.items()}


@pytest.mark.parametrize("page", ["pytorch", "onnx", "keras", "numpy"])
def test_page(page, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in pages.blocks(PAGES / f"{page}.md"):
        pages.run(block, names)


def test_every_page_was_named():
    assert {path.stem for path in PAGES.glob("*.md")} == {"pytorch", "onnx", "keras", "numpy"}


# -- Keras and Flax ----------------------------------------------------------------------------------------------------

KERAS = [
    "BatchNormalization()",
    "LayerNormalization()",
    "LayerNormalization(axis=[1, 2, 3])",
    "LayerNormalization(axis=1)",
    "GroupNormalization(groups=32)",
    "GroupNormalization(groups=-1)",
    "RMSNormalization()",
]


@pytest.mark.parametrize("theirs", KERAS)
@pytest.mark.parametrize("training", [True, False])
def test_keras(theirs, training):
    """Every layer in the table of the page, with random values, trains and infers as Keras' own."""
    import keras

    x = images((4, 6, 6, 32)) * 2 + 1
    if theirs.endswith("(axis=1)"):
        x = x.transpose(0, 3, 1, 2).copy()
    layer = eval(theirs, vars(keras.layers))
    layer.build(x.shape)
    values = drawn({w.path.split("/")[-1]: w.shape for w in layer.weights})
    layer.set_weights(list(values.values()))
    (call, *_) = calls_of("keras.md")[theirs]
    ours = made(call).train(training)
    ours.load_state_dict(values)
    for _ in range(2):
        agree(ours(x), np.asarray(layer(x, training=training)))
    after = made(call)
    after.load_state_dict({name: np.asarray(weight) for name, weight in zip(values, layer.weights, strict=True)})
    for name, value in after.state_dict().items():
        if name != "num_batches_tracked":
            agree(ours.state_dict()[name], value)


FLAX = {
    "BatchNorm": {"use_running_average": False},
    "LayerNorm": {},
    "GroupNorm(32)": {},
    "InstanceNorm": {},
    "RMSNorm": {},
}


@pytest.mark.parametrize("theirs", FLAX)
def test_linen(theirs):
    import flax.linen as nn
    import jax

    x = images((4, 6, 6, 32))
    kind, _, argument = theirs.partition("(")
    layer = getattr(nn, kind)(*map(int, argument.rstrip(")").split() or ()), **FLAX[theirs])
    variables = layer.init(jax.random.key(0), x)
    variables = {
        tree: drawn({name: value.shape for name, value in values.items()}) for tree, values in variables.items()
    }
    (call, *_) = calls_of("keras.md")[theirs]
    ours = made(call)
    ours.load_state_dict(variables["params"] | variables.get("batch_stats", {}))
    expected, updated = layer.apply(variables, x, mutable=["batch_stats"])
    agree(ours(x), np.asarray(expected))
    if updated:
        agree(ours.running_mean, np.asarray(updated["batch_stats"]["mean"]))
        agree(ours.running_var, np.asarray(updated["batch_stats"]["var"]))


@pytest.mark.parametrize("kind", ["BatchNorm", "LayerNorm", "GroupNorm", "InstanceNorm", "RMSNorm"])
def test_nnx_has_the_defaults_of_linen(kind):
    import flax.linen as nn
    from flax import nnx

    old = inspect.signature(getattr(nn, kind)).parameters
    new = inspect.signature(getattr(nnx, kind).__init__).parameters
    shared = {"epsilon", "momentum", "num_groups", "use_fast_variance"} & old.keys()
    assert {name: old[name].default for name in shared} == {name: new[name].default for name in shared}


def test_modes_of_keras():
    """A layer that is called without `training` uses its running statistics."""
    import keras

    layer = keras.layers.BatchNormalization()
    x = images((4, 6, 6, 8))
    agree(np.asarray(layer(x)), np.asarray(layer(x, training=False)))
    assert np.all(np.asarray(layer.moving_mean) == 0)


def test_arrays_of_jax():
    """They share memory with NumPy's and cannot be written."""
    import jax.numpy as jnp

    array = jnp.asarray(images((2, 8)))
    x = np.asarray(array)
    assert x.ctypes.data == array.unsafe_buffer_pointer()
    assert normcy.layer_norm(x, 8).shape == (2, 8)
    with pytest.raises(ValueError, match=r"^out: "):
        normcy.layer_norm(x, 8, out=x)


# -- ONNX --------------------------------------------------------------------------------------------------------------


def evaluated(operator, arrays, opset, outputs=1, domain="", **attributes):
    """Returns what ONNX's reference evaluator makes of one node or, where it is theirs, ONNX Runtime."""
    import onnxruntime
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    results = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(operator, list(arrays), results, domain=domain, **attributes)
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, a.shape) for name, a in arrays.items()]
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in results]
    versions = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    model = helper.make_model(helper.make_graph([node], "g", given, made), opset_imports=versions, ir_version=10)
    if domain or operator == "SimplifiedLayerNormalization":
        return onnxruntime.InferenceSession(model.SerializeToString()).run(None, arrays)
    return ReferenceEvaluator(model).run(None, arrays)


ONNX = {  # the shapes of the inputs by their names on the page, the opset, and attributes
    "BatchNormalization": ({"x": (4, 8, 6), "scale": 8, "B": 8, "mean": 8, "var": 8}, 15, {}),
    "InstanceNormalization": ({"x": (4, 8, 6), "scale": 8, "B": 8}, 22, {}),
    "LayerNormalization": ({"x": (4, 8, 6), "scale": (8, 6), "B": (8, 6)}, 17, {"axis": -2}),
    "GroupNormalization": ({"x": (4, 8, 6), "scale": 8, "bias": 8}, 21, {"num_groups": 2}),
    "RMSNormalization": ({"x": (4, 8, 6), "scale": 6}, 23, {"axis": -1}),
    "SimplifiedLayerNormalization": ({"x": (4, 8, 6), "scale": 6}, 17, {"axis": -1}),
    "SkipLayerNormalization": ({"x": (4, 8, 6), "skip": (4, 8, 6), "gamma": 6, "beta": 6}, 17, {}),
    "SkipSimplifiedLayerNormalization": ({"x": (4, 8, 6), "skip": (4, 8, 6), "gamma": 6}, 17, {}),
}


@pytest.mark.parametrize("operator", ONNX)
def test_onnx(operator):
    """Every call in the tables of the page gives what the node gives."""
    shapes, opset, attributes = ONNX[operator]
    arrays = drawn(shapes) | {"x": images(shapes["x"])}
    domain = "com.microsoft" if operator.startswith("Skip") else ""
    (expected,) = evaluated(operator, arrays, opset, domain=domain, epsilon=1e-3, **attributes)
    (call, *_) = calls_of("onnx.md")[operator]
    total = np.empty_like(arrays["x"])
    call = call.replace("sum_out=…", "sum_out=total")
    agree(eval(call, vars(normcy) | arrays | attributes | {"epsilon": 1e-3, "C": 6, "total": total}), expected)
    if "skip" in arrays:
        assert np.array_equal(total, arrays["x"] + arrays["skip"])


def test_eps_of_onnx():
    """It is 1e-5 for every norm of ONNX, and 1e-12 for ONNX Runtime's norms with a residual."""
    import onnx

    for operator in checkpoints.ONNX_NORMS:
        assert np.float32(onnx.defs.get_schema(operator).attributes["epsilon"].default_value.f) == np.float32(1e-5)
    for operator, layer in (
        ("SkipLayerNormalization", normcy.LayerNorm),
        ("SkipSimplifiedLayerNormalization", normcy.RMSNorm),
    ):
        shapes, opset, _ = ONNX[operator]
        arrays = {name: value * 1e-3 for name, value in drawn(shapes).items()}
        (expected,) = evaluated(operator, arrays, opset, domain="com.microsoft")
        norm = layer(6, eps=1e-12)
        norm.load_state_dict(arrays, strict=False)
        agree(norm(arrays["x"], pre_add=arrays["skip"]), expected)


def test_training_in_onnx():
    arrays = drawn({"x": (4, 8, 6), "scale": 8, "B": 8, "mean": 8, "var": 8})
    y, mean, var = evaluated("BatchNormalization", arrays, 15, outputs=3, training_mode=1, momentum=0.8)
    x, scale, b, *running = (array.copy() for array in arrays.values())
    agree(normcy.batch_norm(x, *running, scale, b, True, 1 - 0.8, 1e-5, unbiased_running_var=False), y)
    agree(running[0], mean)
    agree(running[1], var)


def test_statistics_in_onnx():
    arrays = drawn({"x": (4, 8, 6), "scale": 6})
    expected = evaluated("LayerNormalization", arrays, 17, outputs=3)
    for ours, theirs in zip(
        normcy.layer_norm(arrays["x"], 6, arrays["scale"], return_stats=True), expected, strict=True
    ):
        assert ours.shape == theirs.shape
        agree(ours, theirs)


def test_groups_of_opset_18():
    """One value for each group, which np.repeat lays along the channels."""
    arrays = drawn({"x": (4, 8, 6), "scale": 2, "bias": 2})
    (expected,) = evaluated("GroupNormalization", arrays, 18, num_groups=2)
    weight, bias = (np.repeat(arrays[name], 4) for name in ("scale", "bias"))
    agree(normcy.group_norm(arrays["x"], 2, weight, bias), expected)


@pytest.mark.parametrize(
    ("operator", "opset", "added"),
    [
        ("BatchNormalization", 14, {"training_mode"}),
        ("GroupNormalization", 18, None),
        ("LayerNormalization", 17, None),
        ("RMSNormalization", 23, None),
    ],
)
def test_versions_of_operators(operator, opset, added):
    """The page's table: the first opset that has an operator, or an attribute of it."""
    import onnx

    if added is None:
        with pytest.raises(onnx.defs.SchemaError):
            onnx.defs.get_schema(operator, opset - 1)
    before = set() if added is None else set(onnx.defs.get_schema(operator, opset - 1).attributes)
    assert set(onnx.defs.get_schema(operator, opset).attributes) - before >= (added or set())
    assert "spatial" in onnx.defs.get_schema("BatchNormalization", 8).attributes
    assert "spatial" not in onnx.defs.get_schema("BatchNormalization", 9).attributes
    assert "case #2: Y (test mode)" in onnx.defs.get_schema("BatchNormalization", 13).doc


# -- PyTorch -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["batch_norm", "instance_norm", "layer_norm", "group_norm", "rms_norm"])
def test_signatures_of_torch(name):
    """The same arguments in the same order with the same defaults."""
    import torch

    theirs = inspect.signature(getattr(torch.nn.functional, name)).parameters
    ours = inspect.signature(getattr(normcy, name)).parameters
    assert [p.default for p in theirs.values()] == [p.default for p in ours.values()][: len(theirs)]
    assert list(theirs)[1:] == list(ours)[1 : len(theirs)]


def test_instance_norm_of_torch():
    """It never counts batches, keeps its statistics with momentum=None, and returns a contiguous tensor."""
    import torch

    layer = torch.nn.InstanceNorm2d(8, momentum=None, track_running_stats=True)
    y = layer(torch.randn(2, 8, 4, 4).to(memory_format=torch.channels_last) + 3)
    assert layer.num_batches_tracked == 0
    assert (layer.running_mean == 0).all()
    assert y.is_contiguous()


def test_tools_of_torch():
    import torch
    from torch.nn.utils.fusion import fuse_conv_bn_weights

    w, b, mean, var, gamma, beta = drawn({"w": (8, 3, 3, 3), "b": 8, "m": 8, "v": 8, "g": 8, "be": 8}).values()
    theirs = fuse_conv_bn_weights(*map(torch.tensor, (w, b, mean, var)), 1e-5, *map(torch.tensor, (gamma, beta)))
    for ours, expected in zip(normcy.fold_batch_norm(w, b, mean, var, gamma, beta, 1e-5), theirs, strict=True):
        agree(ours, expected.detach().numpy())
    expected_var, expected_mean = torch.var_mean(torch.tensor(w), (0, 2), correction=0)
    mean, var = normcy.moments(w, (0, 2))
    agree(mean, expected_mean.numpy())
    agree(var, expected_var.numpy())


def test_update_bn_of_torch():
    import torch

    batches = [torch.from_numpy(images((4, 8, 6)) * i + i) for i in (1, 2, 3)]
    module, layer = torch.nn.BatchNorm1d(8), normcy.BatchNorm(8)
    torch.optim.swa_utils.update_bn(batches, module)
    normcy.recalibrate([layer], lambda x: layer(x.numpy()), batches, method="average")
    agree(layer.running_mean, module.running_mean.numpy())
    agree(layer.running_var, module.running_var.numpy())


# -- eps, which no file has --------------------------------------------------------------------------------------------


def test_eps_of_the_libraries():
    """The table on the page `From a checkpoint`."""
    checkpoints.import_torchvision()
    import flax.linen
    import keras
    import timm
    import torch
    import transformers

    nn = torch.nn
    assert (
        {kind(8).eps for kind in (nn.BatchNorm2d, nn.InstanceNorm2d, nn.LayerNorm)}
        == {nn.GroupNorm(2, 8).eps}
        == {1e-5}
    )
    assert nn.RMSNorm(8).eps is None
    assert transformers.BertConfig().layer_norm_eps == 1e-12
    assert transformers.LlamaConfig().rms_norm_eps == 1e-6
    assert timm.layers.LayerNorm(8).eps == timm.layers.LayerNorm2d(8).eps == 1e-6
    kinds = keras.layers.BatchNormalization, keras.layers.LayerNormalization, keras.layers.GroupNormalization
    assert {kind().epsilon for kind in kinds} == {1e-3}
    assert keras.layers.RMSNormalization().epsilon == 1e-6
    assert flax.linen.BatchNorm.epsilon == 1e-5
    assert {getattr(flax.linen, kind).epsilon for kind in ("LayerNorm", "GroupNorm", "InstanceNorm", "RMSNorm")} == {
        1e-6
    }


# -- NumPy -------------------------------------------------------------------------------------------------------------


def normalized(x, axes, eps=1e-3):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def test_formulas_of_numpy():
    """The calls in the page's table, in its order, have the values of the formulas beside them."""
    x, eps, axes = images((4, 8, 5, 6)), 1e-3, (0, 3)
    table, g = images((50, 8)), np.arange(1, 51, dtype=np.float32)
    mean, var, w, b = drawn(dict.fromkeys("mvwb", 8)).values()
    expected = [
        (x, normalized(x, -1)),
        (x, normalized(x, (2, 3))),
        (x, normalized(x, (0, 2, 3))),
        (x, normalized(x, 1)),
        (table, normalized(table, 0)),
        (x, normalized(x.reshape(4, 2, 4, 5, 6), (2, 3, 4)).reshape(x.shape)),
        (x, x / np.sqrt((x * x).mean(-1, keepdims=True) + eps)),
        (table, (table - mean) / np.sqrt(var + eps)),
        (x, (x.mean(axes), x.var(axes))),
        (x, table * (g / np.linalg.norm(table, axis=1))[:, None]),
    ]
    lines = (PAGES / "numpy.md").read_text().splitlines()
    calls = [call[1] for line in lines if (call := re.search(r"^\| .* \| `(\w+\(.*\))`[^`]*\|$", line))]
    names = {"eps": eps, "axes": axes, "G": 2, "g": g, "mean": mean, "var": var}
    for call, (argument, values) in zip(calls, expected, strict=True):
        w_or_table = {"w": table} if "weight_norm" in call else {}
        found = eval(call, vars(normcy) | names | {"x": argument} | w_or_table)
        agree(np.asarray(found), np.asarray(values))
    more = re.search(r"`np.maximum\(norm\(x\) \* w \+ b, 0\)` \| `(.*?)`", "\n".join(lines))[1]
    y = eval(f"batch_norm(x, mean, var, eps=eps, {more})", vars(normcy) | names | {"x": table, "w": w, "b": b})
    agree(y, np.maximum((table - mean) / np.sqrt(var + eps) * w + b, 0))
