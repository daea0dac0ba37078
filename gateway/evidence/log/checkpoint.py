"""C2SP tlog-checkpoint: origin, size and root in a signed note."""

from __future__ import annotations

import base64

import msgspec

from gateway.crypto.notes import Signer, VerifierKey, add_signature, sign_note, strict_base64, strict_int, verify_note
from gateway.evidence.log.merkle import HASH_BYTES


class Checkpoint(msgspec.Struct, frozen=True):
    """A tree head: the log's origin, how many leaves, and their root hash."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The signed text: three lines (tlog-checkpoint, "Note text")."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    def sign(self, signer: Signer, *others: Signer) -> str:
        """The signed note, signed under the origin as key name; by others too while keys change."""
        note = sign_note(self.text, self.origin, signer)
        for other in others:
            note = add_signature(note, self.origin, other)
        return note


def parse_checkpoint(text: str) -> Checkpoint:
    """Read a checkpoint's three lines (extension lines are refused); ValueError otherwise."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise ValueError("a checkpoint has an origin, a size and a root hash, each on a line")
    found = Checkpoint(lines[0], strict_int(lines[1]), strict_base64(lines[2]))
    if not found.origin or len(found.root) != HASH_BYTES:
        raise ValueError("a checkpoint has an origin and a root hash of 32 bytes")
    return found


def open_checkpoint(note: bytes, key: VerifierKey) -> Checkpoint:
    """Verify a signed checkpoint of the log whose origin is the key's name; ValueError otherwise."""
    found = parse_checkpoint(verify_note(note, key))
    if found.origin != key.name:
        raise ValueError(f"a checkpoint of {found.origin!r}, expected {key.name!r}")
    return found
