"""A part of all combinations in which any two values meet: most mistakes need no more than two to show."""

import itertools

import pytest


def in_part(share):
    """A test takes one of so many cases of a table, and its whole only with the torture tests."""
    return pytest.mark.parametrize(
        "share", [pytest.param(share, id="part"), pytest.param(1, id="whole", marks=pytest.mark.torture)]
    )


def every(share, items, turn):
    """The items whose turn it is: all of them within `share` turns that follow each other."""
    return [item for i, item in enumerate(items) if (i + turn) % share == 0]


def product(rows, *factors):
    """Each row, a tuple of values, with each combination of the further factors' values."""
    return [row + more for row in rows for more in itertools.product(*factors)]


def pairs_of(row):
    return set(itertools.combinations(enumerate(row), 2))


def spread(rows, *factors):
    """Of the product, each row once, with the values by which the most pairs meet for the first time; then what is
    still needed for every pair of the product to be there."""
    met, found = set(), []
    for row in rows:
        found.append(max(product([row], *factors), key=lambda each: len(pairs_of(each) - met)))
        met |= pairs_of(found[-1])
    for row in product(rows, *factors):
        if not pairs_of(row) <= met:
            found.append(row)
            met |= pairs_of(row)
    return found
