"""C2SP signed notes (c2sp.org/signed-note) with Ed25519, and their verifier keys.

Signed text is parsed strictly: whatever prints differently from what was read is refused,
so that two readers can never see two meanings in one signed file.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Protocol

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ED25519 = 1
NOTE_BYTES_MAX = 1_000_000
SIGNATURES_MAX = 64
INT_DIGITS_MAX = 20
_DASH = "— "
_KEY_ID_BYTES = 4


class Signer(Protocol):
    """Holds an Ed25519 private key; never shows it."""

    public: bytes

    def sign(self, message: bytes) -> bytes:
        """Sign; 64 bytes."""
        ...


class VerifierKey(msgspec.Struct, frozen=True):
    """Whose signature to accept: the key's name (for a log its origin) and 32 public bytes."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes that a signature line begins with (signed-note, "Signatures")."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([ED25519]) + self.public).digest()[:_KEY_ID_BYTES]

    def __str__(self) -> str:
        """Print as a vkey."""
        blob = base64.b64encode(bytes([ED25519]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{blob}"


class Note(msgspec.Struct, frozen=True):
    """A note as read, not yet verified: text with its last newline, (name, key id ‖ signature) pairs."""

    text: str
    signatures: tuple[tuple[str, bytes], ...]


def strict_base64(text: str) -> bytes:
    """Decode standard padded base64; ValueError unless it prints back to the same text."""
    try:
        decoded = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeError) as problem:
        raise ValueError(f"{text[:80]!r} is not base64") from problem
    if base64.b64encode(decoded).decode() != text:
        raise ValueError(f"{text[:80]!r} is not base64 in its one form")
    return decoded


def strict_int(text: str) -> int:
    """Read a decimal number without sign, zeros or space before it; ValueError otherwise."""
    if len(text) > INT_DIGITS_MAX or not (text.isascii() and text.isdigit()) or str(int(text)) != text:
        raise ValueError(f"{text[:80]!r} is not a plain decimal number")
    return int(text)


def check_name(name: str) -> str:
    """Return a key name that signed-note allows: not empty, no white space, no plus sign."""
    if not name or "+" in name or any(letter.isspace() or not letter.isprintable() for letter in name):
        raise ValueError(f"{name!r} is not a key name (no spaces, no '+')")
    return name


def parse_vkey(text: str) -> VerifierKey:
    """Read a vkey `name+hex8+base64(0x01 ‖ public key)`, its id checked; ValueError otherwise."""
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise ValueError("a verifier key has three parts joined by '+'")
    blob = strict_base64(parts[2])
    if len(blob) != 33 or blob[0] != ED25519:
        raise ValueError("not an Ed25519 verifier key")
    key = VerifierKey(check_name(parts[0]), blob[1:])
    if str(key) != text:
        raise ValueError("the verifier key's id is not that of its name and key")
    return key


def sign_note(text: str, name: str, signer: Signer) -> str:
    """Sign a text that ends in a newline; the note has one signature."""
    _check_text(text)
    return f"{text}\n{_signed(text, name, signer)}"


def add_signature(note: str, name: str, signer: Signer) -> str:
    """Put one more signature behind those of a note."""
    return note + _signed(parse_note(note.encode()).text, name, signer)


def _signed(text: str, name: str, signer: Signer) -> str:
    key = VerifierKey(check_name(name), signer.public)
    signature = base64.b64encode(key.key_id + signer.sign(text.encode())).decode()
    return f"{_DASH}{name} {signature}\n"


def parse_note(raw: bytes) -> Note:
    """Read a note without verifying it; ValueError where its form is not exactly signed-note's."""
    if len(raw) > NOTE_BYTES_MAX:
        raise ValueError(f"a note of more than {NOTE_BYTES_MAX} bytes")
    whole = raw.decode("utf-8")
    cut = whole.rfind("\n\n")
    if cut < 0 or not whole.endswith("\n"):
        raise ValueError("a note has a text, an empty line and signature lines")
    text, lines = whole[: cut + 1], whole[cut + 2 :].split("\n")[:-1]
    _check_text(text)
    if not 1 <= len(lines) <= SIGNATURES_MAX:
        raise ValueError(f"a note has 1 to {SIGNATURES_MAX} signatures")
    return Note(text, tuple(_signature_line(line) for line in lines))


def verify_note(raw: bytes, key: VerifierKey) -> str:
    """Return the text of a note that this key signed; ValueError otherwise.

    Signatures of other keys are ignored; a second or a wrong one of this key is refused.
    """
    note = parse_note(raw)
    mine = [blob[4:] for name, blob in note.signatures if name == key.name and blob[:4] == key.key_id]
    if len(mine) != 1:
        raise ValueError(f"{len(mine)} signatures of {key.name}+{key.key_id.hex()}, expected 1")
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(mine[0], note.text.encode())
    except InvalidSignature as problem:
        raise ValueError(f"the signature of {key.name}+{key.key_id.hex()} is wrong") from problem
    return note.text


def _check_text(text: str) -> None:
    if not text.endswith("\n") or any(ord(letter) < 0x20 and letter != "\n" for letter in text):
        raise ValueError("a note's text ends in a newline and has no control characters")


def _signature_line(line: str) -> tuple[str, bytes]:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space:
        raise ValueError(f"{line[:80]!r} is not a signature line")
    blob = strict_base64(encoded)
    if len(blob) <= _KEY_ID_BYTES:
        raise ValueError(f"{line[:80]!r} has no signature")
    return check_name(name), blob
