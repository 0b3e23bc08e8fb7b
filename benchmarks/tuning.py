"""What each number that schedules go by trades on this machine: norms under a quarter to four times of it.

A ratio is the time of a norm under the changed number divided by that under the machine's own; both are medians of
rounds in which all values take turns. `make bench-tuning ARGS="task_floats"` measures one number only.
"""

import argparse
import statistics
import time
from functools import partial

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

import normcy
from normcy import _native
from normcy._compare.cases import Case, Job, arrays, call
from normcy._native import tuning

FACTORS = (0.25, 0.5, 2, 4)
ROUNDS, SECONDS = 15, 0.006  # of one measurement, about

# The norms that a number decides about: method, shape, layout, threads; the method without weights if it has a "*".
NORMS = {
    "parallel_min_floats": [("layer", (64, 768), "-", 2), ("instance", (1, 32, 56, 56), "NCHW", 2)],
    "part_min_floats": [("layer", (80, 768), "-", 2), ("batch train", (4, 14, 14, 128), "NHWC", 2)],
    "thread_tasks": [("instance", (1, 5, 320, 320), "NCHW", 2), ("layer2d", (1, 96, 56, 56), "NCHW", 2)],
    "thread_parts": [("layer", (1024, 768), "-", 2), ("group", (1, 320, 32, 32), "NCHW", 2)],
    "tile_floats": [("layer*", (1024, 768), "-", 1), ("layer*", (12000, 768), "-", 1)],
    "short_slot_floats": [("instance", (64, 512, 14, 14), "NCHW", 1), ("instance", (64, 512, 8, 8), "NCHW", 1)],
    "long_weight_floats": [("layer", (500, 4096), "-", 1), ("layer", (1024, 768), "-", 1)],
    "sharing_rows": [("layer", (500, 4096), "-", 1), ("layer", (200, 8192), "-", 1)],
    "panels_floats": [("instance", (2000, 3, 4), "NHWC", 1), ("layer2d", (2000, 7, 3), "NCHW", 1)],
    "coefficient_columns": [("batch", (8, 14, 14, 1536), "NHWC", 1), ("batch", (8, 7, 7, 4096), "NHWC", 1)],
    "task_floats": [("instance", (32, 28, 28, 128), "NHWC", 1), ("batch train", (32, 256, 14, 14), "NCHW", 1)],
    "tile_min_columns": [("instance", (8, 28, 28, 256), "NHWC", 1), ("layer2d", (4, 512, 28, 28), "NCHW", 1)],
    "in_cache_floats": [("batch", (32, 14, 14, 256), "NHWC", 1), ("batch", (32, 28, 28, 128), "NHWC", 1)],
    "local_in_cache_floats": [("layer", (4096, 768), "-", 1), ("layer2d", (16, 96, 56, 56), "NCHW", 1)],
    "nontemporal_floats": [("layer", (3000, 1024), "-", 1), ("batch", (24, 64, 28, 28), "NCHW", 1)],
    "run_floats": [("batch train", (32, 64, 56, 56), "NCHW", 1), ("batch train", (32, 512, 7, 7), "NCHW", 1)],
    "turned_rows": [("batch train", (32, 56, 56, 64), "NHWC", 1), ("instance", (64, 8, 8, 64), "NHWC", 1)],
    "fixed_rows": [("batch", (8, 14, 14, 1024), "NHWC", 2), ("batch", (32, 56, 56, 64), "NHWC", 1)],
}  # fmt: skip
LEAST = {"tile_min_columns": 64}
MOST = {"tile_floats": 4096, "panels_floats": 512}


def prepared(method, shape, layout):
    """Returns a call of the norm that writes to the same array every time."""
    case = Case("", method.rstrip("*"), shape, layout)
    data = arrays(Job(case, None))
    return partial(call(normcy, case, data, bare=method.endswith("*")), out=np.empty_like(data["x"]))


def seconds_of(run, calls, numbers):
    tuning.use_tuning(numbers)
    run()
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - start) / calls


def measured(name, run):
    """Returns the time under the machine's own number, and the ratio to it of each factor, None where none is legal."""
    own = tuning.tuning()
    values = [int(own[name] * factor) for factor in FACTORS]
    possible = [value for value in values if LEAST.get(name, 1) <= value <= MOST.get(name, value)]
    calls = max(1, round(SECONDS / seconds_of(run, 3, own)))
    try:
        rounds = [
            [seconds_of(run, calls, own | {name: value}) for value in (own[name], *possible)] for _ in range(ROUNDS)
        ]
    finally:
        tuning.use_tuning(own)
    before, *after = [statistics.median(times) for times in zip(*rounds, strict=True)]
    ratios = dict(zip(possible, [seconds / before for seconds in after], strict=True))
    return before, [ratios.get(value) for value in values]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NORMS)}; all by default")
    names = parser.parse_args().names or [*NORMS]
    for name in names:
        if name not in NORMS:
            parser.error(f"got {name!r}, expected names of {', '.join(NORMS)}")
    _native.judge_calls(False)  # two threads are two threads
    table = Table(title="time / time under this machine's own number", title_justify="left")
    for heading in ("number", "own", "norm", "threads", "us", *(f"x {factor}" for factor in FACTORS)):
        table.add_column(heading)
    rows = [(name, norm) for name in names for norm in NORMS[name]]
    for number, norm in track(rows, transient=True):
        *described, threads = norm
        with normcy.num_threads(threads):
            seconds, ratios = measured(number, prepared(*described))
        label = f"{norm[0]} {'x'.join(map(str, norm[1]))} {norm[2].strip('-')}"
        cells = ["" if ratio is None else f"{ratio:.2f}" for ratio in ratios]
        table.add_row(number, str(tuning.tuning()[number]), label, str(threads), f"{seconds * 1e6:.0f}", *cells)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
