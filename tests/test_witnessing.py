"""The evidence half with witnesses: what exports wait for, what a start refuses, what health says."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.crypto.notes import VerifierKey, parse_vkey
from gateway.domain.evidence import Act
from gateway.evidence.log.proof import verify_proof
from tests.api.site import Site
from tests.evidence.log.witness_lab import WITNESS_SIGNER
from tests.outlets.serving import Serving


@pytest.fixture
def partner(tmp_path: Path) -> Iterator[Serving]:
    """A partner's witness, listening in a thread of its own; the log it knows is told later."""
    with Serving(tmp_path / "partner", WITNESS_SIGNER) as serving:
        yield serving


def site(tmp_path: Path, partner: Serving, quorum: int = 1, **log: Any) -> Site:
    """A gateway that names the partner."""
    named = {"name": "partner", "operator": "CAMBS", "url": partner.url, "vkey": partner.vkey}
    section = {"operator": "PCC", "witness": [named], "witness_quorum": quorum, "witness_patience_s": 1.0, **log}
    return Site(tmp_path / "site", log=section)


def known(tmp_path: Path, partner: Serving) -> VerifierKey:
    """Found the log and tell the partner its key."""
    with Site(tmp_path / "site") as founded:
        key = parse_vkey(founded.gateway.evidence.records.custody.vkey)  # type: ignore[union-attr]
    partner.know(key)
    return key


def test_an_export_waits_and_ingest_does_not(tmp_path: Path, partner: Serving) -> None:
    """With the witness away entries are recorded at once; the cosigned checkpoint comes when it is back."""
    key = known(tmp_path, partner)
    partner.away = True
    with site(tmp_path, partner) as gateway:
        half = gateway.gateway.evidence
        assert half is not None
        index = gateway.awaited(half.records.custody.record(Act("browse", "P-1"))).index
        with pytest.raises(TimeoutError):
            gateway.awaited(half.cosigned(index, 0.5))
        assert gateway.seal(b"x" * 1000).log_index > index
        partner.away = False
        note = gateway.awaited(half.cosigned(index, 15))
        proof = half.records.custody.proof_under(index, note)
        assert verify_proof(proof, half.records.custody.leaf(index), key) == index
        with gateway.client(gateway.token()) as client:
            assert client.get("/ready/evidence").json()["parts"] == {"evidence": "ok", "witness": "ok"}
            assert "witness.test/w1 " in client.get("/v1/log/checkpoint").text
            assert "lapel_witness_partner_up 1.0" in client.get("/metrics").text


def test_a_gateway_without_witnesses_waits_for_nobody(tmp_path: Path) -> None:
    """The newest checkpoint, at once."""
    with Site(tmp_path / "site") as gateway:
        half = gateway.gateway.evidence
        assert half is not None
        index = gateway.awaited(half.records.custody.record(Act("browse", "P-1"))).index
        assert gateway.awaited(half.cosigned(index, 0.1)).split("\n")[1] == str(index + 1)
        with gateway.client() as client:
            assert client.get("/ready/evidence").json()["parts"] == {"evidence": "ok"}


def test_a_store_begun_anew_under_an_old_key_is_refused(tmp_path: Path, partner: Serving) -> None:
    """The evidence is gone, the keys are there: the witness remembers, and the feed goes on alone."""
    known(tmp_path, partner)
    with site(tmp_path, partner) as gateway:
        half = gateway.gateway.evidence
        assert half is not None
        index = gateway.awaited(half.records.custody.record(Act("browse", "P-1"))).index
        gateway.awaited(half.cosigned(index, 15))
        evidence = half.records.custody.directory
    evidence.rename(tmp_path / "gone")
    with site(tmp_path, partner) as gateway:
        assert gateway.gateway.evidence is None
        assert "rolled back" in str(gateway.gateway.evidence_problem)
        with gateway.client() as client:
            assert client.get("/ready/evidence").status_code == 503
            assert client.get("/ready/feed").status_code == 200


def test_nothing_runs_on(tmp_path: Path, partner: Serving) -> None:
    """Closed is closed, also while a witness does not answer."""
    known(tmp_path, partner)
    before = set(threading.enumerate())
    partner.away = True
    with site(tmp_path, partner):
        assert "gateway" in {thread.name for thread in threading.enumerate()}
    left = {thread.name.split("_")[0] for thread in set(threading.enumerate()) - before}
    assert left <= {"witness", "asyncio"}, left
