"""Draws cubes of values that show which of them share statistics, after Figure 2 of Wu & He's "Group Normalization".

A picture is a line in `CUBES`: cubes of samples (N), channels (C) and positions (P), and the axes along which coloured
values extend. `slot` says what that means; tests/test_cubes.py compares it with what the library computes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Polygon, Rectangle
from matplotlib.path import Path

# From the palette of Okabe and Ito, whose colours are told apart by people with any kind of colour vision.
BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"
SHAPE = 4, 6, 5
GROUPS = 2

# Where one step along an axis leads on paper. The corner (0, 0, 0) is in front, at the top: three faces are visible.
STEPS = np.array([[0.87, 0.42], [-0.87, 0.42], [0.0, -1.0]])


@dataclass(frozen=True)
class Slot:
    """Values of one colour: those that differ from the value at `at` only along `axes`; see `slot`."""

    axes: str
    colour: str = BLUE
    at: tuple[int, int, int] = (0, 0, 0)
    meaning: str = ""


@dataclass(frozen=True)
class Cube:
    """A cube, what is written below it, and its coloured values; where slots overlap, the last one is seen."""

    caption: str
    slots: tuple[Slot, ...]
    shape: tuple[int, int, int] = SHAPE
    names: tuple[str, str, str] = ("N", "C", "H, W")
    divided: bool = False  # by a line between groups of channels


def slot(shape: tuple[int, int, int], axes: str, at: tuple[int, int, int]) -> np.ndarray:
    """Returns which values belong together with the one at `at`, as a boolean array.

    They may have any index along the axes that are named, "N", "C" and "P", and any channel of the same group if "G" is
    named. Along other axes they have the same index.
    """
    samples, channels, positions = np.indices(shape)
    size = max(shape[1] // GROUPS, 1)
    return (
        ((samples == at[0]) | ("N" in axes))
        & ((channels == at[1]) | ("C" in axes) | (("G" in axes) & (channels // size == at[1] // size)))
        & ((positions == at[2]) | ("P" in axes))
    )


def draw_cube(ax: Axes, cube: Cube, left: float, middle: float = 0.0, scale: float = 1.0) -> float:
    """Draws a cube's visible faces, its caption and the names of its axes; returns where the next one may begin."""
    steps = STEPS * scale
    corner = np.array([left + 2.2 + cube.shape[1] * steps[0, 0], middle])
    ink = plt.rcParams["text.color"]
    colours = np.full(cube.shape, -1)
    for number, part in enumerate(cube.slots):
        colours[slot(cube.shape, part.axes, part.at)] = number
    for hidden, light in ((2, 1.15), (0, 1.0), (1, 0.85)):  # the axis of which a face shows index 0
        sides = np.delete(steps, hidden, axis=0)
        face = colours.take(0, axis=hidden)
        _fill(ax, corner, sides * np.array(face.shape)[:, None], [(0, 0)], to_rgba(ink, 0.06))
        for number, part in enumerate(cube.slots):
            _fill(ax, corner, sides, np.argwhere(face == number), _shade(part.colour, light))
        _rule(ax, corner, sides, face.shape, to_rgba(ink, 0.55))
    if cube.divided:
        front = corner + cube.shape[1] // GROUPS * steps[1]
        path = [front + cube.shape[0] * steps[0], front, front + cube.shape[2] * steps[2]]
        ax.plot(*zip(*path, strict=True), color=ink, linewidth=2)
    _write(ax, cube, corner, steps)
    return left + 3.0 + (cube.shape[0] + cube.shape[1]) * steps[0, 0]


def _fill(ax: Axes, corner: np.ndarray, sides: np.ndarray, places: np.ndarray, colour: tuple[float, ...]) -> None:
    """Fills the parallelograms at these places of a face."""
    for place in places:
        around = corner + (place + np.array([(0, 0), (1, 0), (1, 1), (0, 1)])) @ sides
        ax.add_patch(Polygon(around, facecolor=colour, edgecolor="none"))


