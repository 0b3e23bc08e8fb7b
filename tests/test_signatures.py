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


def stub_of(module):
    return ast.parse(Path(module.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))


STUBS = {normcy: stub_of(_functional), normcy.reference: stub_of(normcy.reference)}
every_function = pytest.mark.parametrize("name", _functional.__all__)


def stub_parameters(function):
    """Returns positional parameters and keywords, in order, and the defaults of the stub."""
    a = function.args
    given = [*zip(a.args[::-1], a.defaults[::-1], strict=False), *zip(a.kwonlyargs, a.kw_defaults, strict=True)]
    defaults = {v.arg: ast.literal_eval(d) for v, d in given if d is not None}
    return [v.arg for v in a.args], [v.arg for v in a.kwonlyargs], defaults


@every_function
def test_twin(name):
    assert str(inspect.signature(getattr(normcy, name))) == str(inspect.signature(getattr(normcy.reference, name)))


@pytest.mark.parametrize(
    ("module", "name"),
    [
        *((normcy, name) for name in _functional.__all__),
        *((normcy.reference, name) for name in normcy.reference.__all__),
    ],
)
def test_stub(module, name):
    stub = STUBS[module]
    found = [node for node in stub.body if isinstance(node, ast.FunctionDef) and node.name == name]
    parameters = inspect.signature(getattr(module, name)).parameters.values()
    real = {p.name: p.default for p in parameters if p.default is not p.empty}
    assert found
    for overload in found:
        positional, keywords, defaults = stub_parameters(overload)
        assert positional == [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        assert keywords == [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
        assert defaults == {key: real[key] for key in defaults}
        needed = {"return_stats", "keepdims", "dim"}  # they have no default in some of the overloads
        assert real.keys() - defaults.keys() <= needed


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
    stub = stub_of(_native)
    (found,) = (node for node in stub.body if isinstance(node, ast.FunctionDef) and node.name == name)
    positional, keywords, defaults = stub_parameters(found)
    parameters = inspect.signature(getattr(_native, name)).parameters.values()
    assert (positional, keywords) == ([p.name for p in parameters], [])
    assert defaults == {p.name: p.default for p in parameters if p.default is not p.empty}


def test_without_docstrings():
    """python -OO drops docstrings, so that there is nowhere to insert the shared paragraphs."""
    code = "import normcy; assert normcy.layer_norm.__doc__ is None; print(normcy.layer_norm.__name__)"
    environment = {**os.environ, "PYTHONPATH": str(Path(normcy.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-OO", "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "layer_norm\n"


@pytest.mark.parametrize(("module", "prefix"), [(normcy, "normcy"), (normcy.reference, "reference")])
def test_types_are_tested(module, prefix):
    """tests/test_types.py uses every public name, so that both type checkers see it."""
    program = Path(__file__).with_name("test_types.py").read_text(encoding="utf-8")
    used = set(re.findall(rf"(?<!\w){prefix}\.(\w+)", program))
    assert set(module.__all__) - used <= {"reference"}
