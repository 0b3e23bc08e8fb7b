"""The same input gives the same bits: on every instruction set, with any threads, alone or in a batch, wherever it lies.

The bits are those of bits.txt, so that a change that alters them is seen, and has to be told of.
"""

import itertools
import re
from functools import partial
from pathlib import Path

import bits
import numpy as np
import pytest
from methods import ISAS, METHODS
from pairs import every, in_part

import normcy

RUNS = [*itertools.product(ISAS, (1, 2, 3, 7))]
KEYS = {bits.line(*case): case for case in bits.cases()}
TURNS = {key: 5 * i for i, key in enumerate(KEYS)}  # so that what is next to each other in the table has others' turns
every_case = pytest.mark.parametrize("case", KEYS.values(), ids=KEYS)
# of a method that returns one array, as the others' last ones are not of the shape of x
every_array_case = pytest.mark.parametrize(
    "case", [c for c in KEYS.values() if c[0] in METHODS], ids=[k for k, c in KEYS.items() if c[0] in METHODS]
)


@pytest.fixture(scope="module")
def stored():
    return bits.stored()


def of(case, stored):
    """The inputs of a case with keywords, the hash that its results are to have, and whose turn it is."""
    method, layout, activation = case
    for i, (given, expected) in enumerate(zip(bits.INPUTS, stored[bits.line(*case)], strict=True)):
        if expected != "-":
            x = given.array(layout)
            yield x, bits.keywords(method, x, layout, activation), expected, TURNS[bits.line(*case)] + i


def test_every_case_is_stored(stored):
    assert list(stored) == [*KEYS, "kernels"]
    assert len({len(hashes) for name, hashes in stored.items() if name != "kernels"}) == 1


def test_changelog_tells_of_these_bits():
    """Whoever alters bits says so: `make bits` prints what belongs there."""
    changelog = Path(bits.__file__).parents[1] / "CHANGELOG.md"
    newest = next(text for text in re.split(r"^## ", changelog.read_text(), flags=re.M)[1:] if "### Bits" in text)
    assert f"`{bits.digest_of_file()}`" in newest


@every_case
@in_part(12)
def test_isas_and_threads(case, stored, use_isa, share):
    method, layout, _ = case
    for x, kw, expected, turn in of(case, stored):
        for isa, threads in every(share, RUNS, turn):
            use_isa(isa)
            with normcy.num_threads(threads):
                found = bits.digest(method.call(normcy, x, layout, **kw))
            assert found == expected, f"{x.shape} on {isa} with {threads} threads"


def moved(x, offset):
    memory = np.zeros(x.nbytes + 128, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    found = memory[start : start + x.nbytes].view(np.float32).reshape(x.shape)
    found[...] = x
    return found


def spaced(x):
    wide = np.full((*x.shape[:-1], 2 * x.shape[-1]), np.nan, np.float32)
    wide[..., ::2] = x
    return wide[..., ::2]


PLACES = {  # x elsewhere: at several places of a cache line, at an odd byte, and as views that are copied
    **{f"at byte {offset}": partial(moved, offset=offset) for offset in (0, 4, 36, 60, 1)},
    "every other value": spaced,
    "backwards": lambda x: np.flip(np.flip(x).copy()),
    "in Fortran order": np.asfortranarray,
}


@every_array_case
@in_part(8)
def test_places(case, stored, share):
    """Wherever x lies, and whether y is another array, of x's order or not, or x itself."""
    method, layout, _ = case
    for x, kw, expected, turn in of(case, stored):
        for name in every(share, PLACES, turn):
            elsewhere = PLACES[name](x)
            assert bits.digest(method.call(normcy, elsewhere, layout, **kw)) == expected, (x.shape, name)
            assert np.array_equal(elsewhere, x)
            y = method.call(normcy, elsewhere, layout, out=elsewhere, **kw)
            assert bits.digest(y) == expected, (x.shape, name)


@every_array_case
def test_batch(case, stored):
    """A sample alone, and in a batch: where statistics are its own."""
    method, layout, _ = case
    for x, kw, expected, _ in of(case, stored):
        if method.per_sample:
            alone = [method.alone(normcy, x, layout, i, **kw) for i in range(len(x))]
            assert bits.digest(np.concatenate(alone)) == expected, x.shape
