"""fault-record.json: what went wrong with the system itself in a span, from what is on record; the rest is said."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

import msgspec

from gateway.crypto.canonical import parse_canonical
from gateway.domain.time import rfc3339
from gateway.evidence.rows import CustodyEntry

KINDS = ("verify_fail", "clock_step", "restore", "key_rotate", "successor", "login_failed")
"""Entries of the log that tell of the system itself."""
LISTED_MAX = 1000
NOT_RECORDED = (
    "drops and refusals counted in metrics, not kept",
    "state of the host's clock between the steps that were logged",
    "versions between those of the listed entries, and their known defects: see the release notes of each",
)


class Leaves(Protocol):
    """The log, as far as it is read here."""

    def leaf(self, index: int) -> bytes:
        """The exact leaf of an entry."""
        ...


class Kept(msgspec.Struct, frozen=True):
    """What is on record of a span: entries by kind, those listed, frames nobody could read by reason, starts."""

    kinds: dict[str, int]
    listed: list[CustodyEntry]
    quarantined: dict[str, int] | None
    starts: list[str]


def fault_record(kept: Kept, log: Leaves, since: datetime, until: datetime, build: str) -> dict[str, Any]:
    """Put it together. quarantined None: nothing was ever kept there."""
    builds = {build} | {str(parse_canonical(log.leaf(entry.log_index)).get("build")) for entry in kept.listed}
    listed = [{"index": each.log_index, "kind": each.kind, "at": rfc3339(each.at)} for each in kept.listed]
    return {
        "v": 1,
        "from": rfc3339(since),
        "to": rfc3339(until),
        "versions": sorted(builds),
        "log_entries": dict(sorted(kept.kinds.items())),
        "listed": listed,
        "listed_all": len(listed) < LISTED_MAX,
        "starts": kept.starts,
        "quarantined": kept.quarantined,
        "not_recorded": list(NOT_RECORDED),
    }
