"""The tests, files and make targets that the documentation names exist, and its examples run."""

import doctest
import importlib
import inspect
import re
import textwrap
from pathlib import Path

import pytest

import normcy

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("src/*.md")])
FENCE = re.compile(r"^( *)```(python|pycon)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
# They read files that other libraries write, which take minutes to install; `make doors` runs them.
WITH_OTHER_LIBRARIES = {"checkpoints", "coming_from/keras", "coming_from/onnx"}

pytestmark = pytest.mark.skipif(not PAGES, reason="needs the source tree")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_names(page):
    text = page.read_text()
    for module, name in re.findall(r"`(test_\w+)::(\w+)`", text):
        assert hasattr(importlib.import_module(module), name), f"{module}::{name}"
    tests = {path.stem for path in (ROOT / "tests").glob("test_*.py")}
    functions = "".join(path.read_text() for path in (ROOT / "tests").glob("test_*.py"))
    for name in re.findall(r"`(test_\w+)`", text):
        assert name in tests or f"def {name}(" in functions, name
    for path in re.findall(r"`((?:src|tests|docs|benchmarks|normcy|\.ci)/[\w/.]+)`", text):
        assert (ROOT / path).exists(), path
    for path, letters in re.findall(r"`((?:src|normcy)/[\w/.]+)` (\([A-Z]\)(?:, \([A-Z]\))*)", text):
        head = (ROOT / path).read_text()
        assert all(f"{letter} " in head for letter in letters.split(", ")), (path, letters)
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:^    |`)make ([a-z-]+)", text, re.MULTILINE):
        assert f"\n{target}:" in makefile, target


def examples():
    """Returns the pages with code that runs here, by their names: paths in docs, without the suffix."""
    names = {path.relative_to(DOCS).with_suffix("").as_posix(): path for path in sorted(DOCS.rglob("*.md"))}
    return {name: path for name, path in names.items() if FENCE.search(path.read_text())}


@pytest.mark.parametrize("page", sorted(examples().keys() - WITH_OTHER_LIBRARIES))
def test_code_blocks(page, tmp_path, monkeypatch):
    """All blocks of a page run in order, in one namespace; sessions print what the page shows."""
    path = examples()[page]
    text = path.read_text()
    blocks = [
        (kind, textwrap.dedent(indent + code), text.count("\n", 0, place.start()) + 1)
        for place in FENCE.finditer(text)
        for indent, kind, code in [place.groups()]
    ]
    for module in set(re.findall(r"^(?:import|from) (\w+)", "\n".join(code for _, code, _ in blocks), re.MULTILINE)):
        pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for kind, code, line in blocks:
        if kind == "python":
            exec(compile("\n" * line + code, str(path), "exec"), names)
        else:
            run_session(code, names, str(path), line)


def run_session(code, names, page, line):
    """Runs the examples of a doctest, which may change the names."""
    test = doctest.DocTestParser().get_doctest(code, {}, page, page, line)
    test.globs = names  # the parser would copy them
    report = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    runner.run(test, out=report.append, clear_globs=False)
    assert not runner.failures, "".join(report)


def test_every_method_has_a_page():
    """Each function and each layer that normalizes is named, with a link to its reference, on a page of its method."""
    pages = [path.read_text() for path in (DOCS / "methods").glob("*.md") if path.stem != "index"]
    linked = set(re.findall(r"{py:(?:func|class)}`(?:~?)normcy\.(\w+)`", "".join(pages)))
    tools = {"checkpoint_momentum", "fold_batch_norm"}
    layers = {name for name in normcy.__all__ if inspect.isclass(getattr(normcy, name))}
    assert set(normcy.reference.__all__) - tools | layers | {"recalibrate"} <= linked
