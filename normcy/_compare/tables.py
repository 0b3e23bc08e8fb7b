"""The tables of ``normcy accuracy``, which are shown on a terminal or written as Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from math import frexp, isfinite, log10
from typing import NamedTuple

import rich.table
from rich.console import Console

from normcy._compare import report
from normcy._compare.accuracy import Errors
from normcy._compare.findings import Finding
from normcy._compare.methods import METHODS
from normcy._compare.peers import versions
from normcy._compare.sweeps import SWEEPS, Sweep
from normcy._runtime import Config

WRONG = 1e-3  # of the largest |y64|; no user of a norm accepts such an error
TEXTS = 2  # the first columns, which hold no numbers
KEYS = 3  # the first columns of a sweep: method, layout and bound
CAPTION = f"""
largest |y - y64| in u = 2**-24 * (|w| * max(1, |xhat|) + |b|) or alike;
a library's column has the sweep's largest; bound: normcy's own
-: no layout, no operator, a refusal, or no slot of that length
NaN, inf: where the reference has a number
over {WRONG:g} off: of the largest |y64|; largest: the same ratio, of finite errors"""


class Cell(NamedTuple):
    text: str
    good: bool | None = None  # whether it is within normcy's bound; None if that does not apply


class Table(NamedTuple):
    title: str
    header: list[str]
    rows: list[list[Cell]]


def show(findings: list[Finding], names: list[str], config: Config) -> None:
    """Prints the sweeps and the summary on standard output, and failures on standard error."""
    place = report.console()
    place.print(report.title(config), _libraries(names), sep="; ", highlight=False)
    for table in _sweeps(findings, names):
        whole = _drawn(place, table)
        parts = [whole] if report.fits(place, whole) else [_drawn(place, part) for part in _halves(table, names)]
        for part in parts:
            place.print(part)
    place.print(_drawn(place, _summary(findings, names)))
    place.print(CAPTION, style="italic", highlight=False)
    report.print_lacking(
        (name, f.point.case, name in f.errors or name in f.notes) for f in findings for name in names[1:]
    )
    report.print_notes((name, note, f.point.case) for f in findings for name, note in f.notes.items())


def _drawn(place: Console, table: Table) -> rich.table.Table:
    drawn = report.empty_table(place, f"\n{table.title}")
    for i, header in enumerate(table.header):
        drawn.add_column(header, justify="left" if i < TEXTS else "right", no_wrap=True, vertical="bottom")
    for row in table.rows:
        drawn.add_row(*(cell.text if cell.good is None else report.coloured(cell.text, cell.good) for cell in row))
    return drawn


def _halves(table: Table, names: list[str]) -> list[Table]:
    """Splits a sweep's table, for narrow terminals, into that of the first library and that of the others."""
    at = len(table.header) - len(names[1:])
    others = f"the largest of other libraries: {table.title.partition(': ')[2]}"
    kept = [(table.title, slice(KEYS, at)), (others, slice(at, None))]
    return [
        Table(title, table.header[:KEYS] + table.header[columns], [row[:KEYS] + row[columns] for row in table.rows])
        for title, columns in kept
    ]


def as_markdown(findings: list[Finding], names: list[str], config: Config) -> bytes:
    """Returns all tables, with those of each library, in UTF-8; errors beyond normcy's bound are bold."""
    others = [name for name in names if name != "normcy"]
    tables = [_summary(findings, names), *_sweeps(findings, names)]
    tables += [table for name in others for table in _sweeps(findings, [name])]
    parts = [f"{report.title(config)}; {_libraries(names)}."]
    for table in tables:
        lines = [[cell.text if cell.good in (None, True) else f"**{cell.text}**" for cell in row] for row in table.rows]
        rule = ["---" if i < TEXTS else "---:" for i in range(len(table.header))]
        cells = "\n".join(f"| {' | '.join(line)} |" for line in (_escaped(table.header), rule, *map(_escaped, lines)))
        parts.append(f"### {_escaped([table.title])[0]}\n\n{cells}")
    return ("\n\n".join(parts) + "\n").encode()


def _escaped(texts: list[str]) -> list[str]:
    return [text.replace("|", "\\|").replace("\n", " ") for text in texts]


