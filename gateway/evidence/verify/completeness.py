"""Whether a store holds all that its log speaks of: every exhibit sealed and not ended has its blob and its key."""

from __future__ import annotations

from pathlib import Path

import msgspec

from gateway.evidence.verify.blobs import blob_path
from gateway.evidence.verify.files import exists, walk
from gateway.evidence.verify.fold import Exhibit, fold
from gateway.evidence.verify.leaves import Leaf, parse_leaf
from gateway.evidence.verify.logfiles import LogFiles
from gateway.evidence.verify.report import Report
from gateway.evidence.verify.sqlite import rows, snapshot


class Completeness(msgspec.Struct):
    """Counts, and what is missing by name."""

    origin: str
    entries: int
    exhibits: int = 0
    sealed: int = 0
    ended: int = 0
    under_way: int = 0
    blobs: int = 0
    keys: int = 0
    staged: int = 0
    missing_blobs: list[str] = msgspec.field(default_factory=list)
    missing_keys: list[str] = msgspec.field(default_factory=list)
    ended_keys: list[str] = msgspec.field(default_factory=list)
    sealed_since: list[str] = msgspec.field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Nothing is missing, and no key is there that was destroyed."""
        return not (self.missing_blobs or self.missing_keys or self.ended_keys)


def completeness(evidence: Path) -> Completeness:
    """Count it from the files alone; VerificationError where the log cannot be read."""
    files = LogFiles(evidence, Report("completeness"))
    size = files.open(None).size
    leaves: list[Leaf] = []
    files.scan(lambda index, raw: leaves.append(parse_leaf(raw, index)))
    folded = fold(leaves, size)
    assert files.vkey is not None
    found = Completeness(files.vkey.name, size, len(folded))
    names = _keys(evidence)
    for name, exhibit in folded.items():
        _count(found, evidence, name, exhibit, names)
    details = {f"details/{each.removesuffix('.dtl')}" for each in walk(evidence / "details", "details")}
    found.missing_keys += sorted(details - names)
    staged = {name.split("/")[0] for name in walk(evidence / "staging", "staging")}
    found.staged = len(staged)
    for name in sorted(staged):
        if (name not in folded or folded[name].seal is None) and f"run/{name}/0" not in names:
            _closed(found, name, names)
    return found


def _closed(found: Completeness, name: str, names: set[str]) -> None:
    """An upload whose run keys are not there: with its identity there, it was sealed before the keys were saved."""
    if f"identity/{name}" in names:
        found.sealed_since.append(name)
    else:
        found.missing_keys.append(f"run/{name}/0")


def _count(found: Completeness, evidence: Path, name: str, exhibit: Exhibit, names: set[str]) -> None:
    key = f"identity/{name}"
    if exhibit.disposed is not None:
        found.ended += 1
        found.ended_keys += [key] if key in names else []
        return
    if exhibit.seal is None:
        found.under_way += 1
        return
    found.sealed += 1
    blob = blob_path(str(exhibit.seal.facts["blob"]))
    if exists(evidence / blob):
        found.blobs += 1
    else:
        found.missing_blobs.append(f"{name} ({blob})")
    if key in names:
        found.keys += 1
    else:
        found.missing_keys.append(key)


def _keys(evidence: Path) -> set[str]:
    if not exists(evidence / "keys.db"):
        return set()
    with snapshot(evidence / "keys.db", "keys.db") as copy:
        return {str(row["name"]) for row in rows(copy, "wrapped", ("name",), "keys.db")}
