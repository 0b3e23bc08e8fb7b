"""The terminal output: the progress bar, the table of ``normcy compare``, and notes on failures."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from statistics import geometric_mean
from typing import Any

from rich import progress as bars
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from normcy._compare.cases import Case, nbytes
from normcy._compare.methods import METHODS
from normcy._compare.timing import Row
from normcy._runtime import Config

SPACIOUS = 112  # width of the terminal from which the table's columns get more room between them
WIDE = 240  # width without a terminal, so that nothing is cut in a file or pipe
HEADERS = {"numpy": "NumPy", "onnxruntime": "ONNX\nRT", "jax": "JAX", "openvino": "Open\nVINO"}
CAPTION = """
error: largest |y - y64| in u = 2**-24 * (|w| * max(1, |xhat|) + |b|) or alike
GB/s: x and residuals read, y written, once each
copy: time over that of copying x into y, by np.copyto or all threads, whichever is faster
vs: how many times faster normcy is; - where there is no such operator"""


def shape_text(case: Case) -> str:
    return "x".join(map(str, case.shape))


def label(case: Case) -> str:
    return f"{case.name} {case.method} {shape_text(case)}{'' if case.layout == '-' else ' ' + case.layout}"


@contextmanager
def progress(steps: int) -> Iterator[Callable[[str], Callable[[], Any]]]:
    """Shows a bar on the terminal; yields a function from the text of a case to one that counts its steps."""
    console = Console(stderr=True)
    columns = (
        bars.BarColumn(),
        bars.TaskProgressColumn(),
        bars.TimeRemainingColumn(),
        bars.TextColumn("{task.description}"),
    )
    with bars.Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=steps)

        def step(text: str) -> Callable[[], Any]:
            bar.update(task, description=text)
            return lambda: bar.advance(task)

        yield step


def console() -> Console:
    found = Console()
    if not found.is_terminal:
        found.width = WIDE
    return found


def title(config: Config) -> str:
    return f"normcy {config['version']}, {config['isa']}, threads: {config['num_threads']}"


def empty_table(place: Console, title: str, footer: bool = False) -> Table:
    gap = 1 if place.width >= SPACIOUS else 0
    return Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, gap, 0, 0), pad_edge=False,
                 show_edge=False, show_footer=footer)  # fmt: skip


def print_table(rows: list[Row], names: list[str], config: Config, busy: str | None) -> None:
    """Prints the note on a busy machine and the rows on standard output, and failures on standard error."""
    others = [name for name in names if name not in ("copy", "normcy")]
    place = console()
    if busy:
        place.print(busy, style="red", highlight=False)
    table = empty_table(place, title(config), footer=len(rows) > 1)
    table.add_column("case", "geom. mean", no_wrap=True, vertical="bottom")
    for header in ("method", "shape", "layout"):
        table.add_column(header, no_wrap=True, vertical="bottom")
    for header in ("error", "time", "GB/s", "copy"):
        table.add_column(header, justify="right", no_wrap=True, vertical="bottom")
    for name in others:
        ratios = [ratio for row in rows if (ratio := row.speedup(name))]
        mean = _times(geometric_mean(ratios)) if ratios else "-"
        table.add_column(f"vs\n{HEADERS.get(name, name)}", mean, justify="right", no_wrap=True, vertical="bottom")
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        table.add_row(*_cells(row, others), end_section=following is not None and _source(following) != _source(row))
    place.print(table)
    place.print(CAPTION, style="italic", highlight=False)
    print_notes((name, result.problem, row.case) for row in rows for name, result in row.results.items())


def _source(row: Row) -> bool:
    return row.case.name == "photo"


def _cells(row: Row, others: list[str]) -> list[str]:
    case, mine, copy = row.case, row.results["normcy"], row.results["copy"].seconds
    ratios = [coloured(_times(ratio), ratio >= 1) if (ratio := row.speedup(name)) else "-" for name in others]
    cells = [case.name, case.method, shape_text(case), case.layout]
    if mine.seconds is None or mine.errors is None:
        return [*cells, "-", "-", "-", "-", *ratios]
    error = coloured(f"{mine.errors.units:.1f} u", mine.errors.units <= METHODS[case.method].bound)
    bandwidth = _digits(nbytes(case) / mine.seconds / 1e9)
    return [*cells, error, _duration(mine.seconds), bandwidth, _times(mine.seconds / copy) if copy else "-", *ratios]


def coloured(text: str, good: bool) -> str:
    return f"[green]{text}[/]" if good else f"[red]{text}[/]"


def _times(ratio: float) -> str:
    return f"{_digits(ratio)}x"


def _digits(value: float) -> str:
    return f"{value:.1f}" if value < 9.95 else f"{value:.0f}"


def _duration(seconds: float) -> str:
    """Returns about three digits, in microseconds or milliseconds."""
    value, unit = (seconds * 1e3, "ms") if seconds >= 1e-3 else (seconds * 1e6, "us")
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {unit}"


def print_notes(problems: Iterable[tuple[str, str | None, Case]]) -> None:
    """Prints a line for each way in which a library failed, with the cases that it concerns."""
    concerned: dict[str, list[str]] = {}
    for name, problem, case in problems:
        if problem:
            concerned.setdefault(f"{name}: {problem}", []).append(label(case))
    for problem, cases in concerned.items():
        more = f" and {len(cases) - 1} more" if len(cases) > 1 else ""
        print(f"{problem} ({cases[0]}{more})", file=sys.stderr)
