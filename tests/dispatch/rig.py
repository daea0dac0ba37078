"""Dispatch with everything round it under the test's hand: gateway terminals, a ledger in memory, a feed that says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from gateway.dispatch.asked import NewTask
from gateway.dispatch.dispatch import Dispatch
from gateway.dispatch.ports import Surroundings, Wanted
from gateway.dispatch.settings import DispatchSettings
from gateway.dispatch.task import ORDER, Task
from gateway.domain.events import Delivery, DeliveryReport, Origin, Reach, StatusReport
from gateway.domain.ids import DeviceId, Issi, PersonId, UnitId
from gateway.domain.people import Booking, Device, Person, Unit
from gateway.domain.time import Stamp
from gateway.errors import LinkError, StoreBusyError
from gateway.ports import Outgoing, Resolved, Sent
from gateway.roster.directory import Roster
from tests.conftest import HandClock

UNIT = "PCC.CSO-014"
OTHER = "PCC.VAN-1"
OWN, POOL, SECOND = Issi(2341014), Issi(2349001), Issi(2341015)
SHIFT = datetime.fromisoformat("2026-11-21T20:00:00+00:00")
PEOPLE = [
    Person(PersonId("P-0014"), "Officer 14", "PCC", "CSO", "7714", OWN),
    Person(PersonId("P-0015"), "Officer 15", "PCC", "CSO", "7715", SECOND),
    Person(PersonId("P-0016"), "Officer 16", "PCC", "CSO"),
]
UNITS = [
    Unit(UnitId(UNIT), "CSO14", "PCC", "foot", (PersonId("P-0014"),)),
    Unit(UnitId(OTHER), "VAN1", "PCC", "vehicle", (PersonId("P-0016"), PersonId("P-0015"))),
    Unit(UnitId("PCC.EMPTY"), "E", "PCC", "foot", (PersonId("P-0016"),)),
]
DEVICES = [
    Device(DeviceId("trm-own"), "terminal", "PCC", OWN),
    Device(DeviceId("trm-pool"), "terminal", "PCC", POOL),
    Device(DeviceId("cam-1"), "camera", "PCC"),
]


def booked(number: int, device: str, holder: str) -> Booking:
    """A booking from the shift's start on."""
    return Booking(number, DeviceId(device), holder, SHIFT, None, "kiosk", "test", SHIFT)


def roster(*bookings: Booking) -> Roster:
    """The people above with these bookings."""
    return Roster(PEOPLE, UNITS, DEVICES, bookings)


@dataclass
class FakeDownlink:
    """A gateway terminal with a memory. Asserts the port's law: what is not ready is not asked."""

    ready: bool = True
    limit: int = 120
    heard: list[Outgoing] = field(default_factory=list)
    outcomes: list[Exception] = field(default_factory=list)
    held: asyncio.Event | None = None
    reference: int = 0
    numbered: bool = True
    in_hand: int = 0
    lost: int = 0
    sent_at_a_crash: bool = False

    @property
    def waiting(self) -> int:
        """How many it has in hand."""
        return self.in_hand

    def fits(self, text: str) -> int:
        """Octets over the limit."""
        return len(text.encode()) - self.limit

    async def send(self, message: Outgoing) -> Sent:
        """Send it, or do as the test has said."""
        self.in_hand += 1
        try:
            if self.held is not None:
                await self._hold(message, self.held)
            if not self.ready:
                self.lost += 1
                raise LinkError("unplugged")
            if self.outcomes:
                raise self.outcomes.pop(0)
        finally:
            self.in_hand -= 1
        self.heard.append(message)
        self.reference = self.reference % 255 + 1
        return Sent(self.reference if self.numbered else None)

    async def _hold(self, message: Outgoing, held: asyncio.Event) -> None:
        """Keep it in hand; at a crash of the gateway it may be on the air all the same."""
        try:
            await held.wait()
        except asyncio.CancelledError:
            if self.sent_at_a_crash:
                self.heard.append(message)
            raise

    @property
    def texts(self) -> list[str | None]:
        """What officers have read."""
        return [message.text for message in self.heard if message.kind == "text"]


