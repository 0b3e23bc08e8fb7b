"""Tests of normcy compare and normcy info, run as a person would run them."""

import importlib.util
import json
import os
import struct
import threading
import warnings
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
from methods import sample

import normcy
from normcy import _native
from normcy._checks import LAYOUTS
from normcy._cli import _parser, main
from normcy._compare import inputs, timing
from normcy._compare.accuracy import Errors, Reference
from normcy._compare.busy import Probe, busy_note
from normcy._compare.cases import Case, Job, arrays, model_jobs
from normcy._compare.methods import METHODS, OPTIONS, plain
from normcy._compare.peers import PEERS
from normcy._compare.worker import Answer, workers

Console = pytest.importorskip("rich.console", reason="needs normcy[compare]").Console
report = pytest.importorskip("normcy._compare.report", reason="needs normcy[compare]")
pytest.importorskip("matplotlib", reason="needs normcy[compare]")
plot = pytest.importorskip("normcy._compare.plot", reason="needs normcy[compare]")


@pytest.fixture
def array(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, sample((4, 6, 20, 22), mean=50))
    return path


@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "both"])
def test_own_array(array, tmp_path, capsys, layout):
    """Every method runs on the user's array, as the table, the JSON and the figure show."""
    numbers, figure = tmp_path / "rows.json", tmp_path / "rows.png"
    arguments = ["compare", str(array), "--quick", "--layout", layout, "--json", str(numbers), "--plot", str(figure)]
    assert main([*arguments, "--methods", "batch,layer,instance", "--threads", "2"]) == 0
    printed = capsys.readouterr().out
    found = json.loads(numbers.read_text())
    assert found["config"]["num_threads"] == (2 if found["config"]["openmp"] else 1)
    assert found["config"]["version"] == normcy.__version__
    assert found["libraries"] == {"normcy": normcy.__version__, "numpy": np.__version__}
    assert found["config"]["cpu"]
    layouts = 2 if layout == "both" else 1
    # Batch norm in training and not, and two fused forms; instance norm; layer norm, which has no layout, and fused
    assert len(found["rows"]) == 5 * layouts + 2
    for row in found["rows"]:
        assert row["method"] in printed
        results = row["results"]["normcy"]
        assert 0 < results["error_units"] <= row["bound"], row
        assert results["seconds"] > 0
    assert figure.read_bytes().startswith(b"\x89PNG")


@pytest.fixture(scope="module", params=["normcy", "numpy", *PEERS])
def library(request):
    """Starts the process of a library."""
    for package in PEERS[request.param].packages if request.param in PEERS else ():
        pytest.importorskip(package, reason=f"needs lib {package}")
    with workers([request.param], 1) as team:
        yield team[0]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("method", METHODS)
def test_every_method(library, method, layout):
    """Libraries agree with the reference, and normcy is within its bound, with residuals and activations.

    Other libraries add up n values one after the other, which is off by up to n units, in the mean and in the variance.
    """
    shape = (3, 8, 5, 6) if layout == "NCHW" else (3, 5, 6, 8)
    job = Job(Case("small", method, shape, layout if METHODS[method].has_layout else "-"), None)
    data = arrays(job)
    reference = Reference(job.case, data)
    answer = library.ask((job.case, data, 1e-4))
    assert answer.note is None
    if answer.value is None:
        assert library.name in ("onnxruntime", "openvino")  # these have only some of the operators
        return
    bound = METHODS[method].bound
    count = np.prod(shape) / 8 if METHODS[method].has_layout else np.prod(shape[1:])
    assert reference.errors(answer.value).units <= (bound if library.name == "normcy" else bound + 2 * count)


