"""Compiled modules import each other in one direction only, and some things exist only once."""

import ast
import re
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"
pytestmark = pytest.mark.skipif(not SRC.exists(), reason="needs the source tree")

# Lowest first: a module imports only from those before it. Modules in one line do not import each other.
LAYERS = """
    _engine: kernels floating_point tuning view normcy_h
    _engine: plan chunks isa parallel
    _engine: job schedule
    _engine: work statistics coefficients weights
    _engine: rows cols
    _engine: run
    _engine: interface
    _native: options views
    _native: outputs
    _native: arrays settings threads
    _native: statistics parallel_copy runner
    _native: call running
    _native: batch group
"""
RANKS = {
    f"normcy.{package}.{name}": rank
    for rank, line in enumerate(LAYERS.strip().splitlines())
    for package, _, names in [line.strip().partition(": ")]
    for name in names.split()
}
ENTRIES = max(RANKS.values()) + 1  # all others, which do not import each other
FILES = sorted([*SRC.glob("normcy/*/*.pyx"), *SRC.glob("normcy/*/*.pxd")])


def module(path):
    return ".".join(path.relative_to(SRC).with_suffix("").parts)


def imports(path):
    """Returns the modules of normcy from which a Cython file imports something."""
    return set(re.findall(r"^\s*(?:from|cimport|import) (normcy[\w.]*)", path.read_text(), re.MULTILINE))


def rank(name):
    return RANKS.get(name, ENTRIES if name.startswith("normcy._native.") else None)


def test_every_module_has_a_layer():
    found = {module(path) for path in FILES}
    assert set(RANKS) < found
    assert all(rank(name) is not None for name in found)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SRC / "normcy")))
def test_arrows_go_down(path):
    own = module(path)
    for other in imports(path) - {own, "normcy"}:
        assert rank(other) < rank(own), f"{own} knows {other}, which is not below it"


@pytest.mark.parametrize("path", [path for path in FILES if path.parent.name == "_engine"], ids=lambda path: path.name)
def test_the_engine_knows_no_python(path):
    """The engine has no NumPy arrays and no objects, so that other code than normcy's entries can call it."""
    text = re.sub(r'"""(.|\n)*?"""|#.*', "", path.read_text())
    assert not re.search(r"\b(numpy|cpython|object|ndarray|tuple|list|str|dict|def)\b", text)
    if path.name != "parallel.pyx":  # which raises if it cannot be imported
        assert not re.search(r"\b(except|raise)\b", text)


def test_checks_know_no_driver():
    for name in ("options", "arrays", "views", "outputs"):
        for path in SRC.glob(f"normcy/_native/{name}.*"):
            drivers = {f"normcy._engine.{driver}" for driver in ("rows", "cols", "run", "parallel", "work", "job")}
            assert not imports(path) & drivers, path.name


def test_one_parallel_region():
    """parallel.pyx alone handles forks, the size of the team and the floating-point mode."""
    loops = [path.name for path in FILES for _ in re.findall(r"\bin prange\(", path.read_text())]
    assert loops == ["parallel.pyx"]


def test_state_of_the_process_exists_once():
    """A C file with state in two modules would have two states."""
    tree = ast.parse((SRC.parent / "setup.py").read_text())
    (table,) = (node.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "C_SOURCES")
    linked = [name for names in ast.literal_eval(table).values() for name in names]
    assert len(linked) == len(set(linked))
    assert {Path(name).name for name in linked} >= {"dispatch.c", "outputs.c", "process.c"}


def test_constants_of_kernels_are_in_two_headers():
    """Those that define bits are in numerics.h, those that decide speed in tuning.h."""
    for path in SRC.glob("kernels/*_tpl.h"):
        assert not re.search(r"\benum \{", path.read_text()), path.name


def test_kernels_know_neither_python_nor_openmp():
    headers = [*SRC.glob("**/*_tpl.h"), *SRC.glob("**/vec.h"), *SRC.glob("**/kernels.h")]
    assert len(headers) > 8
    for path in headers:
        assert not re.search(r"Python\.h|omp\.h|pragma omp|malloc|pthread", path.read_text()), path.name
