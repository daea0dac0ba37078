"""Asking for a disposal, a second person's word on it, taking it back: each an entry of every exhibit named. Blocks."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from gateway.domain.evidence import Act, Recorded
from gateway.domain.ids import ExhibitId
from gateway.domain.time import rfc3339
from gateway.errors import EvidenceError, OverruledError
from gateway.evidence.disposal import together
from gateway.evidence.disposal.record import GROUNDS, Disposal
from gateway.evidence.disposal.register import Entries, Log, Register
from gateway.evidence.rows import CustodyEntry, Exhibit
from gateway.evidence.upload import exhibit_id
from gateway.ports import Clock

EXHIBITS_MAX = 256
LISTED_MAX = 1000
TEXT_MAX = 2000


class NoSuchError(EvidenceError):
    """There is no exhibit, or no disposal, of this id."""


class Records(Log, Protocol):
    """The custody log."""

    def record_many_now(self, acts: Sequence[Act]) -> list[Recorded]:
        """All of them or none."""
        ...

    def erase_detail(self, index: int) -> None:
        """Make one entry's detail unreadable for good."""
        ...


class Shelf(Entries, together.Shelf, Protocol):
    """The catalogue, read."""

    def due(self, before: str, limit: int = LISTED_MAX) -> Sequence[Exhibit]:
        """What is due, nothing holds, and nobody asked the disposal of."""
        ...

    def count_due(self, before: str) -> int:
        """How many those are."""
        ...

    def shredded(self) -> Sequence[Exhibit]:
        """Exhibits whose key was destroyed."""
        ...

    def cut_journal(self) -> bool:
        """Let nothing be left of rows as they were before; False: somebody reads them still."""
        ...

    def custody(self, exhibit_id: str) -> Sequence[CustodyEntry]:
        """The exhibit's whole chain, oldest first."""
        ...


class Asked(msgspec.Struct, frozen=True):
    """A request: which exhibits, on what ground, why, by whom; alone says why what belongs to them stays."""

    exhibits: tuple[str, ...]
    ground: str
    reason: str
    requester: str
    alone: str | None = None
    erase: bool = False


@dataclass(eq=False)
class Desk:
    """Every disposal of one store. Any thread may call; the log decides between processes."""

    shelf: Shelf
    log: Records
    clock: Clock
    grace: timedelta
    guard: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _register: Register = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Nothing is read yet."""
        self._register = Register(self.shelf, self.log)

    @property
    def now(self) -> datetime:
        """This moment."""
        return self.clock.now().utc

    def due(self, limit: int = LISTED_MAX) -> Sequence[Exhibit]:
        """Exhibits past their due date that nothing holds: what a request on the ground `due` may name."""
        return self.shelf.due(self._today, limit)

    def count_due(self) -> int:
        """How many are due."""
        return self.shelf.count_due(self._today)

    def all(self) -> list[Disposal]:
        """Every disposal, the newest last."""
        with self.guard:
            self._register.look()
            return list(self._register.disposals.values())

    def one(self, name: str) -> Disposal:
        """The disposal of this id; NoSuchError."""
        with self.guard:
            self._register.look()
            found = self._register.disposals.get(name)
        if found is None:
            raise NoSuchError(f"there is no disposal {name!r}")
        return found

    def request(self, asked: Asked) -> Disposal:
        """Ask for a disposal. ValueError: it says too little; OverruledError: the exhibits stand against it."""
        _check(asked)
        rows = [self._row(name) for name in asked.exhibits]
        self._check_family(asked, rows)
        name = disposal_id(self.now)
        details = "erased" if asked.erase else "kept"
        facts = {"disposal": name, "ground": asked.ground, "not_before": self._not_before(), "details": details}
        detail = {"reason": asked.reason, "requester": asked.requester}
        detail |= {} if asked.alone is None else {"alone": asked.alone}
        acts = [Act("dispose_request", asked.requester, ExhibitId(row.id), facts, detail) for row in rows]
        self.log.record_many_now(acts)
        return self.one(name)

    def approve(self, name: str, approver: str, reason: str | None = None) -> Disposal:
        """A second person's word; the grace runs from it."""
        one = self._waiting(name)
        if approver == one.requested.by:
            raise OverruledError(f"{approver} asked for {name}: a second person approves it")
        if one.approved is not None:
            raise OverruledError(f"{name} is approved already")
        facts = {"disposal": name, "ground": one.ground, "not_before": self._not_before()}
        return self._said("dispose_approve", one, approver, (facts, {"approver": approver, "reason": reason}))

    def cancel(self, name: str, actor: str, reason: str) -> Disposal:
        """Take it back, at any time before the keys are destroyed."""
        if not reason.strip():
            raise ValueError("reason: says nothing")
        one = self._waiting(name)
        return self._said("dispose_cancel", one, actor, ({"disposal": name}, {"reason": reason}))

    def _said(
        self, kind: str, one: Disposal, actor: str, word: tuple[dict[str, str], dict[str, str | None]]
    ) -> Disposal:
        facts, detail = word
        self.log.record_many_now([Act(kind, actor, ExhibitId(part), facts, detail) for part in one.parts])
        return self.one(one.id)

    def _waiting(self, name: str) -> Disposal:
        one = self.one(name)
        state = one.state(self.now)
        if state in {"under_way", "done", "cancelled"}:
            raise OverruledError(f"{name} is {state.replace('_', ' ')}")
        return one

    def _row(self, name: str) -> Exhibit:
        row = self.shelf.exhibit(name)
        if row is None:
            raise NoSuchError(f"there is no exhibit {name!r}")
        return row

    def _check_family(self, asked: Asked, rows: Sequence[Exhibit]) -> None:
        if asked.alone is not None:
            return
        left = self._left_behind(rows)
        if left:
            raise OverruledError(f"these go together with it, or `alone` says why not: {', '.join(left)}")

    def check_whole(self, one: Disposal) -> None:
        """OverruledError where something was made of an exhibit since the request, which nobody decided about."""
        left = [] if one.alone is not None else self._left_behind([self._row(name) for name in one.parts])
        if left:
            raise OverruledError(f"made since the request, and not part of it: {', '.join(left)}")

    def _left_behind(self, rows: Sequence[Exhibit]) -> list[str]:
        near = {each.id for row in rows for each in together.family(row, self.shelf, self.log)}
        return sorted(near - {row.id for row in rows})

    def _not_before(self) -> str:
        return rfc3339(self.now + self.grace)

    @property
    def _today(self) -> str:
        return self.now.date().isoformat()


def disposal_id(at: datetime) -> str:
    """A new id: `D-` and twelve Crockford letters, seven of the time in seconds, five at random."""
    return "D-" + exhibit_id(at)[2:]


def _check(asked: Asked) -> None:
    names = asked.exhibits
    if not 0 < len(names) <= EXHIBITS_MAX or len(set(names)) < len(names):
        raise ValueError(f"exhibits: 1 to {EXHIBITS_MAX}, each once")
    if asked.ground not in GROUNDS:
        raise ValueError(f"ground: one of {', '.join(GROUNDS)}")
    if asked.erase and asked.ground != "erasure":
        raise ValueError("erase_details: goes with the ground erasure alone")
    for word, text in (("reason", asked.reason), ("alone", asked.alone)):
        if text is not None and not 0 < len(text.strip()) <= TEXT_MAX:
            raise ValueError(f"{word}: says nothing, or more than {TEXT_MAX} characters")
