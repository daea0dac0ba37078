"""The words of C2SP tlog-witness: `add-checkpoint` as a log sends it, and how a witness judges it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from enum import StrEnum

import msgspec

from gateway.crypto.notes import strict_base64, strict_int
from gateway.evidence.log.checkpoint import Checkpoint
from gateway.evidence.log.merkle import EMPTY_ROOT, HASH_BYTES, verify_consistency

PROOF_LINES_MAX = 63
SIZE_MEDIA = "text/x.tlog.size"
SIZE_MAX = 1 << 62


class Submission(msgspec.Struct, frozen=True):
    """An add-checkpoint request: the size that the witness should have seen last, the proof from there, the note."""

    old: int
    path: tuple[bytes, ...]
    note: str


class Refusal(StrEnum):
    """Why a checkpoint that the log did sign is not cosigned."""

    BAD_SIZE = "the old size lies above the checkpoint's"
    STALE = "the old size is not the last one cosigned"
    ROLLBACK = "the log was larger when it was cosigned last"
    FORK = "the log has had another root at this size"
    INCONSISTENT = "the proof does not lead from the last cosigned checkpoint to this one"


STATUS = {
    Refusal.BAD_SIZE: 400,
    Refusal.STALE: 409,
    Refusal.ROLLBACK: 409,
    Refusal.FORK: 422,
    Refusal.INCONSISTENT: 422,
}
KEPT = frozenset({Refusal.ROLLBACK, Refusal.FORK, Refusal.INCONSISTENT})


def print_submission(old: int, path: Sequence[bytes], note: str) -> bytes:
    """Print an add-checkpoint request (tlog-witness, "add-checkpoint")."""
    lines = [f"old {old}", *(base64.b64encode(step).decode() for step in path)]
    return ("\n".join(lines) + "\n\n" + note).encode()


def parse_submission(raw: bytes) -> Submission:
    """Read an add-checkpoint request; ValueError names what is wrong."""
    head, blank, note = raw.decode("utf-8").partition("\n\n")
    first, *proof = head.split("\n")
    if not blank or not first.startswith("old "):
        raise ValueError("a request has the line `old <size>`, proof lines, an empty line and a checkpoint")
    if len(proof) > PROOF_LINES_MAX:
        raise ValueError(f"{len(proof)} proof lines, at most {PROOF_LINES_MAX}")
    path = tuple(strict_base64(line) for line in proof)
    if any(len(step) != HASH_BYTES for step in path):
        raise ValueError(f"a proof line is the base64 of {HASH_BYTES} bytes")
    return Submission(size_of(first[4:]), path, note)


def size_of(text: str) -> int:
    """Read a tree size; ValueError for one that no log has."""
    size = strict_int(text)
    if size > SIZE_MAX:
        raise ValueError(f"a tree of {size} entries")
    return size


def judge(asked: Submission, head: Checkpoint, known: Checkpoint | None) -> Refusal | None:
    """Whether to cosign a checkpoint that its log did sign: None, or why not. known is what was cosigned last."""
    last = Checkpoint(head.origin, 0, EMPTY_ROOT) if known is None else known
    if asked.old > head.size:
        return Refusal.BAD_SIZE
    if head.size < last.size:
        return Refusal.ROLLBACK
    if head.size == last.size and head.root != last.root:
        return Refusal.FORK if known is not None else Refusal.INCONSISTENT
    if asked.old != last.size:
        return Refusal.STALE
    return None if _follows(asked.path, last, head) else Refusal.INCONSISTENT


def _follows(path: Sequence[bytes], last: Checkpoint, head: Checkpoint) -> bool:
    if last.size == 0:  # anything extends the empty tree, and there is nothing to prove
        return not path
    return verify_consistency(last.size, head.size, last.root, head.root, path)


def log_id(origin: str) -> str:
    """How a witness's monitoring address names a log: SHA-256 of its origin, in hex."""
    return hashlib.sha256(origin.encode()).hexdigest()
