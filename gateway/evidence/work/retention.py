"""Changing a retention rule: proposed, compared, approved by a second person, applied exhibit by exhibit.

A rule in force is used from the next categorisation (or seal) on. What is categorised already keeps its dates,
unless the rule `applies` to it: then each such exhibit gets an entry of its own. Nothing changes a date but an entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.domain.evidence import Act
from gateway.evidence.rows import Exhibit, ExhibitFilter
from gateway.evidence.work.acts import reruled, written
from gateway.evidence.work.comparison import Comparison, compared, under
from gateway.evidence.work.desk import Desk
from gateway.evidence.work.holds import ended
from gateway.evidence.work.rules import Proposal, Worker
from gateway.evidence.work.terms import Rule, ruled


class RuleDesk:
    """Where rules are changed, and where what was left half-way is brought to its end."""

    def __init__(self, desk: Desk) -> None:
        """Share the desk's turn."""
        self._desk = desk
        self._kept: int | None = None

    async def rules(self) -> tuple[list[Rule], list[Proposal]]:
        """What is in force, and what waits for a second person."""
        await self._desk.look()
        book = self._desk.books.rules
        return book.in_force(), sorted(book.proposals.values(), key=lambda each: each.rule.name)

    async def compare(self, rule: Rule) -> tuple[Rule, Comparison]:
        """The rule as it would be called, and what it would change if it applied to what is categorised already."""
        await self._desk.look()
        rule = self._desk.books.rules.proposal(rule)
        return rule, await self._compared(rule)

    async def propose(self, who: Worker, rule: Rule, reason: str) -> tuple[Proposal, Comparison]:
        """Put a proposal on record, with what it would change."""
        written("reason", reason)
        async with self._desk.turn:
            rule, comparison = await self.compare(rule)
            adopted = self._desk.books.rules.adoption()
            said: dict[str, Any] = {"proposer": who.account, "proposer_person": who.person, "reason": reason}
            act = _change(rule, who, {**said, "dry_run": comparison.counts()}, approved=False)
            await self._desk.register.record_many([*adopted, act])
            return Proposal(rule, who, reason), comparison

    async def approve(self, who: Worker, category: str, version: int, reason: str) -> tuple[Rule, Comparison]:
        """Bring a proposal into force in a second person's name, and apply it where it says so."""
        written("reason", reason)
        async with self._desk.turn:
            await self._desk.look()
            book = self._desk.books.rules
            found = book.approved(category, version, who)
            comparison = await self._compared(found.rule)
            said = {"proposer": found.proposer.account, "proposer_person": found.proposer.person}
            said |= {"approver": who.account, "approver_person": who.person}
            detail = {**said, "reason": reason, "proposal": found.reason, "dry_run": comparison.counts()}
            await self._desk.register.record_many([_change(found.rule, who, detail, approved=True)])
            await self._desk.look()
            if found.rule.applies:
                await self._apply(found.rule)
            return found.rule, comparison

    async def keep_up(self) -> int:
        """Bring to its end what a crash left half-way: rules that apply, holds by incident. How many acts it took.

        There is nothing to do where no rule and no hold by incident has come since the last time.
        """
        async with self._desk.turn:
            await self._desk.look()
            if (seen := self._desk.books.seen) == self._kept:
                return 0
            done = 0
            for rule in self._desk.books.rules.in_force():
                done += await self._apply(rule) if rule.applies else 0
            wanted = [act for row in await self._bearing() for act in self._left(row)]
            await self._desk.record(wanted)
            self._kept = seen
            return done + len(wanted)

    async def _apply(self, rule: Rule) -> int:
        """Give every exhibit that is under an older version its dates anew."""
        desk, book = self._desk, self._desk.books.rules
        wanted = [
            reruled(row, rule, ruled(rule, row, desk.today, desk.tables.grace_days))
            for row in await self._about(rule)
            if under(row, rule, book) is not None
        ]
        await desk.record(wanted)
        return len(wanted)

    async def _compared(self, rule: Rule) -> Comparison:
        desk = self._desk
        rows = await self._about(rule)
        return compared(rows, rule, desk.books.rules, desk.today, desk.tables.grace_days)

    async def _about(self, rule: Rule) -> Sequence[Exhibit]:
        return await self._desk.every(ExhibitFilter(category=rule.category, sealed=True, present=True))

    async def _bearing(self) -> list[Exhibit]:
        """What an incident's hold is about, or was: exhibits that bear it, and exhibits held."""
        holds = self._desk.books.holds.all.values()
        found: dict[str, Exhibit] = {}
        for incident in {each.incident for each in holds if each.stands}:
            rows = await self._desk.every(ExhibitFilter(incident=incident, sealed=True, present=True))
            found |= {row.id: row for row in rows}
        for hold in (each.hold for each in holds if not each.stands):
            found |= {row.id: row for row in await self._desk.every(ExhibitFilter(hold=hold, present=True))}
        return list(found.values())

    def _left(self, row: Exhibit) -> list[Act]:
        """The holds that an exhibit lacks, and those that have ended."""
        book = self._desk.books.holds
        left = [ended(row.id, name) for name in book.ended(row)]
        return [*book.missing(row.id, row.incident, row.holds), *left]


def _change(rule: Rule, who: Worker, detail: dict[str, Any], *, approved: bool) -> Act:
    return Act("rule_change", who.account, None, {**rule.facts(), "approved": approved}, detail)