def test_again_and_again(library):
    """Arrays above 32 MiB are returned to the system when nothing refers to them, so that a case must keep them."""
    job = Job(Case("large", "batch", (2, 5, 1000, 1000), "NCHW"), None)
    assert library.ask((job.case, arrays(job), 1e-3)).note is None
    answer = library.ask(None)
    assert answer.note is None
    assert answer.value > 0


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("size", [0, 1, 1000, 100_003])
def test_copy_by_threads(size, threads):
    """Every float is copied, whatever the shares are."""
    x, y = sample((size,)), np.zeros(size + 1, np.float32)
    with normcy.num_threads(threads):
        _native.copy(x, y[:-1])
    assert np.array_equal(x, y[:-1])
    assert y[-1] == 0


def test_copy_refuses():
    """Arguments must be contiguous float32 arrays of one size that do not overlap."""
    x = sample((20,))
    for out in (np.empty(20), [0.0] * 20):
        with pytest.raises(TypeError):
            _native.copy(x, out)
    for out in (np.empty(19, np.float32), np.empty(40, np.float32)[::2], x, np.broadcast_to(np.float32(0), 20)):
        with pytest.raises(ValueError, match=r"expected|read-only"):
            _native.copy(x, out)


def test_reference_leaves_arrays_alone():
    """Libraries start from the same running statistics as the reference."""
    data = arrays(Job(Case("small", "renorm train", (3, 8, 5, 6), "NCHW"), None))
    before = {name: value.copy() for name, value in data.items()}
    Reference(Case("small", "renorm train", (3, 8, 5, 6), "NCHW"), data)
    for name, value in data.items():
        np.testing.assert_array_equal(value, before[name])


def test_models_cover_every_method():
    """Every function that normalizes has a row, and every row has the shape of a model."""
    jobs = model_jobs([method.option for method in METHODS.values()], LAYOUTS)
    assert {job.case.method for job in jobs} == {key for key, method in METHODS.items() if method.compared}
    tools = {"moments", "fold_batch_norm", "checkpoint_momentum"}
    assert {method.function for method in METHODS.values()} == {*normcy.reference.__all__, "IBN"} - tools


@pytest.mark.parametrize("name", ["layer", "layer_norm", "LayerNorm", "layernorm", "LayerNorm,layer,layer_norm"])
def test_names_of_methods(name):
    """A method has the name of its option, function or layer, and is run once."""
    assert _parser().parse_args(["compare", "--methods", name]).methods == ("layer",)
    every = ("AdaIN", "BatchRenorm", "ConditionalInstanceNorm", "EvoNormB0", "IBN", "RMSNorm", "WeightNorm")
    assert all(plain(layer) in OPTIONS for layer in every)


def test_what_is_left_out(tmp_path, capsys):
    """Methods that do not fit an array are named with the reason, after the table and in the JSON."""
    np.save(tmp_path / "x.npy", sample((4, 6)))
    arguments = [str(tmp_path / "x.npy"), "--quick", "--methods", "instance,layer,adain"]
    assert main(["compare", *arguments, "--json", str(tmp_path / "x.json")]) == 0
    captured = capsys.readouterr()
    reason = "needs rank 3 or more, the array has 2"
    assert captured.err == f"left out: instance, adain ({reason})\n"
    assert "instance" not in captured.out
    found = json.loads((tmp_path / "x.json").read_text())
    assert found["left_out"] == {"instance": reason, "adain": reason}
    assert found["config"]["cpu"] == normcy.get_config()["cpu"]
    assert f"normcy {normcy.__version__} on {found['config']['cpu']} (" in captured.out


def made_up(names, **missing):
    """Returns a row for each case of the models, with results of all libraries, but those that have no operator."""
    jobs = model_jobs([method.option for method in METHODS.values()], LAYOUTS)
    result = timing.Result(1.2345e-3, Errors(1e-7, 1e-7, 2.5))
    return [
        timing.Row(
            job.case, {n: timing.Result() if job.case.layout in missing.get(n, "") else result for n in names}, 1
        )
        for job in jobs
    ]


EVERY = ["copy", "normcy", "numpy", *PEERS]


