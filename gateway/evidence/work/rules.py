"""Which rules are in force and which are proposed: the fold of `rule_change` entries over the configured table. Pure.

The configuration gives the first table. A category's rules are put on record before the first act under them; from
then on the log has them, and a change takes two people.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.domain.evidence import Act
from gateway.evidence.work.refusals import ConflictError, NoneSuchError, UnfitError
from gateway.evidence.work.terms import EVERYBODY, UNCATEGORISED, Rule

CONFIGURATION = "configuration"


class Worker(msgspec.Struct, frozen=True):
    """Who acts: an account, and the person it belongs to where that is known."""

    account: str
    person: str | None = None

    def is_the_same_as(self, other: Worker) -> bool:
        """Whether two accounts are one person's, a terminal's included."""
        known = self.person is not None and self.person == other.person
        return known or self.account.removeprefix("cli:") == other.account.removeprefix("cli:")


class Proposal(msgspec.Struct, frozen=True):
    """A rule that waits for a second person."""

    rule: Rule
    proposer: Worker
    reason: str


class RuleBook:
    """The rules as they stand."""

    def __init__(self, table: tuple[Rule, ...]) -> None:
        """Begin with the configured table."""
        self._table = table
        self._recorded: dict[tuple[str, str], Rule] = {}
        self._highest: dict[str, int] = {}
        self.proposals: dict[tuple[str, int], Proposal] = {}

    def take(self, facts: dict[str, Any], detail: dict[str, Any] | None) -> None:
        """Fold in one `rule_change` entry that is about no exhibit; one that says no rule changes nothing."""
        try:
            rule = msgspec.convert({name: facts.get(name, default) for name, default in _DEFAULTS.items()}, Rule)
        except msgspec.ValidationError:
            return
        self._highest[rule.category] = max(rule.version, self._highest.get(rule.category, 0))
        if facts.get("approved") is True:
            # The table put on record by two processes at once takes back nothing that was changed since.
            before = self._recorded.get((rule.category, rule.controller))
            if before is not None and before.version > rule.version:
                return
            self._recorded[rule.category, rule.controller] = rule
            self.proposals = {key: each for key, each in self.proposals.items() if not _overtaken(each.rule, rule)}
        elif detail is not None:
            by = Worker(str(detail.get("proposer")), detail.get("proposer_person"))
            self.proposals[rule.category, rule.version] = Proposal(rule, by, str(detail.get("reason", "")))

    def in_force(self) -> list[Rule]:
        """Every rule, by category and controller."""
        recorded = {category for category, _ in self._recorded}
        rules = [*self._recorded.values(), *(rule for rule in self._table if rule.category not in recorded)]
        return sorted(rules, key=lambda rule: (rule.category, rule.controller))

    def rule(self, category: str, controller: str) -> Rule | None:
        """The rule for a controller's exhibits of a category; None where there is no such category."""
        mine = {rule.controller: rule for rule in self.in_force() if rule.category == category}
        return mine.get(controller) or mine.get(EVERYBODY)

    def adoption(self) -> list[Act]:
        """What puts the configured table on record, as far as it is not."""
        recorded = {category for category, _ in self._recorded}
        return [
            Act("rule_change", "system", None, {**rule.facts(), "approved": True}, {"proposer": CONFIGURATION})
            for rule in self._table
            if rule.category not in recorded
        ]

    def unheeded(self) -> list[str]:
        """What the configuration says otherwise than the log, which counts."""
        mine = {(rule.category, rule.controller): rule for rule in self.in_force()}
        return [rule.name for rule in self._table if not _alike(mine.get((rule.category, rule.controller)), rule)]

    def proposal(self, rule: Rule) -> Rule:
        """The rule as it is proposed, under the next version; UnfitError says what is wrong with it."""
        for field in ("category", "controller"):
            said = getattr(rule, field)
            if not said or said != said.strip() or set(said) & set("/@:") or len(said) > 64:
                raise UnfitError(f"{field}: {said!r} is not a name")
        if rule.category == UNCATEGORISED and (rule.days is None or rule.review_days is not None or rule.required):
            raise UnfitError("days: what nobody has categorised has days, and neither reviews nor required fields")
        if rule.days is None and rule.review_days is None:
            raise UnfitError("review_days: what is never due by itself has to be reviewed")
        table = [each.version for each in self._table if each.category == rule.category]
        return msgspec.structs.replace(rule, version=max([self._highest.get(rule.category, 0), *table]) + 1)

    def approved(self, category: str, version: int, approver: Worker) -> Proposal:
        """The proposal that somebody else may bring into force."""
        found = self.proposals.get((category, version))
        if found is None:
            raise NoneSuchError(f"there is no proposal {category}@{version}: in force already, or overtaken")
        if approver.is_the_same_as(found.proposer):
            raise ConflictError(f"{found.rule.name} was proposed by {found.proposer.account}: a second person approves")
        return found


_DEFAULTS: dict[str, Any] = {
    field.name: None if field.default is msgspec.NODEFAULT else field.default for field in msgspec.structs.fields(Rule)
}


def _overtaken(proposed: Rule, rule: Rule) -> bool:
    same = (proposed.category, proposed.controller) == (rule.category, rule.controller)
    return same and proposed.version <= rule.version


def _alike(recorded: Rule | None, configured: Rule) -> bool:
    names = ("days", "review_days", "required")
    return recorded is not None and all(getattr(recorded, each) == getattr(configured, each) for each in names)
