"""CITATION.cff, the BibTeX entry on the site, and the package name the same version, title, authors and licence."""

import re
from pathlib import Path

import pytest

import normcy

ROOT = Path(__file__).parents[1]
CITATION = ROOT / "CITATION.cff"

pytestmark = pytest.mark.skipif(not CITATION.exists(), reason="needs the source tree")


def cited(field):
    """Returns the value of a field of one line; YAML is not read in full."""
    return re.search(rf'^(?:  - )?{field}: "?(.*?)"?$', CITATION.read_text(), re.MULTILINE)[1]


def test_licence_and_authors():
    """pyproject.toml has the same ones, and LICENSE the licence's text."""
    package = (ROOT / "pyproject.toml").read_text()
    assert f'license = "{cited("license")}"' in package
    assert f'authors = [{{ name = "{cited("name")}" }}]' in package
    assert "BSD 3-Clause" in (ROOT / "LICENSE").read_text()
    assert cited("license") == "BSD-3-Clause"


def test_version():
    assert cited("version") == normcy.__version__


@pytest.mark.parametrize(
    ("bibtex", "field"),
    [
        ("author", "name"),
        ("title", "title"),
        ("version", "version"),
        ("url", "repository-code"),
        ("license", "license"),
    ],
)
def test_bibtex(bibtex, field):
    found = re.search(rf"^  {bibtex} = {{+(.*?)}}+,?$", (ROOT / "docs/citing.md").read_text(), re.MULTILINE)
    assert found[1] == cited(field)
