"""Disposals: each destruction was asked for, approved, waited for and not held; what was disposed of is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from gateway.evidence.verify.blobs import blob_path
from gateway.evidence.verify.files import exists
from gateway.evidence.verify.fold import Exhibit
from gateway.evidence.verify.leaves import Leaf
from gateway.evidence.verify.report import Report, shown
from gateway.evidence.verify.unwrap import Keyring

ERASED = "erased"


class _Way(msgspec.Struct):
    """How far one exhibit has come on its way out."""

    holds: set[str] = set()
    asked: Leaf | None = None
    approved: Leaf | None = None
    destroyed: Leaf | None = None

    def take(self, leaf: Leaf) -> str | None:
        """Follow one more entry; what is wrong with it, in words."""
        problem = None
        match leaf.kind:
            case "hold":
                self.holds.add(str(leaf.facts.get("hold")))
            case "release":
                self.holds.discard(str(leaf.facts.get("hold")))
            case "dispose_request":
                self.asked, self.approved = leaf, None
            case "dispose_approve":
                self.approved = leaf
            case "dispose_cancel":
                self.asked = self.approved = None
            case "key_destroy":
                problem = self._destroying(leaf)
                self.destroyed = self.destroyed or leaf
            case "dispose" if not _same(self.destroyed, leaf):
                problem = "no key_destroy of that disposal before it"
        return problem

    def _destroying(self, leaf: Leaf) -> str | None:
        if self.destroyed is not None:
            return "a second one"
        if not _same(self.asked, leaf) or not _same(self.approved, leaf):
            return "no dispose_request and dispose_approve of that disposal before it"
        if self.holds:
            return f"it was held ({shown(', '.join(sorted(self.holds)))})"
        if self.approved is not None and _moment(leaf.at) < _moment(self.approved.facts.get("not_before")):
            return f"it was before {shown(self.approved.facts.get('not_before'))}"
        return None


def _same(earlier: Leaf | None, leaf: Leaf) -> bool:
    return earlier is not None and earlier.facts.get("disposal") == leaf.facts.get("disposal")


def _moment(text: object) -> float:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return 0.0


def check_ways(leaves: Iterable[Leaf], report: Report) -> None:
    """Every key_destroy and dispose stands where it may."""
    ways: dict[str, _Way] = {}
    for leaf in leaves:
        if leaf.exhibit is None:
            continue
        problem = ways.setdefault(leaf.exhibit, _Way()).take(leaf)
        if problem is not None:
            report.differs(f"{leaf.where} ({leaf.kind})", "asked for, approved, its time come, nothing held", problem)


def check_gone(
    evidence: Path, exhibit: Exhibit, keyring: Keyring | None, report: Report, *, is_copy: bool = False
) -> None:
    """Of what was disposed of nothing is left here; of what is being disposed of, so much is counted.

    A copy that was away then gets the log first, and what has to go goes with the same turn: counted too.
    """
    name = str(exhibit.first.exhibit)
    under_way = exhibit.ended is None
    report.count("disposals_under_way" if under_way else "disposed")
    keys = [] if keyring is None else keyring.of_exhibit(name)
    files = [path for path in _paths(exhibit, name) if exists(evidence / path)]
    if under_way:
        report.count("keys_to_destroy", len(keys))
        return
    if is_copy:
        report.count("still_to_go", len(keys) + len(files))
        return
    where = "its dispose entry" if exhibit.ended is None else exhibit.ended.where
    for key in keys:
        report.differs(f"keys.db {shown(key)}", f"no key, by {where}", "one")
    for path in files:
        report.differs(path, f"nothing, by {where}", "a file")


def _paths(exhibit: Exhibit, name: str) -> list[str]:
    """Where blob, thumbnail and what is left of an upload would lie."""
    if "/" in name or name.startswith("."):
        return []
    left = [f"thumbnails/{name[-2:]}/{name}.age", f"thumbnails/{name[-2:]}/{name}.new", f"staging/{name}"]
    blob = None if exhibit.seal is None else exhibit.seal.facts.get("blob")
    return left if blob is None else [blob_path(str(blob)), *left]


class Erasures:
    """Which details may, and which must, be erased."""

    def __init__(self, folded: Mapping[str, Exhibit]) -> None:
        self._folded = folded

    def may(self, leaf: Leaf) -> bool:
        """An erasure under way, or one that its dispose entry says; a thing of no exhibit may always."""
        if leaf.exhibit is None:
            return True
        exhibit = self._folded[leaf.exhibit]
        if exhibit.shredded is None or leaf.kind == "key_destroy":
            return False
        if exhibit.ended is None:
            return exhibit.erasing
        return self.must(leaf)

    def must(self, leaf: Leaf) -> bool:
        """Every entry before a dispose that says so, but the destruction's own."""
        ended = None if leaf.exhibit is None else self._folded[leaf.exhibit].ended
        said = ended is not None and ended.facts.get("details") == ERASED
        return said and ended is not None and leaf.index < ended.index and leaf.kind != "key_destroy"

    def is_under_way(self, leaf: Leaf) -> bool:
        """Whether this very detail may be half erased now."""
        return leaf.exhibit is not None and self._folded[leaf.exhibit].ended is None and self.may(leaf)


def judge_erasure(leaf: Leaf, erased: bool, erasures: Erasures, differs: Callable[[str, str, str], None]) -> None:  # noqa: FBT001 - as found
    """Compare one detail's state with what its exhibit's disposal says."""
    if erased and not erasures.may(leaf):
        differs(leaf.where, "its detail, as no disposal of its exhibit says that it is erased", "it is erased")
    elif not erased and erasures.must(leaf):
        differs(leaf.where, "no detail, as its exhibit's disposal says that it is erased", "one")
