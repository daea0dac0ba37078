"""The log read as an audit: acts by kind, actor, exhibit and span, and the report over the six verbs. Blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from gateway.crypto.canonical import parse_canonical
from gateway.evidence.rows import ActFilter, CustodyEntry
from gateway.evidence.work.books import Listing, Log
from gateway.evidence.work.verbs import KINDS, OTHER, VERBS, AuditedAct, kinds_of, shown

PAGE = 1000


class Verb(msgspec.Struct, frozen=True):
    """One verb: the kinds of entry under it, how many of each, the acts where they are listed."""

    verb: str
    kinds: dict[str, int]
    count: int
    acts: list[AuditedAct] = []


class Audit:
    """Reads acts with what their details say of purpose and recipient."""

    def __init__(self, log: Log, listing: Listing) -> None:
        """Name the log and the catalogue."""
        self._log, self._listing = log, listing

    def acts(
        self, asked: ActFilter, verbs: Sequence[str] = (), limit: int = 100, after: int | None = None
    ) -> tuple[list[AuditedAct], int | None]:
        """A page of acts, oldest first, and the `after` of the next page (None: that was all)."""
        asked = _narrowed(asked, verbs)
        found: list[AuditedAct] = []
        while len(found) < limit:
            page = self._listing.acts(asked, limit - len(found), after)
            found += [act for act in map(self._shown, page) if not verbs or act.verb in verbs]
            if not page:
                return found, None
            after = page[-1].log_index
        return found, after

    def every(self, asked: ActFilter, verbs: Sequence[str] = ()) -> Iterator[AuditedAct]:
        """Every act that matches, oldest first."""
        after: int | None = None
        while True:
            page, after = self.acts(asked, verbs, PAGE, after)
            yield from page
            if after is None:
                return

    def report(self, since: datetime, until: datetime) -> list[Verb]:
        """Each verb with its kinds, counts and acts in a span; the system's own acts are counted, too."""
        listed: dict[str, list[AuditedAct]] = {verb: [] for verb in VERBS}
        for act in self.every(ActFilter(since=since, until=until)):
            listed[act.verb].append(act)
        return [_verb(verb, acts) for verb, acts in listed.items()]

    def _shown(self, entry: CustodyEntry) -> AuditedAct:
        kept = self._log.detail(entry.log_index)
        facts = parse_canonical(self._log.leaf(entry.log_index)) if entry.kind == "derive" else {}
        return shown(entry, facts, None if kept is None else kept[0])


def _verb(verb: str, acts: list[AuditedAct]) -> Verb:
    counts = Counter(act.kind for act in acts)
    kinds = sorted({*KINDS.get(verb, ()), *counts})
    listed = [] if verb == OTHER else acts
    return Verb(verb, {kind: counts[kind] for kind in kinds}, len(acts), listed)


def _narrowed(asked: ActFilter, verbs: Sequence[str]) -> ActFilter:
    kinds = kinds_of(verbs) if verbs else None
    if kinds is None:
        return asked
    if asked.kinds is not None:
        kinds = tuple(kind for kind in kinds if kind in asked.kinds)
    return msgspec.structs.replace(asked, kinds=kinds)
