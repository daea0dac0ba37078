"""Signed notes and checkpoints, read strictly (c2sp.org/signed-note, c2sp.org/tlog-checkpoint)."""

from __future__ import annotations

import base64
import hashlib
import re

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.errors import VerificationError
from gateway.evidence.verify.files import from_base64
from gateway.evidence.verify.report import shown

ED25519 = b"\x01"
SIGNATURES_MAX = 64
SIZE_MAX = 1 << 62
_VKEY = re.compile(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


class Vkey(msgspec.Struct, frozen=True):
    """A verifier key: its name (the log's origin), its id, the Ed25519 public key."""

    name: str
    key_id: bytes
    public: bytes

    def __str__(self) -> str:
        """Print as `name+hex8+base64`."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(ED25519 + self.public).decode()}"


class Signature(msgspec.Struct, frozen=True):
    """One signature line."""

    name: str
    key_id: bytes
    signature: bytes


class Note(msgspec.Struct, frozen=True):
    """A note's text (with its last newline) and its signatures, nothing verified yet."""

    text: str
    signatures: tuple[Signature, ...]


class Checkpoint(msgspec.Struct, frozen=True):
    """A signed tree head whose signature was verified."""

    origin: str
    size: int
    root: bytes
    raw: bytes


def _utf8(raw: bytes, path: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise VerificationError(path, "UTF-8", f"byte 0x{raw[error.start]:02x} at {error.start}") from None


def _name_is_good(name: str) -> bool:
    return bool(name) and "+" not in name and not any(c.isspace() or ord(c) < 0x20 for c in name)


def parse_vkey(raw: bytes, path: str) -> Vkey:
    """Read `name+hex8+base64(type ‖ public key)` with at most one newline behind it; the id must be right."""
    line = _utf8(raw, path).removesuffix("\n")
    match = _VKEY.fullmatch(line)
    if match is None or not _name_is_good(match[1]):
        raise VerificationError(path, "a verifier key <name>+<hex8>+<base64>", shown(line))
    material = from_base64(match[3], 33, path, "signature type and public key")
    if material[:1] != ED25519:
        raise VerificationError(path, "signature type 0x01 (Ed25519)", f"0x{material[0]:02x}")
    key_id = hashlib.sha256(match[1].encode() + b"\n" + material).digest()[:4]
    if key_id.hex() != match[2]:
        raise VerificationError(path, f"key id {key_id.hex()}", match[2])
    return Vkey(match[1], key_id, material[1:])


def _signature_line(line: str, path: str) -> Signature:
    mark, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    if mark != "—" or not _name_is_good(name):
        raise VerificationError(path, "a signature line `— name base64`", shown(line))
    material = from_base64(encoded, None, path, "a signature")
    if len(material) < 5:
        raise VerificationError(path, "a key id and a signature", f"{len(material)} bytes")
    return Signature(name, material[:4], material[4:])


def parse_note(raw: bytes, path: str) -> Note:
    """Split a note into text and signatures at its last empty line."""
    whole = _utf8(raw, path)
    if any(ord(c) < 0x20 and c != "\n" for c in whole):
        raise VerificationError(path, "no control character but newline", "one")
    text, gap, tail = whole.rpartition("\n\n")
    if not gap or not tail.endswith("\n"):
        raise VerificationError(path, "a text, an empty line and signature lines", shown(whole[-80:]))
    lines = tail[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise VerificationError(path, f"at most {SIGNATURES_MAX} signatures", str(len(lines)))
    return Note(text + "\n", tuple(_signature_line(line, path) for line in lines))


def verify_note(note: Note, vkey: Vkey, path: str) -> None:
    """Every signature of this key must be right, and there must be one; unknown keys are ignored."""
    ours = [s for s in note.signatures if (s.name, s.key_id) == (vkey.name, vkey.key_id)]
    if not ours:
        names = ", ".join(f"{s.name}+{s.key_id.hex()}" for s in note.signatures)
        raise VerificationError(path, f"a signature by {vkey.name}+{vkey.key_id.hex()}", shown(names))
    for signature in ours:
        try:
            Ed25519PublicKey.from_public_bytes(vkey.public).verify(signature.signature, note.text.encode())
        except (InvalidSignature, ValueError):
            raise VerificationError(path, f"a valid signature by {vkey.name}", "one that does not verify") from None


def claimed_size(raw: bytes, path: str) -> int:
    """The size that a checkpoint names, nothing verified: it says which of a log's keys is to be asked."""
    lines = parse_note(raw, path).text.split("\n")
    return int(lines[1]) if len(lines) > 1 and _SIZE.fullmatch(lines[1]) else 0


def open_checkpoint(raw: bytes, vkey: Vkey, path: str) -> Checkpoint:
    """Verify the signature, then read origin, size and root; the origin is the key's name."""
    note = parse_note(raw, path)
    verify_note(note, vkey, path)
    lines = note.text[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        raise VerificationError(path, "origin, size and root, no empty line", f"{len(lines)} lines")
    if lines[0] != vkey.name:
        raise VerificationError(path, f"origin {vkey.name}", shown(lines[0]))
    if not _SIZE.fullmatch(lines[1]) or int(lines[1]) > SIZE_MAX:
        raise VerificationError(path, "a tree size in decimal", shown(lines[1]))
    return Checkpoint(lines[0], int(lines[1]), from_base64(lines[2], 32, path, "a root hash"), raw)
