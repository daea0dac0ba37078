"""`.tlog-proof` files (c2sp.org/tlog-proof@v1): one entry's inclusion, checkable offline."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import msgspec

from gateway.crypto.notes import VerifierKey, strict_base64, strict_int
from gateway.evidence.log.checkpoint import open_checkpoint
from gateway.evidence.log.merkle import HASH_BYTES, leaf_hash, verify_inclusion

HEADER = "c2sp.org/tlog-proof@v1"
HASHES_MAX = 63
PROOF_BYTES_MAX = 1_000_000


class Proof(msgspec.Struct, frozen=True):
    """Index, inclusion path and the signed checkpoint, verbatim."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None


def print_proof(index: int, path: Sequence[bytes], checkpoint: str, extra: bytes | None = None) -> str:
    """Print a `.tlog-proof`."""
    lines = [HEADER]
    if extra is not None:
        lines.append(f"extra {base64.b64encode(extra).decode()}")
    lines.append(f"index {index}")
    lines.extend(base64.b64encode(step).decode() for step in path)
    return "\n".join(lines) + "\n\n" + checkpoint


def parse_proof(text: str) -> Proof:
    """Read a `.tlog-proof`; ValueError where printing it again would give other text."""
    if len(text) > PROOF_BYTES_MAX:
        raise ValueError(f"a proof of more than {PROOF_BYTES_MAX} characters")
    head, blank, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if not blank or lines.pop(0) != HEADER:
        raise ValueError(f"not a {HEADER} file")
    extra = strict_base64(lines.pop(0)[6:]) if lines and lines[0].startswith("extra ") else None
    if not lines or not lines[0].startswith("index "):
        raise ValueError("a proof without its index")
    path = tuple(strict_base64(line) for line in lines[1:])
    if len(path) > HASHES_MAX or any(len(step) != HASH_BYTES for step in path):
        raise ValueError(f"a proof has at most {HASHES_MAX} hashes of {HASH_BYTES} bytes")
    return Proof(strict_int(lines[0][6:]), path, checkpoint, extra)


def verify_proof(text: str, leaf: bytes, key: VerifierKey) -> int:
    """Return the index of a leaf that this proof shows to be in the key's log; ValueError otherwise."""
    proof = parse_proof(text)
    head = open_checkpoint(proof.checkpoint.encode(), key)
    if not verify_inclusion(proof.index, head.size, leaf_hash(leaf), proof.path, head.root):
        raise ValueError(f"the leaf is not entry {proof.index} of {head.origin} at size {head.size}")
    return proof.index
