"""The terminal output: the progress bar, the table of ``normcy compare``, and notes on failures."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any

from rich import progress as bars
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from normcy._compare.cases import Case, nbytes
from normcy._compare.methods import METHODS
from normcy._compare.timing import Result, Row, mean_speedup
from normcy._runtime import Config

SPACIOUS = 112  # width of the terminal from which the table's columns get more room between them
WIDE = 240  # width without a terminal, so that nothing is cut in a file or pipe
BEYOND = 10_000  # no table is as wide
HEADERS = {"numpy": "NumPy", "onnxruntime": "ONNX\nRT", "jax": "JAX", "openvino": "Open\nVINO"}
BANDWIDTH = """
GB/s: x and residuals read, y written, once each"""
CAPTION = """
error: largest |y - y64|, in u = 2**-24 (half of the last digit of 1) times the
       size of the output, |w| * max(1, |xhat|) + |b|; 3.5 u are 2e-7 of it
copy: time over that of copying x into y, by np.copyto or by all threads, the
      faster of the two
vs: how many times faster normcy is
-: a method without a layout, a result that is not comparable, or no operator"""


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
    threads = config["num_threads"]
    return f"normcy {config['version']} on {config['cpu']} ({config['isa']}), {threads} thread{'s' * (threads > 1)}"


def empty_table(place: Console, title: str, footer: bool = False) -> Table:
    gap = 1 if place.width >= SPACIOUS else 0
    return Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, gap, 0, 0), pad_edge=False,
                 show_edge=False, show_footer=footer)  # fmt: skip


def fits(place: Console, table: Table) -> bool:
    """Returns whether nothing has to be cut for the table to be as wide as the terminal."""
    return place.measure(table, options=place.options.update(max_width=BEYOND)).maximum <= place.width


def print_table(rows: list[Row], names: list[str], config: Config, busy: str | None) -> None:
    """Prints the note on a busy machine and the rows on standard output, and failures on standard error."""
    place = console()
    if busy:
        place.print(busy, style="red", highlight=False)
    place.print(title(config), style="italic", highlight=False)
    others = [name for name in names if name not in ("copy", "normcy")]
    whole = _table(place, rows, others)
    if fits(place, whole):
        place.print(whole)
        place.print(BANDWIDTH, style="italic", highlight=False, end="")
    else:
        place.print(_narrow_table(place, rows, others))
    place.print(CAPTION, style="italic", highlight=False)
    asked = [row for row in rows if row.results["normcy"].errors]  # what normcy refused was not given to the others
    print_lacking((name, row.case, _has_operator(row.results[name])) for row in asked for name in others)
    print_notes((name, result.problem, row.case) for row in rows for name, result in row.results.items())


def _table(place: Console, rows: list[Row], others: list[str]) -> Table:
    table = empty_table(place, "", footer=len(rows) > 1)
    table.add_column("case", "geom. mean", no_wrap=True, vertical="bottom")
    for header in ("method", "shape", "layout"):
        table.add_column(header, no_wrap=True, vertical="bottom")
    _add_numbers(table, ("error", "time", "GB/s", "copy"), rows, others)
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        case = row.case
        table.add_row(case.name, case.method, shape_text(case), case.layout, *_numbers(row), *_ratios(row, others),
                      end_section=following is not None and _source(following) != _source(row))  # fmt: skip
    return table


def _narrow_table(place: Console, rows: list[Row], others: list[str]) -> Table:
    """Returns the table with the names of cases as headings, and without GB/s, which follow from shapes and times."""
    table = empty_table(place, "", footer=len(rows) > 1)
    table.add_column("method", "geom. mean", no_wrap=True, vertical="bottom")
    for header in ("shape", "lay-\nout"):
        table.add_column(header, no_wrap=True, vertical="bottom")
    _add_numbers(table, ("error", "time", "copy"), rows, others)
    for name, cases in groupby(rows, key=lambda row: row.case.name):
        table.add_row(f"[bold]{name}[/]")
        for row in cases:
            error, time, _, copy = _numbers(row)
            table.add_row(row.case.method, shape_text(row.case), row.case.layout, error, time.replace(" ", ""), copy,
                          *_ratios(row, others))  # fmt: skip
    return table


def _add_numbers(table: Table, headers: Iterable[str], rows: list[Row], others: list[str]) -> None:
    """Adds columns to the right, those of other libraries with a geometric mean below them."""
    for header in headers:
        table.add_column(header, justify="right", no_wrap=True, vertical="bottom")
    for name in others:
        mean = mean_speedup(rows, name)
        table.add_column(f"vs\n{HEADERS.get(name, name)}", times(mean) if mean else "-", justify="right", no_wrap=True,
                         vertical="bottom")  # fmt: skip


def _source(row: Row) -> bool:
    return row.case.name == "photo"


def _numbers(row: Row) -> tuple[str, str, str, str]:
    """Returns the error, the time, the bandwidth, and the time over that of a copy."""
    mine, copy = row.results["normcy"], row.results["copy"].seconds
    if mine.seconds is None or mine.errors is None:
        return "-", "-", "-", "-"
    error = coloured(f"{mine.errors.units:.1f} u", mine.errors.units <= METHODS[row.case.method].bound)
    bandwidth = _digits(nbytes(row.case) / mine.seconds / 1e9)
    return error, _duration(mine.seconds), bandwidth, times(mine.seconds / copy) if copy else "-"


def _ratios(row: Row, others: list[str]) -> list[str]:
    return [coloured(times(ratio), ratio >= 1) if (ratio := row.speedup(name)) else "-" for name in others]


def coloured(text: str, good: bool) -> str:
    return f"[green]{text}[/]" if good else f"[red]{text}[/]"


def times(ratio: float) -> str:
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


def _has_operator(result: Result) -> bool:
    return result.errors is not None or result.note is not None


def print_lacking(asked: Iterable[tuple[str, Case, bool]]) -> None:
    """Prints a line for each library that has no operator for some cases, of the cases that it was asked for."""
    found: dict[str, dict[str, dict[str, bool]]] = {}  # by library, method and layout
    for name, case, has_operator in asked:
        layouts = found.setdefault(name, {}).setdefault(case.method, {})
        layouts[case.layout] = layouts.get(case.layout, False) or has_operator
    for name, methods in found.items():
        lacking: dict[str, list[str]] = {}  # by layout; those of no layout first
        for method, layouts in methods.items():
            for layout in [k for k, has in layouts.items() if not has] if any(layouts.values()) else [""]:
                lacking.setdefault(layout and f" in {layout}", []).append(method)
        if lacking:
            parts = [f"{', '.join(keys)}{layout}" for layout, keys in sorted(lacking.items())]
            console().print(f"{name} has no operator for {', nor for '.join(parts)}", style="italic", highlight=False)


def print_left_out(reasons: dict[str, str]) -> None:
    """Prints a line for each reason on standard error, with the methods or libraries that it concerns."""
    for reason in dict.fromkeys(reasons.values()):
        print(f"left out: {', '.join(name for name in reasons if reasons[name] == reason)} ({reason})", file=sys.stderr)
