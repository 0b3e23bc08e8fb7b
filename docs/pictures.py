"""Draws the pictures of the site, each for light and for dark pages; `make docs` runs it.

A picture NAME is written as NAME_light.svg and NAME_dark.svg.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import charts
import cubes
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

INK = {"light": "#323130", "dark": "#ced6dd"}  # the colours of the theme's text


def draw(folder: Path) -> None:
    """Writes every picture into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for theme, ink in INK.items():
        with plt.rc_context(_style(ink)):
            for name, make in PICTURES.items():
                figure = make()
                figure.savefig(folder / f"{name}_{theme}.svg", transparent=True)
                plt.close(figure)


def _style(ink: str) -> dict[str, object]:
    """Returns settings for lines and letters of that colour."""
    names = "text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"
    return dict.fromkeys(names, ink) | {"svg.hashsalt": "normcy", "font.size": 10}


PICTURES: dict[str, Callable[[], Figure]] = {**charts.PICTURES, **cubes.PICTURES}
