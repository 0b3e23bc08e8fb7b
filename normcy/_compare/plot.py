"""The figure of ``normcy compare --plot``: times and errors of all libraries, with a line for each case, by method."""

from __future__ import annotations

import platform
from io import BytesIO
from math import isfinite
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from normcy._compare.inputs import InputError
from normcy._compare.methods import METHODS
from normcy._compare.report import shape_text
from normcy._compare.timing import Row
from normcy._runtime import Config

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


def check_format(path: Path) -> None:
    if path.suffix not in FORMATS:
        raise InputError(f"argument --plot: got {path}, expected a name that ends in {', '.join(FORMATS)}")


def figure(rows: list[Row], names: list[str], config: Config, busy: bool, suffix: str) -> bytes:
    """Returns the drawing as the content of a file with that suffix."""
    blocks = _blocks(rows)
    rows = [row for block in blocks for row in block.rows]
    lines = [y for block in blocks for y in block.lines]
    last = lines[-1] + 0.5
    fig = Figure(figsize=(13, 1.6 + 0.23 * (last + 0.5)), layout="constrained")
    times, errors = fig.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    libraries = [name for name in names if name != "copy"]
    _panel(times, blocks, lines, {name: [_time(row, name) for row in rows] for name in libraries})
    _panel(errors, blocks, lines, {name: [_error(row, name) for row in rows] for name in libraries})
    times.axvline(1, color="0.25", linewidth=1, linestyle="--", zorder=2, label="fastest copy of x into y")
    bounds = [METHODS[row.case.method].bound for row in rows]
    errors.scatter(bounds, lines, s=60, color="0.25", marker="|", zorder=2, label="normcy's bound")
    times.set_title("Time, as a multiple of the fastest copy of x into y (left is better)", size=10, loc="left")
    errors.set_title(r"Largest error, in $2^{-24}\,(|w|\,\max(1, |\hat{x}|) + |b|)$ or alike", size=10, loc="left")
    _label_lines(times, blocks)
    times.set_ylim(last, -0.5)
    fig.suptitle(_title(config) + ", busy machine" * busy, x=0.006, ha="left", size=13, weight="bold")
    handles = times.get_legend_handles_labels()[0] + errors.get_legend_handles_labels()[0][-1:]
    fig.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9)
    content = BytesIO()
    fig.savefig(content, format=suffix[1:], dpi=130)
    return content.getvalue()


class Block(NamedTuple):
    """The rows of a method, alone and fused; they are drawn below a line for the title."""

    title: str
    top: int
    rows: list[Row]

    @property
    def lines(self) -> range:
        return range(self.top + 1, self.top + 1 + len(self.rows))


def _blocks(rows: list[Row]) -> list[Block]:
    by_function: dict[str, list[Row]] = {}
    for row in rows:
        by_function.setdefault(METHODS[row.case.method].function, []).append(row)
    blocks: list[Block] = []
    for function, those in by_function.items():
        blocks.append(Block(function, blocks[-1].lines.stop if blocks else 0, those))
    return blocks


def _label_lines(axes: Axes, blocks: list[Block]) -> None:
    """Labels cases at their lines and titles in bold, padded to one width so that they start at the same place."""
    texts = {y: _label(row) for block in blocks for y, row in zip(block.lines, block.rows, strict=True)}
    width = max(map(len, texts.values()))
    texts |= {block.top: f"{block.title:<{width}}" for block in blocks}
    axes.set_yticks(list(texts), list(texts.values()), family="monospace", size=8)
    for label in axes.get_yticklabels()[-len(blocks) :]:
        label.set_fontweight("bold")


def _panel(axes: Axes, blocks: list[Block], lines: list[int], values: dict[str, list[float]]) -> None:
    """Draws dots on a logarithmic axis with plain numbers, a line through those of a case, and stripes for methods."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(numticks=7))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="x", color="0.88", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    for block in blocks[::2]:
        axes.axhspan(block.top - 0.5, block.lines.stop - 0.5, color="0.96", linewidth=0, zorder=0)
    for y, *places in zip(lines, *values.values(), strict=True):
        shown = [value for value in places if isfinite(value)]
        axes.plot(shown, [y] * len(shown), color="0.75", linewidth=1, zorder=1)
    for name, places in values.items():
        text, colour, marker = STYLES[name]
        # normcy's dots are larger and on top, so that no other dot hides them
        size, order = (52, 4) if name == "normcy" else (26, 3)
        axes.scatter(places, lines, s=size, color=colour, marker=marker, label=text, zorder=order, linewidths=0)
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.8), max(high, 12))  # so that the axis has at least two numbers


def _time(row: Row, name: str) -> float:
    seconds, copy = row.results[name].seconds, row.results["copy"].seconds
    return seconds / copy if seconds and copy else np.nan


def _error(row: Row, name: str) -> float:
    errors = row.results[name].errors
    return max(errors.units, LEAST_ERROR) if errors and isfinite(errors.units) else np.nan


def _label(row: Row) -> str:
    case = row.case
    return f"{case.name:<12} {case.method:<16} {shape_text(case):>13} {case.layout.strip('-'):>5}"


def _title(config: Config) -> str:
    threads = config["num_threads"]
    return f"normcy {config['version']} on {_processor()} ({config['isa']}), {threads} thread{'s' * (threads > 1)}"


def _processor() -> str:
    """Returns the processor's name as Linux knows it, or else as Python does."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
