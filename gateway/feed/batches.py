"""The stream as WebSocket messages (RFC 6455 section 5.2), made of its server-sent events. Pure.

A server's frames carry no mask, so one consumer's bytes are every consumer's: what is made here goes out
with one write. Emergencies are messages of their own; all else of one tick is one batch.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from datetime import datetime
from typing import Literal

import msgspec

from gateway.feed.emergencies import EmergencyRecord
from gateway.feed.encode import Feature
from gateway.feed.slices import Long

FINAL_TEXT, FINAL_CLOSE = 0x81, 0x88
TEXT, MORE, LAST = 0x01, 0x00, 0x80
"""A message in fragments (RFC 6455 section 5.4): its first, those behind, its last."""
SHORT, MEDIUM = 126, 1 << 16
REASON_OCTETS = 123
"""What a close frame has room for (RFC 6455 section 5.5: 125 octets, two of them the code)."""
TRY_AGAIN_LATER, GOING_AWAY, POLICY, NORMAL = 1013, 1001, 1008, 1000
_Block = tuple[bytes, bytes, bytes, bytes]
_BLOCK = re.compile(rb"id: ([^\n]+)-([0-9]+)\nevent: ([a-z]+)\ndata: ([^\n]*)\n\n")
"""Epoch, number, event and payload of an event as sse.py frames it: at thousands a second parsed at one go."""
_ALONE = (b"emergency", b"snapshot")
_ENCODER = msgspec.json.Encoder()


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """The first message: who serves, where the stream stands, from where on it can be resumed."""

    epoch: str
    seq: int
    oldest: int
    instance: str
    heartbeat_s: float
    v: int = 1
    exercise: bool | msgspec.UnsetType = msgspec.UNSET


class Snapshot(msgspec.Struct, frozen=True, tag="snapshot"):
    """Every unit wanted and every open emergency: what was known before is void."""

    epoch: str
    seq: int
    features: list[Feature]
    emergencies: list[EmergencyRecord]
    instance: str
    v: int = 1


class Record(msgspec.Struct, frozen=True):
    """One record: of a `position` the whole Feature, of all else the record as server-sent events have it."""

    seq: int
    event: Literal["position", "duty", "removed", "message", "proven", "reach", "emergency", "zone", "coverage"]
    record: msgspec.Raw


class Batch(msgspec.Struct, frozen=True, tag="batch"):
    """The records of a tick, or of what was missed; seq is the last one's."""

    epoch: str
    seq: int
    records: list[Record]
    instance: str
    v: int = 1


class Alarm(EmergencyRecord, frozen=True, tag="emergency", omit_defaults=True, kw_only=True):
    """An emergency as it stands now, by itself and at once; to be answered with `ack` of its seq."""

    epoch: str
    instance: str


class Input(msgspec.Struct, frozen=True):
    """What an input says of itself, and when it last heard something."""

    state: str
    last: datetime | None


class Heartbeat(msgspec.Struct, frozen=True, tag="heartbeat"):
    """The feed is alive: its clock, where the stream stands, how its inputs are."""

    at: str
    epoch: str
    seq: int
    inputs: dict[str, Input]
    instance: str
    v: int = 1
    exercise: bool | msgspec.UnsetType = msgspec.UNSET


def frame(message: bytes, first: int = FINAL_TEXT) -> bytes:
    """One whole, unmasked frame (RFC 6455 section 5.2)."""
    octets = len(message)
    if octets < SHORT:
        return bytes((first, octets)) + message
    if octets < MEDIUM:
        return struct.pack(">BBH", first, SHORT, octets) + message
    return struct.pack(">BBQ", first, SHORT + 1, octets) + message


def close(code: int, reason: str) -> bytes:
    """A close frame with its code and reason (RFC 6455 section 5.5.1)."""
    return frame(struct.pack(">H", code) + short(reason), FINAL_CLOSE)


def short(reason: str) -> bytes:
    """As much of a reason as a close frame takes, in whole characters."""
    return reason.encode(errors="replace")[:REASON_OCTETS].decode(errors="ignore").encode()


def said(message: Hello | Heartbeat) -> bytes:
    """One message, framed."""
    return frame(_ENCODER.encode(message))


def frames(chunk: bytes, instance: str) -> tuple[bytes, dict[str, str]]:
    """The frames of a chunk of server-sent events, and which cursor told which emergency; instance: who serves."""
    who = _ENCODER.encode(instance)
    made: list[bytes] = []
    records: list[_Block] = []
    told: dict[str, str] = {}
    for block in _BLOCK.findall(chunk):
        epoch, seq, event, payload = block
        if event not in _ALONE:
            records.append(block)
            continue
        made += _batch(records, who)
        records = []
        if event == b"snapshot":
            made.append(frame(b'{"type":"snapshot","instance":%b,%b' % (who, payload[1:])))
        else:
            made.append(frame(b'{"type":"emergency","instance":%b,"epoch":"%b",%b' % (who, epoch, payload[1:])))
            told[f"{epoch.decode()}-{seq.decode()}"] = msgspec.json.decode(payload, type=_Named).id
    return b"".join([*made, *_batch(records, who)]), told


def fragments(event: Long, instance: str) -> Iterator[bytes]:
    """A snapshot as one message, in fragments made one by one: its length is nobody's to know beforehand."""
    who = _ENCODER.encode(instance)
    yield frame(b'{"type":"%b","instance":%b,' % (event.event.encode(), who) + next(event.pieces)[1:], TEXT)
    for piece in event.pieces:
        yield frame(piece, MORE)
    yield frame(b"", LAST)


class _Named(msgspec.Struct):
    id: str


def _batch(records: list[_Block], who: bytes) -> list[bytes]:
    if not records:
        return []
    lines = [b'{"seq":%b,"event":"%b","record":%b}' % (seq, event, payload) for _, seq, event, payload in records]
    epoch, last, *_ = records[-1]
    head = b'{"type":"batch","v":1,"instance":%b,"epoch":"%b","seq":%b,"records":[' % (who, epoch, last)
    return [frame(head + b",".join(lines) + b"]}")]
