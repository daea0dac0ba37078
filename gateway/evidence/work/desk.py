"""The desk at which exhibits are worked on: each act checked against what stands, then on record, then answered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import Any, Protocol

import msgspec

from gateway.domain.evidence import Act, Recorded
from gateway.evidence.rows import Exhibit, ExhibitFilter
from gateway.evidence.upload import exhibit_id
from gateway.evidence.work import acts
from gateway.evidence.work.acts import Amendment, Categorisation, Review, Transfer
from gateway.evidence.work.books import Books, Listing, Log
from gateway.evidence.work.holds import ExhibitHold, IncidentHold, held, incident_ref
from gateway.evidence.work.refusals import ConflictError, NoneSuchError, UnfitError
from gateway.evidence.work.rules import Worker
from gateway.evidence.work.terms import UNCATEGORISED, Decision, Rule, decided, ruled
from gateway.ports import Clock

AT_ONCE = 200
"""Acts of one batch, where there are many: the log writes at most a batch of these between others'."""
PAGE = 1000


class Register(Log, Protocol):
    """The custody log, read and written."""

    async def record_many(self, acts: Sequence[Act]) -> list[Recorded]:
        """All of them or none."""
        ...


class Cabinet(Listing, Protocol):
    """The catalogue, read; calls block."""

    def exhibit(self, exhibit_id: str) -> Exhibit | None:
        """One exhibit."""
        ...

    def exhibits(
        self, filters: ExhibitFilter | None = None, limit: int = 100, after: int | None = None
    ) -> list[Exhibit]:
        """A page, newest first."""
        ...


