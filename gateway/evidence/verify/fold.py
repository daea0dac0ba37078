"""What log and details say of each exhibit: the fold of its entries, up to any size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gateway.evidence.verify.leaves import Leaf

# Entries of these kinds set each column whose name they hold, the leaf before the detail …
ADMITTING = frozenset({"receive", "seal", "supersede"})
# … and of these only the columns below: nothing but its admission says what is in the vault.
CHANGING = frozenset({"categorise", "amend", "attribute", "rule_change", "review", "transfer"})
CHANGEABLE = frozenset(
    {"name", "controller", "category", "holder", "rule", "due", "started_at", "ended_at", "flags"}
    | {"exhibit_ref", "incident", "review_due"}
)
# Set by kinds of their own and by no other.
OWN = frozenset({"holds", "disposal", "shredded_at", "copies"})
# What a `dispose` whose fact `details` is `erased` takes away.
PERSONAL = (
    *("device", "recording", "name", "holder", "started_at", "ended_at", "exhibit_ref", "incident"),
    *("content_type", "container", "duration_s", "media_created_at", "playable", "media_reason"),
)
# A `derive` that says "what": "media" sets these anew, all of them, and nothing else sets any of them.
MEDIA = frozenset({"container", "codecs", "duration_s", "media_created_at", "playable", "media_reason", "thumbnail"})
DISPOSING = frozenset({"dispose", "key_destroy"})
_RESERVED = frozenset({"v", "kind", "at", "exhibit", "n", "prev", "hmac", "build", "actor", "id", "log_index"})

Found = Mapping[str, Mapping[str, Any]]


class Exhibit(msgspec.Struct):
    """One exhibit's state; `said` comes from leaves, `told` from details, whole unless a detail is closed."""

    first: Leaf
    last: Leaf
    seal: Leaf | None = None
    disposed: Leaf | None = None
    said: dict[str, Any] = msgspec.field(default_factory=dict)
    told: dict[str, Any] = msgspec.field(default_factory=dict)
    whole: bool = True

    def take(self, leaf: Leaf, detail: Mapping[str, Any] | None) -> None:
        """Fold one more entry in; detail None where it is erased or was not opened."""
        self.last = leaf
        if leaf.kind == "seal":
            self.seal = leaf
        if leaf.kind in DISPOSING:
            self.disposed = self.disposed or leaf
        self._stand(leaf)
        if _examines(leaf):
            self._forget_media(detail)
        if leaf.kind in ADMITTING or leaf.kind in CHANGING or _examines(leaf):
            self._set(leaf, detail)

    def _stand(self, leaf: Leaf) -> None:
        """What only kinds of their own say: holds, copies, the way to disposal."""
        name, holds = str(leaf.facts.get("hold", "")), list(self.said.get("holds", []))
        match leaf.kind:
            case "hold" | "release":
                holds = [each for each in holds if each != name] + ([name] if leaf.kind == "hold" else [])
                self.said |= {"holds": holds, "held": bool(holds)}
            case "copy_verified" if type(leaf.facts.get("copies")) is int:
                self.said["copies"] = leaf.facts["copies"]
            case "dispose_request":
                self.said["disposal"] = str(leaf.facts.get("disposal", ""))
            case "dispose_cancel":
                self.said["disposal"] = None
            case "key_destroy" | "dispose":
                self._dispose(leaf)

    def _dispose(self, leaf: Leaf) -> None:
        self.said |= {"holds": [], "held": False}
        if leaf.kind == "key_destroy":
            self.said.setdefault("shredded_at", leaf.at)
            return
        self.said["disposed_at"] = leaf.at
        if leaf.facts.get("details") == "erased":
            self.said |= {**dict.fromkeys(PERSONAL), "flags": [], "codecs": []}

    def _forget_media(self, detail: Mapping[str, Any] | None) -> None:
        for name in MEDIA:
            self.said.pop(name, None)
            self.told.pop(name, None)
            if detail is not None:
                self.told[name] = [] if name == "codecs" else None

    def _set(self, leaf: Leaf, detail: Mapping[str, Any] | None) -> None:
        self.whole &= detail is not None
        for name, value in (detail or {}).items():
            if _is_set_by(leaf, name) and name not in leaf.facts:
                self.told[name] = value
                self.said.pop(name, None)
        for name, value in leaf.facts.items():
            if _is_set_by(leaf, name):
                self.said[name] = value
                self.told.pop(name, None)

    def columns(self) -> dict[str, Any]:
        """What the catalogue must say; columns told only by details are left out where one is closed."""
        seal = {} if self.seal is None else {"sealed_at": self.seal.at}
        first = self.seal or self.first
        chain = {"n": self.last.n, "prev": self.last.sha256, "log_index": first.index}
        return (self.told if self.whole else {}) | self.said | seal | chain


def _examines(leaf: Leaf) -> bool:
    return leaf.kind == "derive" and leaf.facts.get("what") == "media"


def _is_set_by(leaf: Leaf, name: str) -> bool:
    if name in OWN:
        return False
    if _examines(leaf) or name in MEDIA:
        return _examines(leaf) and name in MEDIA
    return name not in _RESERVED and (leaf.kind in ADMITTING or name in CHANGEABLE)


def fold(leaves: Iterable[Leaf], size: int, found: Found | None = None) -> dict[str, Exhibit]:
    """Fold the entries below `size`, by exhibit; found gives details by their HMAC."""
    exhibits: dict[str, Exhibit] = {}
    for leaf in leaves:
        if leaf.index >= size:
            continue
        if leaf.exhibit is not None:
            detail = (found or {}).get(leaf.hmac)
            exhibits.setdefault(leaf.exhibit, Exhibit(leaf, leaf)).take(leaf, detail)
        replaced = exhibits.get(str(leaf.facts.get("supersedes")))
        if replaced is not None and leaf.exhibit is not None:
            replaced.said["superseded_by"] = leaf.exhibit
    return exhibits
