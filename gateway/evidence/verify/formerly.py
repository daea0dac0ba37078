"""A seal that says what it was in a log that is succeeded: the receipt in its detail must prove that."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from gateway.errors import VerificationError
from gateway.evidence.verify.files import from_base64
from gateway.evidence.verify.leaves import Leaf, parse_leaf
from gateway.evidence.verify.notes import open_checkpoint, parse_vkey
from gateway.evidence.verify.report import Report, shown
from gateway.evidence.verify.successor import KIND
from gateway.evidence.verify.tree import leaf_hash, root_from_inclusion

HEADER = "c2sp.org/tlog-proof@v1"


def check_formerly(leaf: Leaf, detail: dict[str, Any], leaves: Mapping[int, Leaf], report: Report) -> None:
    """Judge what a seal says of an entry that a restore lost."""
    told = leaf.facts.get("formerly")
    if leaf.kind != "seal" or told is None:
        return
    with report.collecting():
        receipt = detail.get("former_receipt")
        if not isinstance(told, dict) or not isinstance(receipt, dict):
            raise VerificationError(leaf.where, "formerly, and in its detail the receipt that proves it", shown(told))
        _check_entry(leaf, told, _entry(leaf, receipt))
        _check_proof(leaf, told, receipt, _former(leaf, told, leaves))
        report.count("proved_by_receipts")


def _entry(leaf: Leaf, receipt: dict[str, Any]) -> bytes:
    return from_base64(str(receipt.get("entry")), None, leaf.where, "a former entry")


def _check_entry(leaf: Leaf, told: dict[str, Any], raw: bytes) -> None:
    """The former entry is a seal of the same recording, and the one that is named."""
    former = parse_leaf(raw, int(told.get("index") or 0))
    said = {"exhibit": former.exhibit, "leaf_sha256": hashlib.sha256(raw).hexdigest()}
    if former.kind != "seal" or said != {name: told.get(name) for name in said}:
        raise VerificationError(leaf.where, f"a former seal {shown(said)}", shown(told))
    for name in ("sha256", "size"):
        if former.facts.get(name) != leaf.facts.get(name):
            raise VerificationError(
                leaf.where, f"{name} {leaf.facts.get(name)} in the former entry", shown(former.facts)
            )


def _former(leaf: Leaf, told: dict[str, Any], leaves: Mapping[int, Leaf]) -> dict[str, Any]:
    """What the first entries of the log say of the one that is named."""
    for index in range(len(leaves)):
        found = leaves.get(index)
        if found is None or found.kind != KIND:
            break
        former = found.facts.get("former")
        if isinstance(former, dict) and former.get("origin") == told.get("origin"):
            return former
    raise VerificationError(leaf.where, "a log that this one succeeds", shown(told.get("origin")))


def _check_proof(leaf: Leaf, told: dict[str, Any], receipt: dict[str, Any], former: dict[str, Any]) -> None:
    where, index = leaf.where, told.get("index")
    head, _, note = str(receipt.get("proof")).partition("\n\n")
    vkey = parse_vkey(str(former.get("vkey")).encode(), where)
    checkpoint = open_checkpoint(note.encode("utf-8", "surrogatepass"), vkey, where)
    lines = head.split("\n")
    missing = any(start <= index < end for start, end in former["missing"]) if type(index) is int else False
    if not missing or lines[:2] != [HEADER, f"index {index}"]:
        raise VerificationError(where, "a proof of a missing index", shown(lines[:2]))
    path = [from_base64(each, 32, where, "a hash") for each in lines[2:]]
    if root_from_inclusion(int(str(index)), checkpoint.size, leaf_hash(_entry(leaf, receipt)), path) != checkpoint.root:
        raise VerificationError(where, f"entry {index} of {vkey.name}", "one that is not in it")