@pytest.mark.parametrize(("width", "names"), [(80, EVERY), (80, EVERY[:3]), (112, EVERY), (240, EVERY)])
def test_width_of_the_terminal(capsys, monkeypatch, width, names):
    """Nothing is cut; 80 columns beside all libraries have no room for GB/s, which follow from the rest."""
    monkeypatch.setattr(report, "console", lambda: Console(width=width, force_terminal=True, color_system=None))
    report.print_table(made_up(names), names, normcy.get_config(), None)
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert max(map(len, printed.splitlines())) <= width
    assert ("GB/s" in printed) == (width > 80 or names != EVERY)
    assert printed.count("evonorm_b0 train") == 2
    assert printed.count("1.23 ms") + printed.count("1.23ms") == len(made_up(names))


def test_libraries_without_an_operator(capsys):
    """A line for each says for which methods, and for which in one layout only."""
    rows = made_up(EVERY, torch=("-",), jax=("NHWC",))
    report.print_table(
        [row for row in rows if row.case.name in ("SD UNet", "WaveNet")], EVERY, normcy.get_config(), None
    )
    lines = [line for line in capsys.readouterr().out.splitlines() if "has no operator" in line]
    assert lines == ["torch has no operator for weight", "jax has no operator for group, group+silu in NHWC"]


def test_figure_fits_a_screen(tmp_path):
    """That of all methods and libraries has 1400 x 900 pixels."""
    content = plot.figure(made_up(EVERY, jax=("-", "NCHW", "NHWC")), EVERY, normcy.get_config(), False, ".png")
    assert struct.unpack(">II", content[16:24]) == (1400, 900)


@pytest.fixture
def picture(tmp_path):
    from matplotlib.image import imsave

    path = tmp_path / "p.png"
    imsave(path, np.random.default_rng(0).random((40, 50, 3)))
    return path


def test_picture(picture, capsys):
    """A photograph runs with its channels last, and without the methods that need residuals."""
    assert main(["compare", str(picture), "--quick", "--methods", "batch,weight"]) == 0
    printed = capsys.readouterr().out
    assert "NHWC" in printed
    assert "add" not in printed
    assert "weight" not in printed


def test_a_picture_is_no_weight(picture, capsys):
    assert main(["compare", str(picture), "--methods", "weight"]) == 2
    assert "none of weight fits" in capsys.readouterr().err


def test_not_a_number_in_the_users_file(tmp_path, capsys):
    x = sample((3, 4, 50))
    x[1, 2, 3] = np.nan
    np.save(tmp_path / "nan.npy", x)
    assert main(["compare", str(tmp_path / "nan.npy"), "--quick", "--methods", "instance", "--layout", "NCHW"]) == 0
    assert "instance" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "missing.npy"], "missing.npy"),
        (["compare", "--methods", "batch,norm"], "argument --methods: got 'norm', expected names of batch,"),
        (["compare", "--against", "tensor"], "argument --against: got 'tensor', expected names of torch,"),
        (["compare", "--layout", "CHW"], "argument --layout: invalid choice: 'CHW'"),
        (["compare", "--threads", "0"], "argument --threads: got '0', expected a possible number of threads"),
        (["compare", "--json", "/no/such/folder/x.json"], "--json"),
        (["compare", "--plot", "/no/such/folder/x.png"], "--plot"),
        (["compare", "--plot", "x.docx"], "--plot"),
        (["paint"], "invalid choice: 'paint'"),
    ],
)
def test_wrong_arguments(arguments, message, capsys):
    """They give one line that names the argument, and exit code 2, and nothing has run."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not captured.out


@pytest.mark.parametrize("same", [["{f}", "--json", "{f}"], ["--json", "{f}.svg", "--plot", "{f}.svg"]])
def test_no_file_is_overwritten(array, tmp_path, capsys, same):
    """The file that is read is not written, nor one file twice."""
    before = array.read_bytes()
    assert main(["compare", "--quick", *(part.format(f=array) for part in same)]) == 2
    assert "expected another file than that of" in capsys.readouterr().err
    assert array.read_bytes() == before


def test_no_command(capsys):
    """It shows which commands there are."""
    assert main([]) == 2
    assert "accuracy and speed" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [np.ones(3, np.float32), np.ones((2, 3), np.int64), np.array(["a", "b"])], ids=str)
def test_wrong_array(tmp_path, capsys, wrong):
    np.save(tmp_path / "wrong.npy", wrong)
    assert main(["compare", str(tmp_path / "wrong.npy")]) == 2
    assert "wrong.npy" in capsys.readouterr().err


@pytest.mark.parametrize("missing", [["rich", "matplotlib"], ["matplotlib"]])
def test_packages_that_are_missing(monkeypatch, capsys, missing):
    """The message names them, since pip could not find the extras of normcy on an index, which does not have it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in missing else name)
    assert main(["compare", "missing.npy"]) == 2
    expected = f"normcy: error: this needs {' and '.join(missing)}: run `python -m pip install {' '.join(missing)}`\n"
    assert capsys.readouterr().err == expected


