"""Four verdicts, each by itself: what nobody checked is never `ok`, and each failure is its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.domain.evidence import Act
from gateway.errors import IntegrityError
from gateway.evidence.custody import CustodyLog
from gateway.evidence.integrity import integrity
from gateway.evidence.rows import Exhibit
from gateway.evidence.scrub import Checked
from tests.evidence.log.lab import AT
from tests.evidence.many_acts import sealed
from tests.evidence.test_signature import CLIP, KEY, sha
from tests.evidence.test_witnesses import Town, running
from tests.evidence.verify.test_signature import b64, detail


def seal(log: CustodyLog, **more: Any) -> str:
    """Seal one exhibit with this about its device's signature."""
    received, act = sealed(1)
    told = {**act.detail, "device": KEY.device, "recording": KEY.recording, **more}
    facts = {**act.facts, "size": len(CLIP), "sha256": sha(CLIP)}
    log.record_now(received)
    log.record_now(Act("seal", "system", act.exhibit, facts, told))
    return str(act.exhibit)


def valid(**more: Any) -> dict[str, Any]:
    """A valid signature of the device."""
    said = {"device_signature": "valid", "key_origin": "device", **detail(), **more}
    return {name: what for name, what in said.items() if name not in {"device", "recording"}}


def row_of(town: Town, exhibit: str) -> Exhibit:
    """Its row."""
    row = town.lab.catalogue.exhibit(exhibit)
    assert row is not None
    return row


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """A log of one entry, with witnesses of three operators, one of them the log's own."""
    return Town(tmp_path)


SAID = [
    (valid(), "ok", "independent"),
    (valid(key_origin="operator"), "ok", "self-asserted"),
    (valid(device_manifest=b64(b"a.b.c")), "failed", "expected"),
    ({"device_signature": "invalid", "problem": "another recording"}, "failed", "another recording"),
    ({"device_signature": "absent"}, "not checked", "not signed"),
    ({}, "not checked", "not signed"),
]


@pytest.mark.parametrize(("more", "state", "word"), SAID)
def test_device_signature(town: Town, more: dict[str, Any], state: str, word: str) -> None:
    """Checked anew from manifest and key; absent is not checked, whatever else holds."""
    with town.lab.opened() as log:
        found = integrity(row_of(town, seal(log, **more)), log, None, None)
    assert found.device_signature.state == state
    assert word in found.device_signature.said
    assert (found.log.state, found.file.state, found.timestamp.state) == ("ok", "not checked", "not checked")


def test_an_erased_detail_is_not_checked(town: Town) -> None:
    """Nobody can say any more whether the device signed it; the log still can be proved."""
    with town.lab.opened() as log:
        row = row_of(town, seal(log, **valid()))
        log.erase_detail(row.log_index)
        found = integrity(row, log, None, None)
    assert (found.device_signature.state, found.log.state) == ("not checked", "ok")


@pytest.mark.parametrize(
    ("checked", "state"),
    [
        (None, "not checked"),
        (Checked("X-1"), "not checked"),
        (Checked("X-1", AT), "ok"),
        (Checked("X-1", AT, "sha256"), "failed"),
        (Checked("X-1", AT, "missing"), "failed"),
    ],
)
def test_file(town: Town, checked: Checked | None, state: str) -> None:
    """As the scrub last saw it, with the time; disposed of, there is nothing to check."""
    with town.lab.opened() as log:
        row = row_of(town, seal(log))
        found = integrity(row, log, checked, None).file
        assert (found.state, found.at) == (state, None if checked is None else checked.at)
        assert any("sha256sum evidence/blobs/" in line for line in found.how)
        gone = msgspec.structs.replace(row, shredded_at=AT)
        assert integrity(gone, log, checked, None).file.state == "not checked"
        early = msgspec.structs.replace(row, sealed_at=None)
        assert {integrity(early, log, checked, None).file.state} == {"not checked"}


async def test_witnesses_are_counted_by_operator(town: Town) -> None:
    """The log's own counts for nothing; one that is down is missing from n, not from m; a forgery is not counted."""
    town.doors["fire"].shut = True
    with town.lab.opened() as log:
        exhibit = seal(log)
        row = row_of(town, exhibit)
        async with running(town.witnesses(1)) as found:
            await found.wait_cosigned(row.log_index, 5)
            verdict = integrity(row, log, None, found).log
            assert (verdict.state, verdict.facts["witnessed"], verdict.facts["witnesses"]) == ("ok", 1, 2)
            town.doors["fire"].shut = False
            found.seats[2].retry_at_s = 0.0
            log.record_now(Act("browse", "P-1", None, {}, {"listed": 1}))
            await found.wait_cosigned(log.size - 1, 5)
            until = integrity(row, log, None, found).log
            assert until.state == "ok"
            assert until.facts["witnessed"] in {1, 2}
            assert "of 2 witnesses" in until.said


@pytest.mark.parametrize("how", ["row", "index", "leaf", "proof", "unreadable"])
def test_what_is_not_in_the_log_so_fails(town: Town, how: str) -> None:
    """Another hash in the row, another entry, another leaf, a proof of something else, a tile that is gone."""
    with town.lab.opened() as log:
        row = row_of(town, seal(log))

        class Lying:
            """The log, but for one thing."""

            vkey = log.vkey
            detail, proof_under = log.detail, log.proof_under

            def leaf(self, index: int) -> bytes:
                """Its leaf, or another."""
                if how == "unreadable":
                    raise IntegrityError("tile/entries/000 is missing")
                leaf = log.leaf(index)
                return leaf.replace(b'"complete":true', b'"complete":null') if how == "leaf" else leaf

            def proof(self, index: int) -> str:
                """Its proof, or that of another entry."""
                return log.proof(index - 1 if how == "proof" else index)

        if how == "row":
            row = msgspec.structs.replace(row, blob_sha256="0" * 64)
        elif how == "index":
            row = msgspec.structs.replace(row, log_index=row.log_index - 1)
        found = integrity(row, Lying(), Checked(row.id, AT), None)  # type: ignore[arg-type]  # as the log
        assert found.log.state == "failed"
        assert found.file.state == "ok"
        assert json.loads(msgspec.json.encode(found))["v"] == 1
