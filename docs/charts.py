"""Draws what `normcy compare` and `normcy accuracy` measured, as `measured.py` reads it.

`pictures.py` draws PICTURES for the site, and `make charts` the README's chart.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

import matplotlib.pyplot as plt
import measured
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from normcy._compare.methods import METHODS
from normcy._compare.plot import STYLES
from normcy._compare.tables import heading

README_CHART = Path(__file__).parent / "images" / "speed.png"
WIDTH = 6  # inches; on a phone, letters are still nine pixels high
BLUE, ORANGE = "#3B8BD0", "#D55E00"  # both can be read on white and on black, and told apart by the colour-blind
GREY = "#8a8a8a"
NAMED = 6  # copies from which on a case is named in the chart
SWEEPS = {  # of `normcy accuracy`: what changes along each, and what its marker is called
    "mean": ("distance of the mean from 0, in standard deviations", "means far from 0"),
    "length": ("values that share one mean and variance", "few or many values"),
    "magnitude": ("factor of all values", "tiny or huge values"),
}


# Charts of speed


def speed() -> Figure:
    """How many times as fast as the fastest other library: a bar for each method, a dot for each case."""
    groups = measured.by_operator(measured.cases(2))
    ratios = {name: [case.fastest[1] for case in group] for name, group in groups.items()}
    means = {name: geometric_mean(values) for name, values in ratios.items()}
    order = sorted(means, key=means.__getitem__)
    figure, axes = _rows(order)
    for y, name in enumerate(order):
        axes.plot([1, means[name]], [y, y], color=BLUE, linewidth=7, solid_capstyle="butt", alpha=0.45, zorder=2)
        colours = [BLUE if ratio >= 1 else ORANGE for ratio in ratios[name]]
        axes.scatter(ratios[name], [y] * len(colours), color=colours, s=20, zorder=3, linewidths=0)
        place = {"xycoords": axes.get_yaxis_transform(), "va": "center", "weight": "bold"}
        axes.annotate(measured.times(means[name]), (1.01, y), **place)
    values = [value for group in ratios.values() for value in group]
    _ratios(axes, values, "times as fast as the fastest other library (right is better)")
    return figure


def speed_by_library() -> Figure:
    """How many times as fast as each library, by method."""
    groups = measured.by_operator(measured.cases(2))
    order = sorted(groups, key=lambda name: geometric_mean([case.fastest[1] for case in groups[name]]))
    figure, axes = _rows(order, top=0.35)
    shown = []
    for library in (name for name in STYLES if name != "normcy"):
        text, colour, marker = STYLES[library]
        ratios = {
            y: geometric_mean(found)
            for y, name in enumerate(order)
            if (found := [case.others[library] / case.mine for case in groups[name] if library in case.others])
        }
        if ratios:
            style = {"color": colour, "marker": marker, "label": text, "s": 36, "zorder": 3, "linewidths": 0}
            axes.scatter(list(ratios.values()), list(ratios), **style)
            shown += ratios.values()
    _ratios(axes, shown, "times as fast as that library (geometric mean of the shapes)")
    _legend(figure)
    return figure


def copies() -> Figure:
    """The time of each case as a multiple of that of a copy, by method."""
    groups = measured.by_operator(measured.cases(2))
    order = sorted(groups, key=lambda name: -median(case.copies for case in groups[name]))
    figure, axes = _rows(order, top=0.35)
    for layout, colour, offset in (("NCHW", BLUE, 0.13), ("NHWC", ORANGE, -0.13), ("", GREY, 0)):
        found = [(case.copies, y + offset) for y, name in enumerate(order) for case in groups[name]
                 if case.layout == layout]  # fmt: skip
        text = f"channels {'first' if layout == 'NCHW' else 'last'}" if layout else "no layout"
        if found:
            axes.scatter(*zip(*found, strict=True), color=colour, s=22, label=text, zorder=3, linewidths=0)
    for y, name in enumerate(order):
        for case in (case for case in groups[name] if case.copies > NAMED):
            place = {"xytext": (-6, 0), "textcoords": "offset points", "ha": "right", "va": "center", "size": 9}
            axes.annotate(f"{case.model} {case.shape}", (case.copies, y), **place)
    values = [case.copies for group in groups.values() for case in group]
    _ratios(axes, values, "time, as a multiple of the time of a copy (left is better)")
    _legend(figure)
    return figure


# Charts of accuracy


def accuracy() -> Figure:
    """The largest error of each method in units, a marker for each sweep, beside its bound."""
    rows = measured.accuracy()["rows"]
    order = [method for method in METHODS if any(row["method"] == method for row in rows)][::-1]
    figure, axes = _rows(order, top=0.35)
    styles = zip(SWEEPS.items(), "os^", (BLUE, "#009E73", "#CC79A7"), strict=True)
    for (sweep, (_, label)), marker, colour in styles:
        largest = [
            max(measured.units(row, "normcy") for row in rows if row["sweep"] == sweep and row["method"] == method)
            for method in order
        ]
        axes.scatter(largest, range(len(order)), marker=marker, color=colour, s=26, label=label, zorder=3, linewidths=0)
    bounds = [METHODS[method].bound for method in order]
    ink = plt.rcParams["text.color"]
    axes.scatter(bounds, range(len(order)), marker="|", color=ink, s=120, linewidths=2, label="bound", zorder=3)
    axes.set_xlim(0, max(bounds) + 0.5)
    axes.set_xlabel("largest error, in units")
    _legend(figure)
    return figure


def accuracy_by_library() -> Figure:
    """The errors of layer norm along each sweep, a line for each library."""
    rows = [row for row in measured.accuracy()["rows"] if row["method"] == "layer"]
    # three panels under each other fit a phone
    figure, panels = plt.subplots(3, 1, figsize=(WIDTH, 7.6), layout="constrained", sharey=True)
    for axes, (sweep, (title, _)) in zip(panels, SWEEPS.items(), strict=True):
        points = [row for row in rows if row["sweep"] == sweep]
        for name in STYLES:
            if name in measured.accuracy()["libraries"]:
                _error_line(axes, [row["results"][name] for row in points], name)
        axes.set_xticks(range(len(points)), [heading(row["value"]) for row in points])
        axes.set_title(title, size=10, loc="left")
        axes.set_yscale("log")
        axes.set_ylim(1e-8, 300)
        axes.set_yticks([1e-8, 1e-6, 1e-4, 1e-2, 1], ["1e-8", "1e-6", "1e-4", "0.01", "1"])
        axes.axhspan(3, 300, color=GREY, alpha=0.2, linewidth=0)
        axes.text(0.5, 30, "NaN or infinity", transform=axes.get_yaxis_transform(), ha="center", va="center", size=9)
        _plain(axes, "y")
    panels[1].set_ylabel("largest error / largest result")
    _legend(figure, panels[0])
    return figure


def _error_line(axes: Axes, results: list[dict[str, Any]], name: str) -> None:
    """Draws a library's errors; those that are NaN or infinite lie in the grey band at the top, side by side."""
    text, colour, marker = STYLES[name]
    order = list(STYLES).index(name)
    places = [30 if result["not_finite"] else result["error_relative"] for result in results]
    found = [(x + (order - 2.5) * 0.06, max(y, 2e-8)) for x, y in enumerate(places) if y is not None]
    if found:
        style = {"linewidth": 2.2, "markersize": 7, "zorder": 4} if name == "normcy" else {"linewidth": 1, "zorder": 3}
        axes.plot(*zip(*found, strict=True), color=colour, marker=marker, label=text, markeredgewidth=0, **style)


