"""The log read for what stands: rules and incident holds, taken up as other processes write them."""

from __future__ import annotations

import threading
from typing import Any, Protocol

from gateway.crypto.canonical import parse_canonical
from gateway.evidence.rows import ActFilter, CustodyEntry
from gateway.evidence.work.holds import HoldBook
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

    def _take(self, index: int) -> None:
        facts, kept = parse_canonical(self._log.leaf(index)), self._log.detail(index)
        detail = None if kept is None else kept[0]
        if facts["kind"] == "rule_change":
            self.rules.take(facts, detail)
        else:
            self.holds.take(facts, detail)
