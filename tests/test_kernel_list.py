"""Cython's declarations of the kernels match their list. C would convert a missing or misplaced argument."""

import re
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"
pytestmark = pytest.mark.skipif(not SRC.exists(), reason="needs the source tree")
C_TYPES = {"bint": "int"}  # Cython's word for the same type


def types_of(parameters):
    """Returns the types of a parameter list, each as one string without its name."""
    types = (re.sub(r"\w+$", "", " ".join(p.split())).replace(" ", "") for p in parameters.split(","))
    return [C_TYPES.get(t, t) for t in types]


def listed():
    """Returns, from list.h, the result's type, the name and the parameters' types of each kernel."""
    text = re.sub(r"/\*.*?\*/", "", (SRC / "kernels/list.h").read_text(), flags=re.DOTALL)
    found = re.findall(r"KERNEL\(\s*(\w+),\s*(\w+),\s*\(([^()]*)\)\s*\)", text)
    assert len(found) == text.count("KERNEL(")
    return [(result, name, types_of(parameters)) for result, name, parameters in found]


def declared():
    """Returns the same from the struct that a Cython file declares."""
    head = re.compile(r"^( *)ctypedef struct normcy_kernels:\n", re.MULTILINE)
    files = [p for ext in ("pyx", "pxd") for p in SRC.rglob(f"*.{ext}") if head.search(p.read_text())]
    assert len(files) == 1, files
    text = files[0].read_text()
    start = head.search(text)
    body = re.match(rf"(?:{start[1]} +.*\n)*", text[start.end() :])[0]
    members = re.findall(r"(\w+) \(\*(\w+)\)\(([^()]*)\) noexcept nogil", body)
    assert len(members) == body.count("(*")
    return [(C_TYPES.get(result, result), name, types_of(parameters)) for result, name, parameters in members]


def test_cython_declares_the_same_kernels():
    assert listed()
    assert declared() == listed()
