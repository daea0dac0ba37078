"""Retention rules, and the dates that follow from them. Pure."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from gateway.evidence.rows import Exhibit

UNCATEGORISED = "uncategorised"
EVERYBODY = "*"
"""The controller of a rule that holds for whoever has none of their own."""
_APPLIED = re.compile(r"(?P<controller>[^/]+)/(?P<category>[^/@]+)@(?P<version>[0-9]{1,9})(?::(?P<decision>.+))?")


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """How long exhibits of a category are kept, and what has to be said of them.

    days: due so long after the recording (None: never by itself); review_days: to be reviewed so long after it;
    required: fields that a categorisation must give; applies: to what is categorised already, too.
    A version is given once a category, whoever the controller.
    """

    category: str
    controller: str = EVERYBODY
    version: int = 1
    title: str = ""
    days: int | None = None
    review_days: int | None = None
    required: tuple[str, ...] = ()
    applies: bool = False

    @property
    def name(self) -> str:
        """As entries call it."""
        return rule_name(self.controller, self.category, self.version)

    def facts(self) -> dict[str, Any]:
        """As a `rule_change` entry says it, in clear."""
        said = msgspec.to_builtins(self)
        return {"rule": self.name, **said, "required": list(self.required)}


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What a review can decide: due and to be reviewed again so many days after the date that it names."""

    name: str
    title: str = ""
    days: int | None = None
    review_days: int | None = None


class Dates(msgspec.Struct, frozen=True):
    """When an exhibit is due for disposal, and when somebody has to look at it again."""

    due: date | None = None
    review_due: date | None = None

    def facts(self) -> dict[str, str | None]:
        """As entries say them; null takes an earlier date away."""
        return {"due": _text(self.due), "review_due": _text(self.review_due)}


class Applied(msgspec.Struct, frozen=True):
    """The rule that an exhibit's dates come from, read back; decision where a review set them."""

    controller: str
    category: str
    version: int
    decision: str | None = None


def rule_name(controller: str, category: str, version: int, decision: str | None = None) -> str:
    """`PCC/evidential@4`, and `PCC/evidential@4:retain` once a review has decided."""
    return f"{controller}/{category}@{version}" + (f":{decision}" if decision else "")


def applied(row: Exhibit) -> Applied | None:
    """The rule that an exhibit is under; None where it has none that could be read."""
    found = _APPLIED.fullmatch(row.rule or "")
    if found is None:
        return None
    return Applied(found["controller"], found["category"], int(found["version"]), found["decision"])


def recorded_on(row: Exhibit, today: date) -> date:
    """The day that periods run from: of the recording, else of its arrival."""
    moment: datetime | None = row.started_at or row.received_at
    return moment.astimezone(UTC).date() if moment else today


def ruled(rule: Rule, row: Exhibit, today: date, grace_days: int) -> Dates:
    """The dates that a rule gives an exhibit; what would be due at once has its days of grace."""
    since = recorded_on(row, today)
    return Dates(_graced(_after(since, rule.days), today, grace_days), _after(since, rule.review_days))


def decided(decision: Decision, since: date, today: date, grace_days: int) -> Dates:
    """The dates that a review's decision gives, counted from the date that it names."""
    return Dates(_graced(_after(since, decision.days), today, grace_days), _after(since, decision.review_days))


def _after(since: date, days: int | None) -> date | None:
    if days is None:
        return None
    try:
        return since + timedelta(days=days)
    except OverflowError:
        return date.max


def _graced(due: date | None, today: date, grace_days: int) -> date | None:
    return None if due is None else max(due, today + timedelta(days=grace_days))


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
