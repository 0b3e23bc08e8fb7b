"""Worker processes, one for each library, so that its threads and its memory do not affect the others."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from timeit import Timer
from typing import Any, NamedTuple

from normcy._compare.cases import Case
from normcy._compare.methods import Array
from normcy._compare.peers import ADAPTERS


class Answer(NamedTuple):
    """The result y of a case, or the seconds of a call; None if the library has none, with a note if it failed."""

    value: Any = None
    note: str | None = None


class Worker:
    """The parent's end of a library's process."""

    def __init__(self, name: str, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.name = name
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(name, threads, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, message: tuple[Any, ...] | None) -> Answer:
        """Sends a case with its arrays and the seconds of a sample (None: no samples), or None to ask for a sample."""
        try:
            self._connection.send(message)
            return self._connection.recv()
        except (EOFError, OSError):
            self._process.join()
            return Answer(note=f"its process ended with code {self._process.exitcode}")

    def end(self) -> None:
        self._process.terminate()
        self._process.join()


@contextmanager
def workers(names: list[str], threads: int) -> Iterator[list[Worker]]:
    """Starts a process for each library, which lasts as long as the context."""
    team: list[Worker] = []
    try:
        with _inherited(threads):
            for name in names:
                team.append(Worker(name, threads))
        yield team
    finally:
        for worker in team:
            worker.end()


@contextmanager
def _inherited(threads: int) -> Iterator[None]:
    """Sets what new processes inherit: thread counts, which some libraries read only as they load, and no Ctrl-C.

    The terminal sends Ctrl-C to all processes; this process ends the others.
    """
    variables = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PJRT_NPROC")
    before = {name: os.environ.get(name) for name in variables}
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(dict.fromkeys(variables, str(threads)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _serve(name: str, threads: int, connection: Connection) -> None:
    """The main loop of a worker, which answers until the parent is gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)  # what libraries print as they load would appear in the progress bar
    os.dup2(nowhere, 2)
    bench: Bench | None = None
    while True:
        try:
            message = connection.recv()
        except EOFError:
            return
        try:
            if message is not None:
                bench = None  # frees memory before the next case allocates some
                bench = Bench(name, threads, *message)
                answer = Answer(bench.y)
                bench = bench if bench.calls else None  # it is not needed if no samples are to be taken
            else:
                answer = Answer(bench and bench.sample())
        except Exception as error:
            answer = Answer(note=f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}")
        connection.send(answer)
        del message, answer  # frees the received arrays, and y


class Bench:
    """A case in the worker: the result y, or None without such an operator, and batches of calls to time."""

    def __init__(self, name: str, threads: int, case: Case, data: dict[str, Array], seconds: float | None) -> None:
        # Copies lie in memory as arrays do in any program; those that came through the pipe need not
        self._data = {key: value.copy() for key, value in data.items()}
        runner = ADAPTERS[name](case, self._data, threads)
        # Of the first call, copied: later ones write to the same array, in training with other running statistics
        self.y = runner and runner.result(runner.run()).copy()
        self._timer = Timer(runner.run if runner else "pass")
        self.calls = self._calls_in(seconds) if runner and seconds else 0

    def _calls_in(self, seconds: float) -> int:
        calls = 1
        while (spent := self._timer.timeit(calls)) < seconds / 4:
            calls *= 4
        return max(1, round(calls * seconds / spent))

    def sample(self) -> float:
        """Times a batch of calls, after one call that warms up caches and threads; returns the seconds of a call."""
        self._timer.timeit(1)
        return self._timer.timeit(self.calls) / self.calls
