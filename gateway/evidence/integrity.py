"""An exhibit's integrity as four verdicts, each by itself: file, log, time-stamp, device signature.

Never one tick for all: `not checked` is not `ok`, and each says how to check it without us.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from gateway.errors import GatewayError, IntegrityError, VerificationError
from gateway.evidence.rows import Exhibit
from gateway.evidence.scrub import Checked
from gateway.evidence.verify.cosignatures import cosigned_at, parse_witness
from gateway.evidence.verify.exported_chain import check_proof
from gateway.evidence.verify.leaves import Leaf, parse_leaf
from gateway.evidence.verify.notes import open_checkpoint, parse_note, parse_vkey
from gateway.evidence.verify.report import Report
from gateway.evidence.verify.signature import check_signature
from gateway.evidence.witnesses import Witnesses

State = Literal["ok", "failed", "not checked"]
_FACTS = ("sha256", "size", "blob", "blob_sha256")


class Verdict(msgspec.Struct, frozen=True):
    """One of the four: how it stands, in words why, when that was found out, how to check it oneself."""

    state: State
    said: str
    how: list[str]
    at: datetime | None = None
    facts: dict[str, Any] = {}


class Integrity(msgspec.Struct, frozen=True):
    """The four verdicts on one exhibit."""

    exhibit: str
    file: Verdict
    log: Verdict
    timestamp: Verdict
    device_signature: Verdict
    v: int = 1


class Log(Protocol):
    """The custody log, read; blocks."""

    @property
    def vkey(self) -> str:
        """Its verifier key."""
        ...

    def leaf(self, index: int) -> bytes:
        """The exact leaf of an entry."""
        ...

    def proof(self, index: int) -> str:
        """A `.tlog-proof` under the newest checkpoint."""
        ...

    def proof_under(self, index: int, note: str) -> str:
        """A `.tlog-proof` under this one."""
        ...

    def detail(self, index: int) -> tuple[dict[str, Any], bytes] | None:
        """Detail and salt of an entry; None where it was erased."""
        ...


def integrity(row: Exhibit, log: Log, checked: Checked | None, witnesses: Witnesses | None) -> Integrity:
    """The four verdicts; log and signature are checked now, the file was by the scrub. Blocks."""
    if row.sealed_at is None:
        none = Verdict("not checked", "not sealed yet", [])
        return Integrity(row.id, none, none, none, none)
    return Integrity(row.id, _file(row, checked), _log(row, log, witnesses), _timestamp(), _signature(row, log))


def _file(row: Exhibit, checked: Checked | None) -> Verdict:
    if row.shredded_at is not None or row.disposed_at is not None:
        return Verdict("not checked", "disposed of: there is no file any more", [])
    blob = row.blob or ""
    path = f"evidence/blobs/{blob[:2]}/{blob[2:4]}/{blob}.age"
    how = [
        f"sha256sum {path}    must print blob_sha256 of the seal in the log",
        (
            f"lapel keys identity {row.id} --purpose P > id.txt; age -d -i id.txt {path} | sha256sum"
            "    must print its sha256"
        ),
    ]
    facts = {"blob_sha256": row.blob_sha256, "sha256": row.sha256}
    if checked is None or checked.at is None:
        return Verdict("not checked", "not read back yet", how, None, facts)
    if checked.problem is not None:
        return Verdict("failed", f"when it was read back: {checked.problem}", how, checked.at, facts)
    return Verdict("ok", "read back, and what was sealed", how, checked.at, facts)


def _log(row: Exhibit, log: Log, witnesses: Witnesses | None) -> Verdict:
    how = [
        f"GET /v1/exhibits/{row.id}/proof: entry and proof, by any client of c2sp.org/tlog-proof and the published key",
        "lapel log verify --vkey VKEY --witness VKEY    with the keys as published elsewhere",
    ]
    facts: dict[str, Any] = {"index": row.log_index}
    try:
        facts |= _proved(row, log, witnesses)
    except (GatewayError, ValueError, OSError) as wrong:
        return Verdict("failed", str(wrong), how, None, facts)
    told = f"entry {row.log_index} of {facts['size']}, {facts['witnessed']} of {facts['witnesses']} witnesses"
    return Verdict("ok", told, how, None, facts)


def _proved(row: Exhibit, log: Log, witnesses: Witnesses | None) -> dict[str, Any]:
    """Whether the entry is under a signed checkpoint and says of the exhibit what the catalogue says."""
    leaf, where = log.leaf(row.log_index), f"log entry {row.log_index}"
    cosigned = None if witnesses is None else witnesses.cosigned
    if cosigned is not None and cosigned.size > row.log_index:
        proof = log.proof_under(row.log_index, cosigned.note)
    else:
        proof = log.proof(row.log_index)
    note = proof.partition("\n\n")[2].encode()
    checkpoint = open_checkpoint(note, parse_vkey(log.vkey.encode(), "log.vkey"), "checkpoint")
    check_proof(proof.encode(), row.log_index, leaf, checkpoint, where)
    read = parse_leaf(leaf, row.log_index)
    said = {name: read.facts.get(name) for name in _FACTS}
    wanted = {name: getattr(row, name) for name in _FACTS}
    if read.kind != "seal" or read.exhibit != row.id or said != wanted:
        raise VerificationError(where, f"the seal of {row.id} as the catalogue has it", "another")
    counted = _cosigned(note, witnesses)
    return {"size": checkpoint.size, "root": checkpoint.root.hex(), **counted, "at": read.at}


def _cosigned(note: bytes, witnesses: Witnesses | None) -> dict[str, int]:
    """How many operators other than the log's own have cosigned this checkpoint, of how many there are."""
    if witnesses is None:
        return {"witnessed": 0, "witnesses": 0}
    others = [seat for seat in witnesses.seats if seat.operator != witnesses.quorum.operator]
    read, having = parse_note(note, "checkpoint"), set()
    for seat in others:
        try:
            cosigned_at(read, parse_witness(str(seat.key), "witness"), "checkpoint")
        except VerificationError:
            continue  # it has not, or its signature is none: either way it is not counted
        having.add(seat.operator)
    return {"witnessed": len(having), "witnesses": len({seat.operator for seat in others})}


