"""Models of other libraries, the files that these libraries write, and what each norm in them was given and returned.

The tests that `make doors` runs need them. No model is downloaded: each is small or of a well-known shape, and its
weights are random. One forward pass in training moved the running statistics before the model was saved, and one in
evaluation told what each norm does. A norm is found in the file by the name under which it is listed here.
Functions write into a folder, each only once.
"""

import functools
from typing import NamedTuple

import numpy as np


class Seen(NamedTuple):
    """One call of a norm in another library: its input, and what that library made of it."""

    x: np.ndarray
    y: np.ndarray


def agree(y, expected):
    """Checks results in float32 to 1e-5 of the largest.

    Two libraries each round some ten times, by 2**-24 of the terms that they add. The inputs here are such that these
    terms are less than eight times as large as the largest result: 2 * 10 * 8 * 2**-24 is less than 1e-5.
    """
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def images(shape=(4, 3, 32, 32)):
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


# -- PyTorch and what is built on it -----------------------------------------------------------------------------------


@functools.cache
def import_torchvision():
    """Returns torchvision, also if its operators are compiled for another build of torch than the one installed.

    That is so where torch for CPUs comes from an index that has no torchvision. Models need no such operators, but
    torchvision is not imported unless these two are declared.
    """
    import torch

    try:
        import torchvision
    except RuntimeError:
        declared = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            declared.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision

        torchvision.declared = declared  # It holds as long as this object exists.
    return torchvision


def in_torch(model, *inputs, norms):
    """Trains the statistics of a model for one step, and returns what its norms do in evaluation, by name."""
    import torch

    torch.manual_seed(0)
    seen = {}
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, norms):
                for parameter in module.parameters(recurse=False):
                    parameter.uniform_(-1.5, 1.5)
        model.train()(*inputs)
        model.eval()
        for name, module in model.named_modules():
            if isinstance(module, norms):
                module.register_forward_hook(keep(seen, name))
        model(*inputs)
    return seen


def keep(seen, name):
    """Returns a hook that keeps a module's call under a name."""

    def hook(module, inputs, output):
        seen[name] = Seen(inputs[0].numpy().copy(), output.numpy().copy())

    return hook


@functools.cache
def resnet(folder, name="resnet18"):
    """torchvision's ResNet, as torch.save and as safetensors write it; norms by their names, such as layer1.0.bn1."""
    import torch
    from safetensors.torch import save_file

    model = getattr(import_torchvision().models, name)()
    seen = in_torch(model, torch.from_numpy(images()), norms=torch.nn.BatchNorm2d)
    torch.save(model.state_dict(), folder / f"{name}.pt")
    save_file(model.state_dict(), folder / f"{name}.safetensors")
    return seen


@functools.cache
def convnext(folder):
    """timm's ConvNeXt, whose norms over the channels of an image have their values under `weight` and `bias`."""
    import_torchvision()
    import timm
    import torch
    from safetensors.torch import save_file

    model = timm.create_model("convnext_atto", pretrained=False)
    seen = in_torch(model, torch.from_numpy(images((2, 3, 64, 64))), norms=timm.layers.LayerNorm2d)
    save_file(model.state_dict(), folder / "convnext.safetensors")
    return seen


@functools.cache
def transformer(folder, kind):
    """A BERT, Llama or Gemma of transformers, saved by save_pretrained, and its layer norms or RMS norms."""
    import_torchvision()
    import torch
    import transformers

    transformers.logging.disable_progress_bar()
    size = dict(hidden_size=48, intermediate_size=96, num_hidden_layers=2, vocab_size=100)
    heads = dict(num_attention_heads=2, num_key_value_heads=2, head_dim=24)
    torch.manual_seed(0)
    if kind == "bert":
        model = transformers.BertModel(transformers.BertConfig(**size, num_attention_heads=2))
        norms = torch.nn.LayerNorm
    else:
        library = {"llama": "Llama", "gemma": "Gemma"}[kind]
        config = getattr(transformers, library + "Config")(**size, **heads)
        model = getattr(transformers, library + "Model")(config)
        norms = type(model.norm)
    seen = in_torch(model, torch.arange(20).reshape(2, 10), norms=norms)
    model.save_pretrained(folder / kind)
    return seen


# -- Keras -------------------------------------------------------------------------------------------------------------


@functools.cache
def keras_norms(folder):
    """A model of Keras in all of its file formats; norms by the names that they have in `.keras` files."""
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    x = inputs = keras.Input((8, 8, 3))
    norms = {
        "batch_normalization": layers.BatchNormalization(name="stem_norm"),
        "batch_normalization_1": layers.BatchNormalization(scale=False, epsilon=1e-5),
        "layer_normalization": layers.LayerNormalization(),
        "group_normalization": layers.GroupNormalization(4),
        "rms_normalization": layers.RMSNormalization(),
    }
    calls = {}
    for name, norm in norms.items():
        before = layers.Conv2D(8, 3, padding="same")(x)
        x = norm(before)
        calls[name] = before, x
    model = keras.Model(inputs, x)
    draw = np.random.default_rng(1)
    for norm in norms.values():
        norm.set_weights([draw.uniform(0.5, 1.5, w.shape) for w in norm.get_weights()])
    batch = images((4, 8, 8, 3))
    model(batch, training=True)
    found = keras.Model(inputs, calls)(batch, training=False)
    model.save(folder / "model.keras")
    model.save_weights(folder / "model.weights.h5")
    model.save(folder / "legacy.h5")
    np.savez(folder / "keras_paths.npz", **{w.path: np.asarray(w) for w in model.weights})
    return {name: Seen(*map(np.asarray, pair)) for name, pair in found.items()}


