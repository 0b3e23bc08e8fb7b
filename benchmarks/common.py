"""What the benchmarks share: the cases of `normcy compare`, and measurements of a kind that asv itself has not got."""

import ctypes
import re
import statistics
import time
from pathlib import Path

import normcy
from normcy._compare.cases import LAYOUTS, Case, Job, model_jobs
from normcy._compare.methods import METHODS
from normcy._compare.timing import REST
from normcy._compare.worker import Bench

THREADS = ("one", "all")  # "all" is what users get: cores, OMP_NUM_THREADS, a container's quota


def use_threads(threads: str) -> int:
    """Have normcy compute with so many; how many that is."""
    number = 1 if threads == "one" else normcy.get_num_threads()
    normcy.set_num_threads(number)
    return number


def _label(case: Case) -> str:
    """The same in both layouts: shapes are written with the channels first, as in models' tables."""
    shape = case.shape
    if case.layout == "NHWC":
        shape = (shape[0], shape[-1], *shape[1:-1])
    return f"{case.name} {case.method} {'x'.join(map(str, shape))}"


JOBS = {  # by label and layout, "-" where the method has none
    (_label(job.case), job.case.layout): job
    for job in model_jobs([method.option for method in METHODS.values()], LAYOUTS)
}


def labels(has_layout: bool) -> tuple[str, ...]:
    """Of the cases whose methods have channels, or of the others."""
    return tuple(dict.fromkeys(label for label, layout in JOBS if (layout != "-") == has_layout))


def interleaved(names: list[str], job: Job, data: dict, threads: int, seconds: float = 0.004) -> list[float]:
    """Median times of a call of these libraries, all in every round: what slows the machine down slows all of them."""
    benches = [Bench(name, threads, job.case, data, seconds) for name in names]
    rounds = []
    for _ in range(5):
        rounds.append([])
        for bench in benches:
            time.sleep(REST)
            rounds[-1].append(bench.sample().seconds)
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


def peak_memory(call) -> int:
    """Bytes by which a call makes the process grow, at its peak, malloc in C included; Linux alone can tell."""
    call()  # threads start, code is loaded
    ctypes.CDLL(None).malloc_trim(0)  # what that call gave back is not to be had without growing
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark falls to where memory is
    _high_water_mark()  # reading it takes memory too, the first time
    before = _high_water_mark()
    call()
    return _high_water_mark() - before


def _high_water_mark() -> int:
    return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
