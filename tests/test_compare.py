"""normcy compare and normcy info, as a person would call them."""

import json

import numpy as np
import pytest
from methods import sample

import normcy
from normcy import _native
from normcy._cli import main
from normcy._compare.accuracy import Reference
from normcy._compare.cases import LAYOUTS, Case, Job, arrays, model_jobs
from normcy._compare.methods import METHODS
from normcy._compare.peers import PEERS
from normcy._compare.worker import workers

pytest.importorskip("rich", reason="needs normcy[compare]")
pytest.importorskip("matplotlib", reason="needs normcy[compare]")


@pytest.fixture
def array(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, sample((4, 6, 20, 22), mean=50))
    return path


@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "both"])
def test_own_array(array, tmp_path, capsys, layout):
    """Every method runs on the user's array; the table, the JSON and the figure say so."""
    numbers, figure = tmp_path / "rows.json", tmp_path / "rows.png"
    arguments = ["compare", str(array), "--quick", "--layout", layout, "--json", str(numbers), "--plot", str(figure)]
    assert main([*arguments, "--methods", "batch,layer,instance", "--threads", "2"]) == 0
    printed = capsys.readouterr().out
    found = json.loads(numbers.read_text())
    assert found["config"]["num_threads"] == 2
    assert found["config"]["version"] == normcy.__version__
    layouts = 2 if layout == "both" else 1
    # Batch norm in training and not, and fused in two ways; instance norm; layer norm, which has no layout, and fused
    assert len(found["rows"]) == 5 * layouts + 2
    for row in found["rows"]:
        assert row["method"] in printed
        results = row["results"]["normcy"]
        assert 0 < results["error_units"] <= row["bound"], row
        assert results["seconds"] > 0
    assert figure.read_bytes().startswith(b"\x89PNG")


@pytest.fixture(scope="module", params=["normcy", "numpy", *PEERS])
def library(request):
    """The process of a library."""
    for package in PEERS[request.param].packages if request.param in PEERS else ():
        pytest.importorskip(package, reason=f"needs lib {package}")
    with workers([request.param], 1) as team:
        yield team[0]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("method", METHODS)
def test_every_method(library, method, layout):
    """Libraries compute what the reference does, normcy within its bound, residuals and activations included.

    Others add up n values one after the other, which is off by up to n units, in the mean and in the variance.
    """
    shape = (3, 8, 5, 6) if layout == "NCHW" else (3, 5, 6, 8)
    job = Job(Case("small", method, shape, layout if METHODS[method].has_layout else "-"), None)
    data = arrays(job)
    reference = Reference(job.case, data)
    answer = library.ask((job.case, data, 1e-4))
    assert answer.note is None
    if answer.value is None:
        assert library.name in ("onnxruntime", "openvino")  # these have some of the operators
        return
    bound = METHODS[method].bound
    count = np.prod(shape) / 8 if METHODS[method].has_layout else np.prod(shape[1:])
    assert reference.errors(answer.value).units <= (bound if library.name == "normcy" else bound + 2 * count)


def test_again_and_again(library):
    """Arrays above 32 MiB go back to the system as soon as no one holds them: someone does while a case is timed."""
    job = Job(Case("large", "batch", (2, 5, 1000, 1000), "NCHW"), None)
    assert library.ask((job.case, arrays(job), 1e-3)).note is None
    answer = library.ask(None)
    assert answer.note is None
    assert answer.value.seconds > 0


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("size", [0, 1, 1000, 100_003])
def test_copy_by_threads(size, threads):
    """Every float arrives, whatever the shares are."""
    x, y = sample((size,)), np.zeros(size + 1, np.float32)
    with normcy.num_threads(threads):
        _native.copy(x, y[:-1])
    assert np.array_equal(x, y[:-1])
    assert y[-1] == 0


def test_copy_refuses():
    """What is not a contiguous pair of float32 arrays apart from each other."""
    x = sample((20,))
    for out in (np.empty(20), [0.0] * 20):
        with pytest.raises(TypeError):
            _native.copy(x, out)
    for out in (np.empty(19, np.float32), np.empty(40, np.float32)[::2], x, np.broadcast_to(np.float32(0), 20)):
        with pytest.raises(ValueError, match=r"expected|read-only"):
            _native.copy(x, out)


def test_reference_leaves_arrays_alone():
    """Libraries start from the running statistics that the reference started from."""
    data = arrays(Job(Case("small", "renorm train", (3, 8, 5, 6), "NCHW"), None))
    before = {name: value.copy() for name, value in data.items()}
    Reference(Case("small", "renorm train", (3, 8, 5, 6), "NCHW"), data)
    for name, value in data.items():
        np.testing.assert_array_equal(value, before[name])


def test_models_cover_every_method():
    """Every function that normalizes has a row, and every row a model's shape."""
    jobs = model_jobs([method.option for method in METHODS.values()], LAYOUTS)
    assert {job.case.method for job in jobs} == {key for key, method in METHODS.items() if method.compared}
    tools = {"moments", "fold_batch_norm", "checkpoint_momentum"}
    assert {method.function for method in METHODS.values()} == {*normcy.reference.__all__, "IBN"} - tools


@pytest.fixture
def picture(tmp_path):
    from matplotlib.image import imsave

    path = tmp_path / "p.png"
    imsave(path, np.random.default_rng(0).random((40, 50, 3)))
    return path


def test_picture(picture, capsys):
    """A photograph, with its channels last, without the residuals that it does not have."""
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
        ([], "required"),
    ],
)
def test_wrong_arguments(arguments, message, capsys):
    """One line that names the argument, exit code 2, and nothing has run."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not captured.out


@pytest.mark.parametrize("wrong", [np.ones(3, np.float32), np.ones((2, 3), np.int64), np.array(["a", "b"])], ids=str)
def test_wrong_array(tmp_path, capsys, wrong):
    np.save(tmp_path / "wrong.npy", wrong)
    assert main(["compare", str(tmp_path / "wrong.npy")]) == 2
    assert "wrong.npy" in capsys.readouterr().err


def test_info(capsys):
    assert main(["info"]) == 0
    assert capsys.readouterr().out.startswith(f"normcy {normcy.__version__}")