def _timestamp() -> Verdict:
    said = "exports bear time-stamps, exhibits in the store do not: the log and its witnesses say when it was sealed"
    how = ["lapel evidence export …; openssl ts -verify as its VERIFY.md says"]
    return Verdict("not checked", said, how)


def _signature(row: Exhibit, log: Log) -> Verdict:
    how = ["lapel evidence export …; VERIFY.md there has the manifest, the device's key, and the openssl command"]
    try:
        found, leaf = log.detail(row.log_index), parse_leaf(log.leaf(row.log_index), row.log_index)
    except (IntegrityError, VerificationError, ValueError, OSError) as wrong:
        return Verdict("failed", str(wrong), how)
    if found is None:
        return Verdict("not checked", "its detail is erased", how)
    return _judged(leaf, found[0], how)


def _judged(leaf: Leaf, detail: dict[str, Any], how: list[str]) -> Verdict:
    said, report = detail.get("device_signature") or "absent", Report("signature")
    check_signature(leaf, detail, report)
    if report.findings:
        finding = report.findings[0]
        return Verdict("failed", f"expected {finding.expected}, found {finding.found}", how)
    if said == "absent":
        return Verdict("not checked", "not signed by the device", how)
    if said == "invalid":
        return Verdict("failed", f"invalid: {detail.get('problem', 'no reason was kept')}", how)
    origin = detail.get("key_origin")
    label = "independent" if origin == "device" else "self-asserted"
    return Verdict("ok", f"signed by the device's key, {label}", how, None, {"key_origin": origin, "label": label})
