"""Exhibits made of others: each names its master, the master's own chain names it; jobs that are under way."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gateway.errors import VerificationError
from gateway.evidence.verify.files import read_whole, walk
from gateway.evidence.verify.leaves import Leaf
from gateway.evidence.verify.report import Report, shown

JOB_MAX = 1 << 20
MAKING = frozenset({"clip", "derive"})
STATES = frozenset({"waiting", "making", "done", "failed"})


def under_way(folder: Path) -> set[str]:
    """Jobs of `derivatives/` that have not ended: each may have a blob without an entry. VerificationError."""
    found = set()
    for name in walk(folder, "derivatives"):
        if name.endswith(".json"):
            state = _job(folder / name, f"derivatives/{name}").get("state")
            if state not in STATES:
                raise VerificationError(f"derivatives/{name}", "a state of a job", shown(state))
            if state in ("waiting", "making"):
                found.add(name)
    return found


def _job(path: Path, name: str) -> dict[str, Any]:
    try:
        job = json.loads(read_whole(path, JOB_MAX, name))
    except (ValueError, RecursionError):
        raise VerificationError(name, "JSON", "something else") from None
    if not isinstance(job, dict) or job.get("v") != 1:
        raise VerificationError(name, "an object with v = 1", shown(job))
    return job


def check_parents(leaves: Iterable[Leaf], report: Report) -> None:
    """Every seal with a `parent` has an entry of that parent that names it, before it; and the other way round."""
    made: dict[str, str] = {}
    sealed: dict[str, str] = {}
    for leaf in leaves:
        derived, parent = leaf.facts.get("derived"), leaf.facts.get("parent")
        if leaf.kind in MAKING and derived is not None:
            made[str(derived)] = str(leaf.exhibit)
        elif leaf.kind == "seal" and parent is not None:
            report.count("derived")
            sealed[str(leaf.exhibit)] = str(parent)
            if made.get(str(leaf.exhibit)) != parent:
                report.differs(leaf.where, f"an entry of {shown(parent)} before it that names it", "none")
    for derived, master in made.items():
        if derived not in sealed:
            report.differs(f"exhibit {master}", f"a seal of {shown(derived)}, which it says was made of it", "none")