def _rule(ax: Axes, corner: np.ndarray, sides: np.ndarray, shape: tuple[int, int], colour: tuple) -> None:
    """Draws the lines between the values of a face."""
    rows, columns = shape
    lines = [((i, 0), (i, columns)) for i in range(rows + 1)] + [((0, j), (rows, j)) for j in range(columns + 1)]
    path = Path((corner + np.array(lines) @ sides).reshape(-1, 2), [Path.MOVETO, Path.LINETO] * len(lines))
    ax.add_patch(PathPatch(path, facecolor="none", edgecolor=colour, linewidth=0.6))


def _write(ax: Axes, cube: Cube, corner: np.ndarray, steps: np.ndarray) -> None:
    n, c, p = (size * step for size, step in zip(cube.shape, steps, strict=True))
    gap = 0.35
    top = corner + (n + c) / 2 + (0, (n + c)[1] / 2 + gap)
    ax.text(*top, cube.caption, ha="center", va="bottom", fontsize=11)
    ax.text(*(corner + p + n / 2 + (gap, -gap)), cube.names[0], ha="left", va="top")
    ax.text(*(corner + p + c / 2 + (-gap, -gap)), cube.names[1], ha="right", va="top")
    ax.text(*(corner + c + p / 2 + (-gap, 0)), cube.names[2], ha="right", va="center")


def _shade(colour: str, light: float) -> tuple[float, ...]:
    return tuple(np.clip(np.array(to_rgb(colour)) * light, 0, 1))


def draw_row(cubes: tuple[Cube, ...]) -> Figure:
    """Draws the cubes of one method beside each other, the second one smaller, and a legend of their colours."""
    meanings = {part.meaning: part.colour for cube in cubes for part in cube.slots if part.meaning}
    figure, ax = plt.subplots()
    right = 0.0
    for cube, scale in zip(cubes, (1, 0.8), strict=True):
        right = draw_cube(ax, cube, right, scale=scale)
    if meanings:
        patches = [Rectangle((0, 0), 1, 1, color=colour) for colour in meanings.values()]
        figure.legend(patches, meanings, loc="lower center", frameon=False, fontsize=11, handlelength=1)
    return _framed(figure, ax, right, (-5.6 - 1.0 * len(meanings), 5.6))


def draw_overview() -> Figure:
    """Draws the slots of the six most used methods, in two rows, so that they can be read on a phone."""
    figure, ax = plt.subplots()
    right = 0.0
    for number, (title, name) in enumerate(OVERVIEW.items()):
        row, column = divmod(number, 3)
        right = draw_cube(ax, replace(CUBES[name][0], caption=title), right * (column > 0), -12.5 * row)
    return _framed(figure, ax, right, (-19, 5.8), inch=0.2)


def _framed(figure: Figure, ax: Axes, right: float, y: tuple[float, float], inch: float = 0.27) -> Figure:
    """Gives a figure these limits and the size that fits; one unit is so many inches."""
    figure.set_size_inches(right * inch, (y[1] - y[0]) * inch)
    ax.set_position((0, 0, 1, 1))
    ax.set(xlim=(0, right), ylim=y)
    ax.axis("off")
    return figure


def draw_layouts() -> Figure:
    """Draws an image of two channels, and its values in memory in either layout, with the strides that NumPy gives."""
    figure, ax = plt.subplots()
    first = np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3)
    last = np.ascontiguousarray(first.transpose(0, 2, 3, 1))
    for channel, left in enumerate((1.5, 7.5)):
        for (row, column), value in np.ndenumerate(first[0, channel]):
            _box(ax, left + column, 6 - row, value)
        ax.text(left + 1.5, 7.15, f"channel {channel}", ha="center", va="bottom", fontsize=11)
    for bottom, name, array in ((2.6, "NCHW", first), (0.2, "NHWC", last)):
        for place, value in enumerate(array.ravel()):
            _box(ax, 0.05 + place, bottom, value)
        steps = ", ".join(f"{letter} {stride}" for letter, stride in zip(name, array.strides, strict=True))
        ax.text(0.05, bottom + 1.15, f"{name} in memory; strides in bytes: {steps}", va="bottom", fontsize=11)
    return _framed(figure, ax, 12.1, (-0.3, 8), inch=0.44)


