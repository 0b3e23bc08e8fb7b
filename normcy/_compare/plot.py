"""The figure of ``normcy compare --plot``: times and errors of all libraries by method, on one screen."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from math import isfinite
from pathlib import Path
from statistics import geometric_mean

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from normcy._compare.inputs import InputError
from normcy._compare.methods import METHODS
from normcy._compare.report import times, title
from normcy._compare.timing import Row, mean_speedup
from normcy._runtime import Config

DPI = 100
WIDTH = 14.0  # inches; with all methods the figure has 1400 x 900 pixels
MARGINS, LINE = 1.8, 0.36  # inches of height: the title, numbers and legend; and a method
STEP = 0.13  # between the libraries of a method, in lines
READING = (
    "Large: a method's geometric mean of times, and its largest error. Small: its cases, whose number is beside its "
    "name. In brackets: how many times faster normcy is, by geometric mean."
)
LEAST_ERROR = 0.1  # the place of exact results on the logarithmic axis
FORMATS = (".png", ".svg", ".pdf")
# Colours are by Okabe and Ito, which colour-blind readers can tell apart; markers are for prints in grey.
STYLES = {
    "normcy": ("normcy", "#D55E00", "o"),
    "numpy": ("NumPy", "#0072B2", "s"),
    "torch": ("PyTorch", "#009E73", "^"),
    "onnxruntime": ("onnxruntime", "#CC79A7", "D"),
    "jax": ("JAX", "#E69F00", "v"),
    "openvino": ("OpenVINO", "#56B4E9", "P"),
}
Value = Callable[[Row, str], float]
Lines = dict[str, list[Row]]  # a line of the figure for each method, with its cases


def check_format(path: Path) -> None:
    if path.suffix not in FORMATS:
        raise InputError(f"argument --plot: got {path}, expected a name that ends in {', '.join(FORMATS)}")


def figure(rows: list[Row], names: list[str], config: Config, busy: bool, suffix: str) -> bytes:
    """Returns the drawing as the content of a file with that suffix."""
    lines: Lines = {key: found for key in METHODS if (found := [row for row in rows if row.case.method == key])}
    libraries = [name for name in names if name != "copy"]
    fig = Figure(figsize=(WIDTH, MARGINS + LINE * len(lines)), layout="constrained")
    left, right = fig.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    left.axvline(1, color="0.25", linewidth=1, linestyle="--", zorder=2, label="fastest copy of x into y")
    _panel(left, lines, libraries, _time, geometric_mean)
    _panel(right, lines, libraries, _error, max)
    bounds = [METHODS[key].bound for key in lines]
    right.scatter(bounds, range(len(lines)), s=250, color="0.25", marker="|", zorder=2, label="normcy's bound")
    left.set_title("Time, as a multiple of the fastest copy of x into y: left is better", size=11, loc="left")
    right.set_title(r"Error, in $2^{-24}\,(|w|\,\max(1, |\hat{x}|) + |b|)$ or alike", size=11, loc="left")
    left.set_yticks(range(len(lines)), [f"{key} ({len(cases)})" for key, cases in lines.items()], size=11)
    left.set_ylim(len(lines) - 0.5, -0.5)
    fig.suptitle(title(config) + ", busy machine" * busy, x=0.006, ha="left", size=13, weight="bold")
    handles, labels = left.get_legend_handles_labels()
    bound, bound_label = right.get_legend_handles_labels()
    fig.legend([*handles, bound[-1]], [_with_speedup(rows, libraries, text) for text in labels] + bound_label[-1:],
               title=READING, loc="outside lower left", ncols=len(handles) + 1, frameon=False, fontsize=10,
               title_fontsize=10, alignment="left", columnspacing=1.3, handletextpad=0.4)  # fmt: skip
    content = BytesIO()
    fig.savefig(content, format=suffix[1:], dpi=DPI)
    return content.getvalue()


def _panel(
    axes: Axes, lines: Lines, libraries: list[str], value: Value, together: Callable[[list[float]], float]
) -> None:
    """Draws each library's cases of a method as small dots, and as a large one what they have together."""
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="x", color="0.88", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    for y in range(0, len(lines), 2):
        axes.axhspan(y - 0.5, y + 0.5, color="0.955", linewidth=0, zorder=0)
    for i, name in enumerate(libraries):
        shift = STEP * (i - (len(libraries) - 1) / 2)
        text, colour, marker = STYLES[name]
        found = [[v for row in cases if isfinite(v := value(row, name))] for cases in lines.values()]
        dots = [(v, y + shift) for y, values in enumerate(found) for v in values]
        means = [(together(values), y + shift) for y, values in enumerate(found) if values]
        axes.scatter(*_columns(dots), s=12, color=colour, marker=marker, alpha=0.45, zorder=3, linewidths=0)
        axes.scatter(*_columns(means), s=46, color=colour, marker=marker, label=text, zorder=4, linewidths=0)
    low, high = axes.get_xlim()
    low, high = min(low, 0.8), max(high, 12)  # so that the axis has at least two numbers
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 500 * low else (1,), numticks=12))


def _columns(points: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _with_speedup(rows: list[Row], libraries: list[str], text: str) -> str:
    """Returns a library's name, and in brackets how many times faster normcy is."""
    name = next((name for name in libraries if STYLES[name][0] == text), "normcy")
    mean = mean_speedup(rows, name) if name != "normcy" else None
    return f"{text} ({times(mean)})" if mean else text


def _time(row: Row, name: str) -> float:
    seconds, copy = row.results[name].seconds, row.results["copy"].seconds
    return seconds / copy if seconds and copy else np.nan


def _error(row: Row, name: str) -> float:
    errors = row.results[name].errors
    return max(errors.units, LEAST_ERROR) if errors and isfinite(errors.units) else np.nan
