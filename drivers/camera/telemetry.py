"""Camera telemetry: `…/status` and `…/event` to domain events (contracts section 4).

Sans-IO. A panic is never lost: whatever else is wrong with its message, the emergency comes out.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import Any

import msgspec

from drivers.camera.wire import device_of
from gateway.domain.events import CameraReport, EmergencyReport, Event, Origin, PositionReport
from gateway.domain.ids import DeviceId
from gateway.domain.position import Fix
from gateway.domain.time import Instant, Stamp, from_rfc3339
from gateway.errors import WireError

PAYLOAD_LIMIT = 64 * 1024
RECORDING_EVENTS = ("recording_started", "recording_stopped")
"""No set: what a camera sends need not be hashable."""
_PANIC = re.compile(rb'"event"\s*:\s*"panic"', re.IGNORECASE)
_object = msgspec.json.Decoder(dict[str, Any])


class Reading(msgspec.Struct, frozen=True):
    """What a payload said, and what in it could not be read."""

    events: tuple[Event, ...] = ()
    problem: WireError | None = None


def read(topic: str, payload: bytes, now: Instant, via: str) -> Reading:
    """Read one message, the emergency first; never raises."""
    origin = Origin(via=via)
    events: list[Event] = []
    problem: WireError | None = None
    try:
        origin = Origin(via=via, device=device_of(topic))
        if payload.strip():  # an empty payload clears the retained status
            problem = _understand(topic, _body(payload), (origin, now), events)
    except WireError as fault:
        problem = fault
    panic = topic.endswith("/event") and _PANIC.search(payload) is not None
    if panic and not any(isinstance(event, EmergencyReport) for event in events):
        events.insert(0, EmergencyReport(origin, Stamp(now), "camera_panic"))
    return Reading(tuple(events), problem)


def device(topic: str) -> DeviceId | None:
    """Name the camera where the topic does."""
    try:
        return device_of(topic)
    except WireError:
        return None


def _body(payload: bytes) -> dict[str, Any]:
    if len(payload) > PAYLOAD_LIMIT:
        raise WireError(f"payload: {len(payload)} bytes, more than {PAYLOAD_LIMIT}")
    try:
        return _object.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise WireError(f"payload: not a JSON object: {problem}") from problem


def _understand(topic: str, body: dict[str, Any], who: tuple[Origin, Instant], events: list[Event]) -> WireError | None:
    """Add the events of one message; give back what was wrong with its time or place."""
    origin, now = who
    kind = body.get("event") if topic.endswith("/event") else "status"
    problem: WireError | None = None
    stamp, fix = Stamp(now), None
    try:
        stamp = _stamp(body.get("at"), now)
        fix = _fix(body)
    except WireError as fault:
        problem = fault
    if kind == "panic":
        events.append(EmergencyReport(origin, stamp, "camera_panic", fix))
    elif kind == "status" or kind in RECORDING_EVENTS:
        events.append(CameraReport(origin, stamp, str(kind), body))
    else:
        raise WireError(f"event: {str(kind)[:40]!r} is unknown")
    if fix is not None:
        events.append(PositionReport(origin, stamp, fix, "bwc", str(kind), _battery(body.get("battery_pct"))))
    return problem


def _stamp(at: object, now: Instant) -> Stamp:
    """Read `at`, the camera's own clock; absent, the arrival counts."""
    if at is None:
        return Stamp(now)
    try:
        return Stamp(now, from_rfc3339(str(at)), "device")
    except (ValueError, OverflowError) as problem:
        raise WireError(f"at: {problem}") from problem


def _fix(body: dict[str, Any]) -> Fix | None:
    """Read the position where there is one; exact 0,0 is a receiver that has none."""
    if body.get("latitude") is None and body.get("longitude") is None:
        return None
    latitude, longitude = _number(body, "latitude", 90.0), _number(body, "longitude", 180.0)
    if latitude == 0.0 and longitude == 0.0:
        raise WireError("latitude, longitude: exactly 0, 0 is no position")
    return Fix(
        latitude,
        longitude,
        _optional(body, "accuracy_m"),
        _optional(body, "altitude_m", low=-1e5),
        _optional(body, "speed_mps"),
        _optional(body, "heading_deg", high=360.0),
    )


def _number(body: dict[str, Any], key: str, limit: float) -> float:
    value = body.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -limit <= value <= limit:
        raise WireError(f"{key}: {str(value)[:24]!r} is missing or out of range")
    return float(value)


def _optional(body: dict[str, Any], key: str, *, low: float = 0.0, high: float = 1e7) -> float | None:
    value = body.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        return None
    return float(value) if low <= value < high else None


def _battery(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 100:
        return None
    return round(value)
