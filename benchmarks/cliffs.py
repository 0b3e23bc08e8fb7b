"""Random calls beside torch and NumPy: shapes and options on which one of these is faster than normcy.

The benchmarks have shapes of models, which were looked at when kernels were written. Here all ways to compute a call
take turns on the same memory, and a call that is slower than the fastest of the others is measured again at once. A
number stands for the same call in every run: `make cliffs ARGS="--call 137"` measures that one only.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import pi, prod, sqrt
from statistics import geometric_mean
from timeit import Timer
from typing import NamedTuple

import numpy as np

import normcy
from normcy._compare import cases, report
from normcy._compare.cases import Case, Job
from normcy._compare.formulas import formula
from normcy._compare.methods import METHODS, Array
from normcy._compare.peers import ADAPTERS, Runner, installed, versions
from normcy._compare.timing import QUANTILE, REST_SECONDS

MOST_FLOATS = 1 << 21
MOST_STYLED = 1 << 14  # channels of a conditional norm, as each of its styles has weights for them
PRIMES = (11, 13, 17, 31, 61, 127, 257, 509, 1021, 4093, 16381)
SECONDS = 0.001  # of one way in one round, about
ROUNDS, ROUNDS_AGAIN = 11, 31
NEAR = 0.01  # results agree if they differ by less: NumPy sums in float32, and has GELU's approximation only

NORMS = [key for key, method in METHODS.items() if key == method.norm]
WEIGHTED = ("batch", "batch train", "layer", "rms", "layer2d", "instance", "group")  # these take every option
ACTIVATED = (*WEIGHTED, "conditional", "renorm", "renorm train")
OF_PLANES = ("instance", "adain", "conditional", "ibn")  # torch refuses them if a plane has one position
ODD = {"NaN": np.nan, "infinity": np.inf, "1e25": 1e25}


@dataclass(frozen=True)
class Call(Case):
    """A case with options that its method need not have in the table of `normcy compare`."""

    num_groups: int = 1
    weights: str = "channel"  # or "none", or "full" for x's shape
    residual: str | None = None  # the name of its argument
    activation: str | None = None
    odd: str | None = None  # what some rows have, or "subnormal" if all have

    @property
    def options(self) -> str:
        groups = f"G{self.num_groups}" if "num_groups" in METHODS[self.method].parameters else None
        weights = {"channel": None, "none": "no weights", "full": "weights of x's shape"}[self.weights]
        return ", ".join(filter(None, (groups, weights, self.residual, self.activation, self.odd)))


class Row(NamedTuple):
    call: Call
    seconds: dict[str, float]  # of each way

    @property
    def other(self) -> str:
        """The fastest way but normcy."""
        return min(self.seconds.keys() - {"normcy"}, key=self.seconds.__getitem__)

    @property
    def ratio(self) -> float:
        return self.seconds["normcy"] / self.seconds[self.other]


def draw(seed: int, number: int) -> Call:
    """Returns the call of that number, whatever others are drawn."""
    random = np.random.default_rng((seed, number))
    method = str(random.choice(NORMS))
    while not makes_sense(call := _any_call(method, random, str(number))):
        pass
    return call


def _any_call(method: str, random: np.random.Generator, name: str) -> Call:
    def pick(*options):
        return options[random.integers(len(options))]

    rank = pick(2, 3, 4, 5)
    layout = "-" if not METHODS[method].has_layout else pick("NCHW", "NHWC") if rank > 2 else "NCHW"
    samples, channels, *plane = _sizes(random, min(rank, 3))
    positions = _factors(random, plane[0], rank - 2) if plane else []
    full = method in WEIGHTED and not (layout == "-" and rank == 3)  # per sample, these have another shape than x
    return Call(
        name,
        method,
        (samples, channels, *positions) if layout == "NCHW" else (samples, *positions, channels),
        layout,
        num_groups=_factors(random, channels, 2)[0],
        weights=pick("channel", "channel", "none", "full" if full else "none") if method in WEIGHTED else "channel",
        residual=pick(None, None, "pre_add", "post_add") if method in WEIGHTED else None,
        activation=pick(None, None, None, "relu", "silu", "gelu") if method in ACTIVATED else None,
        odd=pick(*[None] * 24, "subnormal", *ODD),
    )


def _sizes(random: np.random.Generator, count: int) -> list[int]:
    """Returns sizes with a product from 1 to the most floats, each of them small, a prime, a power of two, or any."""
    left, sizes = int(MOST_FLOATS ** random.random()), []
    for _ in range(count - 1):
        kinds = random.integers(1, 9), random.choice(PRIMES), 1 << random.integers(3, 13), left ** random.random()
        sizes.append(min(int(kinds[random.integers(4)]), left))
        left //= sizes[-1]
    return random.permutation([*sizes, left]).tolist()


def _factors(random: np.random.Generator, size: int, count: int) -> list[int]:
    """Returns random numbers whose product is the size."""
    factors = []
    for _ in range(count - 1):
        factors.append(int(random.choice(np.flatnonzero(size % np.arange(1, size + 1) == 0) + 1)))
        size //= factors[-1]
    return [*factors, size]


def makes_sense(call: Call) -> bool:
    """Returns whether everyone takes it: statistics of one value are refused, as are IBN's of no channels."""
    channels = call.shape[call.channel_axis]
    return (
        (call.method not in OF_PLANES or prod(call.shape[axis] for axis in call.positions) > 1)
        and (not METHODS[call.method].training or prod(call.shape) > channels)
        and (call.method != "group" or prod(call.shape) > call.num_groups)
        and (call.method != "ibn" or channels > 1)
        and (call.method != "conditional" or channels <= MOST_STYLED)
    )


