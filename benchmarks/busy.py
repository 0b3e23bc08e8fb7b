"""What calls cost on a machine that others use: busy processes run beside them.

`make bench-busy ARGS="--busy 2"` prints the median and the 90th percentile of each way. The ways take turns, so that
whatever else slows the machine slows all of them.
"""

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import normcy
from normcy._compare import report
from normcy._compare.cases import Case, Job, arrays
from normcy._compare.peers import ADAPTERS, PEERS

CASES = (
    Case("style net", "instance", (8, 384, 384, 3), "NHWC"),
    Case("BERT-base", "layer", (1024, 768), "-"),
    Case("ResNet-50", "batch train", (32, 56, 56, 64), "NHWC"),
    Case("SD UNet", "group", (2, 64, 64, 320), "NHWC"),
    Case("ResNet-50", "instance", (8, 64, 112, 112), "NCHW"),
)
BUSY = (0, 1, 2, 4)
SHORT_OF = 1.2  # another way that is so many times as fast, in the median and the 90th percentile, is red
START_SECONDS = 1.0  # until the busy processes are at work


def burn(over) -> None:
    while not over.is_set():
        sum(range(100_000))


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Keeps that many CPUs busy, or each of them several times over."""
    context = multiprocessing.get_context("spawn")
    over = context.Event()
    processes = [context.Process(target=burn, args=(over,), daemon=True) for _ in range(count)]
    for process in processes:
        process.start()
    try:
        time.sleep(START_SECONDS if count else 0)
        yield
    finally:
        over.set()
        for process in processes:
            process.join()


def ways_of(case: Case) -> dict[str, Callable]:
    """Returns what is called, by name: by default, with one thread, and torch, where it is installed."""
    data, threads = arrays(Job(case, None)), normcy.get_num_threads()
    default = ADAPTERS["normcy"](case, data, threads).run

    def one_thread():
        with normcy.num_threads(1):
            default()

    ways = {"default": default, "one thread": one_thread}
    if not PEERS["torch"].missing():
        ways["torch"] = ADAPTERS["torch"](case, data, threads).run
    return ways


def measure(ways: dict[str, Callable], seconds: float) -> dict[str, tuple[float, float]]:
    """Returns the median and the 90th percentile of the seconds that a call takes, for each way."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for call in ways.values():
        call()
    end = time.perf_counter() + seconds
    order = list(ways)
    while not times["default"] or time.perf_counter() < end:
        for name in order:
            start = time.perf_counter()
            ways[name]()
            times[name].append(time.perf_counter() - start)
        order.reverse()  # each way finds the caches and the other threads as each of the others leaves them
    ordered = {name: sorted(found) for name, found in times.items()}
    return {name: (found[len(found) // 2], found[len(found) * 9 // 10]) for name, found in ordered.items()}


def row(case: Case, found: dict[str, tuple[float, float]]) -> list[str]:
    cells = [case.method, report.shape_text(case), case.layout]
    for quantiles in found.values():
        good = not falls_short(found["default"], quantiles)
        cells += [report.coloured(f"{quantile * 1e3:.2f}", good) for quantile in quantiles]
    return cells


def falls_short(mine: tuple[float, float], theirs: tuple[float, float]) -> bool:
    return all(own > SHORT_OF * other for own, other in zip(mine, theirs, strict=True))


def show(busy: int, seconds: float) -> None:
    with busy_processes(busy):
        rows = [(case, measure(ways_of(case), seconds)) for case in CASES]
    place = report.console()
    processes = f"{busy} busy process{'es' * (busy != 1)}"
    title = f"{report.title(normcy.get_config())}; {processes}, {len(os.sched_getaffinity(0))} CPUs; ms"
    table = report.empty_table(place, title)
    for header in ("method", "shape", "layout"):
        table.add_column(header, no_wrap=True, vertical="bottom")
    for name in rows[0][1]:
        for quantile in ("median", "p90"):
            table.add_column(f"{name}\n{quantile}", justify="right", no_wrap=True, vertical="bottom")
    for case, found in rows:
        table.add_row(*row(case, found))
    place.print(table)
    short = sum(any(falls_short(found["default"], other) for other in found.values()) for _, found in rows)
    place.print(f"in {short} of {len(rows)} cases another way is {SHORT_OF:g} times as fast in both", highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-busy", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--busy", type=int, nargs="+", default=BUSY, help=f"how many processes, by turns ({' '.join(map(str, BUSY))})"
    )
    parser.add_argument("--seconds", type=float, default=6.0, help="for each case (%(default)s)")
    options = parser.parse_args()
    for busy in options.busy:
        show(busy, options.seconds)


if __name__ == "__main__":
    main()
