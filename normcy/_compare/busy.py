"""Whether others use the CPUs: whatever a thread that only computes takes longer than its own CPU time, it waited.

The libraries themselves cannot be asked, since their threads spin, which costs CPU time, or sleep, which costs none. As
many threads as they are given compute between their turns instead: one alone would move to the CPU that is still free.
The load average is too slow for this, and /proc/stat counts CPUs that a container does not have. What a hypervisor
takes from a virtual machine may count as CPU time, and is not seen then.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import fmean
from threading import Barrier
from timeit import repeat
from typing import Any

import numpy as np

PROBE_SECONDS = 0.005  # a time slice or more, before which the system need not give a CPU to another program
LEAST_SHARE = 0.9  # of the time that a CPU must be there: 0.98 to 1 where nothing else runs, 0.5 beside one program
FEW_ROWS = 0.1  # of all: if there are no more in which the machine was busy, it is not worth a word

Clock = Callable[[], float]


class Probe:
    """Threads that compute at the same time. There are no more than CPUs: that these are few is not others' doing."""

    def __init__(self, threads: int) -> None:
        cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self.threads = min(threads, cpus)
        trial = 1 << 20
        self._sum = _sum_of(round(trial * PROBE_SECONDS / min(repeat(_sum_of(trial), number=1, repeat=9))))

    def cpu_share(self, wall: Clock = time.perf_counter, cpu: Clock = time.thread_time) -> float:
        """Returns in which part of the time a thread had a CPU, as mean of all threads."""
        barrier = Barrier(self.threads)

        def run(_: int) -> float:
            barrier.wait()
            start = wall(), cpu()
            self._sum()
            return (cpu() - start[1]) / (wall() - start[0])

        with ThreadPoolExecutor(self.threads) as pool:
            return fmean(pool.map(run, range(self.threads)))


def _sum_of(count: int) -> Callable[[], Any]:
    """A computation that reads one number again and again: it needs neither memory nor, while it runs, the GIL."""
    return np.broadcast_to(np.float64(1), count).sum


def busy_note(shares: list[float], threads: int) -> str | None:
    """Returns what to say of a run in whose rows a CPU was there for these shares of the time; None if it was idle."""
    taken = [share for share in shares if share < LEAST_SHARE]
    if len(taken) <= FEW_ROWS * len(shares):
        return None
    return (
        f"The machine was busy: in {len(taken)} of {len(shares)} rows, {threads} thread{'s' * (threads > 1)} that only "
        f"computed had a CPU for {fmean(taken):.0%} of the time. Others, or a quota, took the rest: times are too "
        "long, and ratios say little. Run it again on an idle machine, or with fewer --threads."
    )
