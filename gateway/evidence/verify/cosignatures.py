"""Cosignatures of witnesses whose keys somebody trusts, on a checkpoint (c2sp.org/tlog-cosignature, Ed25519)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.errors import VerificationError
from gateway.evidence.verify.files import from_base64
from gateway.evidence.verify.notes import Note, Vkey, parse_note
from gateway.evidence.verify.report import shown

COSIGNATURE = b"\x04"
_VKEY = re.compile(r"([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")
_BYTES = 8 + 64


def parse_witness(text: str, path: str) -> Vkey:
    """Read a witness's verifier key `name+hex8+base64(0x04 ‖ public key)`; the id must be right."""
    match = _VKEY.fullmatch(text.removesuffix("\n"))
    if match is None:
        raise VerificationError(path, "a verifier key <name>+<hex8>+<base64>", shown(text))
    material = from_base64(match[3], 33, path, "signature type and public key")
    if material[:1] != COSIGNATURE:
        raise VerificationError(path, "signature type 0x04 (a witness's Ed25519)", f"0x{material[0]:02x}")
    key_id = hashlib.sha256(match[1].encode() + b"\n" + material).digest()[:4]
    if key_id.hex() != match[2]:
        raise VerificationError(path, f"key id {key_id.hex()}", match[2])
    return Vkey(match[1], key_id, material[1:])


def cosigned_at(note: Note, witness: Vkey, path: str) -> int:
    """When this witness cosigned (seconds since the epoch, the latest); VerificationError unless it did."""
    ours = [s.signature for s in note.signatures if (s.name, s.key_id) == (witness.name, witness.key_id)]
    if not ours:
        raise VerificationError(path, f"a cosignature by {witness.name}+{witness.key_id.hex()}", "none")
    return max(_time(signature, note.text, witness, path) for signature in ours)


def _time(signature: bytes, text: str, witness: Vkey, path: str) -> int:
    if len(signature) != _BYTES or signature[0] > 0x7F:
        raise VerificationError(path, f"a cosignature by {witness.name} of a time and 64 bytes", shown(signature.hex()))
    time_s = int.from_bytes(signature[:8], "big")
    signed = b"cosignature/v1\n" + f"time {time_s}\n".encode() + text.encode()
    try:
        Ed25519PublicKey.from_public_bytes(witness.public).verify(signature[8:], signed)
    except (InvalidSignature, ValueError):
        raise VerificationError(path, f"a valid cosignature by {witness.name}", "one that does not verify") from None
    return time_s


def check_witnesses(raw: bytes, witnesses: Sequence[Vkey], path: str) -> dict[str, int]:
    """When each of these witnesses cosigned this checkpoint; VerificationError for the first that did not."""
    note = parse_note(raw, path)
    return {witness.name: cosigned_at(note, witness, path) for witness in witnesses}
