"""The gallery shows the reports that the examples print, but for their numbers, which vary between machines."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GALLERY = ROOT / "docs" / "gallery.md"

pytestmark = pytest.mark.skipif(not GALLERY.exists(), reason="needs the source tree")


def words(report):
    """Returns the report with a mark for each number, and with single spaces."""
    return re.sub(r"\d+(\.\d+)?(e[-+]\d+)?", "#", " ".join(report.split()))


def shown(example):
    """Returns the report in the section of the gallery that links to the example."""
    (section,) = (part for part in GALLERY.read_text().split("\n## ") if f"/examples/{example})" in part)
    return re.search(r"```text\n(.*?)```", section, re.DOTALL)[1]


def run(folder, *arguments):
    command = [sys.executable, "-W", "error", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_all_are_in_the_gallery():
    examples = {path.name for path in (ROOT / "examples").iterdir() if path.is_dir() or path.suffix == ".py"}
    assert examples == set(re.findall(r"/main/examples/(\w+(?:\.py)?)\)", GALLERY.read_text()))


@pytest.mark.parametrize("example", ["fold_batch_norm.py", "frozen_teacher.py"])
def test_report(example):
    assert words(run(ROOT, f"examples/{example}")) == words(shown(example))


@pytest.mark.torture
@pytest.mark.parametrize("example", ["style_transfer.py", "adabn.py"])
def test_report_of_a_slow_example(example):
    pytest.importorskip("sklearn")
    assert words(run(ROOT, f"examples/{example}")) == words(shown(example))


@pytest.mark.torture
@pytest.mark.parametrize("example", ["c_extension", "cython_module"])
def test_report_of_a_compiled_example(example, tmp_path):
    folder = shutil.copytree(ROOT / "examples" / example, tmp_path / example)
    run(folder, "setup.py", "--quiet", "build_ext", "--inplace")
    assert words(run(folder, "main.py")) == words(shown(example))
