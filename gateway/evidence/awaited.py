"""What a camera's telemetry makes of its status and of the recordings expected of it. Pure: a fold over its words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from gateway.domain.cameras import CameraStatus, Cause, Expected, Told
from gateway.domain.time import from_rfc3339
from gateway.evidence.numbering import number

GAP_ROWS = 64
"""A gap of more numbers than this is one row: said, and not a list nobody reads."""
OPEN_MAX = 2000
NAME_MAX = 255
NUMBER_MAX = 1 << 53
YEARS = range(2000, 2100)
"""A time of another year is a clock that was never set: our own counts instead."""
CLOCK_AHEAD = timedelta(seconds=5)
SAME_START = timedelta(minutes=10)
UNSET_CLOCKS = frozenset({"", "none", "unset", "default"})


Between = tuple[datetime | None, datetime | None]


class Limits(msgspec.Struct, frozen=True):
    """When a recording is missing, and from when on a camera's battery, storage and clock are worth a word."""

    expected_hours: int = 24
    battery_low_pct: int = 15
    storage_low_mb: int = 1024
    clock_sync_days: int = 7


class Book(msgspec.Struct):
    """One camera: its status (None before its first word) and the rows that matter now; `changed` are to be kept."""

    status: CameraStatus | None
    rows: dict[int, Expected]
    fresh_id: Callable[[], int]
    changed: set[int] = msgspec.field(default_factory=set)
    renumbered: int = 0

    def put(self, row: Expected) -> None:
        """Keep a row, new or changed."""
        self.rows[row.id] = row
        self.changed.add(row.id)


def hear(book: Book, told: Told, limits: Limits) -> None:
    """Take one word of a camera; whatever it says, it never fails."""
    odd = told.at is not None and told.at.year not in YEARS
    if odd:
        told = msgspec.structs.replace(told, at=None)
    book.status = _status(book.status, told, limits, odd_clock=odd)
    if told.kind != "status":
        _recording(book, told, limits)
    elif book.status.docked and book.status.docked_at is not None:
        bring_forward(book, book.status.docked_at)


def bring_forward(book: Book, at: datetime) -> None:
    """The camera is docked: what it recorded before is due now."""
    for row in list(book.rows.values()):
        if row.open and row.due_at > at and row.begun <= at:
            book.put(msgspec.structs.replace(row, due_at=at))


# --- status


def _status(before: CameraStatus | None, told: Told, limits: Limits, *, odd_clock: bool) -> CameraStatus:
    known = before or CameraStatus(device=told.device, arrived=told.arrived)
    if told.kind != "status":
        if _older(known, told):
            return known
        return msgspec.structs.replace(known, recording=told.kind == "recording_started", arrived=told.arrived)
    if before is not None and _older(before, told):
        return before  # retained, delivered again
    body = told.body
    said = body.get("clock")
    clock: dict[str, Any] = said if isinstance(said, dict) else {}
    docked = _flag(body.get("docked"))
    status = msgspec.structs.replace(
        known,
        arrived=told.arrived,
        at=told.at,
        battery_pct=_percent(body.get("battery_pct")),
        storage_free_bytes=_whole(body.get("storage_free_bytes")),
        recording=_flag(body.get("recording")),
        recordings_held=_whole(body.get("recordings_held")),
        docked=docked,
        docked_at=told.arrived if docked else known.docked_at,
        firmware=_word(body.get("firmware")),
        clock_source=_word(clock.get("source")),
        clock_last_sync=_moment(clock.get("last_sync")),
    )
    return msgspec.structs.replace(status, doubts=_doubts(status, limits, odd_clock=odd_clock))


def _older(known: CameraStatus, told: Told) -> bool:
    """Whether this was said before what is known; a clock that ran ahead then proves nothing."""
    if known.at is None or told.at is None or known.at > known.arrived + CLOCK_AHEAD:
        return False
    return told.at < known.at


def _doubts(status: CameraStatus, limits: Limits, *, odd_clock: bool) -> tuple[str, ...]:
    low = status.battery_pct is not None and status.battery_pct <= limits.battery_low_pct
    full = status.storage_free_bytes is not None and status.storage_free_bytes < limits.storage_low_mb << 20
    ahead = status.at is not None and status.at - status.arrived > CLOCK_AHEAD
    unset = status.clock_source is not None and status.clock_source.lower() in UNSET_CLOCKS
    when = status.at or status.arrived
    synced = status.clock_last_sync
    stale = synced is not None and when - synced > timedelta(days=limits.clock_sync_days)
    marks = {"battery_low": low, "storage_low": full, "clock_doubtful": odd_clock or ahead or unset or stale}
    return tuple(name for name, so in marks.items() if so)


# --- recordings


def _recording(book: Book, told: Told, limits: Limits) -> None:
    at = told.at or told.arrived
    name, n = _name(told.body.get("recording")), _number(told.body.get("n"))
    row = _known(book, told.kind, name, at)
    if row is None:
        row = _numbered(book, told, n, limits)
        row = row or _nameless(book, told.kind, name, n, at)
    if row is None:
        row = _open(book, told, (n, None), limits)
    if row is not None:
        book.put(_told(row, told, name, at, limits))


def _known(book: Book, kind: str, name: str | None, at: datetime) -> Expected | None:
    """The row of this name; a start at quite another time is of another recording that bears it too."""
    rows = [row for row in book.rows.values() if name is not None and row.recording == name]
    if kind == "recording_started":
        rows = [row for row in rows if row.started_at is None or abs(row.started_at - at) <= SAME_START]
    return max(rows, key=lambda row: row.id, default=None)


