"""What a camera demands of a receipt before its own copy may ever be deleted."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from firmware_stubs.proof import ProofError, VerifierKey, check_inclusion
from firmware_stubs.rotation import Trail, follow

ENTRY_CAP = 64 * 1024
LAST_DAY = "9999-12-31T"


@dataclass(frozen=True)
class Recording:
    """One recording as its camera knows it; `name` is the recording's level in the topic."""

    device: str
    name: str
    size: int
    sha256: str
    started_at: str
    ended_at: str
    trigger: str = "button"


@dataclass(frozen=True)
class Receipt:
    """A receipt that was verified in every part."""

    exhibit: str
    log_index: int
    copies: int
    keep_until: str
    key: VerifierKey | None = None

    @property
    def until_told(self) -> bool:
        """Whether the copy must be kept until a later receipt names a time: not all copies there are verified yet."""
        return self.keep_until.startswith(LAST_DAY)

    def deletable(self, now: datetime) -> bool:
        """Whether the time that the copy must be kept is over."""
        return now >= moment(self.keep_until)


def moment(text: str) -> datetime:
    """An RFC 3339 time with its zone; ProofError for anything else."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise ProofError("receipt: keep_until is no time") from error
    if when.tzinfo is None:
        raise ProofError("receipt: keep_until without a zone")
    return when


def verify_receipt(receipt: Mapping[str, object], recording: Recording, key: VerifierKey) -> Receipt:
    """Check a receipt against the recording that the camera holds and the log key that it pinned.

    Its `key` is the one to pin from now on: the same, or what that one has handed over to.
    """
    expected = {"recording": recording.name, "size": recording.size, "sha256": recording.sha256}
    _require(receipt, expected, "receipt")
    entry = _entry_bytes(receipt.get("entry"))
    leaf = _leaf(entry)
    exhibit = _text(receipt, "exhibit")
    _require(leaf, {"kind": "seal", "sha256": recording.sha256, "size": recording.size, "exhibit": exhibit}, "entry")
    if leaf.get("complete") is False:
        raise ProofError("entry: sealed as incomplete")
    trail = follow(receipt.get("rotations", []), key)
    index = _proved(entry, _text(receipt, "proof"), trail)
    if receipt.get("log_index") != index:
        raise ProofError("receipt: log_index is not the proof's")
    copies, keep_until = receipt.get("copies"), _text(receipt, "keep_until")
    if not isinstance(copies, int) or copies < 1:
        raise ProofError("receipt: copies")
    moment(keep_until)
    return Receipt(exhibit, index, copies, keep_until, trail[-1][0])


def _proved(entry: bytes, proof: str, trail: Trail) -> int:
    """The proof may be older than the newest key that the receipt names."""
    problem = ProofError("proof: no key")
    for key, most in reversed(trail):
        try:
            return check_inclusion(entry, proof, key, most)
        except ProofError as wrong:
            problem = wrong
    raise problem


def _require(found: Mapping[str, object], expected: Mapping[str, object], what: str) -> None:
    for name, value in expected.items():
        if found.get(name) != value:
            raise ProofError(f"{what}: {name} is {found.get(name)!r}, expected {value!r}")


def _text(found: Mapping[str, object], name: str) -> str:
    value = found.get(name)
    if not isinstance(value, str) or not value:
        raise ProofError(f"receipt: {name} is missing")
    return value


def _entry_bytes(text: object) -> bytes:
    if not isinstance(text, str) or len(text) > 2 * ENTRY_CAP:
        raise ProofError("receipt: entry is missing or too long")
    try:
        entry = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProofError("receipt: entry is not base64") from error
    return entry


def _leaf(entry: bytes) -> Mapping[str, object]:
    try:
        leaf = json.loads(entry)
    except (ValueError, RecursionError) as error:
        raise ProofError("entry: not JSON") from error
    if not isinstance(leaf, dict):
        raise ProofError("entry: not an object")
    return leaf