# What charts share


def _rows(labels: list[str], top: float = 0) -> tuple[Figure, Axes]:
    """Returns axes with a line for each label; ``top`` is the room for a legend, in inches."""
    figure, axes = plt.subplots(figsize=(WIDTH, 0.62 + top + 0.29 * len(labels)), layout="constrained")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(-0.6, len(labels) - 0.4)
    _plain(axes, "x")
    return figure, axes


def _plain(axes: Axes, grid: str) -> None:
    axes.grid(axis=grid, color=GREY, alpha=0.3, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _ratios(axes: Axes, values: list[float], label: str) -> None:
    """Scales x logarithmically for these values, with plain numbers at a few places and a line at 1."""
    low, high = min(0.5, min(values) / 1.2), max(4, max(values) * 1.2)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    ticks = [v for v in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200) if low <= v <= high]
    axes.set_xticks(ticks, [f"{v:g}" for v in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.axvline(1, color=plt.rcParams["text.color"], linewidth=1, zorder=2.5)
    axes.set_xlabel(label)


def _legend(figure: Figure, axes: Axes | None = None) -> None:
    handles, labels = (axes or figure.axes[0]).get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=6, frameon=False, fontsize=9, columnspacing=1.2)


PICTURES: dict[str, Callable[[], Figure]] = {
    "speed": speed,
    "speed_by_library": speed_by_library,
    "copies": copies,
    "accuracy": accuracy,
    "accuracy_by_library": accuracy_by_library,
}


def main() -> None:
    """Draws the README's chart, for a white page and 1400 pixels wide."""
    README_CHART.parent.mkdir(exist_ok=True)
    speed().savefig(README_CHART, dpi=1400 / WIDTH, facecolor="white", metadata={"Software": None})


if __name__ == "__main__":
    main()
