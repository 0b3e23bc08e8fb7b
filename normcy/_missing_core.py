"""What an import says where the compiled core is missing; a module of its own, as a complete package never loads it."""

from __future__ import annotations

import platform
import sys
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder
from pathlib import Path

FOLDER = Path(__file__).parent
MODULE = "normcy._native.arrays"  # the first that is imported; they are there or missing together


def explain() -> str:
    """One line: which core was expected and what is there instead, and what to do about it."""
    tag = EXTENSION_SUFFIXES[0].split(".")[1]  # such as cpython-311-x86_64-linux-gnu
    expected = f"normcy: expected a compiled core for Python {platform.python_version()} ({tag}) in {FOLDER}"
    return f"{expected}, got {_found()}; {_remedy()}"


def _found() -> str:
    """What the folder has in place of a core that this Python looks for."""
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
    """The folder of another package on sys.path whose core would load here; it is found, not imported."""
    folders = [str(Path(entry) / "normcy/_native") for entry in sys.path if isinstance(entry, str)]
    spec = PathFinder.find_spec(MODULE, folders)
    return Path(spec.origin).parents[1] if spec and spec.has_location else None
