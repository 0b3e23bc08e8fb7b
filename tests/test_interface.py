"""The C interface: what clients are compiled against stays, results have the bits of the Python functions, and each wrong
field has an error of its own, after which nothing has changed."""

import ctypes
import re
import subprocess
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from compilers import COMPILERS
from methods import LAYOUTS, fixed, same_bits, sample
from test_floating_point import Mode, every_mode
from test_floating_point import pytestmark as needs_glibc
from tunings import TUNINGS, tuned

import normcy
from normcy._engine import interface

# Whoever changes what follows breaks clients: NORMCY_INTERFACE_VERSION has to grow. Fields may be added at the end.
VERSION = 1
SIGNATURES = {
    "normcy_interface_version": "int (void)",
    "normcy_check": "int (normcy_norm const *)",
    "normcy_error_text": "char const *(int)",
    "normcy_run": "int (normcy_norm const *, int, normcy_runner const *)",
}
FIELDS = {  # bytes from the beginning of a normcy_norm to each
    "struct_bytes": 0, "method": 8, "about_zero": 12, "channels_last": 16, "activation": 20, "samples": 24,
    "channels": 32, "positions": 40, "groups": 48, "sample_stride": 56, "row_stride": 64, "x": 72, "y": 80,
    "weight": 88, "bias": 96, "weight_offset": 104, "eps": 112, "pre_add": 120, "sum_out": 128, "post_add": 136,
    "given_mean": 144, "given_rstd": 152, "mean": 160, "m2": 168, "rstd": 176,
}  # fmt: skip
BYTES = 184
NUMBERS = {
    "METHOD_BATCH": 1, "METHOD_INSTANCE": 2, "METHOD_GROUP": 3, "METHOD_LAYER": 4,
    "ACTIVATION_NONE": 0, "ACTIVATION_RELU": 1, "ACTIVATION_SILU": 2, "ACTIVATION_GELU": 3, "ACTIVATION_GELU_TANH": 4,
    "OK": 0, "ERROR_NORM": 1, "ERROR_STRUCT_BYTES": 2, "ERROR_METHOD": 3, "ERROR_ABOUT_ZERO": 4,
    "ERROR_CHANNELS_LAST": 5, "ERROR_ACTIVATION": 6, "ERROR_SAMPLES": 7, "ERROR_CHANNELS": 8, "ERROR_POSITIONS": 9,
    "ERROR_GROUPS": 10, "ERROR_SAMPLE_STRIDE": 11, "ERROR_ROW_STRIDE": 12, "ERROR_X": 13, "ERROR_Y": 14,
    "ERROR_WEIGHT": 15, "ERROR_BIAS": 16, "ERROR_WEIGHT_OFFSET": 17, "ERROR_EPS": 18, "ERROR_PRE_ADD": 19,
    "ERROR_SUM_OUT": 20, "ERROR_POST_ADD": 21, "ERROR_GIVEN_MEAN": 22, "ERROR_GIVEN_RSTD": 23, "ERROR_MEAN": 24,
    "ERROR_M2": 25, "ERROR_RSTD": 26, "ERROR_THREADS": 27, "ERROR_RUNNER": 28, "ERROR_MEMORY": 29,
}  # fmt: skip

TYPES = {"struct_bytes": ctypes.c_size_t, "weight_offset": ctypes.c_double, "eps": ctypes.c_double}
TYPES |= dict.fromkeys(["method", "about_zero", "channels_last", "activation"], ctypes.c_int)
TYPES |= dict.fromkeys(["samples", "channels", "positions", "groups", "sample_stride", "row_stride"], ctypes.c_ssize_t)


class Norm(ctypes.Structure):
    _fields_ = [(name, TYPES.get(name, ctypes.c_void_p)) for name in FIELDS]


PART = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_ssize_t)
RUN = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_void_p)


class Runner(ctypes.Structure):
    _fields_ = [("run", RUN), ("arg", ctypes.c_void_p)]


def function(name, result, *parameters):
    take = ctypes.pythonapi.PyCapsule_GetPointer
    take.restype, take.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    address = take(interface.__pyx_capi__[name], SIGNATURES[name].encode())
    return ctypes.CFUNCTYPE(result, *parameters)(address)  # calls release the GIL


