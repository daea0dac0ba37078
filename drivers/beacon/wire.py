"""Beacon payloads to domain events: OwnTracks JSON, the plain JSON of contracts section 4, gpsd TPV.

Sans-IO. Not supported yet, and quarantined by name: OwnTracks `encrypted`, NMEA 0183.
An SOS is never lost: whatever else is wrong with its message, the emergency comes out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Any

import msgspec

from gateway.domain.events import EmergencyReport, Event, Origin, PositionReport
from gateway.domain.ids import DeviceId, device_id
from gateway.domain.position import Fix
from gateway.domain.time import Instant, Stamp
from gateway.errors import WireError

TOPICS = ("owntracks/+/+", "owntracks/+/+/event", "lapel/v1/beacon/+/position")
PAYLOAD_LIMIT = 256 * 1024
"""No beacon sends more; read no further."""
KMH_PER_MPS = 3.6
SIMULATED = 8
"""gpsd's status of a position that no receiver measured."""
_SILENT = frozenset(
    {"lwt", "card", "waypoint", "waypoints", "cmd", "configuration", "status", "steps", "dump", "request"}
)
_CALM = (False, 0, None, "", "false", "0", "no", "off")
_SOS = re.compile(rb'"sos"\s*:\s*(?!\s|false|0\b|null|"(?:false|0|no|off)?").', re.IGNORECASE)
"""Any value but a plain no: better an alarm too many than one lost."""
_NMEA = re.compile(rb"\s*[$!][A-Z]{2}")
_KNOWN_TOPICS = 4096
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


class Reading(msgspec.Struct, frozen=True):
    """What a payload said, and what in it could not be read."""

    events: tuple[Event, ...] = ()
    problems: tuple[WireError, ...] = ()


# Not strict: old phones send numbers as text ("lat":"48.1").
_one = msgspec.json.Decoder(Message, strict=False)
_many = msgspec.json.Decoder(list[msgspec.Raw])
_loose = msgspec.json.Decoder(dict[str, Any])
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_FIELDS = {field.encode_name: field for field in msgspec.structs.fields(Message)}


class Topics:
    """Which level of a topic names the device: the first `+` of the filter that matches it."""

    def __init__(self, filters: Sequence[str] = TOPICS, via: str = "mqtt") -> None:
        self._filters = [_levels(one) for one in filters]
        self._via = via
        self._known: dict[str, Origin | WireError] = {}

    def origin(self, topic: str) -> Origin:
        """Name the sender; WireError when no filter matches or the level is no device id."""
        found = self._known.get(topic)
        if found is None:
            if len(self._known) >= _KNOWN_TOPICS:
                self._known.clear()
            found = self._known[topic] = self._find(topic.split("/"))
        if isinstance(found, WireError):
            raise found
        return found

    def device(self, topic: str) -> DeviceId | None:
        """Name the sending device where the topic does."""
        try:
            return self.origin(topic).device
        except WireError:
            return None

    def anyone(self) -> Origin:
        """Stand for a sender that named itself wrongly."""
        return Origin(via=self._via)

    def _find(self, levels: list[str]) -> Origin | WireError:
        for one in self._filters:
            if _matches(one, levels):
                try:
                    return Origin(via=self._via, device=device_id(levels[one.index("+")]))
                except ValueError as problem:
                    return WireError(f"topic: {problem}")
        return WireError("topic: matches none of the driver's topics")


def _levels(topic_filter: str) -> list[str]:
    """Split a filter, without the two levels of a shared subscription; ValueError where no level is `+`."""
    levels = topic_filter.split("/")
    if levels[0] == "$share":
        levels = levels[2:]
    if "+" not in levels:
        raise ValueError(f"{topic_filter!r} has no '+' level to name the device")
    return levels


