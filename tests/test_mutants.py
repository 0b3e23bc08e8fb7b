"""The list of mutants fits the sources; `make mutants` runs the tests on them."""

from collections import Counter

import mutants
import pytest

pytest.importorskip("tomllib", reason="needs Python 3.11 to read the list")
pytestmark = pytest.mark.skipif(not (mutants.ROOT / "src").exists(), reason="needs the source tree")


def test_each_changes_one_place():
    for m in mutants.mutants():
        assert set(m) - {"survives"} == {"file", "old", "new", "breaks", "name"}, m["name"]
        assert (mutants.ROOT / "src" / m["file"]).read_text().count(m["old"]) == 1, (
            f"{m['name']}: the source was changed; so must be the mutant"
        )
        assert m["new"] != m["old"], m["name"]


def test_each_has_a_name_of_its_own():
    assert max(Counter(m["name"] for m in mutants.mutants()).values()) == 1


def test_every_test_file_runs_once():
    tests = sorted(path.stem.removeprefix("test_") for path in mutants.ROOT.glob("tests/test_*.py"))
    for file in {m["file"] for m in mutants.mutants()} | set(mutants.OWN):
        names = [name for stage in mutants.stages(file) for name in stage if "::" not in name]
        assert sorted(names) == sorted({*tests} - {"mutants"}), file
