"""The tests, files and make targets that the documentation names exist."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("src/*.md")])

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
