"""A command's act on record: an entry in the store's log."""

from __future__ import annotations

from gateway.cli.places import Places
from gateway.domain.evidence import Act
from gateway.evidence_half import records_at


def on_record(found: Places, act: Act) -> None:
    """Log the act; a store that keeps no evidence has no log to write to."""
    if not (found.evidence / "log" / "log.vkey").exists():
        return
    with records_at(found.evidence, found.keys, found.origin, found.signers) as store:
        store.custody.record_now(act)
