"""What beacon messages have in common: their keys, checked values, and what they become."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any

import msgspec

from gateway.domain.events import EmergencyReport, Event, Origin, PositionReport
from gateway.domain.time import Instant, Stamp
from gateway.errors import WireError

_CALM = (False, 0, None, "", "false", "0", "no", "off")
_DECISIVE = frozenset({"_type", "class", "lat", "lon", "tst", "latitude", "longitude", "fix_time"})
_DECISIVE_GPSD = _DECISIVE | {"time", "mode", "status"}


class Message(msgspec.Struct, rename={"type": "_type", "gpsd": "class", "alt_msl": "altMSL"}, gc=False):
    """The keys that either format may carry; every one optional here, checked below."""

    type: str | None = None
    gpsd: str | None = None
    lat: float | None = None
    lon: float | None = None
    tst: float | None = None
    acc: float | None = None
    alt: float | None = None
    vel: float | None = None
    cog: float | None = None
    batt: float | None = None
    t: str | None = None
    event: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    fix_time: datetime | None = None
    accuracy_m: float | None = None
    altitude_m: float | None = None
    heading_deg: float | None = None
    speed_mps: float | None = None
    battery_pct: float | None = None
    sos: bool = False
    mode: int | None = None
    status: int | None = None
    time: datetime | None = None
    speed: float | None = None
    track: float | None = None
    eph: float | None = None
    alt_msl: float | None = None


# Not strict: old phones send numbers as text ("lat":"48.1").
decoder = msgspec.json.Decoder(Message, strict=False)
_FIELDS = {field.encode_name: field for field in msgspec.structs.fields(Message)}


def lenient(found: Mapping[str, Any]) -> Message:
    """Take each key that has its type; a position's own keys must have it, any other is left out."""
    message = Message()
    decisive = _DECISIVE_GPSD if "class" in found else _DECISIVE
    for key, value in found.items():
        field = _FIELDS.get(key)
        if field is None:
            continue
        try:
            setattr(message, field.name, msgspec.convert(value, field.type, strict=False))
        except msgspec.ValidationError as problem:
            if key in decisive:
                raise WireError(f"{key}: {problem}") from problem
    message.sos = found.get("sos") not in _CALM
    return message


def alarm(position: PositionReport) -> list[Event]:
    """Put the emergency before the position that came with it."""
    return [EmergencyReport(position.origin, position.stamp, "beacon_sos", position.fix), position]


def unplaced(message: Message, stamp: Stamp, origin: Origin) -> list[Event]:
    """Say what a message without a position says: nothing, or that somebody pressed the button."""
    return [EmergencyReport(origin, stamp, "beacon_sos")] if message.sos else []


def zoned(fix_time: datetime | None, key: str, now: Instant) -> Stamp:
    """The device's own time where it gave one with a zone; WireError names the key."""
    if fix_time is None:
        return Stamp(now)
    if fix_time.tzinfo is None:
        raise WireError(f"{key}: has no time zone (RFC 3339 clause 5.6)")
    try:
        return Stamp(now, fix_time.astimezone(UTC), "device")
    except OverflowError as problem:
        raise WireError(f"{key}: {problem}") from problem


def epoch(tst: float | None) -> datetime:
    """Epoch seconds; 0 is a phone that has no time yet."""
    if tst is None:
        raise WireError("tst: missing")
    if not tst > 0:
        raise WireError(f"tst: {tst} is no time of a fix")
    try:
        return datetime.fromtimestamp(tst, UTC)
    except (OverflowError, ValueError, OSError) as problem:
        raise WireError(f"tst: {problem}") from problem


def place(latitude: float | None, longitude: float | None, lat: str, lon: str) -> tuple[float, float]:
    """Check a WGS 84 position; exact 0,0 is a receiver that has none."""
    if latitude is None or longitude is None:
        raise WireError(f"{lat if latitude is None else lon}: missing")
    if not -90.0 <= latitude <= 90.0:
        raise WireError(f"{lat}: {latitude} is out of range")
    if not -180.0 <= longitude <= 180.0:
        raise WireError(f"{lon}: {longitude} is out of range")
    if latitude == 0.0 and longitude == 0.0:
        raise WireError(f"{lat}, {lon}: exactly 0, 0 is no position")
    return latitude, longitude


def finite(value: float | None) -> float | None:
    """A number, or unknown."""
    return value if value is not None and isfinite(value) else None


def from_zero(value: float | None) -> float | None:
    """Take a length or speed; phones say -1 for unknown."""
    return value if value is not None and value >= 0.0 and isfinite(value) else None


def heading(value: float | None) -> float | None:
    """Degrees in [0, 360); 360 is north, anything else unknown."""
    return value % 360.0 if value is not None and 0.0 <= value <= 360.0 else None


def percent(value: float | None) -> int | None:
    """0 to 100, or unknown."""
    return round(value) if value is not None and 0.0 <= value <= 100.0 else None
