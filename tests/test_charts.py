"""The charts and tables of speed and accuracy show every case of the files in docs/data, and no other."""

import importlib
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"

pytestmark = pytest.mark.skipif(not DOCS.exists(), reason="needs the source tree")


def load(name):
    for needed in ("matplotlib", "rich"):
        pytest.importorskip(needed)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        return importlib.import_module(name)


def test_every_picture_can_be_drawn():
    """Each has a title or a label, and as many rows as there are methods in the files."""
    charts, measured = load("charts"), load("measured")
    for name, draw in charts.PICTURES.items():
        figure = draw()
        assert any(axes.get_xlabel() or axes.get_title(loc="left") for axes in figure.axes), name
        charts.plt.close(figure)
    figure = charts.speed()
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert sorted(labels) == sorted(measured.by_operator(measured.cases(2)))
    charts.plt.close(figure)


@pytest.mark.parametrize("threads", [1, 2])
def test_tables_of_speed(threads, tmp_path):
    """A line for each case; the files are what their names say."""
    measured = load("measured")
    assert measured.speed(threads)["config"]["num_threads"] == threads
    measured.write_tables(tmp_path)
    suffix = "_1thread" * (threads == 1)
    lines = [
        line
        for name in ("speed_table", "speed_table_photo")
        for line in (tmp_path / f"{name}{suffix}.md").read_text().splitlines()[2:]
    ]
    assert len(lines) == len(measured.speed(threads)["rows"])
    slower = [line for line in lines if float(re.search(r"([\d.]+)x \|$", line)[1]) < 0.95]
    listed = (tmp_path / "speed_slower.md").read_text().count(f", {threads} thread")
    assert len(slower) <= listed <= sum(float(re.search(r"([\d.]+)x \|$", line)[1]) <= 1 for line in lines)


def test_tables_of_accuracy(tmp_path):
    """normcy is within its bound in every case; no error of it is bold, and others' are."""
    measured = load("measured")
    numbers = measured.numbers()
    assert numbers["accuracy_within"] == numbers["accuracy_cases"]
    measured.write_tables(tmp_path)
    for sweep in measured.SWEEPS:
        lines = (tmp_path / f"accuracy_{sweep}.md").read_text().splitlines()
        assert [cell.strip() for cell in lines[0].split("|")[1:3]] == ["method", "normcy"]
        assert not any("**" in line.split("|")[2] for line in lines)
        assert any("**" in line for line in lines)


def test_numbers_in_the_text():
    """Every number that a page takes from the measurements has a value, and is on some page."""
    numbers = load("measured").numbers()
    used = {name for page in DOCS.glob("*.md") for name in re.findall(r"{{ (\w+) }}", page.read_text())}
    assert used == numbers.keys()
    assert all(numbers.values())
