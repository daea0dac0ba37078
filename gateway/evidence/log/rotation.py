"""A change of the log's signing key: a statement that the old key signs, and that the new one signs as well.

The old key's signature passes its trust on; the new key's shows that whoever rotates does have it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from gateway.crypto.notes import (
    Signer,
    VerifierKey,
    add_signature,
    parse_note,
    parse_vkey,
    sign_note,
    strict_base64,
    strict_int,
    verify_note,
)
from gateway.evidence.log.checkpoint import parse_checkpoint
from gateway.evidence.log.merkle import HASH_BYTES
from gateway.evidence.log.proof import parse_proof, verify_proof

HEADER = "lapel key rotation v1"
CARRIER = "lapel.key-rotation"
CARRIED_MAX = 32
_CARRIER_ID = hashlib.sha256(f"{CARRIER}\n".encode() + b"\xff" + HEADER.encode()).digest()[:4]
Trail = list[tuple[VerifierKey, int | None]]
OVERLAP = {"ends": False, "goes on": True}


class Rotation(msgspec.Struct, frozen=True):
    """Old and new key of one origin, the tree below the entry that says so, and whether the old key goes on beside."""

    old: VerifierKey
    new: VerifierKey
    size: int
    root: bytes
    overlap: bool = False

    @property
    def text(self) -> str:
        """What is signed (docs/formats.md, "Rotation of the log's key")."""
        lines = [HEADER, f"origin {self.old.name}", f"old {self.old}", f"new {self.new}", f"size {self.size}"]
        lines += [f"root {base64.b64encode(self.root).decode()}"]
        lines += [f"old key {'goes on' if self.overlap else 'ends'}"]
        return "\n".join(lines) + "\n"

    def sign(self, old: Signer, new: Signer) -> str:
        """The signed note."""
        return add_signature(sign_note(self.text, self.old.name, old), self.new.name, new)


def open_rotation(note: str) -> Rotation:
    """Read a rotation and verify both signatures; ValueError otherwise. Whether its old key is trusted is not asked."""
    lines = parse_note(note.encode()).text.split("\n")
    names = ("origin ", "old ", "new ", "size ", "root ", "old key ")
    words = [line.removeprefix(name) for line, name in zip(lines[1:7], names, strict=True)] if len(lines) == 8 else []
    if len(words) != len(names) or words[5] not in OVERLAP:
        raise ValueError(f"not a note of {HEADER!r}")
    old, new = parse_vkey(words[1]), parse_vkey(words[2])
    found = Rotation(old, new, strict_int(words[3]), strict_base64(words[4]), OVERLAP[words[5]])
    if found.text != "\n".join(lines) or words[0] != new.name or len(found.root) != HASH_BYTES or old == new:
        raise ValueError("a rotation goes from one key of an origin to another, at one tree")
    verify_note(note.encode(), old)
    verify_note(note.encode(), new)
    return found


def carried(notes: Sequence[str]) -> str:
    """Rotations as signature lines of a checkpoint that a witness is offered: whoever does not know them ignores them.

    (signed-note: a line of an unknown key is passed over; type 0xff is for what has no number of its own.)
    """
    blobs = (base64.b64encode(_CARRIER_ID + note.encode()).decode() for note in notes[-CARRIED_MAX:])
    return "".join(f"— {CARRIER} {blob}\n" for blob in blobs)


def carried_in(note: str) -> list[str]:
    """The rotations that a checkpoint's signature lines carry; ValueError where the note cannot be read."""
    lines = parse_note(note.encode()).signatures
    return [blob[4:].decode() for name, blob in lines if name == CARRIER and blob[:4] == _CARRIER_ID]


def trail(notes: Iterable[str], pinned: VerifierKey) -> Trail:
    """Each key from a pinned one on, with the largest tree that its signature counts for; the last has no such end.

    Each step is signed by the key before it. What does not begin at that key is passed over; ValueError for what is
    no rotation.
    """
    led: Trail = [(pinned, None)]
    for note in notes:
        rotation = open_rotation(note)
        if rotation.old == led[-1][0]:
            led[-1:] = [(rotation.old, rotation.size + 1), (rotation.new, None)]
    return led


def follow(notes: Iterable[str], pinned: VerifierKey) -> VerifierKey:
    """The key that the rotations lead to from a pinned one."""
    return trail(notes, pinned)[-1][0]


def proved(text: str, leaf: bytes, led: Trail) -> int:
    """As `verify_proof`, under the key of a trail that counts for it: a proof may be older than the newest key."""
    problem = ValueError("no key to verify it by")
    for key, most in reversed(led):
        try:
            index = verify_proof(text, leaf, key)
            size = parse_checkpoint(parse_note(parse_proof(text).checkpoint.encode()).text).size
        except ValueError as wrong:
            problem = wrong
            continue
        if most is not None and size > most:
            raise ValueError(f"signed at {size} entries by a key that was rotated at {most}")
        return index
    raise problem
