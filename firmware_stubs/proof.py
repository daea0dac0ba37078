"""The camera's own check of a receipt's proof: vkey, signed note, checkpoint, tlog-proof, RFC 6962 inclusion."""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

HEADER = "c2sp.org/tlog-proof@v1"
ED25519 = 1
PROOF_CAP = 64 * 1024
PATH_CAP = 63
SIGNATURE_CAP = 16
DIGIT_CAP = 19


class ProofError(Exception):
    """A receipt, or a part of its proof, that must not be believed; the text says which."""


@dataclass(frozen=True)
class VerifierKey:
    """A log's name, key id and Ed25519 key (c2sp.org/signed-note, verifier keys)."""

    name: str
    key_id: bytes
    key: bytes

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Read `name+hex8+base64(type, key)` and check that the id belongs to the key."""
        parts = text.strip().split("+", 2)
        if len(parts) != 3 or not parts[0] or any(c.isspace() for c in parts[0]):
            raise ProofError("verifier key: not name+id+key")
        try:
            key_id = bytes.fromhex(parts[1])
        except ValueError as error:
            raise ProofError("verifier key: id is not hexadecimal") from error
        typed = strict_base64(parts[2], "verifier key")
        if len(typed) != 33 or typed[0] != ED25519:
            raise ProofError("verifier key: not an Ed25519 key")
        if key_id != hashlib.sha256(parts[0].encode() + b"\n" + typed).digest()[:4]:
            raise ProofError("verifier key: id does not belong to the key")
        return cls(parts[0], key_id, typed[1:])

    @property
    def text(self) -> str:
        """As it is printed."""
        typed = base64.b64encode(bytes([ED25519]) + self.key).decode()
        return f"{self.name}+{self.key_id.hex()}+{typed}"


@dataclass(frozen=True)
class Checkpoint:
    """A signed tree head, its signature verified (c2sp.org/tlog-checkpoint)."""

    origin: str
    size: int
    root: bytes


def open_checkpoint(note: str, key: VerifierKey) -> Checkpoint:
    """Verify the note's signature by this key, then read the tree head."""
    body, gap, signatures = note.rpartition("\n\n")
    if not gap:
        raise ProofError("checkpoint: no signatures")
    body += "\n"
    verify_note(body, signatures, key)
    lines = body.split("\n")
    if len(lines) < 4 or not all(lines[:3]):
        raise ProofError("checkpoint: fewer than three lines")
    if lines[0] != key.name:
        raise ProofError("checkpoint: origin is not the pinned log")
    root = strict_base64(lines[2], "checkpoint root")
    if len(root) != 32:
        raise ProofError("checkpoint: root is not 32 bytes")
    return Checkpoint(lines[0], decimal(lines[1], "checkpoint size"), root)


def verify_note(body: str, signatures: str, key: VerifierKey) -> None:
    """Check that this key is among the signers of a note, and that its signature is right."""
    lines = signatures.split("\n")
    if lines.pop() != "" or not 0 < len(lines) <= SIGNATURE_CAP:
        raise ProofError("checkpoint: signature lines")
    verified = False
    for line in lines:
        words = line.split(" ")
        if len(words) != 3 or words[0] != "\u2014":
            raise ProofError("checkpoint: malformed signature line")
        blob = strict_base64(words[2], "checkpoint signature")
        if words[1] == key.name and blob[:4] == key.key_id:
            _verify_signature(body, blob[4:], key)
            verified = True
    if not verified:
        raise ProofError("checkpoint: not signed by the pinned key")


def _verify_signature(body: str, signature: bytes, key: VerifierKey) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(key.key).verify(signature, body.encode())
    except (InvalidSignature, UnicodeEncodeError) as error:
        raise ProofError("checkpoint: signature is wrong") from error


@dataclass(frozen=True)
class InclusionProof:
    """A parsed tlog-proof: where the entry is, its path, and the checkpoint still unverified."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: str

    @classmethod
    def parse(cls, text: str) -> "InclusionProof":
        """Read the text form (c2sp.org/tlog-proof@v1); the extra line is not authenticated and is ignored."""
        if len(text) > PROOF_CAP:
            raise ProofError("proof: too long")
        head, gap, checkpoint = text.partition("\n\n")
        lines = head.split("\n")
        if not gap or lines.pop(0) != HEADER:
            raise ProofError("proof: not a tlog-proof")
        if lines and lines[0].startswith("extra "):
            strict_base64(lines.pop(0).removeprefix("extra "), "proof extra")
        if not lines or not lines[0].startswith("index "):
            raise ProofError("proof: no index line")
        index = decimal(lines.pop(0).removeprefix("index "), "proof index")
        path = tuple(strict_base64(line, "proof hash") for line in lines)
        if len(path) > PATH_CAP or any(len(node) != 32 for node in path):
            raise ProofError("proof: hashes")
        return cls(index, path, checkpoint)


def leaf_hash(entry: bytes) -> bytes:
    """Hash of a leaf (RFC 6962, section 2.1)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node (RFC 6962, section 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_from_path(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """The root that this path leads to (RFC 9162, section 2.1.3.2)."""
    if index >= size:
        raise ProofError("proof: index beyond the tree")
    node, low, last = leaf, index, size - 1
    for sibling in path:
        if last == 0:
            raise ProofError("proof: path too long")
        if low & 1 or low == last:
            node = node_hash(sibling, node)
            while low and not low & 1:
                low, last = low >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        low, last = low >> 1, last >> 1
    if last != 0:
        raise ProofError("proof: path too short")
    return node


def check_inclusion(entry: bytes, proof_text: str, key: VerifierKey, most: int | None = None) -> int:
    """Verify that the entry is in the pinned log and return its index; most: the largest log the key is good for."""
    proof = InclusionProof.parse(proof_text)
    checkpoint = open_checkpoint(proof.checkpoint, key)
    if most is not None and checkpoint.size > most:
        raise ProofError("checkpoint: signed by a key that was rotated before")
    if root_from_path(proof.index, checkpoint.size, leaf_hash(entry), proof.path) != checkpoint.root:
        raise ProofError("proof: does not lead to the signed root")
    return proof.index


def decimal(text: str, what: str) -> int:
    """A number as it would be printed."""
    if not text.isascii() or not text.isdecimal() or len(text) > DIGIT_CAP or str(int(text)) != text:
        raise ProofError(f"{what}: not a plain decimal")
    return int(text)


def strict_base64(text: str, what: str) -> bytes:
    """Decode, and accept only the one text that encodes to the same again."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProofError(f"{what}: not base64") from error
    if base64.b64encode(decoded).decode() != text:
        raise ProofError(f"{what}: not canonical base64")
    return decoded
