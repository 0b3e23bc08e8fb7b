"""The same input gives the same bits on every instruction set, with any threads, under any tuning, in any batch and at
any address.

The bits are those of bits.txt, so that a change that alters them is noticed, and has to be stated.
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
from tunings import TUNINGS, tuned

import normcy

RUNS = [*itertools.product(ISAS, (1, 2, 3, 7))]
KEYS = {bits.line(*case): case for case in bits.cases()}
TURNS = {key: 5 * i for i, key in enumerate(KEYS)}  # so that neighbours in the table have other turns
every_case = pytest.mark.parametrize("case", KEYS.values(), ids=KEYS)
# cases of methods that return one array, as other results do not have the shape of x
every_array_case = pytest.mark.parametrize(
    "case", [c for c in KEYS.values() if c[0] in METHODS], ids=[k for k, c in KEYS.items() if c[0] in METHODS]
)


@pytest.fixture(scope="module")
def stored():
    return bits.stored()


def of(case, stored):
    """Yields the inputs of a case with keywords, the hash of its results, and its turn."""
    method, layout, activation = case
    for i, (given, expected) in enumerate(zip(bits.INPUTS, stored[bits.line(*case)], strict=True)):
        if expected != "-":
            x = given.array(layout)
            yield x, bits.keywords(method, x, layout, activation), expected, TURNS[bits.line(*case)] + i


def test_every_case_is_stored(stored):
    assert list(stored) == [*KEYS, "kernels"]
    assert len({len(hashes) for name, hashes in stored.items() if name != "kernels"}) == 1


def test_changelog_tells_of_these_bits():
    """A change that alters bits has to say so: `make bits` prints the digest for the CHANGELOG."""
    changelog = Path(bits.__file__).parents[1] / "CHANGELOG.md"
    newest = next(text for text in re.split(r"^## ", changelog.read_text(), flags=re.M)[1:] if "### Bits" in text)
    assert f"`{bits.digest_of_file()}`" in newest


@every_case
@in_part(12)
def test_isas_threads_and_tunings(case, stored, use_isa, share):
    method, layout, _ = case
    for x, kw, expected, turn in of(case, stored):
        for isa, threads in every(share, RUNS, turn):
            use_isa(isa)
            for tuning, numbers in TUNINGS.items():
                with normcy.num_threads(threads), tuned(numbers):
                    found = bits.digest(method.call(normcy, x, layout, **kw))
                assert found == expected, f"{x.shape} on {isa} with {threads} threads, tuned for a {tuning} machine"


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


PLACES = {  # copies of x: at several places of a cache line, at an odd byte, and as views that are copied
    **{f"at byte {offset}": partial(moved, offset=offset) for offset in (0, 4, 36, 60, 1)},
    "every other value": spaced,
    "backwards": lambda x: np.flip(np.flip(x).copy()),
    "in Fortran order": np.asfortranarray,
}


@every_array_case
@in_part(8)
def test_places(case, stored, share):
    """x may be anywhere, and y another array, of x's order or not, or x itself."""
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
    """A sample alone has the bits that it has in a batch, if its statistics are its own."""
    method, layout, _ = case
    for x, kw, expected, _ in of(case, stored):
        if method.per_sample:
            alone = [method.alone(normcy, x, layout, i, **kw) for i in range(len(x))]
            assert bits.digest(np.concatenate(alone)) == expected, x.shape
