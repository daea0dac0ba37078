"""Handsets whose emergency path was proven."""

from __future__ import annotations

import msgspec

from gateway.domain.events import Origin
from gateway.feed.proofs import Proofs
from tests.feed.shift import SetClock, status, who


def test_the_latest_of_each_handset() -> None:
    """When, whose, and by which input it was heard."""
    clock, proofs = SetClock(), Proofs()
    proofs.prove(status(clock.now(), 15), who("PCC.A", "P-1"))
    proof, gone = proofs.prove(status(clock.on(60), 15), who("PCC.A", "P-1", "trm-1"))
    assert (proof.issi, proof.unit, proof.device, proof.via) == (2340001, "PCC.A", "trm-1", "radio")
    assert (proof.proven_at, gone) == ("2026-11-21T21:01:00Z", None)
    assert list(proofs.latest.values()) == [proof]


def test_no_handset_no_proof() -> None:
    """A test status without a sender proves nothing."""
    report = msgspec.structs.replace(status(SetClock().now(), 15), origin=Origin("radio"))
    assert Proofs().prove(report, who(None)) == (None, None)


def test_bounded(monkeypatch) -> None:
    """The one longest unproven goes, and is named so that it is forgotten on disk too."""
    monkeypatch.setattr("gateway.feed.proofs.PROOFS_KEPT", 2)
    clock, proofs = SetClock(), Proofs()
    gone = [proofs.prove(status(clock.on(1), 15, issi), who(None))[1] for issi in (1, 2, 1, 3)]
    assert gone == [None, None, None, 2]
    assert list(proofs.latest) == [1, 3]
