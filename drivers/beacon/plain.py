"""The plain JSON of `lapel/v1/beacon/{device}/position` (contracts section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drivers.beacon.message import Message, alarm, finite, from_zero, heading, lenient, percent, place, unplaced, zoned
from gateway.domain.events import Event, Origin, PositionReport
from gateway.domain.position import Fix
from gateway.domain.time import Instant


def claims(_found: Mapping[str, Any]) -> bool:
    """Whether an object is of this format: whatever is of no other."""
    return True


def read(found: Mapping[str, Any], origin: Origin, now: Instant) -> list[Event]:
    """One object to events; WireError names the key."""
    return events(lenient(found), origin, now)


def events(message: Message, origin: Origin, now: Instant) -> list[Event]:
    """Plain JSON of `lapel/v1/beacon/{device}/position` (contracts section 4)."""
    stamp = zoned(message.fix_time, "fix_time", now)
    if message.sos and message.latitude is None and message.longitude is None:
        return unplaced(message, stamp, origin)  # a beacon indoors
    fix = Fix(
        *place(message.latitude, message.longitude, "latitude", "longitude"),
        from_zero(message.accuracy_m),
        finite(message.altitude_m),
        from_zero(message.speed_mps),
        heading(message.heading_deg),
    )
    position = PositionReport(origin, stamp, fix, "mqtt", None, percent(message.battery_pct))
    return alarm(position) if message.sos else [position]
