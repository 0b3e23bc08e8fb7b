"""The documentation's list of pitfalls names tests that exist, and that say which pitfall they are about."""

import importlib
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "pitfalls.md"
STORIES = re.findall(r"^## (\d+)\. .*?^Tests?: (.*?)\.$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_all_twelve():
    assert [int(number) for number, _ in STORIES] == list(range(1, 13))


@pytest.mark.parametrize(("number", "tests"), STORIES, ids=[story[0] for story in STORIES])
def test_each_has_a_test(number, tests):
    named = re.findall(r"`(\w+)::(\w+)`", tests)
    assert named
    for module, name in named:
        test = getattr(importlib.import_module(module), name)
        stated = re.search(r"Pitfalls? ([\d, and]+)", test.__doc__ or "")
        assert stated, f"{module}::{name} does not say which pitfall it is about"
        assert number in re.findall(r"\d+", stated[1])