class MemoryLedger:
    """A ledger whose rows are JSON, as on a disk; `refusing` is a full one."""

    def __init__(self) -> None:
        self.rows: dict[str, bytes] = {}
        self.keys: dict[tuple[str, str], tuple[str, str]] = {}
        self.intervals: dict[Issi, str] = {}
        self.refusing = False
        self.ranks: dict[str, list[int]] = {}

    def _allowed(self) -> None:
        if self.refusing:
            raise StoreBusyError("full")

    def _put(self, task: Task) -> None:
        self.rows[task.id] = msgspec.json.encode(task)
        self.ranks.setdefault(task.id, []).append(ORDER[task.state])

    def add(self, task: Task, key: str | None, asked: str) -> Task:
        """Keep a new one."""
        self._allowed()
        made = msgspec.structs.replace(task, id=f"TK-{len(self.rows) + 1:06d}")
        assert key is None or (task.actor, key) not in self.keys
        if key is not None:
            self.keys[task.actor, key] = (made.id, asked)
        self._put(made)
        return made

    def keyed(self, actor: str, key: str) -> tuple[Task, str] | None:
        """By its key."""
        found = self.keys.get((actor, key))
        task = self.task(found[0]) if found else None
        return None if found is None or task is None else (task, found[1])

    def keep(self, tasks: Sequence[Task]) -> None:
        """Keep them as they stand."""
        self._allowed()
        for task in tasks:
            assert task.id in self.rows
            self._put(task)

    def task(self, name: str) -> Task | None:
        """One."""
        return msgspec.json.decode(self.rows[name], type=Task) if name in self.rows else None

    def tasks(self, wanted: Wanted) -> list[Task]:
        """All of a unit, or all."""
        every = [msgspec.json.decode(row, type=Task) for row in self.rows.values()]
        return [task for task in every if wanted.unit in (None, task.unit)]

    def forget(self, before: datetime, most: int) -> int:
        """As the law says."""
        self._allowed()
        known = [msgspec.json.decode(row, type=Task) for row in self.rows.values()]
        old = [one.id for one in known if one.over and one.notice != "due" and one.created_at < before]
        for name in old[:most]:
            del self.rows[name]
        return len(old[:most])

    def unfinished(self) -> list[Task]:
        """Those that are not over."""
        return [task for task in self.tasks(Wanted()) if not task.over or task.notice == "due"]

    def raised(self) -> dict[Issi, str]:
        """Intervals that are ours."""
        return dict(self.intervals)

    def keep_raised(self, issi: Issi, emergency: str | None) -> None:
        """Ours, or its own again."""
        self._allowed()
        self.intervals.pop(issi, None)
        if emergency is not None:
            self.intervals[issi] = emergency


@dataclass
class Alarm:
    """An emergency's record, as far as dispatch reads it."""

    id: str
    state: str = "active"
    person: str | None = "P-0014"
    issi: int | None = int(OWN)


@dataclass
class FakeBeats:
    """What the feed says."""

    reaches: dict[str, Reach] = field(default_factory=dict)
    old: bool = False
    alarms: list[Alarm] = field(default_factory=list)
    duties: dict[str, tuple[int, str]] = field(default_factory=dict)

    def duty(self, unit: str) -> tuple[int, str]:
        """As told."""
        return self.duties.get(unit, (0, "on_duty"))

    def reach(self, unit: str) -> Reach:
        """As told."""
        return self.reaches.get(unit, "ok")

    def stale(self, unit: str) -> bool:
        """As told."""
        return self.old

    def emergencies(self) -> list[Alarm]:
        """As told."""
        return list(self.alarms)


QUICK = DispatchSettings(retry_first_s=1.0, retry_cap_s=8.0, patience_s=60.0)


class Rig:
    """One dispatch at a time over one ledger; restarts at will."""

    def __init__(self, settings: DispatchSettings = QUICK, links: int = 1) -> None:
        self.settings = settings
        self.clock, self.ledger, self.beats = HandClock(), MemoryLedger(), FakeBeats()
        self.links = {f"radio-{number + 1}": FakeDownlink() for number in range(links)}
        self.roster = roster()
        self.dispatch: Dispatch

    @property
    def link(self) -> FakeDownlink:
        """The first gateway terminal."""
        return self.links["radio-1"]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Dispatch]:
        """A life of the room, ended as a stop or a crash ends it."""
        around = Surroundings(
            self.roster, self.roster.devices, self.beats, lambda: self.links, self.clock, lambda: 0.999
        )
        self.dispatch = Dispatch(self.settings, self.ledger, around)
        await self.dispatch.open()
        async with asyncio.TaskGroup() as group:
            life = group.create_task(self.dispatch.run())
            await self.settled()
            try:
                yield self.dispatch
            finally:
                life.cancel()
        await self.dispatch.close()

    async def settled(self) -> None:
        """Until threads and turns have come to rest."""
        calm = 0
        while calm < 3:
            before = (len(self.ledger.rows), sum(map(len, self.ledger.ranks.values())), self.heard)
            await asyncio.sleep(0.001)
            after = (len(self.ledger.rows), sum(map(len, self.ledger.ranks.values())), self.heard)
            calm = calm + 1 if before == after else 0

    @property
    def heard(self) -> int:
        """Messages on the air so far."""
        return sum(len(link.heard) for link in self.links.values())

    async def pass_s(self, seconds: float) -> None:
        """Time goes by."""
        self.clock.seconds += seconds
        self.dispatch.nudge()
        await self.settled()

    async def give(self, text: str = "Go", unit: str = UNIT, key: str | None = None, **more: object) -> Task:
        """A task, after it has gone as far as it goes by itself."""
        task, _ = await self.dispatch.create(
            msgspec.convert({"unit": unit, "text": text, **more}, NewTask), "control", key
        )
        await self.settled()
        return await self.dispatch.task(task.id)

    async def now(self, task: Task) -> Task:
        """As it stands."""
        await self.settled()
        return await self.dispatch.task(task.id)

    def report(
        self, delivery: Delivery, reference: int = 1, status: int = 0, *, temporary: bool = False, via: str = "radio-1"
    ) -> None:
        """A delivery report from the officer's terminal."""
        origin = Origin(via, None, OWN)
        self.dispatch.delivery(
            DeliveryReport(origin, Stamp(self.clock.now()), reference, delivery, status, temporary=temporary)
        )

    def status(self, code: int | None, unit: str = UNIT) -> None:
        """A status of the officer."""
        report = StatusReport(Origin("radio-1", None, OWN), Stamp(self.clock.now()), 0x8000 + (code or 0), code)
        self.dispatch.status(report, Resolved(UnitId(unit), PersonId("P-0014"), None, OWN))
