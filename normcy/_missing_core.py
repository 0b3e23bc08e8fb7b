"""The message of an import without a compiled core. A complete package never loads this module."""

from __future__ import annotations

import platform
import sys
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder
from pathlib import Path

FOLDER = Path(__file__).parent
MODULE = "normcy._native.arrays"  # the first that is imported; either all of them are there, or none


def explain() -> str:
    """Returns one line that says which core was expected, what was found instead, and what to do about it."""
    tag = EXTENSION_SUFFIXES[0].split(".")[1]  # such as cpython-311-x86_64-linux-gnu
    expected = f"normcy: expected a compiled core for Python {platform.python_version()} ({tag}) in {FOLDER}"
    return f"{expected}, got {_found()}; {_remedy()}"


def _found() -> str:
    """Describes the cores in the folder that are not for this Python."""
    others = sorted(path.name for path in FOLDER.glob("_native/arrays.*") if path.suffix in (".so", ".pyd"))
    return f"{' and '.join(others)}, which is for another Python or platform" if others else "none"


def _remedy() -> str:
    installed = _installed()
    if installed:
        return (
            f"this folder comes first on sys.path and shadows the package that is installed as {installed}: "
            "run Python, or keep the script, in another folder; or build this one: in "
            f"{FOLDER.parent}, run `make build` or `pip install -e .`"
        )
    return (
        "in a clone or an unpacked source archive, run `make build` or `pip install -e .`; with a wheel or a source "
        "archive, run `python -m pip install --force-reinstall <the wheel or source archive>`"
    )


def _installed() -> Path | None:
    """Finds, without importing it, another installation on sys.path whose core would load here; returns its folder."""
    folders = [str(Path(entry) / "normcy/_native") for entry in sys.path if isinstance(entry, str)]
    spec = PathFinder.find_spec(MODULE, folders)
    return Path(spec.origin).parents[1] if spec and spec.has_location and spec.origin else None
