"""One disposal as its log entries tell it: folded entry by entry, pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from gateway.domain.time import from_rfc3339

KINDS = frozenset({"dispose_request", "dispose_approve", "dispose_cancel", "key_destroy", "dispose"})
GROUNDS = ("due", "order", "erasure")
State = Literal["waiting", "grace", "ready", "under_way", "done", "cancelled"]
UNREAD = "(its detail cannot be read)"


class DisposalWord(msgspec.Struct, frozen=True):
    """Somebody's act on a disposal: who (None where the detail was erased), when, why."""

    by: str | None
    at: datetime
    reason: str | None = None


class Part(msgspec.Struct):
    """One exhibit of a disposal, and the log indexes of what was done to it."""

    exhibit: str
    entries: dict[str, int] = {}
    key_destroyed_at: datetime | None = None
    disposed_at: datetime | None = None
    detail: dict[str, Any] = {}
    """Of the key_destroy entry: what is to be forgotten, and where."""


class Disposal(msgspec.Struct):
    """A request and what became of it. alone: why related exhibits stay; erase: details go as well."""

    id: str
    ground: str
    not_before: datetime
    requested: DisposalWord
    erase: bool = False
    alone: str | None = None
    approved: DisposalWord | None = None
    cancelled: DisposalWord | None = None
    parts: dict[str, Part] = {}

    def state(self, now: datetime) -> State:
        """Where it stands."""
        if self.parts and all(part.disposed_at for part in self.parts.values()):
            return "done"
        if any(part.key_destroyed_at for part in self.parts.values()):
            return "under_way"
        if self.cancelled is not None:
            return "cancelled"
        if self.approved is None:
            return "waiting"
        return "ready" if now >= self.not_before else "grace"


def take(known: dict[str, Disposal], index: int, facts: dict[str, Any], detail: dict[str, Any] | None) -> str | None:
    """Fold one entry in; the id of the disposal that it is of. Entries of no request that is known change nothing."""
    name, exhibit = facts.get("disposal"), facts.get("exhibit")
    if facts["kind"] not in KINDS or not isinstance(name, str) or not isinstance(exhibit, str):
        return None
    at, said = from_rfc3339(facts["at"]), detail or {}
    if facts["kind"] == "dispose_request" and name not in known:
        known[name] = _requested(name, facts, detail, at)
    one = known.get(name)
    if one is None:
        return None
    part = one.parts.setdefault(exhibit, Part(exhibit))
    part.entries[facts["kind"]] = index
    match facts["kind"]:
        case "dispose_approve":
            one.approved = DisposalWord(said.get("approver"), at, said.get("reason"))
            one.not_before = max(one.not_before, _moment(facts.get("not_before"), at))
        case "dispose_cancel":
            one.cancelled = DisposalWord(said.get("actor"), at, said.get("reason"))
        case "key_destroy":
            part.key_destroyed_at, part.detail = at, said
            _kept(one, said)
        case "dispose":
            part.disposed_at = at
    return name


def _requested(name: str, facts: dict[str, Any], detail: dict[str, Any] | None, at: datetime) -> Disposal:
    said = detail or {}
    reason = UNREAD if detail is None else said.get("reason")
    word = DisposalWord(said.get("requester"), at, reason)
    ground, erase = str(facts.get("ground", "")), facts.get("details") == "erased"
    return Disposal(name, ground, _moment(facts.get("not_before"), at), word, erase, said.get("alone"))


def _kept(one: Disposal, said: dict[str, Any]) -> None:
    """What the destruction's own detail keeps of who asked and who approved, where theirs are erased."""
    if one.requested.by is None:
        one.requested = DisposalWord(said.get("requester"), one.requested.at, None)
    if one.approved is not None and one.approved.by is None:
        one.approved = DisposalWord(said.get("approver"), one.approved.at, None)


def _moment(text: object, otherwise: datetime) -> datetime:
    try:
        return from_rfc3339(text) if isinstance(text, str) else otherwise
    except ValueError:
        return otherwise
