"""Handsets whose emergency path was proven: a test status takes the way that the real one would. Pure."""

from __future__ import annotations

import msgspec

from gateway.domain.events import StatusReport
from gateway.feed.wording import time_text
from gateway.ports import Resolved

PROOFS_KEPT = 100_000


class Proof(msgspec.Struct, frozen=True):
    """The last test status of one handset, and by whom it was heard (via: the input)."""

    issi: int
    unit: str | None
    person: str | None
    device: str | None
    via: str
    proven_at: str


class Proofs:
    """The latest of each handset."""

    def __init__(self) -> None:
        self.latest: dict[int, Proof] = {}

    def prove(self, report: StatusReport, who: Resolved) -> tuple[Proof | None, int | None]:
        """Note a test status; the proof (None without an ISSI), and the handset forgotten for it, if one was."""
        issi = report.origin.issi if report.origin.issi is not None else who.issi
        if issi is None:
            return None, None
        at = time_text(report.stamp.arrived.utc.timestamp())
        proof = Proof(issi, who.unit, who.person, who.device, report.origin.via, at)
        return proof, self.restore(proof)

    def restore(self, proof: Proof) -> int | None:
        """Take up one; the handset forgotten for it."""
        self.latest.pop(proof.issi, None)
        self.latest[proof.issi] = proof
        if len(self.latest) <= PROOFS_KEPT:
            return None
        gone = next(iter(self.latest))
        del self.latest[gone]
        return gone
