"""The kinds of random data for which bounds are measured, and the sweep that measures all methods on them."""

from collections import defaultdict

import numpy as np
from bounds import proven, stated
from methods import LAYOUTS, _after, bound, parameters
from slots import WITH_SLOTS, Slots

import normcy

LENGTHS = (1, 2, 3, 5, 8, 17, 32, 49, 100, 196, 256, 257, 300, 512, 768, 1024, 4096)
LONG = (12_544, 65_536, 300_000, 1 << 20)


def _like_rows(g, count, low, high):
    """Returns a magnitude for each row."""
    return 10 ** g.uniform(low, high, (count, 1))


def _quantized(n, keep):
    """Rounds to the upper bits of a float32, to nearest."""
    step = 1 << (32 - keep)
    return ((n.astype(np.float32).view(np.uint32) + np.uint32(step // 2)) & np.uint32(2**32 - step)).view(np.float32)


def _levels(g, count, length, several):
    return np.take_along_axis(g.standard_normal((count, several)), g.integers(0, several, (count, length)), 1)


def _outliers(g, n, several):
    at = g.integers(0, n.shape[1], (len(n), several))
    n[np.arange(len(n))[:, None], at] *= _like_rows(g, len(n), 1, 6)
    return n


def _student(g, shape):
    """Returns values of Student's distribution with two degrees of freedom."""
    return g.standard_normal(shape) / np.sqrt(g.standard_exponential(shape))


def _nearly_constant(g, count, length):
    """Returns values that are some steps of float32 apart."""
    bits = g.uniform(1, 2, (count, 1)).astype(np.float32).view(np.int32) + g.integers(-3, 4, (count, length), np.int32)
    return bits.view(np.float32)


def _trend(g, count, at, shape_of_it):
    return g.standard_normal((count, len(at))) + shape_of_it(at) * _like_rows(g, count, -1, 4)


KINDS = {  # functions of a generator, a number of rows and their length
    "normal": lambda g, c, n: g.standard_normal((c, n)),
    "uniform": lambda g, c, n: g.uniform(-1, 1, (c, n)),
    "exponential": lambda g, c, n: g.standard_exponential((c, n)),
    "ramp": lambda g, c, n: _trend(g, c, np.arange(n), lambda at: at / n),
    "bare ramp": lambda g, c, n: np.arange(n) * _like_rows(g, c, -2, 2) + g.uniform(-n, n, (c, 1)),
    "wave": lambda g, c, n: _trend(g, c, np.arange(n), lambda at: np.sin(at * g.uniform(0.001, 3, (c, 1)))),
    "step": lambda g, c, n: _trend(g, c, np.arange(n), lambda at: at < g.integers(0, n + 1, (c, 1))),
    "saw": lambda g, c, n: _trend(g, c, np.arange(n), lambda at: at % g.integers(2, 1000, (c, 1)) / 100),
    "Cauchy": lambda g, c, n: np.clip(g.standard_cauchy((c, n)), -1e12, 1e12),
    "Student t": lambda g, c, n: _student(g, (c, n)),
    "log-normal": lambda g, c, n: np.exp(g.standard_normal((c, n)) * g.uniform(0.5, 4, (c, 1))),
    "one outlier": lambda g, c, n: _outliers(g, g.standard_normal((c, n)), 1),
    "few outliers": lambda g, c, n: _outliers(g, g.standard_normal((c, n)), 3),
    "sorted": lambda g, c, n: np.sort(g.standard_normal((c, n)), 1),
    "two values": lambda g, c, n: _levels(g, c, n, 2),
    "three values": lambda g, c, n: _levels(g, c, n, 3),
    "five values": lambda g, c, n: _levels(g, c, n, 5),
    "repeated": lambda g, c, n: np.repeat(g.standard_normal((c, -(-n // 32))), 32, 1)[:, :n],
    "signs": lambda g, c, n: g.choice([-1.0, 1.0], (c, n)) * g.uniform(1, 2, (c, 1)),
    "large mean": lambda g, c, n: g.standard_normal((c, n)) + _like_rows(g, c, 1, 6),
    "sparse": lambda g, c, n: np.abs(g.standard_normal((c, n))) * (g.random((c, n)) > g.uniform(0.5, 0.99, (c, 1))),
    "image": lambda g, c, n: g.integers(0, 256, (c, n)),
    "smooth image": lambda g, c, n: np.clip(np.round(128 + np.cumsum(g.standard_normal((c, n)), 1)), 0, 255),
    "bimodal": lambda g, c, n: g.standard_normal((c, n)) + g.choice([-1, 1], (c, n)) * _like_rows(g, c, 0, 3),
    "tiny and large": lambda g, c, n: g.standard_normal((c, n)) * np.where(g.random((c, n)) < 0.5, 1, _like_rows(g, c, -8, -2)),
    "magnitudes": lambda g, c, n: g.standard_normal((c, n)) * 10 ** g.uniform(-6, 0, (c, n)),
    "alternating": lambda g, c, n: (-1.0) ** np.arange(n) + g.standard_normal((c, n)) * _like_rows(g, c, -6, 0),
    "nearly constant": lambda g, c, n: _nearly_constant(g, c, n),
    "bfloat16": lambda g, c, n: _quantized(g.standard_normal((c, n)), 16),
    "float16": lambda g, c, n: g.standard_normal((c, n)).astype(np.float16),
}  # fmt: skip
AS_THEY_ARE = {"image", "smooth image", "float16", "bfloat16"}  # the rows of the other kinds have any magnitude


def kinds(rng, shape, axis):
    """Returns arrays of every kind, float32, along an axis: (name, array)."""
    for name in KINDS:
        yield name, kind(name, rng, shape, axis)


def kind(name, rng, shape, axis):
    length = shape[axis]
    others = shape[:axis] + shape[axis:][1:]
    rows = np.asarray(KINDS[name](rng, int(np.prod(others)), length), np.float64)
    if name not in AS_THEY_ARE:
        rows = rows * _like_rows(rng, len(rows), -3, 3)
    return np.moveaxis(rows.astype(np.float32).reshape(*others, length), -1, axis)


def allowance(method, units):
    """Returns what `Method.limit` makes of units, by which it multiplies the scale."""
    units += method.operands is _after
    return units if method.activation in (None, "relu") else 1.13 * units + 3


def units_of(method, layout, rows, bare):
    """Returns the largest error of slots, in units, and the bounds that it exceeds; `bare`: no weight and bias."""
    several = not method.per_sample and rows.shape[1] % 2 == 0 and rows.shape[1] > 4
    slots = Slots(method, layout, *rows.shape, samples=1 + several)
    x = slots.array(rows)
    keywords = {} if bare and method.weights != "own" else parameters(method, x, layout)
    y, exact = (method.call(m, x, layout, **keywords) for m in (normcy, normcy.reference))
    step = bound(method, x, layout, units=1, **keywords) / allowance(method, 1) + 2.0**-149
    found = np.abs(y - exact) / step
    if np.isnan(found.max()):  # 0 / 0
        found[np.isnan(y) & np.isnan(exact)] = 0
    largest = float(found.max())
    passed = [b.__name__ for b in (stated, proven) if not largest <= allowance(method, b(method, x, layout))]
    return largest / allowance(method, method.units) * method.units, passed


class Sweep:
    """The largest errors of random data of every kind, by method and layout and by kind."""

    def __init__(self):
        self.results, self.largest, self.passed = 0, defaultdict(dict), []

    def take(self, name, method, layout, rows, bare):
        units, passed = units_of(method, layout, rows, bare)
        self.results += rows.size
        found, at = self.largest[method.name, layout], (units, rows.shape[1])
        found[name] = max(found.get(name, at), at) if units == units else (np.inf, rows.shape[1])
        self.passed += [(bound, name, method.name, layout, rows.shape, units) for bound in passed]

    def run(self, results, lengths, values=8192, seed=0):
        """Runs whole turns over lengths and kinds, until there are as many results.

        An array has `values` values, or two slots if they are longer; then only some methods take each array.
        """
        turns = [(m, layout) for m in WITH_SLOTS for layout in LAYOUTS]
        turn = 0
        with np.errstate(all="ignore"):
            while self.results < results:
                rng = np.random.default_rng(seed)
                for length in lengths:
                    count = max(2, values // length)
                    some = min(len(turns), max(1, len(turns) * 2 * values // (count * length)))
                    for name, rows in kinds(rng, (count, length), 1):
                        bare = bool(rng.integers(2))
                        for method, layout in (turns[(turn + k) % len(turns)] for k in range(some)):
                            if length >= max(method.least_values, 1 if method.per_sample else 2):
                                self.take(name, method, layout, rows, bare)
                        turn += some
                seed += 1

    def table(self):
        """Returns a table of the largest errors by method and kind."""
        lines = [f"{self.results:.3g} results; the largest errors in units, in all and by kind"]
        for (method, layout), row in self.largest.items():
            worst = sorted(row.items(), key=lambda item: -item[1][0])
            lines.append(
                f"{method:18}{layout}  {worst[0][1][0]:.2f}   " + ", ".join(f"{k} {v:.2f} ({n})" for k, (v, n) in worst)
            )
        return "\n".join(lines)
