"""Subsets of all combinations in which any two values meet: most faults need no more than two to show."""

import itertools

import pytest


def in_part(share):
    """Makes a test take one of so many cases of a table, and the whole table only with the torture tests."""
    return pytest.mark.parametrize(
        "share", [pytest.param(share, id="part"), pytest.param(1, id="whole", marks=pytest.mark.torture)]
    )


def every(share, items, turn):
    """Yields the items whose turn it is, so that `share` turns that follow each other have all of them."""
    return [item for i, item in enumerate(items) if (i + turn) % share == 0]


def product(rows, *factors):
    """Yields each row, a tuple of values, with each combination of the further factors' values."""
    return [row + more for row in rows for more in itertools.product(*factors)]


def pairs_of(row):
    return set(itertools.combinations(enumerate(row), 2))


def spread(rows, *factors):
    """Returns a part of the product in which every pair of values meets.

    Each row comes once with the values that make the most new pairs; then come those that are still needed.
    """
    met, found = set(), []
    for row in rows:
        found.append(max(product([row], *factors), key=lambda each: len(pairs_of(each) - met)))
        met |= pairs_of(found[-1])
    for row in product(rows, *factors):
        if not pairs_of(row) <= met:
            found.append(row)
            met |= pairs_of(row)
    return found