version = function("normcy_interface_version", ctypes.c_int)
check = function("normcy_check", ctypes.c_int, ctypes.POINTER(Norm))
error_text = function("normcy_error_text", ctypes.c_char_p, ctypes.c_int)
run = function("normcy_run", ctypes.c_int, ctypes.POINTER(Norm), ctypes.c_int, ctypes.POINTER(Runner))

INCLUDE = Path(normcy.get_include())
SRC = Path(__file__).parents[1] / "src"


def test_what_clients_are_compiled_against():
    """Names and signatures, by which clients find the functions, and the numbers and places of the struct's fields."""
    found = {name: re.search(r'"(.*)"', str(capsule))[1] for name, capsule in interface.__pyx_capi__.items()}
    assert found == SIGNATURES
    assert version() == VERSION
    assert {name: getattr(Norm, name).offset for name in FIELDS} == FIELDS
    assert ctypes.sizeof(Norm) == BYTES


@pytest.mark.skipif(not COMPILERS, reason="needs a C compiler")
@pytest.mark.parametrize("language", ["c", "c++"])
def test_header_alone(language):
    """The header needs no Python.h for its types, and says what this file says."""
    assertion = "static_assert" if language == "c++" else "_Static_assert"
    known = {f"offsetof(normcy_norm, {name})": at for name, at in FIELDS.items()}
    known |= {f"NORMCY_{name}": number for name, number in NUMBERS.items()}
    known |= {"sizeof(normcy_norm)": BYTES, "sizeof(normcy_runner)": 16, "NORMCY_INTERFACE_VERSION": VERSION}
    lines = ['#include "normcy.h"', *(f'{assertion}((long){key} == {value}, "{key}");' for key, value in known.items())]
    command = [COMPILERS[0], "-x", language, "-Wall", "-Wextra", "-Werror", f"-I{INCLUDE}", "-fsyntax-only", "-"]
    done = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, text=True)
    if language == "c++" and "cc1plus" in done.stderr:
        pytest.skip("needs a C++ compiler")
    assert done.returncode == 0, done.stderr


PYTHON_H = Path(sysconfig.get_path("include"), "Python.h")
needs_python_h = pytest.mark.skipif(not COMPILERS or not PYTHON_H.exists(), reason="needs a C compiler and Python.h")
CLIENT = '#include <Python.h>\n#include "normcy.h"\nint import_normcy(void) { return normcy_import(); }'


@needs_python_h
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("", ""), None),
        (("_VERSION 1\n", "_VERSION 2\n"), "expected version 2 of the C interface, got 1; build this module with "),
        (('"normcy_run"', '"normcy_walk"'), "expected a library with normcy_walk, got one without it; update normcy"),
        (('"int (normcy_norm const *)"', '"int (int)"'), "called with incorrect name"),
        (("_engine.interface", "_engine.no_interface"), "No module named 'normcy._engine.no_interface'"),
    ],
)
def test_import_from_c(tmp_path, change, message):
    """A client that was compiled with another header gets Python's error when it is imported."""
    (tmp_path / "normcy.h").write_text((INCLUDE / "normcy.h").read_text().replace(*change))
    (tmp_path / "client.c").write_text(CLIENT)
    command = [COMPILERS[0], "-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-I{PYTHON_H.parent}"]
    subprocess.run([*command, tmp_path / "client.c", "-o", tmp_path / "client.so"], check=True)
    client = ctypes.PyDLL(str(tmp_path / "client.so"))  # raises Python's error, if one is set
    if message is None:
        assert client.import_normcy() == 0
    else:
        with pytest.raises((ImportError, ValueError), match=re.escape(message)):
            client.import_normcy()


@needs_python_h
@pytest.mark.skipif(not SRC.exists(), reason="needs the source tree")
def test_example_of_the_page(tmp_path):
    page = (SRC.parent / "docs/c_interface.md").read_text()
    (tmp_path / "page.c").write_text(page.split("```c\n")[1].split("```")[0])
    command = [COMPILERS[0], "-std=c11", "-Wall", "-Werror", "-Wno-unused-function", f"-I{PYTHON_H.parent}"]
    subprocess.run([*command, f"-I{INCLUDE}", "-fsyntax-only", tmp_path / "page.c"], check=True)