def _matches(one: list[str], levels: list[str]) -> bool:
    """Match levels with a filter (MQTT 3.1.1 clause 4.7)."""
    if one[-1] == "#":
        one, levels = one[:-1], levels[: len(one) - 1]
    return len(one) == len(levels) and all(a in ("+", b) for a, b in zip(one, levels, strict=True))


def read(topics: Topics, topic: str, payload: bytes, now: Instant) -> Reading:
    """Read one payload: every event in it, emergencies first, and every problem; never raises."""
    try:
        origin = topics.origin(topic)
        return Reading(tuple(_events(_one.decode(_capped(payload)), origin, now)))
    except (WireError, *_UNREADABLE):
        return _carefully(topics, topic, payload, now)


def _capped(payload: bytes) -> bytes:
    if len(payload) > PAYLOAD_LIMIT:
        raise WireError(f"payload: {len(payload)} bytes, more than {PAYLOAD_LIMIT}")
    return payload


def decode(topics: Topics, topic: str, payload: bytes, now: Instant) -> tuple[Event, ...]:
    """Read one payload that must be good: its events, or the first problem as WireError."""
    reading = read(topics, topic, payload, now)
    if reading.problems:
        raise reading.problems[0]
    return reading.events


def _carefully(topics: Topics, topic: str, payload: bytes, now: Instant) -> Reading:
    """Read what the quick way could not: arrays, odd types, and an SOS in a broken message."""
    if not payload.strip():
        return Reading()  # an empty payload clears a retained message
    events: list[Event] = []
    problems: list[WireError] = []
    origin = topics.anyone()
    try:
        origin = topics.origin(topic)
        for element in _elements(payload):
            try:
                events.extend(_events(_lenient(element), origin, now))
            except WireError as problem:
                problems.append(problem)
    except WireError as problem:
        problems.append(problem)
    if problems and _SOS.search(payload) and not any(isinstance(event, EmergencyReport) for event in events):
        events.insert(0, EmergencyReport(origin, Stamp(now), "beacon_sos"))
    events.sort(key=_urgency)
    return Reading(tuple(events), tuple(problems))


def _urgency(event: Event) -> int:
    return 0 if isinstance(event, EmergencyReport) else 1


def _elements(payload: bytes) -> list[dict[str, Any]]:
    """Split an array of messages (public apps send their queue so) or take the one."""
    if _NMEA.match(_capped(payload)):
        raise WireError("payload: NMEA 0183 is not supported yet")
    try:
        if payload.lstrip()[:1] == b"[":
            return [_loose.decode(raw) for raw in _many.decode(payload)]
        return [_loose.decode(payload)]
    except _UNREADABLE as problem:
        raise WireError(f"payload: not a JSON object: {problem}") from problem


def _lenient(found: dict[str, Any]) -> Message:
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


def _events(message: Message, origin: Origin, now: Instant) -> list[Event]:
    """Turn one message into events; the kind is told by its keys."""
    kind = message.type
    if kind is None:
        return _plain(message, origin, now)
    if kind in ("location", "transition"):
        return _owntracks(message, origin, now)
    if kind in _SILENT:
        return _unplaced(message, Stamp(now), origin)
    if kind == "encrypted":
        raise WireError("_type: encrypted OwnTracks payloads are not supported yet")
    raise WireError(f"_type: {kind[:40]!r} is unknown")


def _owntracks(message: Message, origin: Origin, now: Instant) -> list[Event]:
    """OwnTracks `location` and `transition` (JSON format of the public apps; vel in km/h)."""
    reason = message.t
    if message.type == "transition":
        if message.lat is None and message.lon is None:
            return _unplaced(message, Stamp(now), origin)  # the position of a transition is optional
        reason = f"transition {message.event or ''}".rstrip()
    velocity = message.vel
    fix = Fix(
        *_place(message.lat, message.lon, "lat", "lon"),
        _from_zero(message.acc),
        _finite(message.alt),
        None if velocity is None else _from_zero(velocity / KMH_PER_MPS),
        _heading(message.cog),
    )
    position = PositionReport(
        origin, Stamp(now, _epoch(message.tst), "device"), fix, "mqtt", reason, _percent(message.batt)
    )
    return _alarm(position) if message.sos else [position]


