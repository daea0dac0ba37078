"""Somebody is at work whom nobody booked on: their own status opens a booking, marked `self-booked`, on record.

The feed has the duty already; this is the record of who holds the radio. What a status has opened a booking off ends;
bookings that somebody else made stay, for they say who has the device. Statuses never wait for the disk: what it
refuses is tried again.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime

import msgspec
import structlog

from gateway.dispatch.dispatch import Dispatch
from gateway.domain.events import StatusReport
from gateway.domain.ids import DeviceId, UnitId
from gateway.domain.people import Booking, How
from gateway.errors import GatewayError, StoreBusyError
from gateway.feed.duty import BACK_ON_DUTY, OFF_DUTY
from gateway.feed.feed import Feed
from gateway.ports import Clock, Resolved
from gateway.roster.directory import Roster
from gateway.store.roster import RosterStore

HOW: How = "self-booked"
WAITING_MAX = 10_000
AGAIN_S = 1.0
_log = structlog.get_logger()


class Act(msgspec.Struct, frozen=True):
    """What is to be entered: a device's booking, or (ends) its end."""

    device: DeviceId
    holder: str
    at: datetime
    actor: str
    ends: Booking | None = None


def self_booking(
    feed: Feed, dispatch: Dispatch, known: tuple[Roster, RosterStore, Clock], changed: Callable[[], None]
) -> SelfBooking:
    """Tell the feed what is planned, who has a task, and where what statuses say of bookings goes."""
    roster, store, clock = known
    feed.overtime.take_up(roster.plans)
    feed.booked.since = roster.booked_on
    feed.board.engaged.tasked = dispatch.engaged
    feed.duties.bookings = made = SelfBooking(roster, store, changed, clock)
    return made


class SelfBooking:
    """Implements gateway.ports.Bookings; run() until cancelled. `changed` is told once something is entered."""

    def __init__(self, roster: Roster, store: RosterStore, changed: Callable[[], None], clock: Clock) -> None:
        self._roster, self._store, self._changed, self._clock = roster, store, changed, clock
        self._acts: deque[Act] = deque()
        self._entering: set[tuple[DeviceId, int | None]] = set()
        self._wake = asyncio.Event()
        self.counts: Counter[str] = Counter()

    def heard(self, report: StatusReport, who: Resolved) -> None:
        """A duty status of somebody known: 1 to 8 are of one at work, 11 of one who goes."""
        issi = who.issi if who.issi is not None else report.origin.issi
        if who.person is None or (who.device is None and issi is None):
            return
        at, actor = report.stamp.at, f"status of {issi if issi is not None else who.device}"
        if report.code == OFF_DUTY:
            self._end(who.person, at, actor)
        elif report.code in BACK_ON_DUTY:
            device = who.device or DeviceId(f"issi-{issi}")
            if not self._roster.holder(device, self._clock.now().utc).persons:
                self._put(Act(device, who.person, at, actor))

    def booked_off(self, unit: UnitId, person: str | None, by: str) -> None:
        """The control room has taken a unit off duty, or this one of it."""
        known = self._roster.unit(unit)
        for member in known.members if known is not None else ():
            if person in (None, member):
                self._end(member, self._clock.now().utc, by)

    def _end(self, person: str, at: datetime, actor: str) -> None:
        for booking in self._roster.self_booked(person, self._clock.now().utc):
            self._put(Act(booking.device, person, max(at, booking.since), actor, booking))

    def _put(self, act: Act) -> None:
        key = (act.device, act.ends.id if act.ends is not None else None)
        if key in self._entering:
            return
        if len(self._acts) >= WAITING_MAX:
            self.counts["dropped"] += 1
            return
        self._entering.add(key)
        self._acts.append(act)
        self._wake.set()

    @property
    def waiting(self) -> int:
        """Not entered yet."""
        return len(self._acts)

    def stats(self) -> dict[str, int]:
        """Plain counters."""
        return {"waiting": self.waiting, **self.counts}

    async def run(self) -> None:
        """Enter what waits, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._acts:
                if not await self._enter(self._acts[0]):
                    await asyncio.sleep(AGAIN_S)
                    continue
                act = self._acts.popleft()
                self._entering.discard((act.device, act.ends.id if act.ends is not None else None))

    async def _enter(self, act: Act) -> bool:
        """False where it is to be tried again."""
        try:
            written = await asyncio.to_thread(self._write, act)
        except StoreBusyError as problem:
            self.counts["refusals"] += 1
            _log.warning("self_booking_waits", device=act.device, problem=str(problem))
            return False
        except GatewayError as problem:
            self.counts["refused"] += 1
            _log.error("self_booking_refused", device=act.device, holder=act.holder, problem=str(problem))
            return True
        if not written:  # somebody booked it meanwhile
            return True
        self.counts["ended" if act.ends is not None else "opened"] += 1
        name = "booked_off" if act.ends is not None else "self_booked"
        _log.info(name, device=act.device, holder=act.holder, by=act.actor)
        self._changed()
        return True

    def _write(self, act: Act) -> bool:
        if act.ends is not None:
            self._store.end(act.ends, act.at, actor=act.actor, reason="booked off")
            return True
        if self._store.roster().holder(act.device, act.at).persons:
            return False
        self._store.add(act.device, act.holder, act.at, how=HOW, actor=act.actor)
        return True
