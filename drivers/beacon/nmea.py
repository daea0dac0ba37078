"""NMEA 0183 sentences as a receiver prints them, one or many a message (IEC 61162-1).

RMC, GGA, GLL and GNS carry positions; those that say the same place at the same time of day become one.
Sentences that say nothing of where (GSV, GSA, VTG …) are read and left. Only RMC has a date: elsewhere it
is the one that brings the time of day nearest to the arrival.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import msgspec
import pynmeagps

from drivers.beacon.message import finite, from_zero, heading, place
from gateway.domain.events import Event, Origin, PositionReport
from gateway.domain.position import Fix
from gateway.domain.time import Instant, Stamp
from gateway.errors import WireError

MPS_PER_KNOT = 1852 / 3600
SENTENCE_MAX = 512
"""The standard says 82 characters; receivers send more, none so many."""
LINES_MAX = 4096
EPOCH_SENTENCES = 4
SAME_DEG = 1e-5
"""Sentences of one fix print it to more or fewer digits; a metre apart it is another."""
_SENTENCE = re.compile(rb"[$!][^$!*\r\n]{3,}\*[0-9A-Fa-f]{2}")
_PLACED = {"RMC": "status", "GGA": "quality", "GLL": "status", "GNS": "posMode"}
_INVALID_MODES = frozenset("NES")
"""Mode indicators: no fix, estimated by dead reckoning, simulated (IEC 61162-1, RMC field 12)."""
_DEAD_RECKONING, _SIMULATED = 6, 8


class _Epoch(msgspec.Struct):
    """What the sentences of one time of day said together."""

    place: tuple[float, float]
    at: time
    day: date | None = None
    altitude_m: float | None = None
    speed_mps: float | None = None
    heading_deg: float | None = None


def claims(payload: bytes) -> bool:
    """Whether a payload is of this format."""
    return payload.lstrip()[:1] in (b"$", b"!")


def read(payload: bytes, origin: Origin, now: Instant) -> tuple[list[Event], list[WireError]]:
    """Read every sentence of a payload: positions in order of time as sent, and each line that is none."""
    epochs: list[_Epoch] = []
    problems: list[WireError] = []
    lines = [line.strip() for line in payload.splitlines()]
    for number, line in enumerate(lines[:LINES_MAX], 1):
        try:
            if line:
                _take(epochs, _parse(line))
        except WireError as problem:
            problems.append(WireError(f"line {number}: {problem}") if len(lines) > 1 else problem)
    if len(lines) > LINES_MAX:
        problems.append(WireError(f"line {LINES_MAX + 1}: more lines than one message may have"))
    return [_report(one, origin, now) for one in epochs], problems


def _parse(line: bytes) -> pynmeagps.NMEAMessage:
    if len(line) > SENTENCE_MAX or not _SENTENCE.fullmatch(line):
        raise WireError(f"not an NMEA sentence with a checksum: {line[:40]!r}")
    try:
        found = pynmeagps.NMEAReader.parse(line, validate=pynmeagps.VALCKSUM)
    except Exception as problem:  # the parser's own errors, and what a hostile field makes it raise
        raise WireError(f"sentence: {problem}") from problem
    if found is None:
        raise WireError(f"sentence: {line[:40]!r} is of no known kind")
    return found


def _take(epochs: list[_Epoch], sentence: pynmeagps.NMEAMessage) -> None:
    """Add a sentence to the positions; one without a fix, or of another kind, adds nothing."""
    kind = sentence.msgID
    said: Mapping[str, Any] = vars(sentence)
    if kind not in _PLACED or not _valid(kind, said):
        return
    where, at = _where(kind, said), said.get("time")
    if not isinstance(at, time):
        raise WireError(f"{kind} time: missing")
    epoch = next((one for one in epochs[-EPOCH_SENTENCES:] if one.at == at and _same(one.place, where)), None)
    if epoch is None:
        epoch = _Epoch(where, at)
        epochs.append(epoch)
    if isinstance(said.get("date"), date):
        epoch.day = said["date"]
    if kind in {"GGA", "GNS"} and epoch.altitude_m is None:
        epoch.altitude_m = finite(_number(said.get("alt")))
    if kind == "RMC":
        knots = from_zero(_number(said.get("spd")))
        epoch.speed_mps = None if knots is None else knots * MPS_PER_KNOT
        epoch.heading_deg = heading(_number(said.get("cog")))


def _valid(kind: str, said: Mapping[str, Any]) -> bool:
    """Whether a receiver stands by its position; WireError where it says that it is simulated."""
    word = str(said.get(_PLACED[kind], ""))
    modes = str(said.get("posMode", ""))
    if modes == "S" or (kind == "GGA" and word == str(_SIMULATED)):
        raise WireError(f"{kind}: a simulated position")
    if kind == "GGA":
        return word not in {"", "0", str(_DEAD_RECKONING)}
    if kind == "GNS":
        return bool(set(word) - _INVALID_MODES)
    return word == "A" and modes not in _INVALID_MODES


def _where(kind: str, said: Mapping[str, Any]) -> tuple[float, float]:
    latitude, longitude = _number(said.get("lat")), _number(said.get("lon"))
    return place(latitude, longitude, f"{kind} lat", f"{kind} lon")


def _same(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return abs(one[0] - other[0]) < SAME_DEG and abs(one[1] - other[1]) < SAME_DEG


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _report(epoch: _Epoch, origin: Origin, now: Instant) -> PositionReport:
    days: Iterable[date] = [epoch.day] if epoch.day else _days_about(now)
    moments = [datetime.combine(day, epoch.at.replace(tzinfo=None), UTC) for day in days]
    at = min(moments, key=lambda moment: abs(moment - now.utc))
    fix = Fix(*epoch.place, None, epoch.altitude_m, epoch.speed_mps, epoch.heading_deg)
    return PositionReport(origin, Stamp(now, at, "gnss"), fix, "mqtt")


def _days_about(now: Instant) -> list[date]:
    """Yesterday, today, tomorrow; the years at the calendar's ends have no such neighbours and no receivers."""
    today = now.utc.date()
    return [today + timedelta(days=step) for step in (-1, 0, 1) if date.min < today < date.max] or [today]
