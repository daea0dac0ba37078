"""A disposal as it is told to whoever may ask: its state, and how far the removal of each exhibit has got."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from gateway.evidence.disposal.execution import Progress
from gateway.evidence.disposal.record import Disposal, DisposalWord, Part, State


class DisposalPart(msgspec.Struct, frozen=True):
    """One exhibit: `kept`, `being disposed of: n of m places` or `disposed`; the log indexes of what was done."""

    exhibit: str
    state: str
    problem: str | None
    entries: dict[str, int]
    key_destroyed_at: datetime | None
    disposed_at: datetime | None


class DisposalTold(msgspec.Struct, frozen=True):
    """One disposal."""

    id: str
    state: State
    ground: str
    not_before: datetime
    requested: DisposalWord
    approved: DisposalWord | None
    cancelled: DisposalWord | None
    erase_details: bool
    alone: str | None
    exhibits: list[DisposalPart]
    v: int = 1


def told(one: Disposal, now: datetime, progress: Mapping[str, Progress]) -> DisposalTold:
    """State it."""
    parts = [_part(part, progress.get(part.exhibit)) for part in one.parts.values()]
    words = (one.requested, one.approved, one.cancelled)
    return DisposalTold(one.id, one.state(now), one.ground, one.not_before, *words, one.erase, one.alone, parts)


def _part(part: Part, progress: Progress | None) -> DisposalPart:
    state, problem = "kept", None
    if part.disposed_at is not None:
        state = "disposed"
    elif part.key_destroyed_at is not None:
        state = "being disposed of"
        if progress is not None:
            state, problem = f"{state}: {progress.done} of {progress.of} places", progress.problem
    entries = dict(part.entries)
    return DisposalPart(part.exhibit, state, problem, entries, part.key_destroyed_at, part.disposed_at)
