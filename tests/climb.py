"""Hill climbing towards the data whose results are farthest off, as shares of the proven bound.

An array holds many slots, each a candidate of its own; one call evaluates them all, and each keeps the changes that
made it worse. They start from data whose roundings are near their worst: magnitudes just above powers of two, lanes or
columns of one sign, first values that balance where the rest does not, means far away, outliers. First the errors of
statistics are maximized, which all elements of a slot share; then those of single elements, with weights, biases and
eps as well.

``python tests/climb.py`` prints the largest error of each method. With ``--save NAME`` it stores the worst slots it
finds in worst_cases.npz under that name, beside those of other names: "float32 sums" were found for kernels that summed
columns and short rows in float32, where they passed the stated bound; "float64 sums" for kernels that sum only long
rows in float32. A case is x of one slot, its weight and bias (a value for the whole slot, for each of its channels or
each element; slots.py) and eps.
"""

import argparse
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from bounds import longest_piece, proven
from methods import LAYOUTS, METHODS, bound
from slots import WITH_SLOTS, Slots

import normcy

FILE = Path(__file__).with_name("worst_cases.npz")
LENGTHS = (2, 3, 5, 8, 17, 49, 100, 256, 257, 300, 768, 1024, 4096)
LANES, BLOCK = 16, 256  # as rows are summed
STORED = (8, 49, 300)  # lengths of the slots in worst_cases.npz
COPIES = 16  # of a stored slot: columns go by in vectors
PARTS = ("x", "weight", "bias", "eps")
ULP = 2.0**-23
CHANGES = 0.4, 0.25, 0.08, 0.06, 0.06, 0.07, 0.05, 0.03  # how often each kind; of statistics
SMALL_CHANGES = 0.05, 0.6, 0.05, 0.02, 0.05, 0.03, 0.15, 0.05  # and of single elements


@dataclass
class Candidates:
    """Rows of values, and what goes with them; `parts` may be 0."""

    x: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    eps: np.ndarray  # of each slot; those of one call are the same

    def copy(self):
        return Candidates(self.x.copy(), self.weight.copy(), self.bias.copy(), self.eps.copy())

    def take(self, rows):
        return Candidates(self.x[rows], self.weight[rows], self.bias[rows], self.eps[rows])

    def put(self, rows, others):
        for name in PARTS:
            getattr(self, name)[rows] = getattr(others, name)[rows]


def errors(slots, candidates, weighted=True):
    """Returns signed errors as shares of the proven bound, row by row; all slots have the eps of the first."""
    method, layout = slots.method, slots.layout
    x, keywords = slots.array(candidates.x), {"eps": float(candidates.eps[0])}
    if slots.parts and (weighted or method.weights == "own"):
        keywords["weight"] = slots.parameter(candidates.weight)
        if method.has_bias:
            keywords["bias"] = slots.parameter(candidates.bias)
    y, exact = (method.call(m, x, layout, **keywords) for m in (normcy, normcy.reference))
    limit = bound(method, x, layout, units=proven(method, x, layout), **keywords) + 2.0**-149
    return slots.rows(np.where(np.isnan(y) & np.isnan(exact), 0, (y - exact) / limit))


def shares(slots, candidates):
    """Returns the largest error of each slot as a share of the bound, or infinity if one is not a number."""
    found = np.abs(errors(slots, candidates)).max(1)
    return np.where(np.isnan(found), np.inf, found)


def common(e, x):
    """Returns the errors that all elements of a slot share: the mean's, and the deviation's."""
    z = x - x.mean(1, keepdims=True, dtype=np.float64)
    z /= np.sqrt(np.mean(z * z, 1, keepdims=True)) + 1e-300
    return np.abs(e.mean(1)) + np.abs(np.mean(e * z, 1))


