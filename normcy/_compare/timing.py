"""Timing in rounds, with all libraries in each round, so that whatever slows the machine slows all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from normcy._compare.accuracy import UNIT, Errors, Reference
from normcy._compare.cases import Case, Job, arrays
from normcy._compare.worker import Answer, Worker

REST = 0.002  # seconds in which the last library's threads stop waiting for work, which would take cores from the next

DISTURBED = 150  # preemptions a second: about 50 on a machine that is otherwise idle, 200 beside one busy program


class Effort(NamedTuple):
    rounds: int
    seconds: float  # the seconds that one measurement takes, about


THOROUGH, QUICK = Effort(7, 0.010), Effort(3, 0.004)


@dataclass
class Result:
    """The result of one library on one case; all None if it has no such operator, with a note if it failed."""

    seconds: float | None = None
    preemptions: float | None = None  # how often in a second the system gave one of its cores to another program
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

    @property
    def disturbed(self) -> bool:
        """Returns whether other programs used the cores: a thread that is late delays all threads of its call."""
        return (self.results["normcy"].preemptions or 0) > DISTURBED

    def speedup(self, name: str) -> float | None:
        """How many times faster than the library normcy is."""
        mine, other = self.results["normcy"], self.results[name]
        return other.seconds / mine.seconds if mine.seconds and other.seconds and other.agrees else None


def measure(team: list[Worker], job: Job, effort: Effort, advance: Callable[[], Any]) -> Row:
    """Returns errors and median times of all libraries on a case; ``advance`` is called ``1 + rounds`` times."""
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
    for _ in range(effort.rounds):
        for worker in ready:
            time.sleep(REST)
            answers[worker.name].append(worker.ask(None))
        advance()
    for name, given in answers.items():
        results[name].note = next((answer.note for answer in given if answer.note), None)
        if results[name].note is None:
            results[name].seconds = statistics.median(answer.value.seconds for answer in given)
            results[name].preemptions = statistics.fmean(answer.value.preemptions for answer in given)
    return Row(job.case, results)
