"""The six verbs of DPA 2018 s.62 over the acts of the log, and an act as the audit shows it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.domain.time import rfc3339
from gateway.evidence.export.chains import plain_cell
from gateway.evidence.rows import CustodyEntry

KINDS: dict[str, tuple[str, ...]] = {
    "collection": ("receive", "seal", "supersede", "journal_root"),
    "alteration": ("categorise", "annotate", "amend", "hold", "release", "rule_change", "review"),
    "consultation": ("view", "play", "browse"),
    "disclosure": ("export", "disclose", "transfer", "download"),
    "combination": ("attribute", "clip", "derive"),
    "erasure": ("dispose_request", "dispose_approve", "dispose_cancel", "key_destroy", "dispose"),
}
"""Which kinds of entry fall under which verb; each under one. An examination (`derive` of `media`) is collection."""
OTHER = "other"
"""The system's own acts: keys, accounts, backups, verification. Counted, so that nothing falls out unseen."""
VERBS = (*KINDS, OTHER)
COLUMNS = ("verb", "index", "at", "kind", "exhibit", "actor", "justification", "recipient")
_BY_KIND = {kind: verb for verb, kinds in KINDS.items() for kind in kinds}


class AuditedAct(msgspec.Struct, frozen=True):
    """One act as the audit shows it; justification and recipient where the act was asked for one.

    readable is false where the detail was erased: then nobody can say who it was.
    """

    verb: str
    index: int
    at: str
    kind: str
    exhibit: str | None
    actor: str | None
    justification: str | None
    recipient: str | None
    readable: bool = True

    def cells(self) -> list[str]:
        """As a line of a table, its cells safe in a spreadsheet."""
        return [plain_cell("" if (cell := getattr(self, name)) is None else cell) for name in COLUMNS]


def verb_of(kind: str, facts: dict[str, Any]) -> str:
    """The verb that an entry falls under."""
    if kind == "derive" and facts.get("what") == "media":
        return "collection"
    return _BY_KIND.get(kind, OTHER)


def shown(entry: CustodyEntry, facts: dict[str, Any], detail: dict[str, Any] | None) -> AuditedAct:
    """An act as the audit shows it."""
    said = detail or {}
    why = next((said[name] for name in ("purpose", "reason") if isinstance(said.get(name), str)), None)
    whom = said.get("recipient")
    return AuditedAct(
        verb_of(entry.kind, facts),
        entry.log_index,
        rfc3339(entry.at),
        entry.kind,
        entry.exhibit,
        entry.actor,
        why,
        whom if isinstance(whom, str) else None,
        detail is not None,
    )


def kinds_of(verbs: Sequence[str]) -> tuple[str, ...] | None:
    """Kinds that may fall under any of these verbs; None: no kind can be left out."""
    if OTHER in verbs:
        return None
    extra = ("derive",) if "collection" in verbs else ()
    return tuple(dict.fromkeys([*(kind for verb in verbs for kind in KINDS.get(verb, ())), *extra]))
