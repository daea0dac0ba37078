"""The urgent log's lines: printed, and read back with a word on whether it is whole. Pure.

The first line is `{"v":1,"epoch":…,"horizon":…}`: of what came up to the horizon only the latest state
is kept, behind it every record as it was sent. A last line without its newline is the trace of a crash.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Literal

import msgspec

from gateway.feed.sequence import Mark

SEQ_END = 2**53
"""Beyond this a JSON number is no longer exact everywhere."""
UrgentEvent = Literal["emergency", "duty", "removed", "message", "proven", "reach", "coverage"]


class UrgentRecord(msgspec.Struct, frozen=True):
    """One record that is never coalesced; key is what it is the latest state of, payload what is sent."""

    seq: int
    event: UrgentEvent
    key: str
    unit: str | None
    payload: bytes


class Header(msgspec.Struct, frozen=True):
    """The log's first line."""

    v: int
    epoch: str
    horizon: int


class Restored(msgspec.Struct, frozen=True):
    """What a log said: first is the next number to use. Without `whole` its states still count, its epoch is over.

    Without `ended` things may have been told that it does not know: the process before was killed.
    """

    epoch: str = ""
    first: int = 1
    horizon: int = 0
    records: tuple[UrgentRecord, ...] = ()
    whole: bool = False
    found: bool = True
    ended: bool = False


def _lost(records: list[UrgentRecord]) -> Restored:
    """What a damaged log still says lies before the new epoch's first number."""
    last = max((record.seq for record in records), default=0)
    return Restored("", last + 1, last, tuple(records))


def image(epoch: str, horizon: int, records: Iterable[UrgentRecord]) -> bytes:
    """A whole log."""
    return b"".join([msgspec.json.encode(Header(1, epoch, horizon)) + b"\n", *map(line, records)])


def line(record: UrgentRecord) -> bytes:
    """One line of the log."""
    return record.payload + b"\n"


def read(mark_json: bytes | None, log: bytes | None) -> Restored:
    """Read mark and log; anything that can't be so says that the log is not whole, and the rest is still read."""
    mark = _mark(mark_json)
    if log is None:
        return Restored(found=mark_json is not None)
    lines = log.split(b"\n")[:-1]
    header = _header(lines[0]) if lines else None
    records = [_record(text) for text in (lines[1:] if header else lines)]
    good = [record for record in records if record is not None]
    rising = all(one.seq < other.seq for one, other in pairwise(good))
    if mark is None or header is None or header.epoch != mark.epoch or len(good) < len(records):
        return _lost(good)
    if not rising or (good and good[-1].seq >= mark.mark) or header.horizon >= mark.mark:
        return _lost(good)
    return Restored(mark.epoch, mark.mark, header.horizon, tuple(good), whole=True, ended=mark.ended)


def _mark(text: bytes | None) -> Mark | None:
    try:
        return msgspec.json.decode(text or b"", type=Mark)
    except msgspec.DecodeError:
        return None


def _header(text: bytes) -> Header | None:
    try:
        return msgspec.json.decode(text, type=Header)
    except msgspec.DecodeError:
        return None


def _record(text: bytes) -> UrgentRecord | None:
    """Tell a record by what only its kind carries."""
    try:
        content = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    seq, unit = content.get("seq"), content.get("unit")
    if not isinstance(seq, int) or isinstance(seq, bool) or not 0 < seq < SEQ_END:
        return None
    named = _named(content)
    if named is None or not (isinstance(unit, str) or named[0] in _OF_NO_UNIT):
        return None
    event, of = named
    return UrgentRecord(seq, event, f"{event} {of}", unit, text)


_OF_NO_UNIT = ("emergency", "message", "proven", "reach", "coverage")
"""Events that a radio on nobody's roster can raise too."""


def _named(content: dict[str, Any]) -> tuple[UrgentEvent, object] | None:
    """Which event it is, and of what: by a key that only this event carries."""
    unit, number = content.get("unit"), content.get("id")
    events: tuple[tuple[bool, UrgentEvent, object], ...] = (
        ("triggers" in content and isinstance(number, str), "emergency", number),
        ("kind" in content and isinstance(number, int), "message", number),
        ("proven_at" in content, "proven", content.get("issi")),
        ("reach" in content, "reach", content.get("issi")),
        ("covered" in content, "coverage", f"{content.get('zone')} {content.get('power')}"),
        ("reason" in content, "removed", unit),
        ("code" in content, "duty", unit),
    )
    return next(((event, of) for is_it, event, of in events if is_it), None)
