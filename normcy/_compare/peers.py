"""One adapter a library: from a case and its arrays to something that can be called again and again.

An adapter returns None where its library has no such operator. It imports its library itself, in a worker process.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import normcy
from normcy._compare.cases import EPS, METHODS, Array, Case, arguments
from normcy._compare.formulas import axes, formula


class Runner(NamedTuple):
    run: Callable[[], Any]  # what is timed
    result: Callable[[Any], Array]  # what it returned, as an array in the shape of x


Data = dict[str, Array]
Adapter = Callable[[Case, Data, int], Runner | None]


def adapt_copy(case: Case, data: Data, threads: int) -> Runner:
    """NumPy's copy of x into y: what no norm that is read from and written to memory is much faster than."""
    y = np.empty_like(data["x"])
    return Runner(partial(np.copyto, y, data["x"]), lambda _: y)


def adapt_normcy(case: Case, data: Data, threads: int) -> Runner:
    normcy.set_num_threads(threads)
    function = getattr(normcy, METHODS[case.method].function)
    return Runner(partial(function, **arguments(case, data), out=np.empty_like(data["x"])), np.asarray)


def adapt_numpy(case: Case, data: Data, threads: int) -> Runner:
    return Runner(partial(formula(np, case), **data), lambda results: results[0])


def adapt_jax(case: Case, data: Data, threads: int) -> Runner:
    import jax

    function = jax.jit(formula(jax.numpy, case))
    on_device = {name: jax.device_put(value) for name, value in data.items()}
    return Runner(lambda: jax.block_until_ready(function(**on_device)), lambda results: np.asarray(results[0]))


def adapt_torch(case: Case, data: Data, threads: int) -> Runner:
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    tensors = {name: torch.from_numpy(value) for name, value in data.items()}
    # PyTorch wants channels at axis 1, or last for a layer norm over them: a view, the memory stays as it is
    here = case.channel_axis
    there = here if case.layout == "-" else len(case.shape) - 1 if case.method == "layer2d" else 1
    x = tensors["x"].movedim(here, there)
    w, b, mean, var = (tensors[name] for name in ("weight", "bias", "running_mean", "running_var"))
    run = {
        "batch": lambda: F.batch_norm(x, mean, var, w, b, False, 0.1, EPS),
        "batch train": lambda: F.batch_norm(x, mean, var, w, b, True, 0.1, EPS),
        "layer": lambda: F.layer_norm(x, case.normalized_shape, w, b, EPS),
        "rms": lambda: F.rms_norm(x, case.normalized_shape, w, EPS),
        "layer2d": lambda: F.layer_norm(x, w.shape, w, b, EPS),
        "instance": lambda: F.instance_norm(x, weight=w, bias=b, eps=EPS),
        "group": lambda: F.group_norm(x, case.num_groups, w, b, EPS),
    }
    return Runner(run[case.method], lambda y: y.movedim(there, here).numpy())


_ONNX = {  # operator and its inputs after x; ONNX has no training outside of training builds, and channels at axis 1
    "batch": ("BatchNormalization", ("weight", "bias", "running_mean", "running_var")),
    "layer": ("LayerNormalization", ("weight", "bias")),
    "rms": ("SimplifiedLayerNormalization", ("weight",)),
    "layer2d": ("LayerNormalization", ("weight", "bias")),
    "instance": ("InstanceNormalization", ("weight", "bias")),
    "group": ("GroupNormalization", ("weight", "bias")),
}


def adapt_onnxruntime(case: Case, data: Data, threads: int) -> Runner | None:
    import onnxruntime as ort
    from onnx import TensorProto, helper, numpy_helper

    if case.method not in _ONNX or case.layout == ("NCHW" if case.method == "layer2d" else "NHWC"):
        return None
    operator, names = _ONNX[case.method]
    options: dict[str, Any] = {"axis": -len(data["weight"].shape)} if "Layer" in operator else {}
    if case.method == "group":
        options["num_groups"] = case.num_groups
    node = helper.make_node(operator, ["x", *names], ["y"], epsilon=EPS, **options)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, case.shape) for name in "xy")
    constants = [numpy_helper.from_array(data[name], name) for name in names]
    graph = helper.make_graph([node], "norm", [x], [y], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.add_session_config_entry("session.force_spinning_stop", "1")  # leave the cores to the next library
    session = ort.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    out = np.empty_like(data["x"])
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", ort.OrtValue.ortvalue_from_numpy(data["x"]))
    binding.bind_ortvalue_output("y", ort.OrtValue.ortvalue_from_numpy(out))
    return Runner(partial(session.run_with_iobinding, binding), lambda _: binding.copy_outputs_to_cpu()[0])


def adapt_openvino(case: Case, data: Data, threads: int) -> Runner | None:
    import openvino as ov
    from openvino import opset13 as ops

    x = ops.parameter(list(case.shape), np.float32)
    w, b, mean, var = (data[name] for name in ("weight", "bias", "running_mean", "running_var"))
    if case.method in ("layer", "layer2d", "instance"):
        normalized = ops.mvn(x, ops.constant(np.array(axes(case))), True, EPS, "inside_sqrt")
        y = ops.add(ops.multiply(normalized, ops.constant(case.broadcast(w))), ops.constant(case.broadcast(b)))
    elif case.method == "batch" and case.layout != "NHWC":
        y = ops.batch_norm_inference(x, w, b, mean, var, EPS)
    elif case.method == "group" and case.layout != "NHWC":
        y = ops.group_normalization(x, w, b, case.num_groups, EPS)
    else:
        return None
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    request = ov.Core().compile_model(ov.Model([y], [x], "norm"), "CPU", settings).create_infer_request()
    out = np.empty_like(data["x"])
    request.set_input_tensor(ov.Tensor(data["x"], shared_memory=True))
    request.set_output_tensor(ov.Tensor(out, shared_memory=True))
    return Runner(request.infer, lambda _: out)


class Peer(NamedTuple):
    adapter: Adapter
    packages: tuple[str, ...]

    def missing(self) -> list[str]:
        """Packages that are not installed here."""
        return [name for name in self.packages if importlib.util.find_spec(name) is None]


PEERS = {
    "torch": Peer(adapt_torch, ("torch",)),
    "onnxruntime": Peer(adapt_onnxruntime, ("onnxruntime", "onnx")),
    "jax": Peer(adapt_jax, ("jax",)),
    "openvino": Peer(adapt_openvino, ("openvino",)),
}
ALWAYS: dict[str, Adapter] = {"copy": adapt_copy, "normcy": adapt_normcy, "numpy": adapt_numpy}
ADAPTERS = ALWAYS | {name: peer.adapter for name, peer in PEERS.items()}
