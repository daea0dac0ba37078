"""What a reconciliation said, kept: its entry in the log, and the last report (docs/formats.md, "reconciled.json")."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec

from gateway.domain.evidence import Act
from gateway.evidence.log.disk import Disk
from gateway.evidence.verify.items import Item, Reconciliation

FILE = "reconciled.json"
NAMED_MAX = 10_000
"""So many things the report that is kept names; the rest is counted."""
DETAIL_MAX = 1_500
"""And so many the entry's detail, which has its limits."""


class Account(msgspec.Struct, frozen=True):
    """One reconciliation: when, how many of everything, which are not there; faults counts them all."""

    at: datetime
    ended_at: datetime
    ok: bool
    faults: int
    unread: int
    counts: dict[str, int]
    items: list[Item]
    notes: list[str]
    checkpoint: dict[str, str | int] | None = None
    log_index: int | None = None
    v: int = 1


def account(told: Reconciliation, at: datetime, ended_at: datetime) -> Account:
    """What a reconciliation said, with its times."""
    unread = len(told.items) - told.faults
    return Account(at, ended_at, told.ok, told.faults, unread, told.counts, told.items, told.notes, told.checkpoint)


def act(made: Account, actor: str) -> Act:
    """The entry: counts in clear, names in the detail."""
    facts = {"what": "reconcile", "counts": made.counts, "faults": made.faults, "unread": made.unread}
    names = [f"{item.state} {item.thing} {item.name[:150]}" for item in made.items[:DETAIL_MAX]]
    whose = sorted({item.exhibit for item in made.items[:DETAIL_MAX] if item.exhibit is not None})
    detail = {"named": names, "exhibits": whose, "began_at": made.at.isoformat(), "checkpoint": made.checkpoint}
    return Act("verify_pass" if made.ok else "verify_fail", actor, facts=facts, detail=detail)


def keep(evidence: Path, made: Account) -> None:
    """Replace the last report, durably. Blocks."""
    cut = msgspec.structs.replace(made, items=made.items[:NAMED_MAX])
    Disk().replace(evidence / FILE, msgspec.json.encode(cut))


def last(evidence: Path) -> Account | None:
    """The last report; None where there is none that can be read. Blocks."""
    try:
        return msgspec.json.decode((evidence / FILE).read_bytes(), type=Account)
    except (OSError, msgspec.DecodeError):
        return None
