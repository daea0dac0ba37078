"""What the routes may reach; a part that is not configured is None, and its routes answer 404."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from gateway.api.auth import Doorkeeper
from gateway.api.problem import ProblemError
from gateway.dispatch.dispatch import Dispatch
from gateway.disposing import Disposing
from gateway.domain.evidence import RecordingKey
from gateway.evidence.copies.copies import Copies
from gateway.evidence.custody import CustodyLog
from gateway.evidence.derived.deriver import Deriver
from gateway.evidence.expected import Expectations
from gateway.evidence.export.jobs import ExportJobs
from gateway.evidence.reconciled import Account
from gateway.evidence.vault.reading import Reader
from gateway.evidence.vault.thumbnails import Thumbnails
from gateway.evidence.witnesses import Witnesses
from gateway.evidence.work.desk import Desk
from gateway.feed.feed import Feed
from gateway.feed.past import PastFix
from gateway.feed.questions import Question
from gateway.observe import Metrics
from gateway.ports import InputHealth
from gateway.roster.directory import Roster
from gateway.store.catalogue import Catalogue
from gateway.store.roster import RosterStore
from gateway.store.scrubs import Scrubs


@dataclass(frozen=True)
class EvidenceRoom:
    """The evidence half."""

    custody: CustodyLog
    catalogue: Catalogue
    reader: Reader
    thumbnails: Thumbnails
    want: Callable[[RecordingKey], bool]
    desk: Desk
    witnesses: Witnesses | None = None
    disposing: Disposing | None = None
    copies: Copies | None = None
    scrubs: Scrubs | None = None
    reconciled: Callable[[], Account | None] = lambda: None
    deriver: Deriver | None = None
    exports: ExportJobs | None = None


class Tracks(Protocol):
    """Where units were. Blocks."""

    def track(self, unit: str, since: datetime, until: datetime) -> list[PastFix] | None:
        """Fixes of a span by time; None for a unit that has no history (masked). RefusedError 422: too many."""
        ...


class Asking(Protocol):
    """The record of questions for the nearest unit."""

    def note(self, question: Question) -> None:
        """Take one; never waits."""
        ...

    def between(self, since: datetime, until: datetime) -> list[Question]:
        """Those of a span. Blocks."""
        ...


async def _nothing() -> None:
    """There is nothing to look at anew."""


@dataclass(frozen=True)
class Rooms:
    """All that a handler can ask."""

    instance: str
    doorkeeper: Doorkeeper
    metrics: Metrics
    roster: Callable[[], Roster]
    roster_store: RosterStore
    feed: Feed
    dispatch: Dispatch
    evidence: EvidenceRoom | None
    inputs: Callable[[], dict[str, InputHealth]]
    parts: Callable[[], dict[str, str]]
    uploads: Callable[[], list[dict[str, Any]]]
    roster_changed: Callable[[], None]
    roster_look: Callable[[], Awaitable[None]] = _nothing
    footage_problem: Callable[[], str | None] = lambda: None
    expected: Expectations | None = None
    tracks: Tracks | None = None
    asking: Asking | None = None
    exercise: bool = False


def evidence_of(rooms: Rooms) -> EvidenceRoom:
    """The evidence half; ProblemError 503 where it is shut, 404 where this instance has none."""
    if rooms.evidence is not None:
        return rooms.evidence
    if "evidence" in rooms.parts():
        raise ProblemError(503, "the evidence store is shut: what lies there is not what was written")
    raise ProblemError(404, "this instance keeps no evidence")