def npy(header, data=bytes(64)):
    """Returns the bytes of a .npy file with that header, which may be invalid."""
    text = header.encode("latin1")
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def header(descr="'<f4'", order="False", shape="(2, 2)"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}\n"


BROKEN_ARRAYS = {
    "a dtype of nothing": npy(header("()")),
    "objects": npy(header("'|O'")),
    "a structure": npy(header([(f"field{i}", "<f4") for i in range(16)]), bytes(4 * 64)),
    "a size beyond C's": npy(header(shape="(99999999999999999999999999, 2)")),
    "sizes beyond C's": npy(header(shape="(4294967296, 4294967296, 4294967296)")),
    "bools": npy(header(shape="(True, True)")),
    "negative": npy(header(shape="(-1, 2)")),
    "negative later": npy(header(shape="(2, -1)")),
    "more than memory": npy(header(shape="(2000000, 3000000)")),
    "more than there is": npy(header(shape="(4, 5)")),
    "no size": npy(header(shape="()")),
    "no end": npy("{'descr': "),
    "no text": npy("\xff\xfe"),
    "deep": npy("{'descr': " + "(" * 5000),
    "long": npy(header() + " " * 20000),
    "control characters": npy(header("'\x1b[31m'")),
    "an escape that Python warns of": npy(header("'\\d'")),
    "no header": npy(""),
    "nothing but the first bytes": b"\x93NUMPY",
    "a version of the future": b"\x93NUMPY\x09" + npy(header())[7:],
}


def refusal(path, capsys):
    """Returns the line with which the command line ends."""
    assert main(["compare", str(path), "--quick"]) == 2
    captured = capsys.readouterr()
    assert not captured.out
    (line,) = captured.err.splitlines()
    assert line.isprintable()
    assert len(line) < 320 + len(str(path))
    assert line.startswith("normcy: error: argument FILE: ")
    assert str(path) in line
    return line


@pytest.mark.parametrize("content", BROKEN_ARRAYS.values(), ids=BROKEN_ARRAYS)
def test_broken_array(tmp_path, capsys, content):
    path = tmp_path / "broken.npy"
    path.write_bytes(content)
    refusal(path, capsys)


def test_files_that_are_no_arrays(tmp_path, capsys):
    empty, archive = tmp_path / "empty", tmp_path / "several.npz"
    empty.touch()
    np.savez(archive, x=sample((2, 3, 4)))
    assert "Is a directory" in refusal(tmp_path, capsys)
    for path in (empty, archive):
        assert "is neither a .npy array nor a picture that Pillow can read" in refusal(path, capsys)


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "f2", ">f8", "g"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_forms_of_arrays(tmp_path, capsys, dtype, order):
    """The numbers are the same in C order and in memory of their own; a note names those that were converted."""
    path, x = tmp_path / "x.npy", np.array(sample((3, 4, 5)), dtype, order=order)
    np.save(path, x)
    with np.errstate(all="raise"):
        read = inputs._read_array(path)
    assert type(read) is np.ndarray
    assert read.flags.c_contiguous
    assert read.flags.owndata
    assert read.flags.writeable
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, x.astype(np.float32))
    assert ("was converted from" in capsys.readouterr().err) == (dtype != "<f4")


