"""Cameras as they tell of themselves, and the recordings that we have reason to expect of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from gateway.domain.evidence import Range

Cause = Literal["started", "stopped", "gap", "renumbered"]
"""Why a recording is expected: the camera said so, its counter skipped it, or its counter began anew."""
ExpectedState = Literal["waiting", "uploading", "missing", "incomplete", "sealed", "settled"]


class Told(msgspec.Struct, frozen=True):
    """One word of a camera's telemetry; arrived is our clock, at the camera's (None: it gave no time).

    private says that its holder is off duty: then where it was is not kept.
    """

    device: str
    kind: str
    body: dict[str, Any]
    arrived: datetime
    at: datetime | None = None
    private: bool = False


class Counter(msgspec.Struct, frozen=True):
    """How far a camera's recording counter has got; generation counts how often it began anew."""

    generation: int = 0
    low: int | None = None
    high: int | None = None
    high_at: datetime | None = None
    since: datetime | None = None


class CameraStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A camera as last heard of; None is what it has not said.

    unlisted counts expected recordings beyond what is listed of one camera.
    """

    device: str
    arrived: datetime
    at: datetime | None = None
    battery_pct: int | None = None
    storage_free_bytes: int | None = None
    recording: bool | None = None
    recordings_held: int | None = None
    docked: bool | None = None
    firmware: str | None = None
    clock_source: str | None = None
    clock_last_sync: datetime | None = None
    doubts: tuple[str, ...] = ()
    docked_at: datetime | None = None
    counter: Counter = Counter()
    unlisted: int = 0


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """A recording that should come: what is known of it, what has come, and who settled it if nobody waits any more.

    n_to is the last number where one row stands for many. not_before and not_after bound the time of a gap.
    """

    id: int
    device: str
    cause: Cause
    opened_at: datetime
    due_at: datetime
    generation: int = 0
    n: int | None = None
    n_to: int | None = None
    recording: str | None = None
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    latitude: float | None = None
    longitude: float | None = None
    accuracy_m: float | None = None
    trigger: str | None = None
    stop_reason: str | None = None
    exhibit: str | None = None
    complete: bool | None = None
    missing: tuple[Range, ...] = ()
    sealed_at: datetime | None = None
    settled_by: str | None = None
    settled_at: datetime | None = None
    settled_index: int | None = None
    reason: str | None = None

    @property
    def begun(self) -> datetime:
        """When it was recorded, as well as that is known."""
        return self.started_at or self.stopped_at or self.not_after or self.opened_at

    @property
    def open(self) -> bool:
        """Whether something has still to come: neither whole in the vault nor settled."""
        return self.complete is not True and self.settled_at is None

    def state(self, now: datetime, *, uploading: bool = False) -> ExpectedState:
        """How it stands; a recording that came whole needs nobody's word, whoever has settled it before."""
        if self.complete:
            return "sealed"
        if self.settled_at is not None:
            return "settled"
        if uploading:
            return "uploading"
        if self.exhibit is not None:
            return "incomplete"
        return "missing" if now >= self.due_at else "waiting"


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """A sealed exhibit as the work list needs it; sidecar_of names the recording that this one only describes.

    apart: a dock without the right brought it; it is neither the camera's recording nor its side file.
    """

    exhibit: str
    device: str
    recording: str
    sealed_at: datetime
    log_index: int
    complete: bool
    n: int | None = None
    started_at: datetime | None = None
    missing: tuple[Range, ...] = ()
    via: str | None = None
    sidecar_of: str | None = None
    apart: bool = False


class DayCount(msgspec.Struct, frozen=True):
    """One camera's recordings of one day (UTC): made, come at least in part, sealed whole, missing, settled."""

    day: str
    device: str
    recorded: int
    received: int
    sealed: int
    missing: int
    settled: int