# -- Flax --------------------------------------------------------------------------------------------------------------


@functools.cache
def linen(folder):
    """A model of Flax's linen, written by flax.serialization; norms by their names in `params` and `batch_stats`."""
    import flax.linen as nn
    import jax
    from flax.serialization import to_bytes

    class Model(nn.Module):
        @nn.compact
        def __call__(self, x, training=False):
            x = nn.Conv(8, (3, 3))(x)
            x = nn.BatchNorm(use_running_average=not training, name="stem_norm")(x)
            x = nn.LayerNorm()(nn.Conv(8, (3, 3))(x))
            x = nn.GroupNorm(4)(nn.Conv(8, (3, 3))(x))
            return nn.RMSNorm()(nn.Conv(8, (3, 3))(x))

    model, batch = Model(), images((4, 8, 8, 3))
    variables = _scattered(model.init(jax.random.key(0), batch))
    _, updated = model.apply(variables, batch, training=True, mutable=["batch_stats"])
    variables |= updated
    (folder / "params.msgpack").write_bytes(to_bytes(variables))
    _, kept = model.apply(variables, batch, capture_intermediates=True, mutable=["intermediates"])
    outputs = {
        name: np.asarray(kept["intermediates"][name]["__call__"][0]) for name in kept["intermediates"] if name[0] != "_"
    }
    norms = {"stem_norm": "Conv_0", "LayerNorm_0": "Conv_1", "GroupNorm_0": "Conv_2", "RMSNorm_0": "Conv_3"}
    return {norm: Seen(outputs[before], outputs[norm]) for norm, before in norms.items()}


def _scattered(tree):
    """Returns the arrays of a tree with random numbers added, so that weights are not 1 and biases not 0.

    These are on both sides of 0, since Flax computes a variance as the mean of squares minus the square of the mean,
    which loses digits where the mean is far from 0.
    """
    import jax

    draw = np.random.default_rng(2)
    return jax.tree.map(lambda a: a + draw.uniform(-0.5, 0.5, a.shape).astype(np.float32), tree)


@functools.cache
def nnx_norms(folder):
    """Norms of Flax's nnx, whose state is written by Orbax; returns also the module."""
    import jax
    import orbax.checkpoint
    from flax import nnx

    class Model(nnx.Module):
        def __init__(self):
            rngs = nnx.Rngs(0)
            self.norm, self.after = nnx.BatchNorm(8, rngs=rngs), nnx.LayerNorm(8, rngs=rngs)

        def __call__(self, x):
            return self.after(self.norm(x))

    model, batch = Model(), images((4, 8, 8, 8))
    nnx.update(model, _scattered(nnx.state(model)))
    model.train()
    model(batch)
    model.eval()
    with orbax.checkpoint.StandardCheckpointer() as writer:
        writer.save((folder / "orbax").resolve(), nnx.to_pure_dict(nnx.state(model)))
    between = model.norm(batch)
    seen = {"norm": Seen(batch, between), "after": Seen(between, model.after(between))}
    return model, {name: Seen(*map(np.asarray, jax.device_get(pair))) for name, pair in seen.items()}


# -- ONNX --------------------------------------------------------------------------------------------------------------

ONNX_NORMS = {  # a node's operator, the shapes of its inputs but the first, and its attributes
    "BatchNormalization": ([8] * 4, {"epsilon": 1e-3}),
    "InstanceNormalization": ([8] * 2, {}),
    "LayerNormalization": ([(6, 6)] * 2, {"axis": -2, "epsilon": 1e-12}),
    "GroupNormalization": ([8] * 2, {"num_groups": 4}),
    "RMSNormalization": ([6], {"epsilon": 1e-6}),
}


@functools.cache
def onnx_norms(folder):
    """A chain of ONNX's norms, each with its operator as its name and with inputs that have meaningless names."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    from onnx.reference import ReferenceEvaluator

    draw, batch = np.random.default_rng(3), images((4, 8, 6, 6))
    nodes, initializers, edges = [], [], ["x"]
    for operator, (shapes, attributes) in ONNX_NORMS.items():
        values = [draw.uniform(0.5, 1.5, shape).astype(np.float32) for shape in shapes]
        names = [f"onnx::{operator}_{i}" for i in range(len(values))]
        initializers += map(numpy_helper.from_array, values, names)
        nodes.append(helper.make_node(operator, [edges[-1], *names], [f"y{len(edges)}"], operator, **attributes))
        edges.append(nodes[-1].output[0])
    infos = [helper.make_tensor_value_info(edge, TensorProto.FLOAT, batch.shape) for edge in edges]
    graph = helper.make_graph(nodes, "norms", infos[:1], infos[1:], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)])
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, folder / "model.onnx")
    results = [batch, *ReferenceEvaluator(model).run(None, {"x": batch})]
    return {operator: Seen(*results[i : i + 2]) for i, operator in enumerate(ONNX_NORMS)}


@functools.cache
def exported(folder):
    """Two batch norms of torch, exported to ONNX: the second follows a convolution, and so is folded into it."""
    import torch
    from torch import nn

    model = nn.Sequential()
    model.add_module("conv", nn.Conv2d(3, 8, 3))
    model.add_module("pool", nn.MaxPool2d(2))
    model.add_module("bn1", nn.BatchNorm2d(8))
    model.add_module("conv2", nn.Conv2d(8, 8, 1))
    model.add_module("bn2", nn.BatchNorm2d(8))
    batch = torch.from_numpy(images((4, 3, 8, 8)))
    seen = in_torch(model, batch, norms=nn.BatchNorm2d)
    torch.onnx.export(model, (batch,), folder / "exported.onnx", dynamo=True, verbose=False)
    return seen