def _box(ax: Axes, x: float, y: float, value: float) -> None:
    """Draws one value of the image, whose channel is 0 below 6 and 1 from there on."""
    colour = BLUE if value < 6 else ORANGE
    ax.add_patch(Rectangle((x, y), 1, 1, facecolor=colour, edgecolor=plt.rcParams["text.color"], linewidth=0.5))
    ax.text(x + 0.5, y + 0.47, f"{value:.0f}", ha="center", va="center", color="white" if value < 6 else "black")


STATISTICS, WEIGHT = "share mean and variance", "share weight and bias"


def _pair(axes: str, weight_axes: str, names: tuple[str, str, str] = ("N", "C", "H, W"), **more: object):
    """Returns the two cubes that most methods have: values with the same statistics, and with the same parameters."""
    return (
        Cube(STATISTICS, (Slot(axes),), names=names, **more),
        Cube(WEIGHT, (Slot(weight_axes, GREEN),), names=names),
    )


_BATCH = Slot("NP", BLUE, meaning="one variance of the batch")
_TOKENS = "N", "D", "L"
_STYLE = 4, 6, 3  # a style may have another size

CUBES: dict[str, tuple[Cube, ...]] = {
    "batch_norm": _pair("NP", "NP"),
    "instance_norm": _pair("P", "NP"),
    "layer_norm": _pair("C", "NP", _TOKENS),
    "layer_norm_image": _pair("CP", "N"),
    "layer_norm2d": _pair("C", "NP"),
    "group_norm": _pair("GP", "NP", divided=True),
    "rms_norm": (
        Cube("share a root mean square", (Slot("C"),), names=_TOKENS),
        Cube("share a weight", (Slot("NP", GREEN),), names=_TOKENS),
    ),
    "adain": (
        Cube("content", (Slot("P", BLUE, meaning="lose their own mean and deviation"),)),
        Cube("style", (Slot("P", ORANGE, meaning="give theirs instead"),), _STYLE),
    ),
    "conditional_instance_norm": _pair("P", "P"),
    "evonorm_b0": (
        Cube("share variances", (_BATCH, Slot("P", ORANGE, meaning="one variance of the instance"))),
        Cube("share weight, bias and v", (Slot("NP", GREEN),)),
    ),
    "evonorm_s0": (
        Cube("share a variance", (Slot("GP"),), divided=True),
        Cube("share weight, bias and v", (Slot("NP", GREEN),)),
    ),
    "batch_renorm": (
        Cube("batch", (Slot("NP", meaning="mean and deviation of the batch,"),)),
        Cube("running", (Slot("NP", ORANGE, meaning="corrected towards these"),), (1, SHAPE[1], 1), ("", "C", "")),
    ),
    "weight_norm": (
        Cube("v: share a length", (Slot("CP"),), names=("out", "in", "k")),
        Cube("g: lengths", (Slot("CP", GREEN),), (SHAPE[0], 1, 1), ("out", "", "")),
    ),
    "ibn": (
        Cube(
            STATISTICS,
            (
                Slot("P", ORANGE, meaning="instance norm: one instance"),
                Slot("NP", BLUE, (0, SHAPE[1] // 2, 0), meaning="batch norm: one channel"),
            ),
            divided=True,
        ),
        Cube(WEIGHT, (Slot("NP", GREEN),), divided=True),
    ),
}

OVERVIEW = {
    "batch": "batch_norm",
    "layer": "layer_norm",
    "layer2d": "layer_norm2d",
    "RMS": "rms_norm",
    "group": "group_norm",
    "instance": "instance_norm",
}

PICTURES: dict[str, Callable[[], Figure]] = {
    **{f"slots_{name}": partial(draw_row, cubes) for name, cubes in CUBES.items()},
    "norms_overview": draw_overview,
    "layouts": draw_layouts,
}
