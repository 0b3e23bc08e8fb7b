"""A function, its twin, its stub and its docstring have the same parameters, in the same order, and defaults."""

import ast
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import normcy
from normcy import _functional, _native

STUB = ast.parse(Path(_functional.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
every_function = pytest.mark.parametrize("name", _functional.__all__)


def fields(name):
    """Returns the keys of a TypedDict of the stub, those of its base first."""
    found = next(node for node in STUB.body if isinstance(node, ast.ClassDef) and node.name == name)
    inherited = [key for base in found.bases if base.id != "TypedDict" for key in fields(base.id)]
    return inherited + [item.target.id for item in found.body]


def stub_parameters(function):
    """Returns positional parameters in order, keywords as a set, and the defaults of the stub."""
    a = function.args
    positional, keywords = [v.arg for v in a.args], {v.arg for v in a.kwonlyargs}
    if a.kwarg:
        keywords |= set(fields(a.kwarg.annotation.slice.id))
    given = [*zip(a.args[::-1], a.defaults[::-1], strict=False), *zip(a.kwonlyargs, a.kw_defaults, strict=True)]
    defaults = {v.arg: ast.literal_eval(d) for v, d in given if d is not None}
    return positional, keywords, defaults


@every_function
def test_twin(name):
    assert str(inspect.signature(getattr(normcy, name))) == str(inspect.signature(getattr(normcy.reference, name)))


@every_function
def test_stub(name):
    found = [node for node in STUB.body if isinstance(node, ast.FunctionDef) and node.name == name]
    parameters = inspect.signature(getattr(normcy, name)).parameters.values()
    real = {p.name: p.default for p in parameters if p.default is not p.empty}
    assert found
    for overload in found:
        positional, keywords, defaults = stub_parameters(overload)
        assert positional == [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        assert keywords == {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
        assert defaults == {key: real[key] for key in defaults}
        assert {key for key in positional if key in real} <= set(defaults)


@every_function
def test_docstring(name):
    """With its shared paragraphs it has every parameter in order, every section, and no placeholder."""
    text = inspect.getdoc(getattr(normcy, name))
    sections = dict(zip(*[iter(re.split(r"^(\w+)\n-+$", text, flags=re.MULTILINE)[1:])] * 2, strict=True))
    listed = re.findall(r"^(\w[\w, ]*) : ", sections["Parameters"], flags=re.MULTILINE)
    assert [p for line in listed for p in line.split(", ")] == list(inspect.signature(getattr(normcy, name)).parameters)
    assert {"Parameters", "Returns", "Raises", "References", "Examples"} <= set(sections)
    assert "$" not in text


@every_function
def test_entry(name):
    """Functions pass their arguments to the compiled entry by position."""
    public = list(inspect.signature(getattr(normcy, name)).parameters)
    assert list(inspect.signature(getattr(_native, name)).parameters)[: len(public)] == public


@pytest.mark.parametrize("name", [name for name in _native.__all__ if name != "DefaultMode"])
def test_stub_of_an_entry(name):
    path = Path(_native.__file__).with_suffix(".pyi")
    (found,) = (
        node
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name == name
    )
    positional, keywords, defaults = stub_parameters(found)
    parameters = inspect.signature(getattr(_native, name)).parameters.values()
    assert (positional, keywords) == ([p.name for p in parameters], set())
    assert defaults == {p.name: p.default for p in parameters if p.default is not p.empty}


def test_without_docstrings():
    """python -OO drops docstrings, so that there is nowhere to insert the shared paragraphs."""
    code = "import normcy; assert normcy.layer_norm.__doc__ is None; print(normcy.layer_norm.__name__)"
    environment = {**os.environ, "PYTHONPATH": str(Path(normcy.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-OO", "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "layer_norm\n"
