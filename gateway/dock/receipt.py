"""What a dock demands of a receipt before its copy may ever be deleted."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

import msgspec

from gateway.crypto.notes import VerifierKey
from gateway.domain.time import from_rfc3339
from gateway.evidence.log.rotation import proved, trail

ENTRY_CAP = 64 * 1024
LAST_YEAR = 9999


class Leaf(msgspec.Struct, frozen=True):
    """What the log's entry must say."""

    kind: str
    exhibit: str
    sha256: str
    size: int
    complete: bool


class Receipt(msgspec.Struct, frozen=True):
    """A receipt as the gateway sends it."""

    exhibit: str
    recording: str
    size: int
    sha256: str
    log_index: int
    entry: str
    proof: str
    keep_until: str
    rotations: list[str] = []


class Proven(msgspec.Struct, frozen=True):
    """A receipt of which every part was checked."""

    exhibit: str
    log_index: int
    keep_until: datetime


def until_told(keep_until: datetime | None) -> bool:
    """Whether a receipt names no time yet: the gateway has not verified all the copies that it is to have."""
    return keep_until is not None and keep_until.year == LAST_YEAR


def verify_receipt(receipt: dict[str, Any], recording: str, size: int, sha256: str, key: VerifierKey) -> Proven:
    """Check a receipt against what this dock holds and the log key that it pinned; ValueError says what is wrong."""
    try:
        told = msgspec.convert(receipt, Receipt)
        if len(told.entry) > 2 * ENTRY_CAP:
            raise ValueError("entry: too long")
        entry = base64.b64decode(told.entry, validate=True)
        leaf = msgspec.json.decode(entry, type=Leaf)
    except (msgspec.MsgspecError, UnicodeDecodeError) as wrong:
        raise ValueError(f"receipt: {wrong}") from wrong
    if (told.recording, told.size, told.sha256) != (recording, size, sha256):
        raise ValueError(
            f"receipt: of {told.recording!r}, {told.size} bytes, sha256 {told.sha256[:64]}: not this file's"
        )
    if leaf != Leaf("seal", told.exhibit, sha256, size, complete=True):
        raise ValueError("receipt: its log entry does not seal this file, whole")
    index = proved(told.proof, entry, trail(told.rotations, key))
    if index != told.log_index:
        raise ValueError(f"receipt: log_index {told.log_index}, its proof is of {index}")
    return Proven(told.exhibit, index, from_rfc3339(told.keep_until))