def _numbered(book: Book, told: Told, n: int | None, limits: Limits) -> Expected | None:
    """Move the counter; open what it skipped; the row of a gap that this number fills."""
    assert book.status is not None
    counter = book.status.counter
    at = told.at or told.arrived
    again = _at_number(book, counter.generation, n) if n is not None else None
    if again is not None and again.recording is None and again.n_to is None and _may_fill(again, at):
        return again
    taken = number(counter, n, at)
    book.status = msgspec.structs.replace(book.status, counter=taken.counter)
    book.renumbered += taken.renumbered
    cause: Cause = "renumbered" if taken.renumbered else "gap"
    between: Between = (None, None) if counter.high_at is None else (min(counter.high_at, at), max(counter.high_at, at))
    for low, high in taken.gaps:
        single = not taken.renumbered and high - low < GAP_ROWS
        spans = [(each, None) for each in range(low, high + 1)] if single else [(low, high)]
        for span in spans:
            _open(book, told, span, limits, cause, between)
    return _at_number(book, taken.generation, n) if taken.generation < counter.generation else None


def _may_fill(row: Expected, at: datetime) -> bool:
    """A number that was skipped comes late; one that comes after what followed it is of a new numbering."""
    return row.not_after is None or at <= row.not_after


def _at_number(book: Book, generation: int, n: int | None) -> Expected | None:
    rows = (row for row in book.rows.values() if row.generation == generation and row.n == n and n is not None)
    return max(
        (row for row in rows if row.n_to is None and row.recording is None), key=lambda row: row.id, default=None
    )


def _nameless(book: Book, kind: str, name: str | None, n: int | None, at: datetime) -> Expected | None:
    """The row of a recording without name and number, told again."""
    if name is not None or n is not None:
        return None
    rows = [row for row in book.rows.values() if row.recording is None and row.n is None]
    if kind == "recording_started":
        rows = [row for row in rows if row.started_at == at]
    else:
        rows = [row for row in rows if row.stopped_at in (None, at) and row.begun <= at]
    return max(rows, key=lambda row: row.id, default=None)


def _open(
    book: Book,
    told: Told,
    span: tuple[int | None, int | None],
    limits: Limits,
    cause: Cause | None = None,
    between: Between = (None, None),
) -> Expected | None:
    """A new row; None, and counted, where one camera has more open than anybody can work through."""
    assert book.status is not None
    if sum(row.open for row in book.rows.values()) >= OPEN_MAX:
        book.status = msgspec.structs.replace(book.status, unlisted=book.status.unlisted + 1)
        return None
    row = Expected(
        id=book.fresh_id(),
        device=told.device,
        cause=cause or ("started" if told.kind == "recording_started" else "stopped"),
        opened_at=told.arrived,
        due_at=_due(told, limits),
        generation=book.status.counter.generation,
        n=span[0],
        n_to=span[1],
        not_before=between[0],
        not_after=between[1],
    )
    book.put(row)
    return row


def _told(row: Expected, told: Told, name: str | None, at: datetime, limits: Limits) -> Expected:
    """The row with what this word adds; the first word on each thing stands."""
    body = told.body
    changes: dict[str, Any] = {"recording": row.recording or name, "not_before": None, "not_after": None}
    if row.n is None:
        changes["n"] = _number(body.get("n"))
    if told.kind == "recording_started":
        changes |= {
            "cause": "started",
            "started_at": row.started_at or at,
            "trigger": row.trigger or _word(body.get("trigger")),
        }
        if not told.private and row.latitude is None and not row.complete:
            changes |= _place(body)
    else:
        changes |= {
            "stopped_at": row.stopped_at or at,
            "stop_reason": row.stop_reason or _word(body.get("stop_reason")),
        }
        changes |= {"cause": "stopped"} if row.cause == "gap" else {}
        changes |= {"due_at": _due(told, limits)} if row.stopped_at is None and row.due_at > told.arrived else {}
    return msgspec.structs.replace(row, **changes)


def _due(told: Told, limits: Limits) -> datetime:
    """Hours from when it was so; a camera's clock that runs ahead gives no grace."""
    return min(told.at or told.arrived, told.arrived) + timedelta(hours=limits.expected_hours)


def _place(body: dict[str, Any]) -> dict[str, float | None]:
    latitude, longitude = _real(body.get("latitude"), 90.0), _real(body.get("longitude"), 180.0)
    if latitude is None or longitude is None or (latitude == 0.0 and longitude == 0.0):
        return {}
    return {"latitude": latitude, "longitude": longitude, "accuracy_m": _real(body.get("accuracy_m"), 1e7)}


# --- what a body may say


def _real(value: object, most: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -most <= value <= most:
        return None
    return float(value)


def _percent(value: object) -> int | None:
    number_ = _real(value, 100.0)
    return None if number_ is None or number_ < 0 else round(number_)


def _whole(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= NUMBER_MAX else None


def _number(value: object) -> int | None:
    return _whole(value)


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _word(value: object) -> str | None:
    return value[:NAME_MAX] if isinstance(value, str) and value.isprintable() else None


def _name(value: object) -> str | None:
    """A recording's name as its topic would have it."""
    return value if isinstance(value, str) and 0 < len(value) <= NAME_MAX and value.isprintable() else None


def _moment(value: object) -> datetime | None:
    try:
        return from_rfc3339(value) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None