class Tables(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says of retention."""

    rules: tuple[Rule, ...]
    decisions: tuple[Decision, ...] = ()
    grace_days: int = 14


class HoldWords(msgspec.Struct, frozen=True, kw_only=True):
    """Why a hold is placed, and until when it stands without another look."""

    reason: str
    reference: str | None = None
    until: date | None = None


class Desk:
    """Acts on exhibits, one after the other: what one decides on is not changed by another meanwhile."""

    def __init__(self, register: Register, cabinet: Cabinet, tables: Tables, clock: Clock) -> None:
        """Name the log, the catalogue, the tables."""
        self.register, self.cabinet, self.tables, self._clock = register, cabinet, tables, clock
        self.books = Books(register, cabinet, tables.rules)
        self.turn = asyncio.Lock()

    @property
    def today(self) -> date:
        """The day that periods are counted from (UTC)."""
        return self._clock.now().utc.date()

    async def categorise(self, who: Worker, exhibit: str, said: Categorisation) -> Exhibit:
        """Give an exhibit its category, rule and dates; an incident's holds come along."""
        async with self.turn:
            row = await self.row(exhibit)
            await self.look()
            rule = self.books.rules.rule(said.category, row.controller or "")
            if rule is None or rule.category == UNCATEGORISED:
                names = sorted({each.category for each in self.books.rules.in_force()} - {UNCATEGORISED})
                raise UnfitError(f"category: {said.category!r} is not one of {', '.join(names)}")
            act = acts.categorised(row, who, said, rule, ruled(rule, row, self.today, self.tables.grace_days))
            adopted = self.books.rules.adoption()
            bears = act.detail.get("incident") or row.incident
            await self.register.record_many([*adopted, act, *self.books.holds.missing(row.id, bears, row.holds)])
            await self.catch_up(bears)
            return await self.row(exhibit)

    async def annotate(self, who: Worker, exhibit: str, text: str, at_s: float | None) -> Exhibit:
        """Add a note."""
        async with self.turn:
            row = await self.row(exhibit)
            await self.register.record_many([acts.annotated(row, who, text, at_s)])
            return await self.row(exhibit)

    async def amend(self, who: Worker, exhibit: str, said: Amendment) -> Exhibit:
        """Correct a field; what it was stays on record."""
        async with self.turn:
            row = await self.row(exhibit)
            await self.look()
            act = acts.amended(row, who, said)
            bears = act.detail.get("incident", row.incident)
            await self.register.record_many([act, *self.books.holds.missing(row.id, bears, row.holds)])
            await self.catch_up(bears)
            return await self.row(exhibit)

    async def hold(self, who: Worker, exhibit: str, why: HoldWords) -> tuple[str, Exhibit]:
        """Hold one exhibit; (the hold's id, the exhibit)."""
        async with self.turn:
            row, name = await self.row(exhibit), self._new_hold()
            await self.register.record_many([acts.hold_placed(row, who, name, self._why(why))])
            return name, await self.row(exhibit)

    async def hold_incident(self, who: Worker, incident: str, why: HoldWords) -> tuple[str, list[str]]:
        """Hold whatever bears a reference, now and later; (the hold's id, the exhibits held now)."""
        acts.written("incident", incident)
        acts.written("reason", why.reason)
        async with self.turn:
            await self.look()
            ref, name, words = incident_ref(incident), self._new_hold(), self._why(why)
            placed = IncidentHold(name, ref, why.reason, why.reference, words.get("until"), who.account)
            rows = await self.every(ExhibitFilter(incident=ref, sealed=True, present=True))
            general = Act("hold", who.account, None, {"hold": name}, {**words, "incident": ref})
            await self.record([general, *(held(row.id, placed, who.account) for row in rows)])
            await self.catch_up(ref)
            return name, [row.id for row in await self.every(ExhibitFilter(hold=name))]

    async def release(self, who: Worker, exhibit: str, hold: str, reason: str) -> Exhibit:
        """End one hold of one exhibit; a hold by incident is released as a whole."""
        async with self.turn:
            row = await self.row(exhibit)
            await self.look()
            act = acts.hold_released(row, who, hold, reason)
            incident = self.books.holds.all.get(hold)
            if incident is not None and incident.stands:
                raise ConflictError(f"{hold} holds the incident {incident.incident}: release that")
            await self.register.record_many([act])
            return await self.row(exhibit)

    async def release_incident(self, who: Worker, hold: str, reason: str) -> list[str]:
        """End a hold by incident, on every exhibit that it holds; they are named."""
        acts.written("reason", reason)
        async with self.turn:
            await self.look()
            known = self.books.holds.all.get(hold)
            if known is None:
                raise NoneSuchError(f"there is no hold of an incident {hold!r}")
            if not known.stands:
                raise ConflictError(f"{hold} was released")
            rows = await self.every(ExhibitFilter(hold=hold, present=True))
            general = Act("release", who.account, None, {"hold": hold}, {"reason": reason, "incident": known.incident})
            each = [acts.hold_released(row, who, hold, reason) for row in rows]
            await self.record([general, *each])
            await self.look()
            return [row.id for row in rows]

    async def review(self, who: Worker, exhibit: str, said: Review) -> Exhibit:
        """Record a review, its decision, and the dates that follow."""
        async with self.turn:
            row = await self.row(exhibit)
            decisions = {each.name: each for each in self.tables.decisions}
            decision = decisions.get(said.decision)
            if decision is None:
                raise UnfitError(f"decision: {said.decision!r} is not one of {', '.join(sorted(decisions))}")
            if row.category in (None, UNCATEGORISED):
                raise ConflictError(f"{row.id} is not categorised yet")
            dates = decided(decision, said.since or self.today, self.today, self.tables.grace_days)
            await self.register.record_many([acts.reviewed(row, who, said, decision, dates)])
            return await self.row(exhibit)

    async def transfer(self, who: Worker, exhibit: str, said: Transfer) -> Exhibit:
        """Record to whom an exhibit went, or what was disclosed."""
        async with self.turn:
            row = await self.row(exhibit)
            await self.register.record_many([acts.transferred(row, who, said)])
            return await self.row(exhibit)

    async def holds(self, until_before: date | None = None) -> tuple[list[IncidentHold], list[ExhibitHold]]:
        """Holds by incident, and those that stand on exhibits; of a day, what is to be looked at again before it."""
        await self.look()
        by_incident = sorted(self.books.holds.all.values(), key=lambda each: each.hold)
        rows = await self.every(ExhibitFilter(held=True, present=True))
        placed = [each for row in rows for each in await asyncio.to_thread(self.books.placed_on, row)]
        if until_before is None:
            return by_incident, placed
        day = until_before.isoformat()
        standing = [each for each in by_incident if each.stands and each.until is not None and each.until < day]
        return standing, [each for each in placed if each.until is not None and each.until < day]

    async def row(self, exhibit: str) -> Exhibit:
        """An exhibit that can be worked on; NoneSuchError, ConflictError."""
        row = await asyncio.to_thread(self.cabinet.exhibit, exhibit)
        if row is None:
            raise NoneSuchError(f"there is no exhibit {exhibit!r}")
        acts.workable(row)
        return row

    async def every(self, asked: ExhibitFilter) -> list[Exhibit]:
        """Every exhibit that matches."""
        found = page = await asyncio.to_thread(self.cabinet.exhibits, asked, PAGE)
        while len(page) == PAGE:
            page = await asyncio.to_thread(self.cabinet.exhibits, asked, PAGE, page[-1].log_index)
            found = [*found, *page]
        return found

    async def look(self) -> None:
        """Take up what other processes wrote."""
        await asyncio.to_thread(self.books.look)

    async def record(self, wanted: Sequence[Act]) -> None:
        """Write many acts, in order, a batch at a time; where that ends half-way, `keep_up` goes on."""
        for at in range(0, len(wanted), AT_ONCE):
            await self.register.record_many(wanted[at : at + AT_ONCE])

    async def catch_up(self, incident: str | None) -> None:
        """Hold what an incident's holds do not hold yet: another process may have placed one meanwhile."""
        await self.look()
        for hold in self.books.holds.standing(incident) if incident else ():
            rows = await self.every(ExhibitFilter(incident=incident, sealed=True, present=True))
            await self.record([held(row.id, hold, "system") for row in rows if hold.hold not in row.holds])

    def _new_hold(self) -> str:
        return "H-" + exhibit_id(self._clock.now().utc).removeprefix("X-")

    def _why(self, why: HoldWords) -> dict[str, Any]:
        if why.until is not None and why.until < self.today:
            raise UnfitError(f"until: {why.until} is past")
        until = None if why.until is None else why.until.isoformat()
        return {"reason": why.reason, "reference": why.reference, "until": until}
