"""What a retention rule would change: every exhibit whose dates it would move, counted and listed. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import msgspec

from gateway.evidence.rows import Exhibit
from gateway.evidence.work.rules import RuleBook
from gateway.evidence.work.terms import EVERYBODY, Applied, Dates, Rule, applied, ruled

LISTED_MAX = 1000


class Moved(msgspec.Struct, frozen=True):
    """One exhibit whose dates would move."""

    exhibit: str
    rule: str | None
    due: str | None
    review_due: str | None
    would_be: Dates
    held: bool


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """How many exhibits a rule is about, and how their due dates would move; moved has the first of them."""

    exhibits: int = 0
    earlier: int = 0
    later: int = 0
    reviews: int = 0
    moved: tuple[Moved, ...] = ()

    def counts(self) -> dict[str, int]:
        """Without the list."""
        return {name: getattr(self, name) for name in ("exhibits", "earlier", "later", "reviews")}


def under(row: Exhibit, rule: Rule, book: RuleBook) -> Applied | None:
    """The rule that an exhibit is under now, where this one would take its place; a review's word stands."""
    now = applied(row)
    if now is None or now.decision is not None or row.category != rule.category or now.version >= rule.version:
        return None
    if rule.controller == row.controller:
        return now
    own = book.rule(rule.category, row.controller or "")
    return now if rule.controller == EVERYBODY and (own is None or own.controller == EVERYBODY) else None


def compared(rows: Iterable[Exhibit], rule: Rule, book: RuleBook, today: date, grace_days: int) -> Comparison:
    """What the rule would do to these exhibits, if it were applied today."""
    counts = {"exhibits": 0, "earlier": 0, "later": 0, "reviews": 0}
    moved: list[Moved] = []
    for row in rows:
        if under(row, rule, book) is None:
            continue
        counts["exhibits"] += 1
        dates = ruled(rule, row, today, grace_days)
        way = _way(row.due, dates.facts()["due"])
        reviews = row.review_due != dates.facts()["review_due"]
        counts["reviews"] += reviews
        if way is not None:
            counts[way] += 1
        if (way or reviews) and len(moved) < LISTED_MAX:
            moved.append(Moved(row.id, row.rule, row.due, row.review_due, dates, row.held))
    return Comparison(**counts, moved=tuple(moved))


def _way(was: str | None, would_be: str | None) -> str | None:
    if was == would_be:
        return None
    return "earlier" if (would_be or "9999-99") < (was or "9999-99") else "later"
