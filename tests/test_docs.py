"""The tests, files and make targets that the documentation names exist, and its examples run."""

import importlib
import inspect
import re
from pathlib import Path

import pages
import pytest

import normcy

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("src/*.md")])
# They read files that other libraries write, which take minutes to install; `make doors` runs them.
WITH_OTHER_LIBRARIES = {"checkpoints", "coming_from/keras", "coming_from/onnx"}

# Those that normcy, its build and its C interface's macros know
VARIABLES = set(re.findall(r"\bNORMCY_[A-Z_0-9]+", "".join(
    path.read_text() for folder in ("normcy", "src") for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".pyx", ".pxd", ".h", ".c")) + (ROOT / "setup.py").read_text()))  # fmt: skip

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
        assert (ROOT / path).exists() or (path.startswith(".ci/") and not (ROOT / ".ci").exists()), path
    for path in re.findall(r"https://github\.com/normcy/normcy/(?:blob|tree)/main/([\w/.-]+)", text):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"https://normcy\.github\.io/normcy/([\w/.-]+)\.html", text):
        assert any((DOCS / path).with_suffix(suffix).exists() for suffix in (".md", ".rst")), path
    for path, letters in re.findall(r"`((?:src|normcy)/[\w/.]+)` (\([A-Z]\)(?:, \([A-Z]\))*)", text):
        head = (ROOT / path).read_text()
        assert all(f"{letter} " in head for letter in letters.split(", ")), (path, letters)
    for name in re.findall(r"\bNORMCY_[A-Z_]+", text):
        assert name in VARIABLES, name
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:^    |`)make ([a-z-]+)", text, re.MULTILINE):
        assert f"\n{target}:" in makefile, target


def examples():
    """Returns the blocks of the pages with code that runs here, by the pages' names: paths in docs without suffix."""
    names = {path.relative_to(DOCS).with_suffix("").as_posix(): path for path in sorted(DOCS.rglob("*.md"))}
    found = {name: pages.blocks(path) for name, path in names.items() if name not in WITH_OTHER_LIBRARIES}
    return {name: blocks for name, blocks in found.items() if blocks}


@pytest.mark.parametrize("page", examples())
def test_code_blocks(page, tmp_path, monkeypatch, request):
    """All blocks of a page run in order, in one namespace; sessions print what the page shows."""
    blocks = examples()[page]
    text = "\n".join(block.code for block in blocks)
    for module in set(re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE)):
        pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    if "resnet18.safetensors" in text:
        request.getfixturevalue("resnet18")
    names = {"__name__": "__main__"}
    for block in blocks:
        pages.run(block, names)


def test_every_method_has_a_page():
    """Each function and each layer that normalizes is named, with a link to its reference, on a page of its method."""
    pages = [path.read_text() for path in (DOCS / "methods").glob("*.md") if path.stem != "index"]
    linked = set(re.findall(r"{py:(?:func|class)}`(?:~?)normcy\.(\w+)`", "".join(pages)))
    tools = {"checkpoint_momentum", "fold_batch_norm"}
    layers = {name for name in normcy.__all__ if inspect.isclass(getattr(normcy, name))}
    assert set(normcy.reference.__all__) - tools | layers | {"recalibrate"} <= linked


def default_rows():
    """Returns the rows of the tables of defaults as (page, library, {column: text})."""
    for path in sorted((DOCS / "methods").glob("*.md")):
        section = path.read_text().partition("\n## Defaults here and elsewhere\n")[2].partition("\n## ")[0]
        rows = [
            [cell.strip(" `") for cell in line.split("|")[1:-1]] for line in re.findall(r"^\|.*", section, re.MULTILINE)
        ]
        for row in rows[2:]:
            yield path.stem, row[0], dict(zip(rows[0], row, strict=True))


def actual_defaults(page, library):
    """Returns the default values of the parameters of a method in a library, by their names here."""
    if library.startswith("normcy"):
        return signature_defaults(getattr(normcy, page))
    if library == "PyTorch":
        nn = pytest.importorskip("torch").nn
        return signature_defaults(getattr(nn, TORCH_LAYERS[page]))
    defs = pytest.importorskip("onnx").defs
    operator = defs.get_schema(ONNX_OPERATORS[page], int(library.split()[1]))
    values = {name: attribute.default_value.f for name, attribute in operator.attributes.items()}
    return {"eps": values["epsilon"], "momentum": values.get("momentum")}


def signature_defaults(function):
    return {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()}


TORCH_LAYERS = {
    "batch_norm": "BatchNorm2d",
    "instance_norm": "InstanceNorm2d",
    "layer_norm": "LayerNorm",
    "group_norm": "GroupNorm",
    "rms_norm": "RMSNorm",
}
ONNX_OPERATORS = {
    "batch_norm": "BatchNormalization",
    "instance_norm": "InstanceNormalization",
    "layer_norm": "LayerNormalization",
    "group_norm": "GroupNormalization",
    "rms_norm": "RMSNormalization",
}
CHECKED = [
    (page, library, row)
    for page, library, row in default_rows()
    if "eps" in row
    and hasattr(normcy, page)
    and (library.startswith(("normcy", "ONNX")) or (library == "PyTorch" and page in TORCH_LAYERS))
]


@pytest.mark.parametrize(("page", "library", "row"), CHECKED, ids=[f"{page}-{library}" for page, library, _ in CHECKED])
def test_defaults(page, library, row):
    """The tables of defaults have the numbers of normcy itself, of PyTorch and of ONNX."""
    actual = actual_defaults(page, library)
    for column in {"eps", "momentum"} & row.keys():
        number = re.match(r"([\d.]+)|\$10\^{(-\d+)}|None", row[column])
        if number is None:  # the page says that there is none
            assert column not in actual
        elif number[0] == "None":
            assert actual[column] is None
        else:
            assert actual[column] == pytest.approx(float(number[1] or f"1e{number[2]}"), rel=1e-6)
