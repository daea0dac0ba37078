"""One journalled frame: its row, the salted leaf that commits to it, whose it is (docs/formats.md, "journal"). Pure."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime

import msgspec

from gateway.domain.events import Frame

SALT_BYTES = 32
Row = tuple[str, str, str | None, int | None, datetime, str, bytes]
"""via, channel, device, issi, arrived, kind (`raw` or `digest`), payload."""


class _Printed(msgspec.Struct, frozen=True):
    """The row as it is committed to: its fields stand in the order of RFC 8785."""

    arrived: datetime
    channel: str
    device: str | None
    issi: int | None
    kind: str
    payload: bytes
    v: int
    via: str


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Printed).decode


def row(frame: Frame, *, digest: bool) -> Row:
    """One journal row; digest keeps who, when, length and SHA-256, and nothing else of the frame."""
    arrived = frame.stamp.arrived.utc
    if not digest:
        return (frame.via, frame.channel, frame.device, frame.issi, arrived, "raw", frame.payload)
    known = frame.device is not None or frame.issi is not None
    return ("" if known else frame.via, "", frame.device, frame.issi, arrived, "digest", mark(frame.payload))


def mark(payload: bytes) -> bytes:
    """SHA-256 and 8-byte length: what is left of what is not kept."""
    return hashlib.sha256(payload).digest() + len(payload).to_bytes(8, "big")


def print_row(row: Row) -> bytes:
    """Canonical JSON (RFC 8785) of a row, payload in base64."""
    via, channel, device, issi, arrived, kind, payload = row
    return _encode(_Printed(arrived, channel, device, issi, kind, payload, 1, via))


def parse_row(printed: bytes) -> Row:
    """Read a row; ValueError where it is none."""
    found = _decode(printed)
    return (found.via, found.channel, found.device, found.issi, found.arrived, found.kind, found.payload)


def commitment(salt: bytes, printed: bytes) -> bytes:
    """HMAC-SHA256 with the salt as key over the printed row."""
    return hmac.digest(salt, printed, "sha256")


def leaf_hash(committed: bytes) -> bytes:
    """SHA-256(0x00 ‖ commitment): the frame's leaf in its tree (RFC 6962 section 2.1)."""
    return hashlib.sha256(b"\x00" + committed).digest()


def owner(row: Row) -> str:
    """Whose frame it is: under this name its key is kept."""
    via, _channel, device, issi = row[:4]
    if device is not None:
        return f"device:{device}"
    return f"issi:{issi}" if issi is not None else f"via:{via}"
