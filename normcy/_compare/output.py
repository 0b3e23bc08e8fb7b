"""The files that are written, JSON among them; they appear whole or not at all."""

from __future__ import annotations

import json
import os
from math import isfinite
from pathlib import Path
from typing import Any

from normcy._compare.accuracy import Errors
from normcy._compare.cases import Case, nbytes
from normcy._compare.findings import Finding
from normcy._compare.inputs import InputError
from normcy._compare.methods import METHODS
from normcy._compare.peers import versions
from normcy._compare.timing import Result, Row
from normcy._runtime import Config


def as_json(rows: list[Row], config: Config, busy: str | None, left_out: dict[str, str]) -> bytes:
    """All numbers, as UTF-8.

    The form is ``{"config": normcy.get_config(), "libraries": {name: version}, "busy": note, "left_out": {name:
    reason}, "rows": [row, ...]}``; the note says how busy the machine was, and is null if it was idle; methods that do
    not fit the array and libraries that are not installed are left out. A row has ``case``, ``method``, ``shape``,
    ``layout`` ("-" if the method has none), ``bytes`` (of x, a residual or the style, and y), ``bound`` (of normcy's
    error, in units), ``cpu_share`` (for which part of the time there was a CPU for a thread that computed: less than
    0.9 on a busy machine) and ``results``, by library ("copy", "normcy", "numpy", ...; "copy" is the faster of
    np.copyto and a copy by all threads), of which each has

    - ``seconds``: time of a call, the lower quartile of all rounds,
    - ``gb_per_s``: bytes / seconds / 1e9,
    - ``error``: the largest |y - y64|,
    - ``error_units``: the largest |y - y64| / (2**-24 * (|weight| * max(1, |xhat|) + |bias|)). AdaIN's weight and bias
      are the style's deviation and mean; batch renorm's corrections add to max(1, |xhat|), a residual to all;
      EvoNorm has |weight * x| over its denominator, more where that cancels; weight norm has |y|,
    - ``note``: what went wrong.

    Missing values and errors that are not finite are null; a library without such an operator has only null.
    """
    listed = []
    for case, results, cpu_share in rows:
        about: dict[str, Any] = {"case": case.name, "method": case.method, "shape": case.shape, "layout": case.layout}
        about |= {"bytes": nbytes(case), "bound": METHODS[case.method].bound, "cpu_share": cpu_share}
        listed.append(about | {"results": {name: _numbers(case, result) for name, result in results.items()}})
    names = [name for name in rows[0].results if name != "copy"]
    whole: dict[str, Any] = {"config": config, "libraries": versions(names)}
    return _encoded(whole | {"busy": busy, "left_out": left_out, "rows": listed})


def findings_as_json(findings: list[Finding], names: list[str], config: Config) -> bytes:
    """The results of ``normcy accuracy``, as UTF-8.

    The form is ``{"config": normcy.get_config(), "libraries": {name: version}, "rows": [row, ...]}``. A row has
    ``sweep``, ``value``, ``method``, ``layout`` ("-" if the method has none), ``shape``, ``eps``, ``bound`` (of
    normcy's error, in units) and ``results``, by library, of which each has

    - ``error``: the largest |y - y64|,
    - ``error_relative``: the same over the largest |y64|,
    - ``error_units``: as in `as_json`,
    - ``not_finite``: "NaN" or "inf" where an error is infinite,
    - ``note``: what went wrong.

    Missing values and errors that are not finite are null; a library without such an operator has only null.
    """
    listed = []
    for (sweep, value, case), errors, notes in findings:
        about: dict[str, Any] = {"sweep": sweep, "value": value, "method": case.method, "layout": case.layout}
        about |= {"shape": case.shape, "eps": case.eps, "bound": METHODS[case.method].bound}
        listed.append(about | {"results": {name: _errors(errors.get(name), notes.get(name)) for name in names}})
    return _encoded({"config": config, "libraries": versions(names), "rows": listed})


def _errors(errors: Errors | None, note: str | None) -> dict[str, Any]:
    not_finite = None
    if errors is not None and not isfinite(errors.units):
        not_finite = "NaN" if errors.has_nan else "inf"
    return {
        "error": _finite(errors and errors.largest),
        "error_relative": _finite(errors and errors.relative),
        "error_units": _finite(errors and errors.units),
        "not_finite": not_finite,
        "note": note,
    }


def _encoded(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, allow_nan=False) + "\n").encode()


def _numbers(case: Case, result: Result) -> dict[str, Any]:
    return {
        "seconds": result.seconds,
        "gb_per_s": result.seconds and nbytes(case) / result.seconds / 1e9,
        "error": _finite(result.errors and result.errors.largest),
        "error_units": _finite(result.errors and result.errors.units),
        "note": result.problem,
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None


def targets(file: Path | None, options: dict[str, Path | None]) -> list[Path | None]:
    """Returns the files to write, by option, or raises, before the run, if one could not be written after it.

    No two may be the same file, nor may one be the file that is read.
    """
    taken = {} if file is None else {file.resolve(): "FILE"}
    found: list[Path | None] = []
    for option, given in options.items():
        path = None if given is None else _target(option, given)
        if path in taken:
            raise InputError(f"argument {option}: got {given}, expected another file than that of {taken[path]}")
        if path is not None:
            taken[path] = option
        found.append(path)
    return found


def _target(option: str, path: Path) -> Path:
    """Returns the path that links lead to, or raises if nothing could be written there."""
    path = path.resolve()
    if not path.parent.is_dir():
        raise InputError(f"argument {option}: got {path}, expected a file in a folder that exists")
    if path.exists() and not path.is_file():
        raise InputError(f"argument {option}: got {path}, expected a file, or none there yet")
    try:
        _beside(path).touch()
        _beside(path).unlink()
    except OSError as error:
        raise InputError(f"argument {option}: cannot write {path}: {error.strerror}") from error
    return path


def write(path: Path, content: bytes) -> None:
    """Writes the file beside its place and then moves it there, so that no reader sees half of it."""
    try:
        _beside(path).write_bytes(content)
        os.replace(_beside(path), path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    finally:
        _beside(path).unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}")
