"""What a reconciliation names: each thing that is missing, stale, surplus or another, and what it is known from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from gateway.evidence.verify.leaves import Leaf
from gateway.evidence.verify.report import LONGEST, Finding, Report, shown

State = Literal["missing", "stale", "surplus", "differs", "unread"]
_EXHIBIT = re.compile(r"X-[0-9A-Za-z-]+")
_INDEX = re.compile(r"(?:detail of )?(?:log entry|evidence\.db custody) ([0-9]{1,18})")
_THINGS = (
    ("log/tile/", "tile"),
    ("log/", "log"),
    ("log entry", "entry"),
    ("detail", "detail"),
    ("keys.db ", "key"),
    ("keys", "key file"),
    ("blobs", "blob"),
    ("thumbnails", "thumbnail"),
    ("evidence.db exhibit", "row"),
    ("evidence.db custody", "row"),
    ("evidence.db meta", "row"),
    ("evidence.db", "catalogue"),
    ("staging", "upload"),
    ("copy ", "copy"),
)


class Item(msgspec.Struct, frozen=True):
    """One thing that is not as it should be: where it lies, whose it is, what says so, what was found."""

    state: State
    thing: str
    name: str
    exhibit: str | None
    known_from: str
    found: str


class Reconciliation(msgspec.Struct):
    """How many there are of everything, and each that is not there; `ok` when all is there."""

    checkpoint: dict[str, str | int] | None = None
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    items: list[Item] = msgspec.field(default_factory=list)
    notes: list[str] = msgspec.field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Everything is there, and was read."""
        return not self.items

    @property
    def faults(self) -> int:
        """How many things are missing, stale, surplus or others; what could not be read is not known to be."""
        return sum(item.state != "unread" for item in self.items)

    def add(self, state: State, name: str, exhibit: str | None, *, known_from: str, found: str) -> None:
        """Name one thing, once."""
        words = (shown(each, LONGEST) for each in (known_from, found))
        item = Item(state, _thing(name), shown(name, LONGEST), exhibit, *words)
        if item not in self.items[-8:]:
            self.items.append(item)

    def missing(self, name: str, exhibit: str | None, known_from: str) -> None:
        """Name one thing that is not there."""
        self.add("missing", name, exhibit, known_from=known_from, found="none")

    def take(self, report: Report, leaves: Mapping[int, Leaf]) -> None:
        """Take over what a part of the verifier found."""
        for finding in report.findings:
            self.add(state_of(finding), finding.path, _whose(finding.path, leaves), **_words(finding))
        for finding in report.unread:
            self.add("unread", finding.path, _whose(finding.path, leaves), **_words(finding))
        for name, number in report.counts.items():
            self.count(name, number)
        self.notes += [note for note in report.notes if note not in self.notes]

    def count(self, name: str, more: int = 1) -> None:
        """Add to a counter."""
        self.counts[name] = self.counts.get(name, 0) + more

    def by_state(self) -> dict[str, int]:
        """How many items of each state."""
        states: dict[str, int] = {}
        for item in self.items:
            states[item.state] = states.get(item.state, 0) + 1
        return states


def _words(finding: Finding) -> dict[str, Any]:
    return {"known_from": finding.expected, "found": finding.found}


def state_of(finding: Finding) -> State:
    """What a finding of the verifier says of the thing it names."""
    if finding.found in {"none", "no file"}:
        return "missing"
    return "surplus" if finding.expected.startswith("no ") else "differs"


def _thing(name: str) -> str:
    return next((thing for start, thing in _THINGS if name.startswith(start)), "file")


def _whose(path: str, leaves: Mapping[int, Leaf]) -> str | None:
    index = _INDEX.match(path)
    leaf = leaves.get(int(index[1])) if index else None
    if leaf is not None:
        return leaf.exhibit
    found = _EXHIBIT.search(path)
    return found[0] if found else None