def _plain(message: Message, origin: Origin, now: Instant) -> list[Event]:
    """Plain JSON of `lapel/v1/beacon/{device}/position` (contracts section 4)."""
    if message.gpsd is not None:
        return _gpsd(message, origin, now)
    stamp = _zoned(message.fix_time, "fix_time", now)
    if message.sos and message.latitude is None and message.longitude is None:
        return _unplaced(message, stamp, origin)  # a beacon indoors
    fix = Fix(
        *_place(message.latitude, message.longitude, "latitude", "longitude"),
        _from_zero(message.accuracy_m),
        _finite(message.altitude_m),
        _from_zero(message.speed_mps),
        _heading(message.heading_deg),
    )
    position = PositionReport(origin, stamp, fix, "mqtt", None, _percent(message.battery_pct))
    return _alarm(position) if message.sos else [position]


def _gpsd(message: Message, origin: Origin, now: Instant) -> list[Event]:
    """Gpsd JSON (gpsd_json(5), TPV): only class and mode are sure; a position counts from mode 2."""
    stamp = _zoned(message.time, "time", now)
    if message.gpsd != "TPV":
        return _unplaced(message, stamp, origin)
    if message.status == SIMULATED:
        raise WireError("status: 8, a simulated position")
    if (message.mode or 0) < 2:
        return [*_unplaced(message, stamp, origin), PositionReport(origin, stamp, None, "mqtt")]
    altitude = message.alt_msl if message.alt_msl is not None else message.alt
    fix = Fix(
        *_place(message.lat, message.lon, "lat", "lon"),
        _from_zero(message.eph),
        _finite(altitude),
        _from_zero(message.speed),
        _heading(message.track),
    )
    position = PositionReport(origin, stamp, fix, "mqtt")
    return _alarm(position) if message.sos else [position]


def _alarm(position: PositionReport) -> list[Event]:
    """Put the emergency before the position that came with it."""
    return [EmergencyReport(position.origin, position.stamp, "beacon_sos", position.fix), position]


def _unplaced(message: Message, stamp: Stamp, origin: Origin) -> list[Event]:
    """Say what a message without a position says: nothing, or that somebody pressed the button."""
    return [EmergencyReport(origin, stamp, "beacon_sos")] if message.sos else []


def _zoned(fix_time: datetime | None, key: str, now: Instant) -> Stamp:
    if fix_time is None:
        return Stamp(now)
    if fix_time.tzinfo is None:
        raise WireError(f"{key}: has no time zone (RFC 3339 clause 5.6)")
    try:
        return Stamp(now, fix_time.astimezone(UTC), "device")
    except OverflowError as problem:
        raise WireError(f"{key}: {problem}") from problem


def _epoch(tst: float | None) -> datetime:
    """Epoch seconds; 0 is a phone that has no time yet."""
    if tst is None:
        raise WireError("tst: missing")
    if not tst > 0:
        raise WireError(f"tst: {tst} is no time of a fix")
    try:
        return datetime.fromtimestamp(tst, UTC)
    except (OverflowError, ValueError, OSError) as problem:
        raise WireError(f"tst: {problem}") from problem


def _place(latitude: float | None, longitude: float | None, lat: str, lon: str) -> tuple[float, float]:
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


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None


def _from_zero(value: float | None) -> float | None:
    """Take a length or speed; phones say -1 for unknown."""
    return value if value is not None and value >= 0.0 and isfinite(value) else None


def _heading(value: float | None) -> float | None:
    """Degrees in [0, 360); 360 is north, anything else unknown."""
    return value % 360.0 if value is not None and 0.0 <= value <= 360.0 else None


def _percent(value: float | None) -> int | None:
    return round(value) if value is not None and 0.0 <= value <= 100.0 else None