def saved(path, mode, format=None):
    """Returns a picture of that mode with every value from black to white."""
    from PIL import Image

    ramp = np.arange(0, 65536, 257).reshape(16, 16)
    if mode == "F":
        image = Image.fromarray((ramp / 65535).astype(np.float32))
    elif mode.startswith("I"):
        image = Image.fromarray(ramp.astype({"I": np.int32, "I;16": "<u2", "I;16B": ">u2"}[mode]))
    else:
        image = Image.fromarray((ramp // 257).astype(np.uint8)).convert(mode)
    assert image.mode == mode
    image.save(path, format)


@pytest.mark.parametrize(
    ("mode", "name", "channels"),
    [
        ("1", "p.png", 3),
        ("L", "p.png", 1),
        ("LA", "p.png", 2),
        ("P", "p.png", 3),
        ("RGB", "p.png", 3),
        ("RGBA", "p.png", 4),
        ("CMYK", "p.tif", 3),
        ("YCbCr", "p.jpg", 3),
        ("I;16", "p.png", 1),
        ("I;16B", "p.tif", 1),
        ("I", "p.pgm", 1),
        ("I", "p.tif", 1),
        ("F", "p.tif", 1),
    ],
)
def test_modes_of_pictures(tmp_path, mode, name, channels):
    """Black to white becomes 0 to 1, whatever the number of bits."""
    saved(tmp_path / name, mode)
    x = inputs._read_picture(tmp_path / name)
    assert x.dtype == np.float32
    assert x.shape == (16, 16, channels)
    assert x.min() == pytest.approx(0, abs=0.03)
    assert x.max() == pytest.approx(1, abs=0.03)
    if mode in ("L", "I;16", "I;16B", "I", "F"):
        np.testing.assert_allclose(x[..., 0], np.arange(256).reshape(16, 16) / 255, rtol=1e-6)


def test_pictures_without_a_white(tmp_path, capsys):
    """These are pixels of 32 bits that use more than 16 of them."""
    from PIL import Image

    path = tmp_path / "p.tif"
    for wrong in (-1, 65536):
        Image.fromarray(np.full((4, 4), wrong, np.int32)).save(path)
        assert "has pixels of 32 bits, expected 8 or 16, or floats" in refusal(path, capsys)


def test_large_pictures(picture, monkeypatch, capsys):
    """Pillow warns of pictures above its limit, which is ignored here, and refuses those above twice that."""
    from PIL import Image

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1500)
    assert inputs._read_picture(picture).shape[:2] == (40, 50)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    assert "exceeds limit of 1000 pixels" in refusal(picture, capsys)


RAISED = [IndexError("a\n\tb"), TypeError(), MemoryError(), struct.error("x" * 900), RecursionError("deep"), SystemError("odd"), zlib.error("bad"), AttributeError("none")]  # fmt: skip


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_whatever_a_reader_raises(array, picture, monkeypatch, capsys, error):
    """The error is one line with the reason, or its type if there is no reason."""
    from PIL import Image

    def fails(*arguments, **options):
        warnings.warn("this is odd", stacklevel=1)
        raise error

    monkeypatch.setattr(np, "load", fails)
    monkeypatch.setattr(Image, "open", fails)
    reason = " ".join(str(error).split())[:150] or type(error).__name__
    assert f"cannot read the array {array}: {reason}" in refusal(array, capsys)
    assert f"cannot read the picture {picture}: {reason}" in refusal(picture, capsys)


def test_interrupt_of_a_reader(array, monkeypatch, capsys):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "load", interrupted)
    assert main(["compare", str(array)]) == 130
    assert capsys.readouterr().err == "normcy: interrupted\n"


