"""A receipt that a camera shows again: what it must prove, by the gateway's own code and by the verifier."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.domain.evidence import Act, FormerLog, Recall, ShownReceipt
from gateway.domain.ids import ExhibitId
from gateway.evidence.recall import recall_of
from gateway.evidence.shown import INVALID, judge_shown
from gateway.evidence.verify.formerly import check_formerly
from gateway.evidence.verify.leaves import Leaf, parse_leaf
from gateway.evidence.verify.report import Report
from tests.evidence.log.lab import ORIGIN, Lab

SHA256, SIZE = "ab" * 32, 5


class Lost:
    """A log with one seal, which a restore loses, and the receipt of it."""

    def __init__(self, folder: Path) -> None:
        lab = Lab(folder)
        with lab.opened() as log:
            log.record_now(Act("view", "P", ExhibitId("X-1"), {}, {}))
            facts = {"sha256": SHA256, "size": SIZE, "complete": True}
            sealed = log.record_now(Act("seal", "system", ExhibitId("X-2"), facts, {}))
            self.vkey = log.vkey
        lab.close()
        self.leaf = sealed.leaf
        entry = base64.b64encode(sealed.leaf).decode()
        self.receipt = ShownReceipt("X-2", 1, entry, sealed.proof)
        log_ = FormerLog(ORIGIN, self.vkey, ((1, 2),))
        self.recall = Recall(self.vkey, (log_,), datetime(2027, 1, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Lost:
    """It."""
    return Lost(tmp_path_factory.mktemp("lost"))


def test_a_receipt_proves_what_was_there(lost: Lost) -> None:
    """Exhibit, index and leaf of the lost entry, in clear; entry and proof in the detail."""
    shown = judge_shown(lost.receipt, lost.recall, SHA256, SIZE)
    assert shown.flags == ()
    assert shown.facts == {
        "formerly": {
            "origin": ORIGIN,
            "index": 1,
            "exhibit": "X-2",
            "leaf_sha256": hashlib.sha256(lost.leaf).hexdigest(),
        }
    }
    assert shown.detail == {"former_receipt": {"entry": lost.receipt.entry, "proof": lost.receipt.proof}}
    assert judge_shown(None, lost.recall, SHA256, SIZE).facts == {}


def changed(lost: Lost, name: str) -> tuple[ShownReceipt, Recall | None, str, int]:
    """The same with one thing wrong."""
    receipt, recall, sha256, size = lost.receipt, lost.recall, SHA256, SIZE
    replace = msgspec.structs.replace
    match name:
        case "exhibit":
            receipt = replace(receipt, exhibit="X-3")
        case "index":
            receipt = replace(receipt, log_index=0)
        case "entry":
            receipt = replace(receipt, entry=base64.b64encode(lost.leaf.replace(b'"size":5', b'"size":6')).decode())
        case "proof":
            receipt = replace(receipt, proof=receipt.proof.replace("index 1", "index 0"))
        case "nonsense":
            receipt = ShownReceipt("", -1, "&", "\n\n")
        case "sha256":
            sha256 = "cd" * 32
        case "surviving":
            recall = replace(recall, former=(FormerLog(ORIGIN, lost.vkey, ((2, 9),)),))
        case "nothing lost":
            recall = None
    return receipt, recall, sha256, size


@pytest.mark.parametrize(
    "name", ["exhibit", "index", "entry", "proof", "nonsense", "sha256", "surviving", "nothing lost"]
)
def test_one_that_proves_nothing(lost: Lost, name: str) -> None:
    """The recording is kept all the same, flagged, and the detail says what is wrong."""
    shown = judge_shown(*changed(lost, name))
    assert (shown.facts, shown.flags) == ({}, (INVALID,))
    assert shown.detail["former_receipt"]["problem"]


def seal(lost: Lost, formerly: dict[str, Any], **facts: Any) -> Leaf:
    """A seal in the successor that says so."""
    told = {"v": 1, "kind": "seal", "at": "2026-11-22T09:00:00Z", "exhibit": "X-9", "n": 1, "prev": None}
    said = {**told, "hmac": "0" * 64, "sha256": SHA256, "size": SIZE, "formerly": formerly, **facts}
    return parse_leaf(json.dumps(said, sort_keys=True, separators=(",", ":")).encode(), 2)


def first(lost: Lost, missing: list[list[int]]) -> Leaf:
    """Entry 0 of the successor."""
    former = {"origin": ORIGIN, "vkey": lost.vkey, "missing": missing}
    told = {"v": 1, "kind": "successor", "at": "2026-11-22T09:00:00Z", "hmac": "1" * 64, "former": former}
    return parse_leaf(json.dumps(told, sort_keys=True, separators=(",", ":")).encode(), 0)


def judged(lost: Lost, leaf: Leaf, detail: dict[str, Any], missing: list[list[int]]) -> Report:
    """What the verifier says of it."""
    report = Report("store")
    check_formerly(leaf, detail, {0: first(lost, missing), 2: leaf}, report)
    return report


def test_the_verifier_proves_it_again(lost: Lost) -> None:
    """By the entry and the proof in the detail, under the former key; anything else is a finding."""
    shown = judge_shown(lost.receipt, lost.recall, SHA256, SIZE)
    formerly, spans = shown.facts["formerly"], [[1, 2]]
    report = judged(lost, seal(lost, formerly), shown.detail, spans)
    assert (report.findings, report.counts) == ([], {"proved_by_receipts": 1})
    for name, value in {"index": 0, "exhibit": "X-3", "leaf_sha256": "0" * 64, "origin": "else.test/log"}.items():
        assert judged(lost, seal(lost, {**formerly, name: value}), shown.detail, spans).findings
    assert judged(lost, seal(lost, formerly), {}, spans).findings
    assert judged(lost, seal(lost, formerly), shown.detail, [[5, 6]]).findings
    assert judged(lost, seal(lost, formerly, size=6), shown.detail, spans).findings


def test_what_a_successor_asks_for(tmp_path: Path) -> None:
    """Entry 0, and where that succeeds a successor the one behind it; none in a log that succeeds none."""
    at = "2026-11-22T09:00:00.000Z"
    former = [
        {"origin": f"{ORIGIN}/g2", "vkey": "b", "missing": [[7, 9]]},
        {"origin": ORIGIN, "vkey": "a", "missing": [[3, 5]]},
    ]
    leaves = [json.dumps({"kind": "successor", "at": at, "former": one}).encode() for one in former]
    leaves.append(json.dumps({"kind": "view", "at": at}).encode())
    found = recall_of(leaves.__getitem__, 3, "now", 35)
    assert found is not None
    assert [(log.origin, log.missing) for log in found.former] == [(f"{ORIGIN}/g2", ((7, 9),)), (ORIGIN, ((3, 5),))]
    assert (found.vkey, found.until.isoformat()) == ("now", "2026-12-27T09:00:00+00:00")
    assert recall_of(leaves[2:].__getitem__, 1, "now", 35) is None
    assert recall_of(leaves.__getitem__, 0, "now", 35) is None
