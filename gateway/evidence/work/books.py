"""The log read for what stands: rules and incident holds, taken up as other processes write them."""

from __future__ import annotations

import threading
from typing import Any, Protocol

from gateway.crypto.canonical import parse_canonical
from gateway.evidence.rows import ActFilter, CustodyEntry, Exhibit
from gateway.evidence.work.holds import ExhibitHold, HoldBook
from gateway.evidence.work.rules import RuleBook
from gateway.evidence.work.terms import Rule

KINDS = ("rule_change", "hold", "release")
PAGE = 1000


class Log(Protocol):
    """Entries read; calls block."""

    def leaf(self, index: int) -> bytes:
        """The exact leaf."""
        ...

    def detail(self, index: int) -> tuple[dict[str, Any], bytes] | None:
        """(detail, salt); None where it was erased."""
        ...


class Listing(Protocol):
    """The catalogue's list of acts; calls block."""

    def acts(self, asked: ActFilter, limit: int, after: int | None = None) -> list[CustodyEntry]:
        """Acts that match, oldest first, behind `after`."""
        ...


class Books:
    """Rules and incident holds as the log has them. `look` blocks; what it found is read at once."""

    def __init__(self, log: Log, listing: Listing, table: tuple[Rule, ...]) -> None:
        """Name the log, the catalogue and the configured table; seen is the last entry taken up."""
        self._log, self._listing = log, listing
        self._guard = threading.Lock()
        self.seen = -1
        self.rules, self.holds = RuleBook(table), HoldBook()

    def look(self) -> None:
        """Take up every entry not seen yet."""
        asked = ActFilter(kinds=KINDS, general=True)
        with self._guard:
            while found := self._listing.acts(asked, PAGE, self.seen):
                for each in found:
                    self._take(each.log_index)
                    self.seen = each.log_index

    def placed_on(self, row: Exhibit) -> list[ExhibitHold]:
        """The holds of its own that stand on an exhibit, with why and until when. Blocks."""
        own = [name for name in row.holds if name not in self.holds.all]
        said: dict[str, dict[str, Any]] = {}
        if own:
            for each in self._listing.acts(ActFilter(kinds=("hold",), exhibit=row.id), PAGE):
                facts, detail = self._read(each.log_index)
                said[str(facts.get("hold"))] = detail or {}
        return [_placed(name, row.id, said.get(name, {})) for name in own]

    def _read(self, index: int) -> tuple[dict[str, Any], dict[str, Any] | None]:
        kept = self._log.detail(index)
        return parse_canonical(self._log.leaf(index)), None if kept is None else kept[0]

    def _take(self, index: int) -> None:
        facts, detail = self._read(index)
        if facts["kind"] == "rule_change":
            self.rules.take(facts, detail)
        else:
            self.holds.take(facts, detail)


def _placed(name: str, exhibit: str, said: dict[str, Any]) -> ExhibitHold:
    return ExhibitHold(name, exhibit, said.get("reason"), said.get("reference"), said.get("until"), said.get("actor"))
