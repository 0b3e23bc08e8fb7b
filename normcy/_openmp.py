"""Which OpenMP libraries are loaded in this process: each has threads of its own, and all want the same CPUs."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TypedDict

_KINDS = {"libgomp": "GNU", "libiomp5": "Intel", "libomp": "LLVM", "libomp5": "LLVM"}
# Wheels bring copies with a hash in their names, as in libgomp-a34b3233.so.1.0.0, Debian has versions in them.
_NAME = re.compile(rf"({'|'.join(_KINDS)})(-[0-9a-f]+)?\.(so|dylib)\b")


class Library(TypedDict):
    kind: str
    path: str


def openmp_libraries() -> list[Library] | None:
    """Returns ``kind`` and ``path`` of each; None if nothing here can tell."""
    paths = _mapped_files() or _known_to_threadpoolctl()
    if paths is None:
        return None
    names = [(_NAME.match(os.path.basename(path)), path) for path in sorted(paths)]
    return [{"kind": _KINDS[name[1]], "path": path} for name, path in names if name]


def _mapped_files() -> set[str]:
    """Returns the files in the memory of this process, as Linux lists them; empty elsewhere."""
    try:
        maps = os.fsdecode(Path("/proc/self/maps").read_bytes())
    except OSError:
        return set()
    paths = [fields[5] for line in maps.split("\n") if len(fields := line.split(" ", 5)) == 6]
    return {path.strip(" ").removesuffix(" (deleted)").replace("\\012", "\n") for path in paths}


def _known_to_threadpoolctl() -> set[str] | None:
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return None
    return {library["filepath"] for library in threadpool_info()}
