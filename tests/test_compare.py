"""normcy compare and normcy info, as a person would call them."""

import json

import numpy as np
import pytest
from methods import sample

import normcy
from normcy._cli import main

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
    assert len(found["rows"]) == 3 * layouts + 1  # batch in training and not, instance; layer norm has no layout
    for row in found["rows"]:
        assert row["method"].split()[0] in printed
        results = row["results"]["normcy"]
        assert 0 < results["error_units"] <= 5, row
        assert results["seconds"] > 0
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_picture(tmp_path, capsys):
    """A photograph, with its channels last."""
    from matplotlib.image import imsave

    path = tmp_path / "p.png"
    imsave(path, np.random.default_rng(0).random((40, 50, 3)))
    assert main(["compare", str(path), "--quick", "--methods", "batch"]) == 0
    assert "NHWC" in capsys.readouterr().out


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