def arrays(call: Call) -> dict[str, Array | None]:
    """Returns x and its parameters by name."""
    data, random = cases.arrays(Job(call, None)), np.random.default_rng(int(call.name))
    for name in ("weight", "bias"):
        if name in data and call.weights != "channel":
            data[name] = random.standard_normal(call.shape, np.float32) if call.weights == "full" else None
    return data | ({call.residual: random.standard_normal(call.shape, np.float32)} if call.residual else {})


def spoil(x: Array, odd: str | None) -> None:
    """Makes all of x subnormal, or gives every eighth row an odd value."""
    if odd == "subnormal":
        x *= 1e-40
    elif odd:
        rows = x.reshape(-1, x.shape[-1])[::8]
        rows[np.arange(len(rows)), np.arange(len(rows)) * 37 % x.shape[-1]] = ODD[odd]


def in_normcy(call: Call, data: dict, threads: int) -> Runner:
    normcy.set_num_threads(threads)
    options = {"activation": call.activation} if call.activation else {}
    options |= {call.residual: data[call.residual]} if call.residual else {}
    return Runner(partial(cases.call(normcy, call, data), **options, out=np.empty_like(data["x"])), np.asarray)


def in_torch(call: Call, data: dict, threads: int) -> Runner:
    return ADAPTERS["torch"](call, {name: value for name, value in data.items() if value is not None}, threads)


def in_numpy(call: Call, data: dict, threads: int) -> Runner:
    """The formula as users write it, and activations as those do who know that each operation is a pass."""
    whole, activate = partial(formula(np, replace(call, activation=None)), **data), ACTIVATIONS[call.activation]
    return Runner(lambda: activate(whole()[0]), np.asarray)


def _silu(y):
    t = np.exp(-y)
    t += 1
    y /= t
    return y


def _gelu(y):
    """The approximation with tanh, since NumPy has no erf."""
    t = y * y
    t *= 0.044715 * sqrt(2 / pi)
    t += sqrt(2 / pi)
    t *= y
    np.tanh(t, out=t)
    t += 1
    t *= 0.5
    y *= t
    return y


ACTIVATIONS = {None: lambda y: y, "relu": lambda y: np.maximum(y, 0, out=y), "silu": _silu, "gelu": _gelu}
WAYS = {"normcy": in_normcy, "numpy": in_numpy, "torch": in_torch}


