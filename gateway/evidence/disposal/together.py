"""What belongs to an exhibit and goes with it: parts of one press, what it superseded, what was made of it. Blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Protocol

from gateway.domain.ids import DeviceId
from gateway.evidence.disposal.register import Log
from gateway.evidence.rows import Exhibit, ExhibitFilter

PRESS = timedelta(days=1)
"""Parts of one press of the button began within this of one another."""
FAMILY_MAX = 1000


class Shelf(Protocol):
    """The catalogue, read."""

    def exhibit(self, exhibit_id: str) -> Exhibit | None:
        """One exhibit."""
        ...

    def made_from(self, parent: str) -> Sequence[Exhibit]:
        """What was made from it."""
        ...

    def by_recording(self, device: DeviceId, recording: str) -> Sequence[Exhibit]:
        """Every exhibit of this recording."""
        ...

    def exhibits(self, filters: ExhibitFilter | None = None, limit: int = 100) -> Sequence[Exhibit]:
        """Exhibits by facet."""
        ...


def family(row: Exhibit, shelf: Shelf, log: Log) -> list[Exhibit]:
    """Every exhibit that goes with this one and is still kept, this one not among them; not the master of a copy."""
    found: dict[str, Exhibit] = {row.id: row}
    waiting = [row]
    while waiting and len(found) < FAMILY_MAX:
        for near in _near(waiting.pop(), shelf, log):
            if near.id not in found:
                found[near.id] = near
                waiting.append(near)
    return [each for each in found.values() if each.id != row.id and _kept(each)]


def _kept(row: Exhibit) -> bool:
    return row.sealed_at is not None and row.shredded_at is None and row.disposed_at is None


def _near(row: Exhibit, shelf: Shelf, log: Log) -> Iterator[Exhibit]:
    yield from shelf.made_from(row.id)
    for name in (row.supersedes, row.superseded_by):
        other = None if name is None else shelf.exhibit(name)
        if other is not None:
            yield other
    if row.device is not None and row.recording is not None and row.parent is None:
        yield from _press(row, shelf, log)


def _press(row: Exhibit, shelf: Shelf, log: Log) -> Iterator[Exhibit]:
    """The part that this one continues, and those that continue it, by the camera's signed word; tracks of it."""
    device = DeviceId(row.device or "")
    before = _continues(row, log)
    if before is not None:
        yield from shelf.by_recording(device, before)
    if row.started_at is None:
        return
    until = (row.ended_at or row.started_at) + PRESS
    near = ExhibitFilter(device=device, sealed=True, since=row.started_at, until=until)
    for other in shelf.exhibits(near, FAMILY_MAX):
        if other.id != row.id and row.recording in (_continues(other, log), _describes(other, log)):
            yield other


def _continues(row: Exhibit, log: Log) -> str | None:
    """The recording that this one says it goes on from."""
    return _said(row, log, "manifest", "continues")


def _describes(row: Exhibit, log: Log) -> str | None:
    """The recording that this one, a side file, is of."""
    return _said(row, log, "user_data", "sidecar_of")


def _said(row: Exhibit, log: Log, part: str, name: str) -> str | None:
    found: Any = log.detail(row.log_index) if row.sealed_at is not None else None
    said = found[0].get(part) if found is not None else None
    word = said.get(name) if isinstance(said, dict) else None
    return word if isinstance(word, str) else None
