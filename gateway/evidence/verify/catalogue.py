"""The catalogue `evidence.db` against the fold of log and details that it projects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import msgspec

from gateway.errors import VerificationError
from gateway.evidence.verify.fold import MEDIA, Exhibit, Found, fold
from gateway.evidence.verify.leaves import Leaf
from gateway.evidence.verify.report import Report, shown
from gateway.evidence.verify.sqlite import rows, snapshot

NAME = "evidence.db"
EXHIBIT = (
    *("id", "device", "recording", "controller", "category", "content_type", "size", "sha256", "complete"),
    *("blob", "blob_sha256", "received_at", "sealed_at", "started_at", "ended_at", "holder", "flags"),
    *("log_index", "n", "prev"),
)
CUSTODY = ("log_index", "exhibit", "n", "kind", "at", "actor", "leaf_sha256", "hmac")
# Columns that hold nothing unless an entry said so: a value from nowhere is a difference.
_OWED = (
    *("device", "recording", "controller", "category", "content_type", "size", "sha256", "blob", "blob_sha256"),
    *("parent", "exhibit_ref", "incident", "review_due", "holds", "disposal", "disposed_at", "shredded_at", "copies"),
    *MEDIA,
)
_TIMES = frozenset(
    {"received_at", "sealed_at", "started_at", "ended_at", "disposed_at", "shredded_at", "media_created_at", "at"}
)
# The hold that a rebuilt catalogue gives an exhibit of which a detail is gone: the missing detail is told of by itself.
_DETAIL_ERASED = "detail-erased"


@contextmanager
def catalogue(evidence: Path) -> Iterator[Connection]:
    """The catalogue as it was at one moment."""
    with snapshot(evidence / NAME, NAME) as copy:
        yield copy


def applied_size(copy: Connection) -> int:
    """How many entries the catalogue says that it has applied; nothing said is none."""
    for row in rows(copy, "meta", ("key", "value"), NAME):
        if row["key"] == "applied_size":
            text = str(row["value"])
            if text.isascii() and text.isdigit() and len(text) < 19:
                return int(text)
            raise VerificationError(f"{NAME} meta", "applied_size as a number", shown(text))
    return 0


class Custody(msgspec.Struct, frozen=True):
    """One entry as the catalogue lists it."""

    log_index: int
    exhibit: str | None
    kind: str


def acts(copy: Connection) -> Iterator[Custody]:
    """Every entry that the catalogue lists."""
    for row in rows(copy, "custody", CUSTODY, NAME):
        if isinstance(row["log_index"], int):
            exhibit = row["exhibit"]
            yield Custody(row["log_index"], exhibit if isinstance(exhibit, str) else None, str(row["kind"]))


def _time(value: Any) -> Any:  # noqa: ANN401, a column may hold anything
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return value
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _plain(name: str, value: Any) -> Any:  # noqa: ANN401
    """One form for what a column and an entry print differently: times, truth, lists and objects."""
    if name in _TIMES:
        return _time(value)
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and value[:1] in {"[", "{"}:
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value or None if name in {"codecs", "holds"} else value


def _compare(row: Mapping[str, Any], wanted: Mapping[str, Any], where: str, report: Report) -> None:
    for name, value in wanted.items():
        if name in row and _plain(name, row[name]) != _plain(name, value):
            report.differs(where, f"{name} = {shown(value)}", shown(row[name]))


def _wanted(exhibit: Exhibit) -> dict[str, Any]:
    owed = dict.fromkeys(_OWED) if exhibit.whole else {}
    return owed | exhibit.columns()


class CatalogueCheck:
    """Compares one snapshot of the catalogue; `only` narrows it to one exhibit."""

    def __init__(self, copy: Connection, leaves: Mapping[int, Leaf], report: Report, only: str | None) -> None:
        self._copy = copy
        self._leaves = leaves
        self._report = report
        self._only = only
        self._erased: dict[str, int] = {}

    def run(self, log_size: int, found: Found) -> None:
        """Compare size, exhibits and custody rows."""
        applied = applied_size(self._copy)
        if applied > log_size:
            raise VerificationError(f"{NAME} meta", f"applied_size of at most {log_size}", str(applied))
        if applied < log_size:
            self._report.note(f"the catalogue lacks the last {log_size - applied} entries: start the gateway")
        self.compare(applied, found)

    def compare(self, applied: int, found: Found) -> None:
        """Compare every row with the fold of the first `applied` entries."""
        self._exhibits(fold(self._leaves.values(), applied, found))
        self._custody(applied, found)

    def _exhibits(self, folded: dict[str, Exhibit]) -> None:
        seen: set[str] = set()
        for row in rows(self._copy, "exhibit", EXHIBIT, NAME):
            name = str(row["id"])
            seen.add(name)
            if self._only not in {None, name}:
                continue
            where = f"{NAME} exhibit {shown(name)}"
            if name in folded:
                # A catalogue of an earlier version has no column for what no entry of its log says.
                wanted = _wanted(folded[name])
                if _DETAIL_ERASED in str(row.get("holds")):
                    wanted = {each: what for each, what in wanted.items() if each not in {"holds", "held"}}
                _compare(dict.fromkeys(MEDIA) | row, wanted, where, self._report)
            else:
                self._report.differs(where, "no row without a leaf", "one")
        for name, exhibit in folded.items():
            if name not in seen and self._only in {None, name}:
                where = (exhibit.seal or exhibit.first).where
                self._report.differs(f"{NAME} exhibit {shown(name)}", f"a row for {where}", "none")

    def _custody(self, applied: int, found: Found) -> None:
        seen: set[int] = set()
        self._erased = {
            str(leaf.exhibit): leaf.index
            for leaf in self._leaves.values()
            if leaf.index < applied and leaf.kind == "dispose" and leaf.facts.get("details") == "erased"
        }
        for row in rows(self._copy, "custody", CUSTODY, NAME):
            index = row["log_index"]
            if not isinstance(index, int) or not 0 <= index < applied or index in seen:
                self._report.differs(f"{NAME} custody {shown(index)}", f"one row for each entry below {applied}", "it")
                continue
            seen.add(index)
            leaf = self._leaves.get(index)
            if leaf is not None and self._only in {None, leaf.exhibit}:
                self._compare_act(row, leaf, found)
        for index, leaf in self._leaves.items():
            if index < applied and index not in seen and self._only in {None, leaf.exhibit}:
                self._report.differs(f"{NAME} custody {index}", f"a row for {leaf.where}", "none")

    def _compare_act(self, row: Mapping[str, Any], leaf: Leaf, found: Found) -> None:
        wanted = {"exhibit": leaf.exhibit, "n": leaf.n, "kind": leaf.kind, "at": leaf.at}
        wanted |= {"leaf_sha256": leaf.sha256, "hmac": leaf.hmac}
        told = found.get(leaf.hmac, {})
        if leaf.index < self._erased.get(str(leaf.exhibit), 0):
            wanted["actor"] = None
        elif "actor" in told:
            wanted["actor"] = told["actor"]
        _compare(row, wanted, f"{NAME} custody {leaf.index}", self._report)
