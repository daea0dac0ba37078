"""Beacon payloads to domain events, in whichever of the formats (drivers/beacon/formats.py) they come.

Sans-IO. What OwnTracks encrypts is opened before it comes here (drivers/beacon/keyring.py).
An SOS is never lost: whatever else is wrong with its message, the emergency comes out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from drivers.beacon import gpsd, owntracks, plain
from drivers.beacon.formats import LINES, OBJECTS, Name
from drivers.beacon.message import Message, decoder
from drivers.beacon.topics import TOPICS, Topics
from gateway.domain.events import EmergencyReport, Event, Origin
from gateway.domain.time import Instant, Stamp
from gateway.errors import WireError

__all__ = ["PAYLOAD_LIMIT", "TOPICS", "Reading", "Topics", "decode", "read"]

PAYLOAD_LIMIT = 256 * 1024
"""No beacon sends more; read no further."""
_SOS = re.compile(rb'"sos"\s*:\s*(?!\s|false|0\b|null|"(?:false|0|no|off)?").', re.IGNORECASE)
"""Any value but a plain no: better an alarm too many than one lost."""


class Reading(msgspec.Struct, frozen=True):
    """What a payload said, and what in it could not be read."""

    events: tuple[Event, ...] = ()
    problems: tuple[WireError, ...] = ()


_many = msgspec.json.Decoder(list[msgspec.Raw])
_loose = msgspec.json.Decoder(dict[str, Any])
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read(topics: Topics, topic: str, payload: bytes, now: Instant, only: Name = "auto") -> Reading:
    """Read one payload: every event in it, emergencies first, and every problem; never raises.

    only names the one format that is expected; auto tells them apart by content.
    """
    try:
        if only == "auto":
            return Reading(tuple(_quickly(payload, topics.origin(topic), now)))
    except (WireError, *_UNREADABLE):
        pass  # what the quick way cannot read, the careful one can, or says why not
    return _carefully(topics, topic, payload, now, only)


def _quickly(payload: bytes, origin: Origin, now: Instant) -> list[Event]:
    """One object of the three commonest formats, every key of the type that it should have."""
    message: Message = decoder.decode(_capped(payload))
    if message.type is not None:
        return owntracks.events(message, origin, now)
    return plain.events(message, origin, now) if message.gpsd is None else gpsd.events(message, origin, now)


def decode(topics: Topics, topic: str, payload: bytes, now: Instant) -> tuple[Event, ...]:
    """Read one payload that must be good: its events, or the first problem as WireError."""
    reading = read(topics, topic, payload, now)
    if reading.problems:
        raise reading.problems[0]
    return reading.events


def _capped(payload: bytes) -> bytes:
    if len(payload) > PAYLOAD_LIMIT:
        raise WireError(f"payload: {len(payload)} bytes, more than {PAYLOAD_LIMIT}")
    return payload


def _carefully(topics: Topics, topic: str, payload: bytes, now: Instant, only: Name) -> Reading:
    """Read what the quick way could not: arrays, lines, odd types, and an SOS in a broken message."""
    if not payload.strip():
        return Reading()  # an empty payload clears a retained message
    events: list[Event] = []
    problems: list[WireError] = []
    origin = topics.anyone()
    try:
        origin = topics.origin(topic)
        for found, wrong in _parts(_capped(payload), origin, now, only):
            events.extend(found)
            problems.extend(wrong)
    except WireError as problem:
        problems.append(problem)
    if problems and _SOS.search(payload) and not any(isinstance(event, EmergencyReport) for event in events):
        events.insert(0, EmergencyReport(origin, Stamp(now), "beacon_sos"))
    events.sort(key=_urgency)
    return Reading(tuple(events), tuple(problems))


def _urgency(event: Event) -> int:
    return 0 if isinstance(event, EmergencyReport) else 1


def _parts(payload: bytes, origin: Origin, now: Instant, only: Name) -> Iterator[tuple[list[Event], list[WireError]]]:
    """The events and problems of each part of a payload; WireError where it has none."""
    for name, lines in LINES.items():
        if only == name or (only == "auto" and lines.claims(payload)):
            yield lines.read(payload, origin, now)
            return
    for found in _elements(payload):
        try:
            if isinstance(found, WireError):
                raise found
            name = only if only != "auto" else next(each for each, one in OBJECTS.items() if one.claims(found))
            yield OBJECTS[name].read(found, origin, now), []
        except WireError as problem:
            yield [], [problem]


def _elements(payload: bytes) -> Iterator[dict[str, Any] | WireError]:
    """Every object of an array (public apps send their queue so), of lines, of a FeatureCollection, or the one."""
    for raw in _raws(payload):
        try:
            found = _loose.decode(raw)
            yield from _features(found["features"]) if found.get("type") == "FeatureCollection" else [found]
        except (KeyError, *_UNREADABLE) as problem:
            yield WireError(f"payload: not a JSON object: {problem}")


def _raws(payload: bytes) -> Sequence[bytes | msgspec.Raw]:
    if payload.lstrip()[:1] != b"[":
        return _lines(payload)
    try:
        return _many.decode(payload)
    except _UNREADABLE as problem:
        raise WireError(f"payload: not a JSON array: {problem}") from problem


def _features(features: object) -> list[dict[str, Any] | WireError]:
    if not isinstance(features, list):
        return [WireError("features: is not a list of Features (RFC 7946 section 3.3)")]
    return [each if isinstance(each, dict) else WireError("features: one is no object") for each in features]


def _lines(payload: bytes) -> list[bytes]:
    """One object, or one a line as gpsd prints them; a pretty-printed one has lines that are no objects."""
    try:
        _loose.decode(payload)
    except _UNREADABLE:
        lines = [line for line in payload.splitlines() if line.strip()]
        if len(lines) > 1 and all(line.lstrip()[:1] == b"{" for line in lines):
            return lines
    return [payload]
