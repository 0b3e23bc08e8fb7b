"""One adapter for each library, which makes a function of a case and its arrays that can be called repeatedly.

An adapter returns None if its library has no such operator. It imports its library itself, in a worker process.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable, Collection
from functools import cache, partial
from timeit import timeit
from typing import Any, NamedTuple

import numpy as np

import normcy
from normcy import _native
from normcy._compare.cases import Case, call
from normcy._compare.formulas import axes, formula
from normcy._compare.methods import METHODS, Array


class Runner(NamedTuple):
    run: Callable[[], Any]  # the function that is timed; it keeps the arrays alive that it reads and writes
    result: Callable[[Any], Array]  # converts its result to an array in the shape of x


COPIED = 1 << 24  # bytes that are copied for one measurement, which takes about a millisecond
COPIES = 1000  # the most calls, since small arrays cost by the call

Data = dict[str, Array]
Adapter = Callable[[Case, Data, int], Runner | None]


def adapt_copy(case: Case, data: Data, threads: int) -> Runner:
    """The machine's limit: the faster copy of x into y, NumPy's or that by all threads; no norm is much faster."""
    normcy.set_num_threads(threads)
    x, y = data["x"], np.empty_like(data["x"])
    ways = partial(np.copyto, y, x), partial(_native.copy, x, y)
    calls = min(max(1, COPIED // x.nbytes), COPIES)
    times = [[timeit(way, number=calls) for way in ways] for _ in range(5)]  # interleaved, as libraries are timed
    return Runner(ways[np.argmin(np.min(times, axis=0))], lambda _: y)


def adapt_normcy(case: Case, data: Data, threads: int) -> Runner:
    normcy.set_num_threads(threads)
    return Runner(partial(call(normcy, case, data), out=np.empty_like(data["x"])), np.asarray)


def adapt_numpy(case: Case, data: Data, threads: int) -> Runner:
    return Runner(partial(formula(np, case), **data), lambda results: results[0])


@cache
def _jitted(case: Case) -> Callable[..., tuple[Any, ...]]:
    """Compiles only once, as a sweep runs the same case on several arrays."""
    import jax

    return jax.jit(formula(jax.numpy, case))


def adapt_jax(case: Case, data: Data, threads: int) -> Runner:
    import jax

    function = _jitted(case)
    on_device = {name: jax.device_put(value) for name, value in data.items()}
    return Runner(lambda: jax.block_until_ready(function(**on_device)), lambda results: np.asarray(results[0]))


def adapt_torch(case: Case, data: Data, threads: int) -> Runner:
    import torch

    from normcy._compare import in_torch

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    # PyTorch wants channels at axis 1, or last for a layer norm over them: a view, the memory stays as it is
    here = case.channel_axis
    there = here if case.layout == "-" else len(case.shape) - 1 if case.method == "layer2d" else 1
    tensors = {name: torch.from_numpy(value) for name, value in data.items()}
    for name, tensor in tensors.items():
        if tensor.ndim == len(case.shape) and case.layout != "-":
            tensors[name] = tensor.movedim(here, there)
    return Runner(in_torch.runner(case, **tensors), lambda y: y.movedim(there, here).numpy())


_WHOLE = ("x", "pre_add", "post_add")  # the arrays of x's shape, which a network would compute
_ONNX = {  # operator and its inputs after x; ONNX has no training outside of training builds, and channels at axis 1
    "batch": ("BatchNormalization", ("weight", "bias", "running_mean", "running_var")),
    "layer": ("LayerNormalization", ("weight", "bias")),
    "rms": ("SimplifiedLayerNormalization", ("weight",)),
    "layer2d": ("LayerNormalization", ("weight", "bias")),
    "instance": ("InstanceNormalization", ("weight", "bias")),
    "group": ("GroupNormalization", ("weight", "bias")),
}


def _onnx_model(case: Case, data: Data) -> Any:
    """The norm with the operations before and after it; x and residuals are inputs, parameters are constants."""
    from onnx import TensorProto, helper, numpy_helper

    method, nodes = METHODS[case.method], list[Any]()
    operator, names = _ONNX[method.norm]
    options: dict[str, Any] = {"epsilon": case.eps}
    if "Layer" in operator:
        options["axis"] = -len(data["weight"].shape)
    if operator == "GroupNormalization":
        options["num_groups"] = case.num_groups

    def then(operator: str, *inputs: str, **options: Any) -> str:
        nodes.append(helper.make_node(operator, inputs, [f"y{len(nodes)}"], **options))
        return nodes[-1].output[0]

    y = then(operator, then("Add", "x", "pre_add") if "pre_add" in data else "x", *names, **options)
    y = then("Add", y, "post_add") if "post_add" in data else y
    if case.activation == "relu":
        y = then("Relu", y)
    elif case.activation == "silu":
        y = then("Mul", y, then("Sigmoid", y))
    elif case.activation:
        y = then("Gelu", y, approximate={"gelu": "none", "gelu_tanh": "tanh"}[case.activation])
    inputs = [name for name in _WHOLE if name in data]
    values = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, case.shape) for name in (*inputs, y)}
    constants = [numpy_helper.from_array(data[name], name) for name in names]
    graph = helper.make_graph(nodes, "norm", [values[name] for name in inputs], [values[y]], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def adapt_onnxruntime(case: Case, data: Data, threads: int) -> Runner | None:
    import onnxruntime as ort

    if METHODS[case.method].norm not in _ONNX or case.layout == ("NCHW" if case.method == "layer2d" else "NHWC"):
        return None
    model = _onnx_model(case, data)
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.add_session_config_entry("session.force_spinning_stop", "1")  # leave the cores to the next library
    session = ort.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    out = np.empty_like(data["x"])
    binding = session.io_binding()
    for value in session.get_inputs():
        binding.bind_ortvalue_input(value.name, ort.OrtValue.ortvalue_from_numpy(data[value.name]))
    binding.bind_ortvalue_output(session.get_outputs()[0].name, ort.OrtValue.ortvalue_from_numpy(out))
    return Runner(partial(session.run_with_iobinding, binding), lambda _: binding.copy_outputs_to_cpu()[0])


def adapt_openvino(case: Case, data: Data, threads: int) -> Runner | None:
    import openvino as ov
    from openvino import opset13 as ops

    method = METHODS[case.method]
    inputs = {name: ops.parameter(list(case.shape), np.float32) for name in _WHOLE if name in data}
    x = ops.add(inputs["x"], inputs["pre_add"]) if "pre_add" in data else inputs["x"]
    if method.norm in ("layer", "layer2d", "instance"):
        w, b = (ops.constant(case.broadcast(data[name])) for name in ("weight", "bias"))
        normalized = ops.mvn(x, ops.constant(np.array(axes(case))), True, case.eps, "inside_sqrt")
        y = ops.add(ops.multiply(normalized, w), b)
    elif method.norm == "batch" and case.layout != "NHWC":
        y = ops.batch_norm_inference(x, *(data[n] for n in ("weight", "bias", "running_mean", "running_var")), case.eps)
    elif method.norm == "group" and case.layout != "NHWC":
        y = ops.group_normalization(x, data["weight"], data["bias"], case.num_groups, case.eps)
    else:
        return None
    y = ops.add(y, inputs["post_add"]) if "post_add" in data else y
    gelus: dict[str | None, Callable[[Any], Any]] = {
        "gelu": partial(ops.gelu, approximation_mode="ERF"),
        "gelu_tanh": partial(ops.gelu, approximation_mode="TANH"),
    }
    activations = {None: lambda y: y, "relu": ops.relu, "silu": ops.swish, **gelus}
    y = activations[case.activation](y)
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    model = ov.Model([y], list(inputs.values()), "norm")
    request = ov.Core().compile_model(model, "CPU", settings).create_infer_request()
    out = np.empty_like(data["x"])
    for index, name in enumerate(inputs):
        request.set_input_tensor(index, ov.Tensor(data[name], shared_memory=True))
    request.set_output_tensor(ov.Tensor(out, shared_memory=True))

    def run(arrays: tuple[Data, Array] = (data, out)) -> Any:  # OpenVINO's tensors only point to them
        return request.infer()

    return Runner(run, lambda _: out)


class Peer(NamedTuple):
    adapter: Adapter
    packages: tuple[str, ...]

    def missing(self) -> list[str]:
        """Returns the packages that are not installed."""
        return [name for name in self.packages if importlib.util.find_spec(name) is None]

    @property
    def version(self) -> str:
        return importlib.metadata.version(self.packages[0])


PEERS = {
    "torch": Peer(adapt_torch, ("torch",)),
    "onnxruntime": Peer(adapt_onnxruntime, ("onnxruntime", "onnx")),
    "jax": Peer(adapt_jax, ("jax",)),
    "openvino": Peer(adapt_openvino, ("openvino",)),
}
ALWAYS: dict[str, Adapter] = {"copy": adapt_copy, "normcy": adapt_normcy, "numpy": adapt_numpy}
ADAPTERS = ALWAYS | {name: peer.adapter for name, peer in PEERS.items()}


def installed(against: Collection[str]) -> tuple[list[str], dict[str, str]]:
    """Returns those of the libraries that are installed, and the reasons why the others are left out, by name."""
    missing = {name: packages for name in against if (packages := PEERS[name].missing())}
    reasons = {
        name: f"needs {' and '.join(packages)}: run `python -m pip install {' '.join(packages)}`"
        for name, packages in missing.items()
    }
    return [name for name in against if name not in missing], reasons


def versions(names: Collection[str]) -> dict[str, str]:
    """Returns the versions of libraries that are installed."""
    own = {"normcy": normcy.__version__, "numpy": np.__version__}
    return {name: own[name] if name in own else PEERS[name].version for name in names}