def _libraries(names: list[str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions(names).items() if name != "normcy")


def _sweeps(findings: list[Finding], names: list[str]) -> list[Table]:
    """Returns a table for each sweep: the first library's errors at its values, and the largest of the others'."""
    tables = []
    for sweep in SWEEPS:
        rows = _rows(findings, sweep)
        values = [v for v in sweep.values if any(v in row for row in rows.values())]
        header = ["method", "layout", "bound", *map(heading, values), *names[1:]]
        tables.append(Table(f"{names[0]}: {sweep.title}", header, []))
        for (method, layout), row in rows.items():
            bound = METHODS[method].bound
            mine = [row[v].get(names[0]) if v in row else None for v in values]
            largest = [_worst(errors.get(name) for errors in row.values()) for name in names[1:]]
            if any(mine):
                cells = [_cell(errors, bound) for errors in (*mine, *largest)]
                tables[-1].rows.append([Cell(method), Cell(layout), Cell(f"{bound:g}"), *cells])
    return tables


def _rows(findings: list[Finding], sweep: Sweep) -> dict[tuple[str, str], dict[float, dict[str, Errors]]]:
    """Groups errors by method and layout, then value, then library, in the order of `METHODS`."""
    rows: dict[tuple[str, str], dict[float, dict[str, Errors]]] = {}
    for (name, value, case), errors, _ in findings:
        if name == sweep.name:
            rows.setdefault((case.method, case.layout), {})[value] = errors
    return dict(sorted(rows.items(), key=lambda row: list(METHODS).index(row[0][0])))


def _summary(findings: list[Finding], names: list[str]) -> Table:
    """Returns a row for each sweep and library: how many of its results are right, and how far the others are off."""
    header = ["sweep", "library", "cases", "within\nbound", f"over\n{WRONG:g} off", "NaN\nor inf", "largest"]
    table = Table("summary", header, [])
    for sweep in SWEEPS:
        for name in names:
            of = [(f.errors[name], METHODS[f.point.case.method].bound) for f in findings
                  if f.point.sweep == sweep.name and name in f.errors]  # fmt: skip
            within = sum(errors.units <= bound for errors, bound in of)
            finite = [errors.relative for errors, _ in of if isfinite(errors.units)]
            cells = [Cell(sweep.title), Cell(name), Cell(str(len(of))), Cell(str(within), within == len(of))]
            cells += [Cell(str(n), n == 0) for n in (sum(v > WRONG for v in finite), len(of) - len(finite))]
            table.rows.append([*cells, Cell(number(max(finite)) if finite else "-")])
    return table


def _worst(errors: Iterable[Errors | None]) -> Errors | None:
    """Returns the largest error in units; NaN counts as larger than inf."""
    found = [e for e in errors if e is not None]
    return max(found, key=lambda e: (e.units, e.has_nan), default=None)


def _cell(errors: Errors | None, bound: float) -> Cell:
    if errors is None:
        return Cell("-")
    return Cell("NaN" if errors.has_nan else number(errors.units), errors.units <= bound)


def number(value: float) -> str:
    """Two digits or so.

    >>> [number(value) for value in (0, 0.0371, 3.456, 49.1, 123456, 2.4e-7, float("inf"))]
    ['0', '0.04', '3.5', '49', '1.2e5', '2.4e-7', 'inf']
    """
    if value == 0 or not isfinite(value):
        return f"{value:g}"
    if 1e-3 <= value < 999.5:
        return f"{value:.1g}" if value < 0.095 else f"{value:.{1 if value < 9.95 else 0}f}"
    digits, power = f"{value:.1e}".split("e")
    return f"{digits}e{int(power)}"


def heading(value: float) -> str:
    """A value of a sweep, powers of ten or two as such.

    >>> [heading(value) for value in (0, 1, 49, 1000, 1e4, 1e6, 1e-30, 2**12, 2**26)]
    ['0', '1', '49', '1000', '1e4', '1e6', '1e-30', '4096', '2^26']
    """
    if value < 1e4 and value == int(value):
        return f"{value:g}"
    mantissa, exponent = frexp(value)
    if mantissa == 0.5:
        return f"2^{exponent - 1}"
    return f"1e{round(log10(value))}"