def declared(path):
    """Returns what a .pxd declares of types and numbers."""
    text = path.read_text()
    return text[text.index("    enum:") : text.index("        void *arg")]


def test_declarations_agree():
    """normcy.pxd, which the engine includes, has all of the header's numbers and fields, in its order."""
    public = declared(INCLUDE / "normcy.pxd")
    header = (INCLUDE / "normcy.h").read_text()
    numbers = re.findall(r"^    (NORMCY_\w+) = \d+,", header, re.MULTILINE)
    assert re.findall(r"NORMCY_\w+", public) == ["NORMCY_INTERFACE_VERSION", *numbers]
    assert numbers == [f"NORMCY_{name}" for name in NUMBERS]
    struct = public[public.index("normcy_norm:") : public.index("ctypedef void")]
    assert [name for name in re.findall(r"\w+", struct) if name in FIELDS] == list(FIELDS)


METHODS = ("batch", "given", "instance", "group", "layer2d", "layer", "rms")
ACTIVATIONS = (None, "relu", "silu", "gelu", "gelu_tanh")
EPS, GROUPS = 1e-3, 4
METHOD_OF = {"given": "BATCH", "layer2d": "LAYER", "rms": "LAYER"}


def running(channels):
    return fixed(channels, 3), fixed(channels, 4, 0.5, 1.5)


def by_python(method, x, layout, **kw):
    if method in ("batch", "given"):
        kept = (None, None) if method == "batch" else running(x.shape[1 if layout == "NCHW" else -1])
        return normcy.batch_norm(x, *kept, training=method == "batch", eps=EPS, layout=layout, **kw)
    if method == "group":
        return normcy.group_norm(x, GROUPS, eps=EPS, layout=layout, **kw)
    if method in ("layer", "rms"):
        return getattr(normcy, f"{method}_norm")(x, x.shape[-1], eps=EPS, **kw)
    return {"instance": normcy.instance_norm, "layer2d": normcy.layer_norm2d}[method](x, eps=EPS, layout=layout, **kw)


def described(method, x, layout, keep, activation=None, **kw):
    """Returns the normcy_norm of a call; arrays are given as addresses, and the list `keep` holds those made here."""
    last = layout == "NHWC"
    n, *inner = x.shape
    c, s = (inner[-1], np.prod(inner[:-1], dtype=int)) if last else (inner[0], np.prod(inner[1:], dtype=int))
    fields = {"struct_bytes": BYTES, "samples": n, "channels": c, "positions": s, "channels_last": last, "eps": EPS}
    fields |= {"method": NUMBERS[f"METHOD_{METHOD_OF.get(method, method.upper())}"], "about_zero": method == "rms"}
    fields |= {"activation": ACTIVATIONS.index(activation), "groups": GROUPS, "x": x}
    if method == "given":
        mean, var = (v.astype(np.float64) for v in running(c))
        fields |= {"given_mean": mean, "given_rstd": 1 / np.sqrt(var + EPS)}
    fields |= kw
    keep.append(fields)
    return Norm(**{k: v.ctypes.data if isinstance(v, np.ndarray) else v for k, v in fields.items()})


def computed(method, x, y, layout, runner=None, threads=1, **kw):
    keep = []
    assert run(described(method, x, layout, keep, y=y, **kw), threads, runner) == 0
    return y


