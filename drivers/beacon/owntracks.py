"""OwnTracks JSON, as the public apps send it (owntracks.org/booklet/tech/json)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drivers.beacon.message import Message, alarm, epoch, finite, from_zero, heading, lenient, percent, place, unplaced
from gateway.domain.events import Event, Origin, PositionReport
from gateway.domain.position import Fix
from gateway.domain.time import Instant, Stamp
from gateway.errors import WireError

KMH_PER_MPS = 3.6
SILENT = frozenset(
    {"lwt", "card", "waypoint", "waypoints", "cmd", "configuration", "status", "steps", "dump", "request"}
)
"""Messages without a position; `waypoint` has one, of a place."""


def claims(found: Mapping[str, Any]) -> bool:
    """Whether an object is of this format."""
    return "_type" in found


def read(found: Mapping[str, Any], origin: Origin, now: Instant) -> list[Event]:
    """One object to events; WireError names the key."""
    return events(lenient(found), origin, now)


def events(message: Message, origin: Origin, now: Instant) -> list[Event]:
    """A message to events; the kind is told by `_type`."""
    kind = message.type or ""
    if kind in ("location", "transition"):
        return _placed(message, origin, now)
    if kind in SILENT:
        return unplaced(message, Stamp(now), origin)
    if kind == "encrypted":
        raise WireError("_type: encrypted, where it cannot be opened: in an array, or twice")
    raise WireError(f"_type: {kind[:40]!r} is unknown")


def _placed(message: Message, origin: Origin, now: Instant) -> list[Event]:
    """OwnTracks `location` and `transition` (JSON format of the public apps; vel in km/h)."""
    reason = message.t
    if message.type == "transition":
        if message.lat is None and message.lon is None:
            return unplaced(message, Stamp(now), origin)  # the position of a transition is optional
        reason = f"transition {message.event or ''}".rstrip()
    velocity = message.vel
    fix = Fix(
        *place(message.lat, message.lon, "lat", "lon"),
        from_zero(message.acc),
        finite(message.alt),
        None if velocity is None else from_zero(velocity / KMH_PER_MPS),
        heading(message.cog),
    )
    position = PositionReport(
        origin, Stamp(now, epoch(message.tst), "device"), fix, "mqtt", reason, percent(message.batt)
    )
    return alarm(position) if message.sos else [position]