@pytest.mark.parametrize("kind", ["npy", "png", "jpg", "gif", "bmp", "pgm"])
def test_damaged_files(tmp_path, kind):
    """Files with changed, lost and inserted bytes give a valid array, or an InputError of one line."""
    path, random = tmp_path / f"x.{kind}", np.random.default_rng(11)
    if kind == "npy":
        np.save(path, sample((3, 4, 5)))
    else:
        saved(path, {"pgm": "I", "gif": "P"}.get(kind, "L"))
    whole, lines = path.read_bytes(), []
    for _ in range(150):
        damaged = bytearray(whole)
        for at in random.integers(6, min(len(whole), 160), random.integers(1, 4)):
            put_in = random.choice([b"", b"-", b"9", b"(", b"\xff\xff", random.bytes(1)])
            damaged[at : at + random.integers(0, 3)] = put_in
        path.write_bytes(damaged)
        try:
            todo, _ = inputs.jobs(path, ["batch", "layer", "instance"], None)
        except inputs.InputError as error:
            lines.append(str(error))
        else:
            assert all(job.x.size and job.x.ndim > 1 and job.x.dtype == np.float32 for job in todo)
    assert lines
    assert all(line.isprintable() for line in lines)


def ticks(step):
    """A clock that is later by a step each time that a thread looks at it."""
    own = threading.local()

    def clock():
        own.now = getattr(own, "now", 0) + step
        return own.now

    return clock


@pytest.mark.parametrize("threads", [1, 2, 1000])
def test_cpu_share(threads):
    """It is CPU time over wall time of each of the threads; these are no more than there are CPUs."""
    probe = Probe(threads)
    assert 1 <= probe.threads <= min(threads, os.cpu_count())
    assert probe.cpu_share(wall=ticks(4), cpu=ticks(3)) == 0.75
    assert probe.cpu_share(wall=ticks(1), cpu=ticks(1)) == 1


def test_busy_note():
    """A few rows in which others ran are not worth a word; more are, and the note has their mean."""
    assert busy_note([0.98] * 20, 2) is None
    assert busy_note([0.5] + [0.98] * 19, 2) is None
    assert "busy: in 3 of 20 rows, 2 threads that only computed had a CPU for 50%" in busy_note([0.5] * 3 + [1] * 17, 2)
    assert "busy: in 1 of 1 rows, 1 thread that" in busy_note([0.7], 1)


@pytest.mark.parametrize("share", [0.5, 0.98])
def test_busy_machine_in_the_report(array, tmp_path, capsys, monkeypatch, share):
    """The first line, the JSON and the figure say so."""
    monkeypatch.setattr(Probe, "cpu_share", lambda self: share)
    numbers, figure = tmp_path / "rows.json", tmp_path / "rows.svg"
    arguments = ["compare", str(array), "--quick", "--layout", "NCHW", "--json", str(numbers), "--plot", str(figure)]
    assert main([*arguments, "--methods", "instance"]) == 0
    found, note = json.loads(numbers.read_text()), "The machine was busy: in 1 of 1 rows, "
    assert capsys.readouterr().out.startswith(note if share < 0.9 else "normcy ")
    assert (found["busy"] or "").startswith(note) == (share < 0.9)
    assert found["rows"][0]["cpu_share"] == share
    assert ("busy machine" in figure.read_text()) == (share < 0.9)


def test_lower_quartile():
    """Rounds that others made longer do not count, nor does the one lucky round."""
    job = Job(Case("small", "instance", (2, 3, 40), "NCHW"), None)
    x = arrays(job)["x"]
    times, shares = iter([9.0, 2.0, 8.0, 1.0, 3.0]), iter([1.0, 0.5, 1.0, 1.0, 0.5])
    worker = SimpleNamespace(name="normcy", ask=lambda message: Answer(x if message else next(times)))
    probe = SimpleNamespace(cpu_share=lambda: next(shares))
    row = timing.measure([worker], job, timing.Effort(5, 0), probe, lambda: None)
    assert row.results["normcy"].seconds == 2
    assert row.cpu_share == 0.8


def test_info(capsys):
    assert main(["info"]) == 0
    assert capsys.readouterr().out.startswith(f"normcy {normcy.__version__}")
