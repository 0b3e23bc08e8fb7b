"""Every method, with each allocation failing that a call makes: no array that came in has changed then.

Calls that do without that memory have the same results as others.

The argument says whose allocations: those of normcy's compiled core (failing_malloc.c is preloaded), "core" with one
number of threads for each shape and "core, whole" with both, or Python's own.
Prints how many calls raised MemoryError.
"""

import ctypes
import itertools
import sys

import numpy as np
from bits import RESULTS, keywords
from methods import LAYOUTS, METHODS, portable

import normcy
from normcy import _native

_native.judge_calls(False)  # one thread needs less memory
PATIENCE = 3  # some objects come from free lists, and need no memory
SHAPES = [(2, 6, 4, 5), (2, 40, 50, 40), (1, 4, 300, 310)]


class Watched:
    """normcy with calls in which the allocation of a given number fails; it remembers the arguments."""

    def __init__(self, failing, fail):
        self.failing, self.fail = failing, fail

    def __getattr__(self, name):
        function = getattr(normcy, name)
        if isinstance(function, type):
            return function

        def call(*arguments, **keywords):
            self.given = [a for a in (*arguments, *keywords.values()) if isinstance(a, np.ndarray)]
            self.before = [a.tobytes() for a in self.given]
            return self.fail(self.failing, function, arguments, keywords)

        return call

    def unchanged(self):
        return self.before == [a.tobytes() for a in self.given]


def in_core(failing, function, arguments, keywords):
    fail = ctypes.CDLL(None).fail_allocation
    fail(failing)
    try:
        return function(*arguments, **keywords)
    finally:
        fail(0)


def in_python(failing, function, arguments, keywords):
    import _testcapi

    _testcapi.set_nomemory(failing, failing + 1)
    try:
        return function(*arguments, **keywords)
    finally:
        _testcapi.remove_mem_hooks()


def attack(method, x, layout, fail):
    """Returns how many allocations made the call fail; a few after the last of these were tried too."""
    found, last, expected = 0, 0, None
    for failing in itertools.count(1):
        watched = Watched(failing, fail)
        kw = keywords(method, x, layout, None)
        if method in METHODS:  # not contiguous, so that a call allocates
            kw["out"] = np.full((*x.shape[:-1], 2 * x.shape[-1]), 7, np.float32)[..., ::2]
        try:
            y = method.call(watched, x, layout, **kw)
            if method in METHODS:  # some calls do without, such as a team of threads
                expected = y.tobytes() if expected is None else expected
                assert y.tobytes() == expected, (method.name, layout, x.shape, failing)
        except MemoryError:
            assert watched.unchanged(), (method.name, layout, x.shape, failing)
            found, last = found + 1, failing
        if failing > last + PATIENCE:
            return found


fail, runs = {
    "core": (in_core, [*zip(SHAPES, (1, 2, 3), strict=True)]),
    "core, whole": (in_core, [*itertools.product(SHAPES, (1, 2, 3))]),
    "python": (in_python, [(SHAPES[0], 1)]),
}[sys.argv[1]]
found = 0
for method, layout, (shape, threads) in itertools.product((*METHODS, *RESULTS), LAYOUTS, runs):
    with normcy.num_threads(threads):
        found += attack(method, portable(shape, 1).astype(np.float32), layout, fail)
print(found)