class OnThreads:
    """Runs parts in any order on five threads, and counts them."""

    def __init__(self):
        self.phases, self.pool = [], ThreadPoolExecutor(5)
        self.runner = Runner(RUN(self.run), None)

    def run(self, arg, parts, part, of):
        call = PART(part)
        order = np.random.default_rng(parts).permutation(parts)
        self.phases.append(len([*self.pool.map(lambda i: call(of, i), map(int, order))]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.pool.shutdown()


NORMS = [(m, layout) for m, layout in product(METHODS, LAYOUTS) if layout == "NHWC" or m not in ("layer", "rms")]
every_norm = pytest.mark.parametrize(("method", "layout"), NORMS)
SHAPES = [(3, 20, 12, 13), (2, 64, 9, 9), (1, 4, 50, 60), (9, 48, 1, 1)]


def operands_of(which, x, layout, has_bias):
    """Returns arguments that the Python functions and the fields of a norm have in common."""
    c = x.shape[1 if layout == "NCHW" else -1]
    weights = {"weight": fixed(c, 1), "bias": fixed(c, 2)} if has_bias else {"weight": fixed(c, 1)}
    pre, post = sample(x.shape, seed=5), sample(x.shape, seed=6)
    return {
        "alone": {},
        "weights": weights | {"weight_offset": 0.1},  # which float32 has not
        "huge weights": weights | {"weight": weights["weight"] * np.float32(1e30)},
        "sum": weights | {"pre_add": pre, "activation": "relu"},
        "block": weights | {"pre_add": pre, "sum_out": np.empty_like(x), "post_add": post, "activation": "silu"},
    }[which]


def assert_same(method, x, layout, which, runner=None, threads=1):
    kw = operands_of(which, x, layout, method != "rms")
    expected = by_python(method, x, layout, **{k: v.copy() if k == "sum_out" else v for k, v in kw.items()})
    assert same_bits(computed(method, x, np.empty_like(x), layout, runner, threads, **kw), expected)
    if "sum_out" in kw:
        assert same_bits(kw["sum_out"], x + kw["pre_add"])
    in_place = x.copy()
    assert same_bits(computed(method, in_place, in_place, layout, runner, threads, **kw), expected)


@pytest.mark.parametrize("which", ["alone", "weights", "huge weights", "sum", "block"])
@pytest.mark.parametrize(
    ("method", "layout", "shape"),  # instance norm takes more than one position
    [(*norm, shape) for norm, shape in product(NORMS, SHAPES) if norm[0] != "instance" or shape[2] > 1],
)
def test_bits_are_those_of_the_python_function(method, layout, which, shape):
    """Serially, and by a runner of three threads, with a tuning by which small arrays take every path."""
    x = sample(shape if layout == "NCHW" else (shape[0], *shape[2:], shape[1]), mean=3)
    with tuned(TUNINGS["tiny"]), OnThreads() as on_threads:
        assert_same(method, x, layout, which)
        assert_same(method, x, layout, which, on_threads.runner, 3)


@every_norm
def test_large_arrays(method, layout):
    """With this machine's own tuning; a runner is not called for what one thread does as fast."""
    small, large = (sample(s if layout == "NCHW" else (s[0], *s[2:], s[1])) for s in [(2, 8, 9, 9), (8, 48, 60, 50)])
    with OnThreads() as on_threads:
        assert_same(method, small, layout, "block", on_threads.runner, 3)
        assert not on_threads.phases
        assert_same(method, large, layout, "block", on_threads.runner, 3)
        assert max(on_threads.phases) > 1
        assert_same(method, large, layout, "weights", on_threads.runner, 2**31 - 1)


@pytest.mark.parametrize("length", [1, 30, 700])
def test_a_bias_after_a_norm_about_zero(length):
    """RMSNorm has none, but the interface takes one."""
    x, weight, bias = sample((40, length), mean=3), fixed(length, 1), fixed(length, 2)
    scaled = normcy.reference.rms_norm(x, length, weight, eps=EPS)
    y = computed("rms", x, np.empty_like(x), "NHWC", weight=weight, bias=bias)
    limit = 4 * 2.0**-24 * (np.abs(weight) * np.maximum(1, np.abs(scaled)) + np.abs(scaled) + np.abs(bias))
    assert np.all(np.abs(y - (scaled + bias)) <= limit)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation):
    x = sample((4, 30))
    expected = normcy.layer_norm(x, 30, eps=EPS, activation=activation)
    assert same_bits(computed("layer", x, np.empty_like(x), "NHWC", activation=activation), expected)


@pytest.mark.parametrize(("method", "layout"), [norm for norm in NORMS if norm[0] != "given"])
def test_statistics(method, layout):
    """They are those that the Python function returns, each alone as well, with and without a y."""
    x = sample((3, 20, 5, 6) if layout == "NCHW" else (3, 5, 6, 20), mean=3)
    expected = by_python(method, x, layout, return_stats=True)[1:]
    slots = expected[-1].size
    names, m2, keep = ("mean", "m2", "rstd"), None, []
    for wanted in (names, *((name,) for name in names)):
        for y in (None, np.empty_like(x)):
            to = {name: np.full(slots + 1, -1.0) for name in wanted}
            assert run(described(method, x, layout, keep, y=y, **to), 1, None) == 0
            assert all(values[-1] == -1 for values in to.values())
            if "rstd" in to:
                assert same_bits(to["rstd"][:-1].astype(np.float32), expected[-1].ravel())
            if "mean" in to:
                mean = np.zeros(slots, np.float32) if method == "rms" else expected[0].ravel()
                assert same_bits(to["mean"][:-1].astype(np.float32), mean)
            m2 = to["m2"] if m2 is None else m2
            assert same_bits(to.get("m2", m2), m2)
            if wanted == names:
                assert same_bits(1 / np.sqrt(m2[:-1] * (1 / (x.size / slots)) + EPS), to["rstd"][:-1])


@every_norm
@pytest.mark.parametrize("channels", [64, 16, 20])
def test_slices_of_channels(method, layout, channels):
    """x, y and the rest have one stride; of narrow rows, only a layer norm's may have gaps."""
    shape, last = ((3, 2 * channels, 5, 6), False) if layout == "NCHW" else ((3, 5, 6, 2 * channels), True)
    x, y, pre = (
        sample(shape, seed=seed)[(..., slice(channels)) if last else np.s_[:, :channels]] for seed in (1, 2, 3)
    )
    beside = y.base.copy()
    stride = {"row_stride": 2 * channels} if last else {"sample_stride": 60 * channels}
    norm = described(method, x, layout, keep := [], y=y, pre_add=pre, **stride)
    expected = by_python(method, x.copy(), layout, pre_add=pre.copy())
    if last and channels == 20 and not method.startswith(("layer", "rms")):
        assert run(norm, 1, None) == NUMBERS["ERROR_ROW_STRIDE"]
    else:
        assert run(norm, 1, None) == 0, keep
        assert same_bits(y.copy(), expected)
        y[...] = 0
        with tuned(TUNINGS["tiny"]), OnThreads() as on_threads:
            assert run(norm, 3, on_threads.runner) == 0
        assert same_bits(y.copy(), expected)
        y[...] = beside[(..., slice(channels)) if last else np.s_[:, :channels]]
    assert same_bits(y.base, beside)


def test_narrow_rows_of_one_position():
    """Without channels_last, these are the rows of a batch norm over samples."""
    x = np.zeros((4, 40), np.float32)
    norm = described("batch", x[:, :20], "NCHW", keep := [], y=x[:, 20:], sample_stride=40)
    assert run(norm, 1, None) == NUMBERS["ERROR_SAMPLE_STRIDE"], keep


def test_sums_over_their_operands():
    """sum_out may be x or pre_add, and y the other."""
    x, pre = sample((6, 70)), sample((6, 70), seed=1)
    expected = normcy.layer_norm(x, 70, eps=EPS, pre_add=pre)
    for a, b in [("x", "pre_add"), ("pre_add", "x")]:
        given = {"x": x.copy(), "pre_add": pre.copy()}
        computed("layer", given["x"], given[b], "NHWC", pre_add=given["pre_add"], sum_out=given[a])
        assert same_bits(given[a], x + pre)
        assert same_bits(given[b], expected)
    mean, sums, keep = np.empty(6), np.empty_like(x), []
    assert run(described("layer", x, "NHWC", keep, pre_add=pre, sum_out=sums, mean=mean), 1, None) == 0
    assert same_bits(sums, x + pre)
    assert np.allclose(mean, sums.mean(1))


@pytest.mark.parametrize("shape", [(0, 4, 5), (3, 0, 5), (3, 4, 0)])
def test_no_elements(shape):
    """No array is needed, and slots without values have no statistics."""
    n, c, s = shape
    for method, slots in (("BATCH", c), ("INSTANCE", n * c), ("GROUP", n), ("LAYER", n * s)):
        to = {name: np.full(slots + 1, 7.0) for name in ("mean", "m2", "rstd")}
        fields = {"struct_bytes": BYTES, "method": NUMBERS[f"METHOD_{method}"], "groups": 1}
        fields |= {"samples": n, "channels": c, "positions": s, **{name: v.ctypes.data for name, v in to.items()}}
        assert run(Norm(**fields), 1, None) == 0
        for name, value in (("mean", 0), ("m2", 0), ("rstd", np.nan)):
            assert np.array_equal(to[name], [value] * slots + [7], equal_nan=True)


@needs_glibc
@every_mode
def test_modes_change_nothing(mode):
    """The caller's floating-point mode is as before, and no bit depends on it."""
    x = sample((2, 64, 9, 9)) * np.float32(1e-39)
    kw = operands_of("weights", x, "NCHW", True)
    for method in ("group", "layer2d"):
        expected = by_python(method, x, "NCHW", **kw)
        y = np.empty_like(x)
        norm = described(method, x, "NCHW", keep := [], y=y, **kw)
        with Mode(mode):
            assert run(norm, 1, None) == 0, keep
        assert same_bits(y, expected)


class Legal:
    """A norm with every operand, in one piece of memory, to put wrong fields into."""

    def __init__(self, **changes):
        self.memory = np.full(4096, 3, np.uint8)
        self.start = -(-self.memory.ctypes.data // 64) * 64
        self.fields = {"struct_bytes": BYTES, "method": 1, "samples": 2, "channels": 4, "positions": 6, "eps": EPS}
        arrays = ["x", "y", "weight", "bias", "pre_add", "sum_out", "post_add", "mean", "m2", "rstd"]
        self.fields |= {name: self.at(256 * i) for i, name in enumerate(arrays)}
        self.fields |= {k: v(self.fields) if callable(v) else v for k, v in changes.items()}

    def at(self, offset):
        return self.start + offset

    def error(self, threads=1, runner=None):
        """Returns the error, after which nothing has changed and no part has been run."""
        before, norm = self.memory.copy(), Norm(**self.fields)
        found = run(norm, threads, runner)
        assert found or not np.array_equal(self.memory, before)
        assert not found or np.array_equal(self.memory, before)
        assert runner is not None or check(norm) == found
        return found


def beside(name, more):
    return lambda fields: fields[name] + more


LAST, LAYER, GROUP, FIXED = {"channels_last": 1}, {"method": 4}, {"method": 3}, {"mean": 0, "m2": 0, "rstd": 0}
WRONG = [
    *(("struct_bytes", {}, value) for value in (0, BYTES - 8, BYTES + 8, -1)),
    *(("method", {}, value) for value in (0, 5, -1)),
    *(("about_zero", changes, value) for changes, value in (({}, 1), (LAYER, 1), (LAYER | LAST, 2), (LAYER | LAST, -1))),
    *(("channels_last", {}, value) for value in (2, -1)),
    *(("activation", {}, value) for value in (-1, 5)),
    *(("samples", {}, value) for value in (-1, 1 << 45, 2**63 - 1)),
    ("samples", {"channels": 0, "positions": 1 << 40}, 1 << 10),
    *(("channels", {}, value) for value in (-1, 1 << 46, 2**63 - 1)),
    *(("positions", changes, value) for changes in ({}, LAST) for value in (-1, 1 << 45, 2**63 - 1)),
    *(("groups", GROUP, value) for value in (0, -1, 3, 8)),
    *(("sample_stride", {}, value) for value in (-1, 23, 1 << 46)),
    *(("sample_stride", LAST, value) for value in (-1, 23, 25)),
    ("sample_stride", {"positions": 1}, 5),
    *(("row_stride", {}, value) for value in (-1, 5, 7)),
    *(("row_stride", LAST | LAYER, value) for value in (-1, 3, 1 << 46, 2**63 - 1)),
    ("row_stride", LAST, 5),
    *(("x", {}, value) for value in (0, beside("x", 1))),
    *(("y", {}, beside(name, 4)) for name in ("x", "pre_add", "post_add", "weight", "bias")),
    *(("y", {}, beside(name, 0)) for name in ("weight", "bias")),
    *(("y", {}, value) for value in (beside("y", 2), beside("x", -4))),
    ("y", FIXED, 0),
    *((name, {}, beside(name, 2)) for name in ("weight", "bias", "pre_add", "post_add")),
    *(("weight_offset", {}, value) for value in (np.nan, np.inf, 3.5e38)),
    *(("eps", {}, value) for value in (np.nan, np.inf, -1e-9)),
    ("sum_out", {"pre_add": 0}, beside("sum_out", 0)),
    *(("sum_out", {}, beside(name, 0)) for name in ("y", "post_add", "weight")),
    *(("sum_out", {}, beside(name, 4)) for name in ("x", "pre_add", "y")),
    ("sum_out", {}, beside("sum_out", 1)),
    ("sum_out", {"y": beside("post_add", 0)}, 0),
    ("sum_out", {"y": 0}, 0),
    ("given_mean", FIXED | {"given_rstd": beside("mean", 0)}, 0),
    ("given_mean", FIXED | {"given_rstd": beside("mean", 0)}, beside("m2", 4)),
    ("given_mean", FIXED | {"method": 2, "given_rstd": beside("mean", 0)}, beside("m2", 0)),
    ("given_rstd", FIXED | {"given_mean": beside("mean", 0)}, 0),
    ("given_rstd", FIXED | {"given_mean": beside("mean", 0)}, beside("m2", 4)),
    *(
        (name, {"given_mean": beside("rstd", 128), "given_rstd": beside("rstd", 160), **FIXED}, beside(name, 0))
        for name in ("mean", "m2", "rstd")
    ),
    *((name, {}, beside(name, 4)) for name in ("mean", "m2", "rstd")),
    *((name, {}, beside("x", 8)) for name in ("mean", "m2", "rstd")),
    *((name, {}, beside("y", 0)) for name in ("mean", "m2", "rstd")),
    ("m2", {}, beside("mean", 8)),
    ("rstd", {}, beside("m2", 0)),
]  # fmt: skip


def test_legal_norm():
    assert Legal().error() == 0
    assert Legal(y=0).error() == 0


@pytest.mark.parametrize(("field", "others", "value"), WRONG)
def test_each_wrong_field_has_its_error(field, others, value):
    wrong = Legal(**{**others, field: value})
    assert wrong.error() == NUMBERS[f"ERROR_{field.upper()}"]


def test_wrong_arguments():
    def never(*_):
        raise AssertionError

    for threads in (0, -1):
        assert Legal().error(threads, Runner(RUN(never), None)) == NUMBERS["ERROR_THREADS"]
    assert Legal().error(1, Runner()) == NUMBERS["ERROR_RUNNER"]
    assert run(None, 1, None) == check(None) == NUMBERS["ERROR_NORM"]
    assert Legal().error(0) == 0  # without a runner nothing asks for threads


def test_scratch_that_no_memory_holds():
    """Two groups of 2^41 columns; that nothing lies at these addresses does not matter, as nothing is read."""
    fields = {"struct_bytes": BYTES, "method": 3, "groups": 2, "channels_last": 1, "x": 1 << 48, "y": 1 << 49}
    fields |= {"samples": 1, "channels": 1 << 42, "positions": 2}
    assert check(Norm(**fields)) == 0
    assert run(Norm(**fields), 1, None) == NUMBERS["ERROR_MEMORY"]


def test_texts():
    """Each error has a text, which begins with the field's name; so has any other number."""
    for name, number in NUMBERS.items():
        if name.startswith("ERROR_"):
            assert error_text(number).decode().startswith(name.removeprefix("ERROR_").lower() + ": ")
    assert error_text(0) == b"no error"
    unknown = {error_text(number) for number in (-1, len(NUMBERS), 2**31 - 1)}
    assert [text.partition(b":")[0] for text in unknown] == [b"error"]
