"""Timing in rounds, with all libraries in each round, so that whatever slows the machine slows all of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean, geometric_mean
from typing import Any, NamedTuple

import numpy as np

from normcy._compare.accuracy import UNIT, Errors, Reference
from normcy._compare.busy import Probe
from normcy._compare.cases import Case, Job, arrays
from normcy._compare.worker import Answer, Worker

# In this time the last library's threads stop waiting for work, which would take CPUs from the next one: those of GNU's
# OpenMP spin 300,000 times, which takes 8 ms on a Zen 4.
REST_SECONDS = 0.010

# Of the times of all rounds, the lower quartile counts. Whatever else the machine does makes a round longer, so that
# few rounds of a busy machine say much; the fastest of all would be the luckiest.
QUANTILE = 0.25


class Effort(NamedTuple):
    rounds: int
    seconds: float  # the seconds that one measurement takes, about


THOROUGH, QUICK = Effort(7, 0.010), Effort(3, 0.004)


@dataclass
class Result:
    """The result of one library on one case; all None if it has no such operator, with a note if it failed."""

    seconds: float | None = None
    errors: Errors | None = None
    note: str | None = None

    @property
    def agrees(self) -> bool:
        """Returns whether it computed the same thing, since the speed of another computation means nothing."""
        return self.errors is not None and self.errors.units * UNIT < 0.01

    @property
    def problem(self) -> str | None:
        """What went wrong, in one line."""
        far = self.errors is not None and not self.agrees
        return "more than 1 % off the reference, so that its speed says nothing" if far else self.note


class Row(NamedTuple):
    case: Case
    results: dict[str, Result]  # by library
    cpu_share: float  # of the time between the measurements in which there was a CPU for a thread

    def speedup(self, name: str) -> float | None:
        """How many times faster than the library normcy is."""
        mine, other = self.results["normcy"], self.results[name]
        return other.seconds / mine.seconds if mine.seconds and other.seconds and other.agrees else None


def mean_speedup(rows: list[Row], name: str) -> float | None:
    """Returns the geometric mean of how many times faster than the library normcy is; None if nothing compares."""
    ratios = [ratio for row in rows if (ratio := row.speedup(name))]
    return geometric_mean(ratios) if ratios else None


def measure(team: list[Worker], job: Job, effort: Effort, probe: Probe, advance: Callable[[], Any]) -> Row:
    """Returns errors and times of all libraries on a case; ``advance`` is called ``1 + rounds`` times."""
    data = arrays(job)
    reference = Reference(job.case, data)
    results: dict[str, Result] = {}
    ready = []
    for worker in team:
        refused = "normcy" in results and results["normcy"].note  # then there is nothing to compare with
        answer = Answer() if refused else worker.ask((job.case, data, effort.seconds))
        results[worker.name] = Result(note=answer.note)
        if answer.value is not None:
            results[worker.name].errors = reference.errors(answer.value) if worker.name != "copy" else None
            ready.append(worker)
    advance()
    answers: dict[str, list[Answer]] = {worker.name: [] for worker in ready}
    shares = []
    for _ in range(effort.rounds):
        time.sleep(REST_SECONDS)
        shares.append(probe.cpu_share())
        for worker in ready:
            time.sleep(REST_SECONDS)
            answers[worker.name].append(worker.ask(None))
        advance()
    for name, given in answers.items():
        results[name].note = next((answer.note for answer in given if answer.note), None)
        if results[name].note is None:
            results[name].seconds = float(np.quantile([answer.value for answer in given], QUANTILE))
    return Row(job.case, results, fmean(shares))
