"""The desk of custody acts put together: tables of the settings, the log, the catalogue; the rule for new footage."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import msgspec
import structlog

from gateway.domain.ids import DeviceId
from gateway.errors import GatewayError
from gateway.evidence.custody import CustodyLog
from gateway.evidence.needs import Terms
from gateway.evidence.settings import RetentionSection
from gateway.evidence.work.books import Books
from gateway.evidence.work.desk import Desk, Tables
from gateway.evidence.work.retention import RuleDesk
from gateway.evidence.work.terms import EVERYBODY, UNCATEGORISED, Decision, Rule, rule_name
from gateway.ports import Clock, Directory
from gateway.store.catalogue import Catalogue

NO_CONTROLLER = "unassigned"
KEEP_UP_EVERY_S = 60.0
_log = structlog.get_logger()


def tables(retention: RetentionSection) -> Tables:
    """What [retention] says, as the desk takes it."""
    rules = [Rule(category=UNCATEGORISED, version=retention.rule_version, days=retention.uncategorised_days)]
    for each in retention.category:
        controller, required = each.controller or EVERYBODY, each.required
        named = Rule(category=each.name, controller=controller, version=each.version, title=each.title)
        kept = msgspec.structs.replace(named, days=each.days, review_days=each.review_days, required=required)
        rules.append(kept)
    decisions = tuple(
        Decision(name=each.name, title=each.title, days=each.days, review_days=each.review_days)
        for each in retention.decision
    )
    return Tables(rules=tuple(rules), decisions=decisions, grace_days=retention.due_grace_days)


def desk_of(retention: RetentionSection, custody: CustodyLog, catalogue: Catalogue, clock: Clock) -> Desk:
    """A desk over an open store."""
    return Desk(custody, catalogue, tables(retention), clock)


class AgencyTerms:
    """An exhibit's controller is its device's agency; the rule in force for what nobody has categorised holds.

    What the books last saw counts: a change made by another process holds within a minute.
    """

    def __init__(self, people: Directory, books: Books) -> None:
        """Name the roster and the rules."""
        self._people, self._books = people, books

    def terms(self, device: DeviceId, at: datetime) -> Terms:
        """Whose, under which rule, due when."""
        known = self._people.device(device)
        controller = known.agency if known else NO_CONTROLLER
        rule = self._books.rules.rule(UNCATEGORISED, controller)
        if rule is None or rule.days is None:  # the table always has one, with days
            raise GatewayError("retention: there is no rule for what nobody has categorised")
        name = rule_name(controller, UNCATEGORISED, rule.version)
        return Terms(controller, name, (at + timedelta(days=rule.days)).date())


async def keep_up(desk: Desk) -> None:
    """Take up what other processes wrote, and bring to its end what a crash left half-way; for as long as it runs."""
    said: list[str] = []
    rules = RuleDesk(desk)
    while True:
        try:
            if done := await rules.keep_up():
                _log.warning("custody_acts_caught_up", acts=done)
            if (now := desk.books.rules.unheeded()) != said:
                _log.warning("retention_differs", rules=now, why="these are on record already: the log counts")
                said = now
        except Exception:  # noqa: BLE001 - a defect here must not take the feed along: the next turn tries again
            _log.exception("custody_acts_not_caught_up")
        await asyncio.sleep(KEEP_UP_EVERY_S)
