"""The README's examples run without changes."""

import re
from pathlib import Path

import numpy as np
import pytest
from methods import sample

README = Path(__file__).parents[1] / "README.md"

pytestmark = pytest.mark.skipif(not README.exists(), reason="needs the source tree")


@pytest.fixture(scope="module")
def names():
    """Runs the first example; returns its names."""
    found = {}
    exec(compile(blocks()[0], str(README), "exec"), found)
    return found


def blocks():
    return re.findall(r"^```python\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)


def test_ten_lines(names, capsys):
    exec(compile(blocks()[0], str(README), "exec"), names)
    assert float(capsys.readouterr().out) < 1e-6


def test_checkpoint(names, tmp_path, monkeypatch):
    """The file has the names of torchvision's ResNet; the result is that of the formula."""
    files = pytest.importorskip("safetensors.numpy")
    keys = "weight", "bias", "running_mean", "running_var"
    weight, bias, mean, var = values = [sample(64, seed=seed) for seed in range(3)] + [sample(64, seed=3) ** 2]
    others = {"layer1.0.bn1.weight": sample(64, seed=4)}
    files.save_file(
        others | {f"bn1.{key}": value for key, value in zip(keys, values, strict=True)},
        tmp_path / "resnet18.safetensors",
    )
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks()[1], str(README), "exec"), names)
    by_channel = (slice(None), None, None)
    normalized = (names["x"] - mean[by_channel]) / np.sqrt(var[by_channel] + 1e-5)
    expected = np.maximum(normalized * weight[by_channel] + bias[by_channel], 0)
    assert np.allclose(names["y"], expected, rtol=1e-5, atol=1e-5)


def test_length():
    """It is read in a minute; what is longer belongs to the site."""
    assert len(README.read_text().splitlines()) < 120
