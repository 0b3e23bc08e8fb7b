"""The charts and tables of speed and accuracy show every case of the files in docs/data, and no other."""

import importlib
import json
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


@pytest.fixture
def two_cases(tmp_path, monkeypatch):
    """A file in which normcy takes 1 s, a copy 0.5 s, NumPy 8 s and PyTorch 2 s, or 4 s in the second case."""
    measured = load("measured")

    def row(method, torch):
        seconds = {"copy": 0.5, "normcy": 1.0, "numpy": 8.0, "torch": torch, "jax": None}
        results = {name: {"seconds": value, "note": None} for name, value in seconds.items()}
        return {"case": "model", "method": method, "shape": [2, 3], "layout": "-", "results": results}

    config = {"cpu": "A CPU", "isa": "avx2", "caches": {"l3_bytes": 1 << 20}, "num_threads": 2}
    content = {
        "config": config,
        "libraries": {"numpy": "2"},
        "busy": None,
        "rows": [row("layer", 2.0), row("rms", 4.0)],
    }
    for name in "compare-1thread", "compare-2threads":
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    (tmp_path / "accuracy.json").write_bytes((DOCS / "data" / "accuracy.json").read_bytes())
    monkeypatch.setattr(measured, "DATA", tmp_path)
    measured.speed.cache_clear()
    yield measured
    measured.speed.cache_clear()


def test_ratios(two_cases):
    """More than 1 is faster than the other library; the fastest other library counts."""
    cases = two_cases.cases(2)
    assert [case.fastest for case in cases] == [("torch", 2.0), ("torch", 4.0)]
    assert [case.copies for case in cases] == [2.0, 2.0]
    numbers = two_cases.numbers()
    assert numbers["speed_mean"] == "2.8"  # the root of 2 * 4
    assert numbers["copies_median"] == "2.0"
    assert numbers["speed_against"] == "NumPy 8.0x (2), PyTorch 2.8x (2)"


def test_charts_show_the_ratios(two_cases):
    charts = load("charts")
    for draw, expected in (
        (charts.speed, {2.0, 4.0}),
        (charts.speed_by_library, {2.0, 4.0, 8.0}),
        (charts.copies, {2.0}),
    ):
        figure = draw()
        places = {round(float(x), 6) for dots in figure.axes[0].collections for x, _ in dots.get_offsets()}
        assert places == expected, draw.__name__
        charts.plt.close(figure)