def quarters(length):
    """Returns where the vectors are whose mean is the shift of a long row."""
    return [(2 * k + 1) * length // 8 // LANES * LANES for k in range(4)]


def rounded(v):
    """Sums 16 float32 values, the last axis, in the order of a lane of a block, and subtracts the exact sums."""
    total = v.astype(np.float64).sum(-1)
    for _ in range(4):
        v = v[..., ::2] + v[..., 1::2]
    return v[..., 0] - total


@cache
def lane_patterns(tied, about_zero, seed, generations=1200, count=256):
    """Values for lanes of either sign, (2, 16), all just above 1, whose sums round to one side and squares to another.

    Both errors have the same sign in results below the mean; about zero there are only squares. The `tied` values are
    equal, so that a shift that is their mean is 0.
    """
    g = np.random.default_rng(seed)
    steps, best = g.integers(0, 1 << g.integers(6, 15), (count, 2, 16)), np.full(count, -np.inf)
    rows, tied = np.arange(count)[:, None], list(tied)
    for k in range(generations):
        new = steps.copy()
        if k:
            some = g.choice([1, 2, 4])
            new[rows, g.integers(0, 2, (count, some)), g.integers(0, 16, (count, some))] = g.integers(
                0, 1 << g.integers(6, 15), (count, some)
            )
        new[:, 1, tied] = new[:, 0, tied]
        v = (1 + new * ULP).astype(np.float32)
        squares = v * v
        sums, lost = rounded(v), rounded(squares) + (squares - v.astype(np.float64) ** 2).sum(-1)
        height = (0 if about_zero else sums[:, 0] - sums[:, 1]) - lost.sum(1) / 2
        better = height >= best
        steps[better], best[better] = new[better], height[better]
        if k % 50 == 49:
            low, high = np.array_split(np.argsort(best)[: count // 8 * 2], 2)[0], np.argsort(best)[-(count // 8) :]
            steps[low], best[low] = steps[high], best[high]
    return (1 + steps[np.argmax(best)] * ULP).astype(np.float32)


class Climb:
    """One climb; all candidates have the same method, layout and length."""

    def __init__(self, method, layout, length, seed=0, values=16384, samples=1, start=None):
        count = max(2, values // length) if start is None else len(start.x)
        self.slots, self.g = Slots(method, layout, count, length, samples), np.random.default_rng((seed, length))
        at = np.arange(length)
        by_column = not longest_piece(method, self.slots.array(np.zeros((count, length), np.float32)), layout)
        self.classes = at % 32 if by_column else at // LANES % LANES * 2 + at % LANES // (LANES // 2)
        self.best = self.first() if start is None else start.copy()
        self.height = np.zeros(count)

    def first(self):
        count, length, g = self.slots.count, self.slots.length, self.g
        x = np.stack([self.one_start(length) for _ in range(min(count, 256))]).astype(np.float32)
        x = np.resize(x, (count, length))
        parts = self.slots.parts
        ones = np.ones((count, parts), np.float32)
        return Candidates(x, ones, np.zeros_like(ones), np.full(count, g.choice([1e-5, 1e-30]), np.float32))

    def one_start(self, length):
        g = self.g
        if length > BLOCK and g.integers(2):
            return self.patterned(length)
        classes = g.integers(2)
        size = 1 + 2.0 ** -g.choice([2, 6, 10, 12]) * g.random(32 if classes else length)
        size = size[self.classes] if classes else size
        x = size * self.signs(length)
        kind = g.integers(8)
        if kind == 0:  # outliers, some of which make up the whole variance
            x[g.integers(length, size=1 + length // 100)] *= 2.0 ** g.integers(1, 14)
        elif kind == 1:
            x *= 2.0 ** -(np.arange(length) * g.choice([1, 1 / 16, 1 / 64]) % 40)
        elif kind in (2, 3):
            x += g.choice([-0.5, 0.5, 1, 3, 15.9, 16.1, 100, 1e4]) * (1 + g.choice([0, ULP, 2.0**-12]) * g.random())
        elif kind == 4:
            x = g.standard_normal(length)
        return x * 2.0 ** g.integers(-6, 7)

    def patterned(self, length):
        """Lanes of either sign, the same in each block; or more of one sign, except in the values that make the shift.

        With some steps more in one of the latter, the shift is nearly half a step, and all differences round to one
        side.
        """
        g, at = self.g, np.arange(length)
        from_shift = quarters(length)
        values = lane_patterns(
            tuple(sorted({v // LANES % 16 for v in from_shift})),
            self.slots.method.name == "rms_last",
            int(g.integers(4)),
        )
        balanced = np.isin(at // LANES, [v // LANES for v in from_shift])
        positive = at % LANES < np.where(balanced, 8, g.choice([8, 8, 9, 10]))
        x = np.where(positive, 1, -1) * values[np.where(positive, 0, 1), at // LANES % 16].astype(np.float64)
        x[from_shift[0]] += g.choice([0, 24, 28, 30, 31]) * ULP
        return x * 2.0 ** g.integers(-3, 4)

    def signs(self, length):
        """Returns signs: random, or alike in lanes or vectors, or such that likely shifts are 0 and the mean is not."""
        g, at, kind = self.g, np.arange(length), self.g.integers(6)
        if kind == 0:
            return np.ones(length)
        if kind == 1:
            return np.where(g.random(length) < g.random(), 1.0, -1.0)
        lanes = np.where(at % LANES < LANES // 2, 1.0, -1.0)
        if kind == 2:
            return lanes
        if kind == 3:
            return np.where(at // LANES % 2, 1.0, -1.0) if length > LANES else np.where(at % 2, 1.0, -1.0)
        sampled = np.isin(at // LANES, [v // LANES for v in quarters(length)]) if kind == 4 else at % BLOCK < 4 * LANES
        if length <= 32:
            sampled = at % 4 == 0
        share = g.choice([0.57, 0.5, 0.33, 0.3, 0.2])  # of the deviation, by which the mean is away
        return np.where(sampled, lanes, np.where(g.random(length) < (1 + share) / 2, 1.0, -1.0))

    def changed(self, fine):
        """Returns changed copies of the best candidates, with the eps of one of them."""
        g, new = self.g, self.best.copy()
        count, length = new.x.shape
        new.eps[:] = g.choice(new.eps)
        rows, bits = np.arange(count)[:, None], new.x.view(np.int32)
        kind = g.choice(8, p=SMALL_CHANGES if fine else CHANGES)
        some = min(length, int(g.choice([1, 1, 2, 4, 1 + length // 50])))
        at = g.integers(0, length, (count, some))
        reach = int(g.choice([2, 64, 4096, 65536]))
        if kind == 0:  # equal elements change alike
            step = np.zeros((count, 32), np.int32)
            step[rows, g.integers(0, 32, (count, g.integers(1, 4)))] = g.integers(-reach, reach + 1, (count, 1))
            bits += step[:, self.classes]
        elif kind == 1:
            bits[rows, at] += g.integers(-reach, reach + 1, (count, some), np.int32)
        elif kind == 2:
            new.x[rows, at] *= -1
        elif kind == 3:
            other = g.integers(0, length, (count, some))
            new.x[rows, at] = self.best.x[rows, other]
        elif kind == 4:  # a part of another slot
            begin, long = np.sort(g.integers(0, length + 1, 2))
            new.x[:, begin:long] = self.best.x[g.permutation(count), begin:long]
        elif kind == 5:  # copies a lane to another one, or a block
            if length >= 2 * LANES and g.integers(2):
                a, b = g.integers(0, LANES, 2)
                n = length // LANES * LANES
                new.x[:, b:n:LANES] = new.x[:, a:n:LANES]
            elif length >= 2 * BLOCK:
                a, b = g.integers(0, length // BLOCK, 2) * BLOCK
                new.x[:, b : b + BLOCK] = new.x[:, a : a + BLOCK]
        elif kind == 6:
            new.x *= 1 + g.integers(-reach, reach + 1, (count, 1)) * np.float32(ULP)
        else:
            new.x += new.x[rows, at[:, :1]] * np.float32(2.0 ** -g.integers(1, 24))
        wrong = ~(np.abs(new.x) < 2.0**60)
        new.x[wrong] = self.best.x[wrong]
        return new

    def other_parameters(self):
        """Returns the same values with new weights, biases or eps."""
        g, new = self.g, self.best.copy()
        x, parts = new.x, self.slots.parts
        new.eps[:] = g.choice(new.eps)
        if not parts or g.integers(8) == 0:
            var = float(np.median(x.var(1, dtype=np.float64)))
            new.eps[:] = np.float32(g.choice([1e-30, 1e-5, var * 2.0 ** -g.uniform(0, 22)]))
            return new
        shape = new.weight.shape
        z = x - (x.mean(1, keepdims=True, dtype=np.float64) if self.slots.method.has_bias else 0)
        std = np.sqrt(np.mean(z * z, 1, keepdims=True) + new.eps[0])
        xhat = np.abs(z) / std + 1e-3
        xhat = xhat if shape[1] == x.shape[1] else xhat[np.arange(len(x)), self.worst_at][:, None]
        kind = g.integers(4)  # the gain or the product next to a power of two, a weight next to one, or any
        near = 1 + 2.0 ** -g.uniform(3, 23, shape) if kind < 3 else g.uniform(1, 2, shape)
        weight = (near / (1 / std, xhat, 1, 1)[kind] * 2.0 ** g.integers(-2, 3)).astype(np.float32)
        size = weight * xhat
        step = 2.0 ** np.floor(np.log2(size)) * 2.0**-24  # half of the product's last digit
        which = g.choice(3, p=[0.5, 0.3, 0.2])
        bias = (step * g.uniform(0.8, 1, shape), size * 2.0 ** -g.uniform(0, 30, shape), 0 * size)[which]
        bias *= g.choice([-1, 1], shape)
        keep = np.zeros(shape, bool)
        if shape[1] > 1:  # half of the time, not at the worst element
            keep[np.arange(len(x)), self.worst_at * shape[1] // x.shape[1]] = g.integers(2)
        new.weight[:] = np.where(keep, new.weight, weight)
        new.bias[:] = np.where(keep, new.bias, bias)
        return new

    def try_out(self, new, by_statistics):
        if by_statistics:
            height = common(errors(self.slots, new, weighted=False), new.x)
            worst_at = None
        else:
            e = np.abs(errors(self.slots, new))
            e[np.isnan(e)] = np.inf
            worst_at = e.argmax(1)
            height = e.max(1)
        better = height >= self.height
        self.best.put(better, new)
        self.height[better] = height[better]
        if worst_at is not None:
            self.worst_at[better] = worst_at[better]

    def select(self):
        """Replaces the lower half of some pairs by the higher."""
        count = len(self.height)
        pairs = self.g.permutation(count)[: count // 2 * 2].reshape(2, -1)[:, : max(1, count // 8)]
        up = self.height[pairs[0]] > self.height[pairs[1]]
        low, high = np.where(up, pairs[1], pairs[0]), np.where(up, pairs[0], pairs[1])
        for name in PARTS:
            values = getattr(self.best, name)
            values[low] = values[high]
        self.height[low] = self.height[high]
        self.worst_at[low] = self.worst_at[high]

    def run(self, generations, statistics=0.6):
        """Returns the best candidates, and their largest errors as shares of the bound."""
        self.worst_at = np.zeros(self.slots.count, np.int64)
        first, second = int(generations * statistics), int(generations * (1 + statistics) / 2)
        with np.errstate(all="ignore"):
            for k in range(generations):
                by_statistics = k < first
                if k in (0, first):
                    self.height[:] = -1
                    self.try_out(self.best, by_statistics)
                often = 0.8 if not self.slots.parts else 0.5 if k > second else 0.0  # how often values change, too
                move = by_statistics or self.g.random() < often
                new = self.changed(not by_statistics) if move else self.other_parameters()
                self.try_out(new, by_statistics)
                if k % 25 == 24:
                    self.select()
        return self.best, self.height


def highest(method, layout, length, generations, seed=0, samples=1):
    """Returns the worst slot that a climb finds, and its error as a share of the bound."""
    best, heights = Climb(method, layout, length, seed, samples=samples).run(generations)
    worst = int(np.argmax(heights))
    return best.take([worst]), float(heights[worst])


def lengths_for(method):
    return [n for n in LENGTHS if n >= method.least_values and n > 1]


def in_units(method, layout, length, share):
    """Converts a share of the bound; slots are two, since a single one can be a row as well as a column."""
    return share * proven(method, Slots(method, layout, 2, length).array(np.zeros((2, length), np.float32)), layout)


def share_of(case, method, layout):
    """Returns the largest error of a stored slot, as a share of the bound, where several copies lie side by side."""
    slots = Slots(method, layout, COPIES, case.x.shape[1])
    with np.errstate(all="ignore"):
        return float(shares(slots, case.take([0] * COPIES)).max())


def side_by_side(method, layout, case, generations):
    """Returns the worst slot that a climb from copies of one finds; fixed parameters depend on their number."""
    start = case.take([0] * COPIES)
    best, _ = Climb(method, layout, case.x.shape[1], start=start).run(generations, statistics=0)
    return max([case] + [best.take([k]) for k in range(COPIES)], key=lambda c: share_of(c, method, layout))


def stored():
    """Returns, by name, the cases that are stored, and their eps, x, weight and bias one after the other."""
    if not FILE.exists():
        return {}
    with np.load(FILE) as found:
        return {name: (found[f"{name}/cases"], found[f"{name}/values"]) for name in found["names"].tolist()}


def read_cases():
    """Returns what is stored: (name, method, layout, case)."""
    methods = {m.name: m for m in METHODS}
    for name, (cases, values) in stored().items():
        for case in cases:
            method, layout, length, parts = case.split()
            sizes = 1, int(length), int(parts), int(parts)
            eps, *others = np.split(values, np.cumsum(sizes))[:4]
            values = values[sum(sizes) :]
            yield name, methods[method], layout, Candidates(*(v[None] for v in others), eps)


def write_cases(name, cases):
    """Replaces the cases of one name; `cases` is by method, layout and length."""
    about = [f"{method} {layout} {length} {c.weight.size}" for (method, layout, length), c in cases.items()]
    values = [np.ravel(v) for c in cases.values() for v in (c.eps, c.x, c.weight, c.bias)]
    kept = stored() | {name: (np.array(about), np.concatenate(values, dtype=np.float32))}
    arrays = {f"{n}/{part}": v for n, pair in kept.items() for part, v in zip(("cases", "values"), pair, strict=True)}
    np.savez_compressed(FILE, names=np.array(list(kept)), **arrays)


def main():
    parser = argparse.ArgumentParser(description="The largest errors that hill climbing finds, in units.")
    parser.add_argument("--save", metavar="NAME", help="store the worst slots under this name")
    parser.add_argument("--generations", type=int, default=1000)
    parser.add_argument("--methods", nargs="*", default=[m.name for m in WITH_SLOTS])
    given = parser.parse_args()
    cases = {}
    print(f"{'':22} ", *(f"{n:5}" for n in LENGTHS))
    for method in (m for m in WITH_SLOTS if m.name in given.methods):
        for layout in LAYOUTS[: 1 if method.weights == "trailing" else 2]:
            found = dict.fromkeys(LENGTHS, "  -  ")
            began = time.perf_counter()
            for length in lengths_for(method):
                case, share = highest(method, layout, length, given.generations)
                found[length] = f"{in_units(method, layout, length, share):5.2f}"
                if given.save and length in STORED:
                    cases[method.name, layout, length] = side_by_side(method, layout, case, given.generations)
            print(f"{method.name:18}{layout} ", *found.values(), f" {time.perf_counter() - began:.0f} s", flush=True)
    if given.save:
        write_cases(given.save, cases)


if __name__ == "__main__":
    main()
