"""The committed batch in `log/pending`: read strictly, and judged against the log that it extends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.errors import VerificationError
from gateway.evidence.verify import tree
from gateway.evidence.verify.files import from_base64
from gateway.evidence.verify.leaves import is_count
from gateway.evidence.verify.notes import Checkpoint
from gateway.evidence.verify.report import shown
from gateway.evidence.verify.rotations import Keys

PENDING = "log/pending"
PENDING_MAX = 1 << 28


class Pending(msgspec.Struct, frozen=True):
    """A batch that was committed and not (or not wholly) applied."""

    old_size: int
    leaves: tuple[bytes, ...]
    checkpoint: Checkpoint


def _batch(raw: bytes) -> dict[str, Any]:
    try:
        batch = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        raise VerificationError(PENDING, "JSON", shown(raw)) from None
    if not isinstance(batch, dict) or batch.get("v") != 1 or not is_count(batch.get("old_size")):
        raise VerificationError(PENDING, "an object with v = 1 and old_size", shown(raw))
    leaves, checkpoint = batch.get("leaves"), batch.get("checkpoint")
    if not isinstance(leaves, list) or not all(isinstance(leaf, str) for leaf in leaves):
        raise VerificationError(PENDING, "leaves as a list of base64", shown(leaves))
    if not isinstance(checkpoint, str):
        raise VerificationError(PENDING, "a checkpoint", shown(checkpoint))
    return batch


def parse_pending(raw: bytes, keys: Keys) -> Pending:
    """Read `pending`: its checkpoint is signed, and of the size that its leaves lead to."""
    batch = _batch(raw)
    leaves = tuple(from_base64(leaf, None, PENDING, "a leaf") for leaf in batch["leaves"])
    signed = batch["checkpoint"].encode("utf-8", "surrogatepass")
    checkpoint = keys.open(signed, PENDING)
    size = batch["old_size"] + len(leaves)
    if checkpoint.size != size:
        raise VerificationError(PENDING, f"a checkpoint of size {size}", str(checkpoint.size))
    return Pending(batch["old_size"], leaves, checkpoint)


def judge(pending: Pending, hashes: Sequence[bytes]) -> str:
    """Say what starting the gateway will do with it; VerificationError when it is not this log's next batch."""
    size = len(hashes)
    if not pending.old_size <= size <= pending.checkpoint.size:
        found = f"one from {pending.old_size} to {pending.checkpoint.size}"
        raise VerificationError(PENDING, f"a batch that begins or ends at size {size}", found)
    extended = [*hashes[: pending.old_size], *(tree.leaf_hash(leaf) for leaf in pending.leaves)]
    if tree.root(extended) != pending.checkpoint.root or extended[:size] != list(hashes):
        raise VerificationError(PENDING, "leaves that extend the log to the checkpoint in it", "others")
    if pending.checkpoint.size > size:
        return f"a batch committed but not applied ({pending.checkpoint.size - size} entries): start the gateway"
    return "a batch committed and applied but not cleared: start the gateway"
