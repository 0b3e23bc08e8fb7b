"""Reads what `normcy compare` and `normcy accuracy` measured, and makes tables and numbers of it for the site.

The files lie in docs/data/. `conf.py` has the tables written, which pages include, and puts the numbers into their
text, so that a new measurement changes every page that speaks of it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from math import isfinite
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any, NamedTuple

from normcy._compare.methods import METHODS
from normcy._compare.plot import STYLES
from normcy._compare.report import times
from normcy._compare.tables import WRONG, heading, number

DATA = Path(__file__).parent / "data"
SWEEPS = ("mean", "length", "magnitude")  # of `normcy accuracy`
MISSING = -float("inf")  # the error of a library that has no such operator, as it is within every bound


class Case(NamedTuple):
    """A line of `normcy compare`: the times of libraries whose results were right, in seconds."""

    model: str
    method: str
    shape: str
    layout: str
    copy: float
    mine: float
    others: dict[str, float]

    @property
    def operator(self) -> str:
        return METHODS[self.method].function

    @property
    def copies(self) -> float:
        return self.mine / self.copy

    @property
    def fastest(self) -> tuple[str, float]:
        """The fastest other library, and how many times as fast normcy is."""
        name = min(self.others, key=self.others.__getitem__)
        return name, self.others[name] / self.mine


@cache
def speed(threads: int) -> dict[str, Any]:
    """Returns the content of the JSON file for that number of threads."""
    return json.loads((DATA / f"compare-{_count(threads).replace(' ', '')}.json").read_text())


def cases(threads: int, photo: bool = False) -> list[Case]:
    """Returns the cases on shapes of models, or those on the photograph."""
    return [_case(row) for row in speed(threads)["rows"] if (row["case"] == "photo") == photo]


def _case(row: dict[str, Any]) -> Case:
    seconds = {name: result["seconds"] for name, result in row["results"].items() if result["note"] is None}
    found = {name: value for name, value in seconds.items() if value is not None}
    shape = "x".join(map(str, row["shape"]))
    layout = "" if row["layout"] == "-" else row["layout"]
    return Case(row["case"], row["method"], shape, layout, found.pop("copy"), found.pop("normcy"), found)


def by_operator(found: Iterable[Case]) -> dict[str, list[Case]]:
    groups = defaultdict(list)
    for case in found:
        groups[case.operator].append(case)
    return dict(groups)


@cache
def accuracy() -> dict[str, Any]:
    return json.loads((DATA / "accuracy.json").read_text())


def units(row: dict[str, Any], name: str) -> float:
    """Returns the error in units; NaN and infinity as infinity, and minus infinity where there is no such operator."""
    result = row["results"].get(name) or {}
    if result.get("not_finite"):
        return float("inf")
    return MISSING if result.get("error_units") is None else result["error_units"]


def _duration(seconds: float) -> str:
    value, unit = (seconds * 1e3, "ms") if seconds >= 1e-3 else (seconds * 1e6, "µs")
    return f"{value:.3g}&nbsp;{unit}"


# Tables and numbers


def write_tables(folder: Path) -> None:
    """Writes the tables that pages include, as Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in _tables():
        (folder / f"{name}.md").write_text("\n".join(lines) + "\n")


def _tables() -> Iterator[tuple[str, list[str]]]:
    for threads in (2, 1):
        for name, photo in (("speed_table", False), ("speed_table_photo", True)):
            suffix = "" if threads == 2 else "_1thread"
            yield name + suffix, _speed_table(cases(threads, photo))
    yield "speed_slower", _slower()
    for sweep in SWEEPS:
        yield f"accuracy_{sweep}", _error_table(sweep)
        yield f"accuracy_{sweep}_summary", _summary_table(sweep)


def _speed_table(found: list[Case]) -> list[str]:
    rows = [
        [f"{case.model}: {case.method}<br>{case.shape}", case.layout or "-", _duration(case.mine), f"{case.copies:.1f}",
         f"{STYLES[case.fastest[0]][0]} {times(case.fastest[1])}"]
        for case in found
    ]  # fmt: skip
    return _markdown(["case", "layout", "time", "copies", "beside the fastest other"], rows, texts=2)


def _slower() -> list[str]:
    """Lists the cases in which another library was faster, with one thread or two."""
    lines = []
    for threads in (2, 1):
        for case in (*cases(threads), *cases(threads, photo=True)):
            name, ratio = case.fastest
            if ratio < 1:
                text = f"{case.method} of {case.shape}{case.layout and ', '}{case.layout} ({case.model})"
                lines.append(f"- {text}, {_count(threads)}: {STYLES[name][0]} takes {ratio:.2f} of normcy's time")
    return lines or ["- none of those in the tables above"]


