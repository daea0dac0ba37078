"""Recordings as cameras offer them, exhibits as they are kept."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from gateway.domain.ids import DeviceId, ExhibitId, PersonId

Range = tuple[int, int]
"""Half-open byte range [start, end) of a recording."""


class RecordingKey(msgspec.Struct, frozen=True):
    """A recording is identified by (device, recording).

    via: the dock in whose name a command came. The store takes it off where the dock may speak for the camera
    (one recording, whoever brings it) and leaves it where it may not: then what it brings lies apart.
    """

    device: DeviceId
    recording: str
    via: DeviceId | None = None


class ShownReceipt(msgspec.Struct, frozen=True):
    """A receipt that a camera holds from a log that was succeeded: what it proves, as the camera shows it."""

    exhibit: str
    log_index: int
    entry: str
    proof: str


class FormerLog(msgspec.Struct, frozen=True):
    """A log that was succeeded: its origin, its verifier key, the indexes of it that are missing."""

    origin: str
    vkey: str
    missing: tuple[Range, ...]


class Recall(msgspec.Struct, frozen=True):
    """What cameras are asked for after a restore: recordings whose receipts name missing entries; until when.

    vkey is the log's verifier key now: the key of a camera's pin, under the successor's origin.
    """

    vkey: str
    former: tuple[FormerLog, ...]
    until: datetime


class RecordingOffer(msgspec.Struct, frozen=True):
    """What a camera's `init` says of a recording; size None while it is still being made."""

    key: RecordingKey
    name: str
    size: int | None = None
    checksum: str | None = None
    content_type: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    user_data: dict[str, Any] = msgspec.field(default_factory=dict)
    via: DeviceId | None = None
    """The dock that speaks for the camera; None where the camera speaks for itself."""
    receipt: ShownReceipt | None = None
    """The receipt that it had for this recording, where the gateway asked for it again."""


class Segment(msgspec.Struct, frozen=True):
    """A piece of a recording at a byte offset; sha256 (hex) where the camera stated one."""

    key: RecordingKey
    offset: int
    content: bytes
    sha256: str | None = None


class RecordingFin(msgspec.Struct, frozen=True):
    """The camera says that it has sent everything; manifest is a compact JWS or empty."""

    key: RecordingKey
    size: int
    sha256: str | None = None
    manifest: bytes = b""


class UploadState(msgspec.Struct, frozen=True):
    """What is on disk after fdatasync, what is missing, and how far ahead the camera may send."""

    key: RecordingKey
    size: int | None
    durable: tuple[Range, ...]
    missing: tuple[Range, ...]
    window_bytes: int
    reason: str = "success"


class Sealed(msgspec.Struct, frozen=True):
    """A sealed exhibit and the receipt that goes back to the camera (contracts section 6)."""

    key: RecordingKey
    exhibit: ExhibitId
    size: int
    sha256: str
    log_index: int
    receipt: dict[str, Any]
    flags: tuple[str, ...] = ()


class Act(msgspec.Struct, frozen=True):
    """One custody act before it is logged: facts go in clear, detail is salted and sealed.

    kind is one of examples/wire/log.json `kinds`; exhibit None for acts on no exhibit.
    """

    kind: str
    actor: str
    exhibit: ExhibitId | None = None
    facts: dict[str, Any] = msgspec.field(default_factory=dict)
    detail: dict[str, Any] = msgspec.field(default_factory=dict)


class Recorded(msgspec.Struct, frozen=True):
    """A custody entry that is in the log: index, exact leaf bytes, `.tlog-proof` text."""

    index: int
    leaf: bytes
    proof: str


class Attribution(msgspec.Struct, frozen=True):
    """Who held the camera at recording time; holder None with a flag, never a guess."""

    holder: PersonId | None
    candidates: tuple[PersonId, ...] = ()
    flags: tuple[str, ...] = ()
