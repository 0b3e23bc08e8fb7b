"""The errors of libraries at the points of the sweeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from normcy._compare.accuracy import Errors, Reference
from normcy._compare.sweeps import Point, data_at
from normcy._compare.worker import Worker


class Finding(NamedTuple):
    """Errors by library; they are None where it has no such operator, or failed, in which case there is a note."""

    point: Point
    errors: dict[str, Errors]
    notes: dict[str, str]


def find(team: list[Worker], point: Point, advance: Callable[[], Any]) -> Finding:
    """Returns the errors of all libraries on the same arrays; ``advance`` is called once."""
    data = data_at(point)
    reference = Reference(point.case, data)
    found = Finding(point, {}, {})
    for worker in team:
        y, note = worker.ask((point.case, data, None))
        if note is not None:
            found.notes[worker.name] = note
        if y is not None:
            found.errors[worker.name] = reference.errors(y)
    advance()
    return found