def _count(threads: int) -> str:
    return f"{threads} thread{'s' * (threads > 1)}"


def _error_table(sweep: str) -> list[str]:
    """Returns the largest error of each method along a sweep, by library; the two layouts are one row."""
    libraries = [name for name in STYLES if name in accuracy()["libraries"]]
    by_method = defaultdict(list)
    for row in accuracy()["rows"]:
        if row["sweep"] == sweep:
            by_method[row["method"]].append(row)
    rows = [[method, *(_largest(by_method[method], name) for name in libraries)]
            for method in METHODS if method in by_method]  # fmt: skip
    short = {"onnxruntime": "ONNX RT", "torch": "PyTorch"}
    return _markdown(["method", *(short.get(name, STYLES[name][0]) for name in libraries)], rows)


def _largest(rows: list[dict[str, Any]], name: str) -> str:
    """Returns the largest error in units as text, bold where one of them is beyond normcy's bound."""
    worst = max(units(row, name) for row in rows)
    if worst == MISSING:
        return "-"
    kinds = {row["results"][name]["not_finite"] for row in rows}
    text = number(worst) if isfinite(worst) else "NaN" if "NaN" in kinds else "inf"
    return text if worst <= rows[0]["bound"] else f"**{text}**"


def _summary_table(sweep: str) -> list[str]:
    rows = []
    for name in accuracy()["libraries"]:
        found = [row for row in accuracy()["rows"] if row["sweep"] == sweep and units(row, name) >= 0]
        within = sum(units(row, name) <= row["bound"] for row in found)
        finite = [row["results"][name]["error_relative"] for row in found if isfinite(units(row, name))]
        counts = len(found), within, sum(value > WRONG for value in finite), len(found) - len(finite)
        rows.append([STYLES[name][0], *map(str, counts), number(max(finite))])
    return _markdown(["library", "cases", "in the bound", "0.1 % off", "NaN, inf", "largest"], rows)


def _markdown(header: list[str], rows: list[list[str]], texts: int = 1) -> list[str]:
    rule = ["---" if i < texts else "---:" for i in range(len(header))]
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]


def numbers() -> dict[str, str]:
    """Returns the numbers that stand in the text of pages, by the names that the text gives them."""
    found, one = cases(2), cases(1)
    ratios = [case.fastest[1] for case in found]
    own = [row for row in accuracy()["rows"] if units(row, "normcy") >= 0]
    relative = defaultdict(float)  # the largest by method
    for row in own:
        relative[row["method"]] = max(relative[row["method"]], row["results"]["normcy"]["error_relative"])
    most = max(relative, key=relative.__getitem__)
    return {
        "speed_cases": str(len(found)),
        "speed_mean": f"{geometric_mean(ratios):.1f}",
        "speed_mean_one_thread": f"{geometric_mean([case.fastest[1] for case in one]):.1f}",
        "speed_against": _against(found),
        "copies_median": f"{median(case.copies for case in found):.1f}",
        "copies_median_one_thread": f"{median(case.copies for case in one):.1f}",
        "speed_machine": _machine(),
        "speed_cpu": f"{speed(2)['config']['cpu']} ({speed(2)['config']['isa']})",
        "accuracy_libraries": _libraries(accuracy()["libraries"]),
        "accuracy_cases": str(len(own)),
        "accuracy_within": str(sum(units(row, "normcy") <= row["bound"] for row in own)),
        "accuracy_largest": f"{number(relative.pop(most))} ({most})",
        "accuracy_second": number(max(relative.values())),
        "accuracy_longest": heading(max(row["value"] for row in accuracy()["rows"] if row["sweep"] == "length")),
    }


def _against(found: list[Case]) -> str:
    """Returns how many times as fast as each library normcy is, as text."""
    texts = []
    for name in (name for name in STYLES if name != "normcy"):
        ratios = [case.others[name] / case.mine for case in found if name in case.others]
        if ratios:
            texts.append(f"{STYLES[name][0]} {times(geometric_mean(ratios))} ({len(ratios)})")
    return ", ".join(texts)


def _machine() -> str:
    about = speed(2)
    mebibytes = about["config"]["caches"]["l3_bytes"] / 2**20
    hardware = f"{about['config']['cpu']}, {about['config']['isa']}, {mebibytes:g} MiB of L3 cache"
    busy = (
        " The CPUs were not all its own, so that times are too long and ratios are uncertain." if about["busy"] else ""
    )
    return f"{hardware}; {_libraries(about['libraries'])}.{busy}"


def _libraries(versions: dict[str, str]) -> str:
    return ", ".join(f"{STYLES[name][0]} {version}" for name, version in versions.items())
