"""A receipt that a camera shows again: what it proves of an entry that a restore lost."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from gateway.crypto.canonical import parse_canonical
from gateway.crypto.notes import parse_vkey, strict_base64
from gateway.domain.evidence import FormerLog, Recall, ShownReceipt
from gateway.evidence.log.proof import parse_proof, verify_proof

INVALID = "former_receipt_invalid"


class Shown(msgspec.Struct, frozen=True):
    """What becomes of it: facts and words of the detail for the seal, flags of the exhibit."""

    facts: dict[str, Any] = {}
    detail: dict[str, Any] = {}
    flags: tuple[str, ...] = ()


def judge_shown(receipt: ShownReceipt | None, recall: Recall | None, sha256: str, size: int) -> Shown:
    """Judge the receipt against what has come; nothing is refused for it, and what it says is kept either way."""
    if receipt is None:
        return Shown()
    kept = {"entry": receipt.entry, "proof": receipt.proof}
    try:
        facts = _proven(receipt, recall, sha256, size)
    except (ValueError, KeyError, TypeError) as problem:
        return Shown({}, {"former_receipt": {**kept, "problem": str(problem)}}, (INVALID,))
    return Shown({"formerly": facts}, {"former_receipt": kept}, ())


def _proven(receipt: ShownReceipt, recall: Recall | None, sha256: str, size: int) -> dict[str, Any]:
    leaf = strict_base64(receipt.entry)
    facts = parse_canonical(leaf)
    if facts["kind"] != "seal" or facts["exhibit"] != receipt.exhibit:
        raise ValueError("its entry is not the seal of the exhibit that it names")
    if (facts["sha256"], facts["size"]) != (sha256, size):
        raise ValueError(f"it is of {facts['size']} bytes with SHA-256 {facts['sha256']}: another recording")
    log = _log_of(receipt, recall)
    index = verify_proof(receipt.proof, leaf, parse_vkey(log.vkey))
    if index != receipt.log_index or not any(start <= index < end for start, end in log.missing):
        raise ValueError(f"entry {index} of {log.origin} is not missing")
    digest = hashlib.sha256(leaf).hexdigest()
    return {"origin": log.origin, "index": index, "exhibit": receipt.exhibit, "leaf_sha256": digest}


def _log_of(receipt: ShownReceipt, recall: Recall | None) -> FormerLog:
    origin = parse_proof(receipt.proof).checkpoint.split("\n", 1)[0]
    for log in () if recall is None else recall.former:
        if log.origin == origin:
            return log
    raise ValueError(f"{origin[:200]} is no log that was succeeded here")