def ways_of(call: Call, names: list[str], threads: int) -> dict[str, Callable[[], object]]:
    """Returns what computes the call, by name. All have to agree, before x gets values with which NumPy's overflow."""
    data, ways, value = arrays(call), {}, None
    for name in names:
        own = {key: array.copy() for key, array in data.items() if key.startswith("running")}  # training changes them
        ways[name], to_array = WAYS[name](call, data | own, threads)
        result = to_array(ways[name]())
        value = result if value is None else value
        if not np.allclose(result, value, NEAR, NEAR):
            raise SystemExit(f"call {call.name}: {name} and {names[0]} differ in {report.label(call)} {call.options}")
    spoil(data["x"], call.odd)
    return ways


def measure(ways: dict[str, Callable], rounds: int, threads: int) -> dict[str, float]:
    """Returns the seconds of a call for each way, all of which take turns in every round."""
    timers = {name: Timer(way) for name, way in ways.items()}
    calls = {name: max(1, round(SECONDS / min(timer.repeat(3, 1)))) for name, timer in timers.items()}
    found = {name: [] for name in ways}
    for _ in range(rounds):
        for name, timer in timers.items():
            time.sleep(REST_SECONDS * (threads > 1))  # until the threads of the last way no longer spin
            timer.timeit(1)
            found[name].append(timer.timeit(calls[name]) / calls[name])
    return {name: float(np.quantile(seconds, QUANTILE)) for name, seconds in found.items()}


def measured(call: Call, names: list[str], threads: int, limit: float) -> Row:
    ways = ways_of(call, names, threads)
    found = Row(call, measure(ways, ROUNDS, threads))
    return found if found.ratio <= limit else Row(call, measure(ways, ROUNDS_AGAIN, threads))


def show(rows: list[Row], limit: float) -> None:
    place = report.console()
    table = report.empty_table(place, f"{report.title(normcy.get_config())}; time / time of the fastest other; us")
    for header in ("ratio", "normcy", "other", "", "call", "method", "shape", "layout", "options"):
        table.add_column(header, justify="right" if header in ("ratio", "normcy", "", "call") else "left", no_wrap=True)
    for row in rows:
        call, times = row.call, [f"{row.seconds[name] * 1e6:.1f}" for name in ("normcy", row.other)]
        shape = report.shape_text(call)
        cells = (times[0], row.other, times[1], call.name, call.method, shape, call.layout, call.options)
        table.add_row(report.coloured(f"{row.ratio:.2f}", row.ratio <= limit), *cells)
    place.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make cliffs", description=__doc__.split("\n")[0])
    parser.add_argument("--calls", type=int, default=500, help="how many are drawn (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the calls (%(default)s)")
    parser.add_argument("--call", type=int, help="measure the call of this number only")
    parser.add_argument("--only", metavar="METHOD", choices=NORMS, help=f"of {', '.join(NORMS)}: none of the others")
    parser.add_argument("-T", "--threads", type=int, default=1, help="of normcy and torch (%(default)s)")
    parser.add_argument("--limit", type=float, default=1.1, help="a larger ratio of times is slower (%(default)s)")
    parser.add_argument("--show", type=int, default=40, help="how many of the slowest calls (%(default)s)")
    parser.add_argument("--check", action="store_true", help="end with status 1 if any call is slower")
    options = parser.parse_args()
    names = ["numpy", "normcy", *installed(["torch"])[0]]
    numbers = range(options.calls) if options.call is None else [options.call]
    calls = [call for number in numbers if options.only in (None, (call := draw(options.seed, number)).method)]
    print(f"seed {options.seed};", ", ".join(f"{name} {version}" for name, version in versions(names).items()))
    rows = []
    with np.errstate(all="ignore"), report.progress(len(calls)) as step:
        for call in calls:
            done = step(report.label(call))
            rows.append(measured(call, names, options.threads, options.limit))
            done()
    if not rows:
        parser.error("no call of that method was drawn")
    rows.sort(key=lambda row: row.ratio, reverse=True)
    show(rows[: options.show], options.limit)
    slower = sum(row.ratio > options.limit for row in rows)
    print(
        f"{slower} of {len(rows)} calls are slower than {options.limit:g} times the fastest other, twice in a row; "
        f"geometric mean of fastest other / normcy {geometric_mean(1 / row.ratio for row in rows):.2f}"
    )
    raise SystemExit(1 if options.check and slower else 0)


if __name__ == "__main__":
    main()
