"""Which exhibit is the recording that was expected: by its name, else its number, else its beginning. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

import msgspec

from gateway.domain.cameras import Arrival, Expected

NEAR = timedelta(seconds=2)
SLACK = timedelta(days=1)
"""A number counts as that of a gap when the recording began within a day of it: counters begin anew."""


def matched(rows: Sequence[Expected], arrivals: Sequence[Arrival]) -> list[Expected]:
    """The rows that change, each with the exhibit that is its recording; all are of one camera."""
    mains = [each for each in arrivals if each.sidecar_of is None and not each.apart]
    names = {row.recording for row in rows if row.recording is not None}
    changed = []
    for row in rows:
        if row.complete:
            continue
        found = _best(_candidates(row, rows, mains, names))
        if found is not None and (row.exhibit, row.complete) != (found.exhibit, found.complete):
            changed.append(_with(row, found))
    return changed


def _candidates(row: Expected, rows: Sequence[Expected], arrivals: Sequence[Arrival], names: set[str]) -> list[Arrival]:
    if row.recording is not None:
        same = [other for other in rows if other.recording == row.recording]
        named = [each for each in arrivals if each.recording == row.recording and _nearest(each, same) is row]
        if named:
            return named
    # What another row asks for by name is not to be had by a number that it shares.
    free = [each for each in arrivals if each.recording not in names]
    if row.n is not None and row.n_to is None:
        numbered = [each for each in free if each.n == row.n and _same_time(row, each)]
        if numbered:
            return numbered
    began = row.started_at
    if began is None:
        return []
    return [each for each in free if each.started_at is not None and abs(each.started_at - began) <= NEAR]


def _nearest(arrival: Arrival, rows: Sequence[Expected]) -> Expected:
    """Of rows of one name (an id used again), the one that began nearest to it."""
    when = arrival.started_at or arrival.sealed_at
    return min(rows, key=lambda row: (abs(row.begun - when), row.id))


def _same_time(row: Expected, arrival: Arrival) -> bool:
    if arrival.started_at is None:
        return True
    early = row.started_at or row.not_before
    late = row.started_at or row.not_after
    return (early is None or early - SLACK <= arrival.started_at) and (
        late is None or arrival.started_at <= late + SLACK
    )


def _best(candidates: Iterable[Arrival]) -> Arrival | None:
    return max(candidates, key=lambda each: (each.complete, each.log_index), default=None)


def _with(row: Expected, found: Arrival) -> Expected:
    """The row with its exhibit; where it was recorded is the exhibit's to say once it is whole."""
    changes: dict[str, object] = {
        "exhibit": found.exhibit,
        "complete": found.complete,
        "missing": found.missing,
        "sealed_at": found.sealed_at,
        "recording": row.recording or found.recording,
        "started_at": row.started_at or found.started_at,
    }
    if found.complete:
        changes |= {"latitude": None, "longitude": None, "accuracy_m": None}
    return msgspec.structs.replace(row, **changes)
