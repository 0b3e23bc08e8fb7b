"""``normcy compare`` and ``normcy accuracy``, which run every method beside NumPy and other libraries."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import normcy
from normcy._checks import LAYOUTS
from normcy._compare import output
from normcy._compare.busy import Probe, busy_note
from normcy._compare.findings import find
from normcy._compare.inputs import InputError, jobs
from normcy._compare.peers import ALWAYS, installed
from normcy._compare.sweeps import FEW, MANY, points
from normcy._compare.timing import QUICK, THOROUGH, measure
from normcy._compare.worker import workers


def compare(
    file: Path | None,
    methods: Collection[str],
    layout: str | None,
    threads: int,
    against: Collection[str],
    plot: Path | None,
    json: Path | None,
    quick: bool,
) -> None:
    """Run, print the table, and write the files; `InputError` is raised before anything has run."""
    from normcy._compare import plot as plotting
    from normcy._compare import report  # these two load rich and matplotlib, which worker processes do not need

    if plot is not None:
        plotting.check_format(plot)
    plot, json = output.targets(file, {"--plot": plot, "--json": json})
    todo, misfits = jobs(file, methods, layout)
    if not todo:
        raise InputError("arguments --methods, --layout: no case fits both")
    others, absent = installed(against)
    names = [*ALWAYS, *others]
    effort, probe = QUICK if quick else THOROUGH, Probe(threads)
    with workers(names, threads) as team, report.progress(len(todo) * (1 + effort.rounds)) as step:
        rows = [measure(team, job, effort, probe, step(report.label(job.case))) for job in todo]
    with normcy.num_threads(threads):
        config = normcy.get_config()
    busy = busy_note([row.cpu_share for row in rows], probe.threads)
    try:
        report.print_table(rows, names, config, busy)
        report.print_left_out(misfits | absent)
    finally:  # files are written even if the table's reader has left, as `head` does
        if json is not None:
            output.write(json, output.as_json(rows, config, busy, misfits | absent))
        if plot is not None:
            output.write(plot, plotting.figure(rows, names, config, busy is not None, plot.suffix))


def survey(
    methods: Collection[str],
    layout: str | None,
    threads: int,
    against: Collection[str],
    json: Path | None,
    markdown: Path | None,
    quick: bool,
) -> None:
    """Run the sweeps, print the tables, and write the files; `InputError` is raised before anything has run."""
    from normcy._compare import report, tables  # these two load rich, which worker processes do not need

    json, markdown = output.targets(None, {"--json": json, "--markdown": markdown})
    todo = points(methods, LAYOUTS if layout in (None, "both") else (layout,), FEW if quick else MANY)
    others, absent = installed(against)
    names = ["normcy", "numpy", *others]
    with workers(names, threads) as team, report.progress(len(todo)) as step:
        findings = [find(team, point, step(report.label(point.case))) for point in todo]
    with normcy.num_threads(threads):
        config = normcy.get_config()
    try:
        tables.show(findings, names, config)
        report.print_left_out(absent)
    finally:
        if json is not None:
            output.write(json, output.findings_as_json(findings, names, config))
        if markdown is not None:
            output.write(markdown, tables.as_markdown(findings, names, config))
