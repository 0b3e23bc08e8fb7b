"""The cases of `normcy compare` for all benchmarks, and measurements that asv itself does not have."""

import ctypes
import re
import statistics
import time
from pathlib import Path

import normcy
from normcy._checks import LAYOUTS
from normcy._compare import timing
from normcy._compare.cases import Case, Job, model_jobs
from normcy._compare.methods import METHODS
from normcy._compare.worker import Bench

REST_SECONDS = getattr(timing, "REST_SECONDS", 0.010)  # the default is for old commits
THREADS = ("one", "all")  # "all" is the default: cores, OMP_NUM_THREADS, a container's quota


def use_threads(threads: str) -> int:
    """Makes normcy compute with one thread or with all; returns how many."""
    number = 1 if threads == "one" else normcy.get_num_threads()
    normcy.set_num_threads(number)
    return number


def _label(case: Case) -> str:
    """Returns the same label in both layouts: shapes have their channels first, as in tables of models."""
    shape = case.shape
    if case.layout == "NHWC":
        shape = (shape[0], shape[-1], *shape[1:-1])
    return f"{case.name} {case.method} {'x'.join(map(str, shape))}"


JOBS = {  # by label and layout, "-" if the method has none
    (_label(job.case), job.case.layout): job
    for job in model_jobs([method.option for method in METHODS.values()], LAYOUTS)
}


def labels(has_layout: bool) -> tuple[str, ...]:
    """Returns the labels of the cases whose methods have channels, or of the others."""
    return tuple(dict.fromkeys(label for label, layout in JOBS if (layout != "-") == has_layout))


def interleaved(names: list[str], job: Job, data: dict, threads: int, seconds: float = 0.004) -> list[float]:
    """Returns median times of a call of these libraries, all in every round, so that all are slowed alike."""
    benches = [Bench(name, threads, job.case, data, seconds) for name in names]
    rounds = []
    for _ in range(5):
        rounds.append([])
        for bench in benches:
            time.sleep(REST_SECONDS)
            rounds[-1].append(bench.sample())
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


def peak_memory(call) -> int:
    """Returns the bytes by which a call makes the process grow at its peak, also by malloc in C; it needs Linux."""
    call()  # starts threads and loads code
    ctypes.CDLL(None).malloc_trim(0)  # memory that it freed would otherwise be used again without growing
    Path("/proc/self/clear_refs").write_text("5")  # sets the high-water mark to the current memory
    _high_water_mark()  # reading it takes memory the first time
    before = _high_water_mark()
    call()
    return _high_water_mark() - before


def _high_water_mark() -> int:
    return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
