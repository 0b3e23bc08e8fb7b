"""The README's examples run without changes."""

import re
from pathlib import Path

import numpy as np
import pytest

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


def test_checkpoint(names, resnet18):
    """The result is that of the formula."""
    exec(compile(blocks()[1], str(README), "exec"), names)
    weight, bias, mean, var = (array[:, None, None] for array in resnet18.values())
    expected = np.maximum((names["x"] - mean) / np.sqrt(var + 1e-5) * weight + bias, 0)
    assert np.allclose(names["y"], expected, rtol=1e-5, atol=1e-5)


def test_length():
    """It is read in a minute; what is longer belongs to the site."""
    assert len(README.read_text().splitlines()) < 120
