"""C2SP tlog-cosignature, Ed25519: a witness's time-stamped signature over a checkpoint's text."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.crypto.notes import SIGNATURES_MAX, Note, Signer, check_name, parse_note, strict_base64

COSIGNATURE = 4
TIME_MAX = (1 << 63) - 1
_DASH = "— "
_BLOB_BYTES = 4 + 8 + 64


class WitnessKey(msgspec.Struct, frozen=True):
    """Whose cosignature to accept: the witness's name and its 32 public bytes."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """SHA-256(name ‖ 0x0A ‖ 0x04 ‖ public key)[:4] (tlog-cosignature, "Format")."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([COSIGNATURE]) + self.public).digest()[:4]

    def __str__(self) -> str:
        """Print as a vkey."""
        blob = base64.b64encode(bytes([COSIGNATURE]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{blob}"


def parse_witness_vkey(text: str) -> WitnessKey:
    """Read a vkey `name+hex8+base64(0x04 ‖ public key)`, its id checked; ValueError otherwise."""
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise ValueError("a verifier key has three parts joined by '+'")
    blob = strict_base64(parts[2])
    if len(blob) != 33 or blob[0] != COSIGNATURE:
        raise ValueError("not a witness's Ed25519 verifier key (signature type 0x04)")
    key = WitnessKey(check_name(parts[0]), blob[1:])
    if str(key) != text:
        raise ValueError("the verifier key's id is not that of its name and key")
    return key


def message(text: str, time_s: int) -> bytes:
    """What a cosignature signs (tlog-cosignature, "Ed25519 signed message")."""
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()


def cosign(text: str, name: str, signer: Signer, time_s: int) -> str:
    """Sign a checkpoint's text; one signature line with its newline."""
    if not 0 <= time_s <= TIME_MAX:
        raise ValueError(f"{time_s} is not a time of a cosignature")
    key = WitnessKey(check_name(name), signer.public)
    blob = key.key_id + time_s.to_bytes(8, "big") + signer.sign(message(text, time_s))
    return f"{_DASH}{name} {base64.b64encode(blob).decode()}\n"


def cosigned_at(note: Note, key: WitnessKey) -> int:
    """When the witness cosigned this note (seconds since the epoch); ValueError unless it did.

    Other keys' lines are ignored; one of this key that is wrong is refused. Of several the latest counts.
    """
    mine = [blob for name, blob in note.signatures if name == key.name and blob[:4] == key.key_id]
    if not mine:
        raise ValueError(f"no cosignature of {key.name}+{key.key_id.hex()}")
    return max(_time_of(blob, note.text, key) for blob in mine)


def _time_of(blob: bytes, text: str, key: WitnessKey) -> int:
    time_s = int.from_bytes(blob[4:12], "big")
    if len(blob) != _BLOB_BYTES or time_s > TIME_MAX:
        raise ValueError(f"the cosignature of {key.name} has {len(blob)} bytes or no time")
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(blob[12:], message(text, time_s))
    except InvalidSignature as problem:
        raise ValueError(f"the cosignature of {key.name}+{key.key_id.hex()} is wrong") from problem
    return time_s


def cosignature_line(answer: bytes, note: str, key: WitnessKey) -> str:
    """Pick this witness's line out of its answer over a note's text; ValueError unless it is there and right."""
    text = parse_note(note.encode()).text
    answered = parse_note(text.encode() + b"\n" + answer)
    cosigned_at(answered, key)
    lines = [line for line in answer.decode().split("\n") if line]
    mine = [
        line
        for line, (name, blob) in zip(lines, answered.signatures, strict=True)
        if name == key.name and blob[:4] == key.key_id
    ]
    return mine[-1] + "\n"


def with_cosignatures(note: str, lines: Iterable[str]) -> str:
    """The note with these signature lines behind its own; lines that it has already are not repeated."""
    room = SIGNATURES_MAX - len(parse_note(note.encode()).signatures)
    fresh = [line for line in dict.fromkeys(lines) if line not in note]
    return note + "".join(fresh[:room])
