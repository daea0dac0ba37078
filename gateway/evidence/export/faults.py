"""fault-record.json: what went wrong with the system itself in a span, from what is on record; the rest is said."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from gateway.crypto.canonical import parse_canonical
from gateway.domain.time import rfc3339
from gateway.evidence.rows import CustodyEntry

KINDS = ("verify_fail", "clock_step", "restore", "key_rotate", "successor", "login_failed")
"""Entries of the log that tell of the system itself."""
LISTED_MAX = 1000
DAYS_MAX = 3_700
_SHOWN_APART = frozenset({"v", "kind", "at", "n", "prev", "hmac"})
_BUILD = re.compile(rb'"build":"([^"\\]{1,200})"')
BELOW_A_STEP = (
    "corrections of the host's clock of a second or less, and what its clock did while the gateway did not run"
)


class Built(msgspec.Struct):
    """A version that wrote entries: its name, how many, the first and the last of them."""

    build: str
    entries: int
    first: int
    last: int


class Kept(msgspec.Struct, frozen=True):
    """What is on record of a span: entries by kind, those listed with their leaves, versions by what they wrote.

    Frames nobody could read by reason, losses by day and reason (both None where nothing was ever kept), starts,
    and every defect that is known, as (id, versions, text).
    """

    kinds: dict[str, int]
    listed: list[tuple[CustodyEntry, bytes]]
    builds: list[Built]
    quarantined: dict[str, int] | None
    lost: dict[str, dict[str, int]] | None
    starts: list[str]
    defects: list[tuple[str, tuple[str, ...], str]]


def builds_of(leaves: Iterable[tuple[int, bytes]]) -> list[Built]:
    """Which versions wrote these entries, in the order in which they came."""
    found: dict[str, Built] = {}
    for index, leaf in leaves:
        names = _BUILD.findall(leaf)
        name = names[-1].decode("utf-8", "replace") if names else "unknown"
        if name in found:
            found[name].entries, found[name].last = found[name].entries + 1, index
        else:
            found[name] = Built(name, 1, index, index)
    return list(found.values())


def fault_record(kept: Kept, since: datetime, until: datetime, build: str) -> dict[str, Any]:
    """Put it together; build is the version that does."""
    versions = sorted({build, *(each.build for each in kept.builds)})
    listed = [_listed(entry, leaf) for entry, leaf in kept.listed]
    lost, uncounted = kept.lost or {}, _uncounted(kept.lost, since, until)
    return {
        "v": 1,
        "from": rfc3339(since),
        "to": rfc3339(until),
        "versions": versions,
        "builds": [msgspec.to_builtins(each) for each in kept.builds],
        "known_defects": [
            {"id": name, "versions": sorted(set(having) & set(versions)), "text": text}
            for name, having, text in kept.defects
            if not set(having).isdisjoint(versions)
        ],
        "log_entries": dict(sorted(kept.kinds.items())),
        "listed": listed,
        "listed_all": len(listed) < LISTED_MAX,
        "clock": {"steps": sum(each.get("steps", 1) for each in listed if each["kind"] == "clock_step")},
        "failed_verifications": kept.kinds.get("verify_fail", 0),
        "starts": kept.starts,
        "quarantined": kept.quarantined,
        "lost": {day: counts for day, counts in lost.items() if counts},
        "days_counted": len(lost),
        "not_recorded": [BELOW_A_STEP, *uncounted],
    }


def _listed(entry: CustodyEntry, leaf: bytes) -> dict[str, Any]:
    """An entry with its facts in clear, which name nobody."""
    facts = {name: fact for name, fact in parse_canonical(leaf).items() if name not in _SHOWN_APART}
    return {**facts, "index": entry.log_index, "kind": entry.kind, "at": rfc3339(entry.at)}


def _uncounted(lost: dict[str, dict[str, int]] | None, since: datetime, until: datetime) -> list[str]:
    """Days on which nothing counted losses: the gateway did not run, or was older than the counting."""
    if lost is None:
        return ["losses of frames: nothing has counted them here"]
    first, last = since.astimezone(UTC).date(), until.astimezone(UTC).date()
    span = min((last - first).days + 1, DAYS_MAX)
    missing = [day for n in range(span) if (day := (last - timedelta(days=n)).isoformat()) not in lost]
    if not missing:
        return []
    shown = ", ".join(sorted(missing)[:10]) + (" …" if len(missing) > 10 else "")
    return [f"losses of frames on {len(missing)} days on which nothing counted them: {shown}"]
