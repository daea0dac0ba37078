"""Which places hold which exhibit, as the log says it, and what of that has to be said anew; entries in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec
import structlog

from gateway.domain.evidence import Act, Recorded
from gateway.domain.ids import ExhibitId
from gateway.errors import StoreBusyError
from gateway.evidence.rows import CustodyEntry, Exhibit

ACTOR = "system"
VERIFIED, FAILED = "copy_verified", "verify_fail"
BATCH = 128
_log = structlog.get_logger()


class Shelf(Protocol):
    """The catalogue, as far as copies read it; blocks."""

    def exhibit(self, exhibit_id: str) -> Exhibit | None:
        """The exhibit of this id."""
        ...

    def custody(self, exhibit_id: str) -> list[CustodyEntry]:
        """Its whole chain, oldest first."""
        ...

    def named(self, kinds: Collection[str], since: int, until: int) -> list[str]:
        """The exhibits that entries of these kinds are about, from one log index up to another."""
        ...

    def count_short(self, wanted: int) -> int:
        """How many sealed exhibits have fewer verified copies than wanted."""
        ...


class Log(Protocol):
    """The custody log: acts in, details out."""

    async def record_many(self, acts: Sequence[Act]) -> list[Recorded]:
        """Record acts in one batch: all of them or none."""
        ...

    def detail(self, index: int) -> tuple[dict[str, Any], bytes] | None:
        """(detail, salt) of an entry; None where it was erased. Blocks."""
        ...


class Ledger:
    """Belongs to one event loop; what blocks goes to threads."""

    def __init__(
        self, shelf: Shelf, log: Log, numbers: tuple[int, int], known: Callable[[], Collection[str] | None]
    ) -> None:
        """Name what it reads and writes, and how many copies are wanted and how many places there are beside the first.

        known are the ids of all places, None while one of them was never seen.
        """
        self._shelf, self._log, self._known = shelf, log, known
        self._wanted, self._all = numbers
        self._places: dict[str, set[str]] = {}
        self._written: dict[str, set[str]] = {}
        self._faults: dict[str, list[Act]] = {}
        self._due: dict[str, None] = {}
        self._recount: set[str] = set()
        self._one = asyncio.Lock()
        self.told: list[Callable[[ExhibitId], None]] = []

    @property
    def waiting(self) -> int:
        """How many exhibits have something to be recorded."""
        return len(self._due)

    async def places(self, row: Exhibit) -> set[str]:
        """Ids of the places that hold a verified copy, as the newest entry says, and as found out since."""
        if row.id not in self._places:
            said = await asyncio.to_thread(self._said, row)
            known = self._known()
            self._written.setdefault(row.id, said)
            self._places.setdefault(row.id, set(said) if known is None else said & set(known))
        return self._places[row.id]

    def fault(self, row: Exhibit, what: str, place: str, found: str | None) -> None:
        """A blob or a copy of it is not what the log says; recorded before anything else is of this exhibit."""
        facts = {"what": what, "blob_sha256": row.blob_sha256, "found": found or "missing"}
        _log.error("copy_differs" if what == "copy" else "blob_differs", exhibit=row.id, place=place, found=found)
        act = Act(FAILED, ACTOR, ExhibitId(row.id), facts, {"place": place})
        self._faults.setdefault(row.id, []).append(act)
        self._due[row.id] = None

    def recount(self, exhibit: str) -> None:
        """Its copies are to be counted anew; recorded where the number is another, or behind a fault."""
        self._recount.add(exhibit)
        self._due[exhibit] = None

    async def record(self) -> None:
        """Record what is due, many exhibits in a batch; StoreBusyError: not now, and nothing of it is forgotten."""
        async with self._one:
            while self._due:
                names = list(self._due)[:BATCH]
                acts, counted = self._acts(await asyncio.to_thread(self._rows, names))
                faults = {name: len(self._faults.get(name, ())) for name in names}
                said = {name: set(self._places.get(name, ())) for name in names}
                await self._log.record_many(acts)
                self._settled(faults, said)
                self._tell(counted)

    def _rows(self, names: Sequence[str]) -> list[Exhibit]:
        return [row for name in names if (row := self._shelf.exhibit(name)) is not None]

    def _acts(self, rows: Sequence[Exhibit]) -> tuple[list[Act], list[str]]:
        acts: list[Act] = []
        counted = []
        for row in rows:
            faults = self._faults.get(row.id, [])
            acts += faults
            places = sorted(self._places.get(row.id, ()))
            gone = row.shredded_at is not None or row.disposed_at is not None
            same = set(places) == self._written.get(row.id, set()) and not faults
            if gone or same or row.id not in self._recount:
                continue
            facts = {"copies": len(places) + 1, "of": self._wanted, "blob_sha256": row.blob_sha256}
            acts.append(Act(VERIFIED, ACTOR, ExhibitId(row.id), facts, {"places": places}))
            counted.append(row.id)
        return acts, counted

    def _settled(self, faults: dict[str, int], said: dict[str, set[str]]) -> None:
        """What was recorded is due no more, but for what was found meanwhile."""
        for name, number in faults.items():
            left = self._faults.pop(name, [])[number:]
            places = self._places.get(name, set())
            del self._due[name]
            if name in self._recount and name in self._places:
                self._written[name] = said[name]
            if left:
                self._faults[name] = left
            if left or places != said[name]:
                self._due[name] = None
                continue
            self._recount.discard(name)
            if len(places) >= self._all:  # the log says it now
                self._places.pop(name, None)
                self._written.pop(name, None)

    def _tell(self, counted: Sequence[str]) -> None:
        for name in counted:
            for listener in self.told:
                listener(ExhibitId(name))

    def _said(self, row: Exhibit) -> set[str]:
        newest = max((each.log_index for each in self._shelf.custody(row.id) if each.kind == VERIFIED), default=None)
        found = None if newest is None else self._log.detail(newest)
        return set() if found is None else {str(name) for name in found[0].get("places", ())}


def verified_at(shelf: Shelf, row: Exhibit) -> datetime | None:
    """When the newest count of copies was recorded; None where none was. Blocks."""
    return max((each.at for each in shelf.custody(row.id) if each.kind == VERIFIED), default=None)


async def record_patiently(ledger: Ledger) -> None:
    """Record what is due; where the log is busy, the next turn does."""
    try:
        await ledger.record()
    except StoreBusyError as busy:
        _log.warning("copies_not_recorded", problem=str(busy), waiting=ledger.waiting)


class Checked(msgspec.Struct, frozen=True):
    """One place after a check: `verified`, `repaired`, `missing`, `wrong` or `away`; found is the hash there was."""

    place: str
    state: str
    found: str | None = None
