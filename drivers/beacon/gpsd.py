"""Gpsd JSON: TPV reports (gpsd_json(5))."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drivers.beacon.message import Message, alarm, finite, from_zero, heading, lenient, place, unplaced, zoned
from gateway.domain.events import Event, Origin, PositionReport
from gateway.domain.position import Fix
from gateway.domain.time import Instant
from gateway.errors import WireError

SIMULATED = 8
"""gpsd's status of a position that no receiver measured."""


def claims(found: Mapping[str, Any]) -> bool:
    """Whether an object is of this format."""
    return "class" in found


def read(found: Mapping[str, Any], origin: Origin, now: Instant) -> list[Event]:
    """One object to events; WireError names the key."""
    return events(lenient(found), origin, now)


def events(message: Message, origin: Origin, now: Instant) -> list[Event]:
    """Gpsd JSON (gpsd_json(5), TPV): only class and mode are sure; a position counts from mode 2."""
    stamp = zoned(message.time, "time", now)
    if message.gpsd != "TPV":
        return unplaced(message, stamp, origin)
    if message.status == SIMULATED:
        raise WireError("status: 8, a simulated position")
    if (message.mode or 0) < 2:
        return [*unplaced(message, stamp, origin), PositionReport(origin, stamp, None, "mqtt")]
    altitude = message.alt_msl if message.alt_msl is not None else message.alt
    fix = Fix(
        *place(message.lat, message.lon, "lat", "lon"),
        from_zero(message.eph),
        finite(altitude),
        from_zero(message.speed),
        heading(message.track),
    )
    position = PositionReport(origin, stamp, fix, "mqtt")
    return alarm(position) if message.sos else [position]
