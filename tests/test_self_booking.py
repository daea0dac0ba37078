"""Statuses of people whom nobody booked on: on record, once, whatever the disk does."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.domain.events import Origin, StatusReport
from gateway.domain.time import Stamp
from gateway.errors import GatewayError, StoreBusyError
from gateway.ports import Resolved
from gateway.self_booking import SelfBooking
from gateway.store.roster import RosterStore
from tests.feed.shift import SetClock
from tests.roster.people import DEVICES, PEOPLE, UNITS


class Flaky(RosterStore):
    """Refuses as often as it is told to, with what it is told to."""

    refuse: list[Exception]

    def add(self, *given, **named):
        if self.refuse:
            raise self.refuse.pop()
        return super().add(*given, **named)


class Scene:
    """The small roster without bookings, and what is told of changes."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.store = SetClock(), Flaky(folder / "roster.db")
        self.store.refuse = []
        for kind, rows in (("person", PEOPLE), ("unit", UNITS), ("device", DEVICES)):
            for row in rows:
                self.store.put(kind, row.id, row, "test")
        self.roster, self.told = self.store.roster(), 0
        self.booking = SelfBooking(self.roster, self.store, self._changed, self.clock)

    def _changed(self) -> None:
        self.told += 1
        self.roster.become(self.store.roster())

    def say(self, code: int, person: str | None = "P-0014", device: str | None = "trm-1", issi: int = 2341014) -> None:
        """A status from a radio."""
        report = StatusReport(Origin("radio", None, issi), Stamp(self.clock.now()), 0x8000 + code, code)
        self.booking.heard(report, Resolved("PCC.CSO-014", person, device, issi))

    async def settle(self) -> list[tuple]:
        """Everything is entered; the bookings: device, holder, how, whether it is over, by whom."""
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            running = group.create_task(self.booking.run())
            while self.booking.waiting:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            running.cancel()
        return [(row.device, row.holder, row.how, row.until is not None, row.actor) for row in self.store.bookings()]


@pytest.fixture
def scene(tmp_path: Path):
    """Nobody is booked on."""
    made = Scene(tmp_path)
    yield made
    made.store.close()


OPENED = ("trm-1", "P-0014", "self-booked", False, "status of 2341014")


async def test_a_status_opens_one_booking_and_the_next_none(scene: Scene) -> None:
    """Marked, from the time of the status on; before it is entered, and after."""
    scene.say(2)
    scene.say(6)
    assert await scene.settle() == [OPENED]
    assert scene.store.bookings()[0].since == scene.clock.utc
    scene.say(6)
    assert await scene.settle() == [OPENED]
    assert (scene.told, scene.booking.stats()) == (1, {"waiting": 0, "opened": 1})
    assert scene.roster.holder("trm-1", scene.clock.utc).person == "P-0014"


async def test_eleven_ends_it(scene: Scene) -> None:
    """And the next status opens another."""
    scene.say(2)
    await scene.settle()
    scene.clock.on(3600)
    scene.say(11)
    rows = await scene.settle()
    assert rows[1] == ("trm-1", "P-0014", "self-booked", True, "status of 2341014")
    assert scene.store.bookings()[1].until == scene.store.bookings()[0].since + timedelta(hours=1)
    scene.clock.on(60)
    scene.say(2)
    assert (await scene.settle())[2] == OPENED
    scene.clock.on(60)
    scene.booking.booked_off("PCC.CSO-014", "P-0014", "control room")
    assert (await scene.settle())[3] == ("trm-1", "P-0014", "self-booked", True, "control room")


async def test_who_is_booked_on_is_not_booked_again(scene: Scene) -> None:
    """Nor does a status end what a person at a desk has entered."""
    scene.store.book_on("trm-1", "P-0014", scene.clock.utc, how="console", actor="desk")
    scene._changed()
    scene.say(2)
    scene.say(11)
    assert await scene.settle() == [("trm-1", "P-0014", "console", False, "desk")]


@pytest.mark.parametrize("code", [0, 9, 10, 12, 16])
async def test_only_statuses_of_work(scene: Scene, code: int) -> None:
    """1 to 8."""
    scene.say(code)
    assert await scene.settle() == []


async def test_whoever_is_not_known_is_not_booked(scene: Scene) -> None:
    """Nobody is guessed."""
    scene.say(2, person=None)
    scene.booking.booked_off("PCC.GHOST", None, "control room")
    scene.booking.booked_off("PCC.CSO-014", None, "control room")
    assert await scene.settle() == []


async def test_a_radio_that_is_no_device_of_the_roster(scene: Scene) -> None:
    """Personal issue: on record under its number, once."""
    scene.say(2, person="P-0015", device=None, issi=2341015)
    opened = ("issi-2341015", "P-0015", "self-booked", False, "status of 2341015")
    assert await scene.settle() == [opened]
    scene.say(3, person="P-0015", device=None, issi=2341015)
    assert await scene.settle() == [opened]


async def test_a_disk_that_refuses_is_asked_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, counted; what can never be entered does not stand in the way of the next."""
    monkeypatch.setattr("gateway.self_booking.AGAIN_S", 0.01)
    scene.store.refuse = [GatewayError("never"), StoreBusyError("full"), StoreBusyError("full")]
    scene.say(2)
    scene.say(2, person="P-0015", device=None, issi=2341015)
    rows = await scene.settle()
    assert [row[1] for row in rows] == ["P-0015"]
    assert scene.booking.stats() == {"waiting": 0, "refusals": 2, "refused": 1, "opened": 1}


async def test_somebody_at_the_desk_is_quicker(scene: Scene) -> None:
    """Booked on between the status and its entry: one booking, theirs."""
    scene.say(2)
    scene.store.book_on("trm-1", "P-0014", scene.clock.utc, how="card", actor="desk")
    assert await scene.settle() == [("trm-1", "P-0014", "card", False, "desk")]


async def test_the_queue_is_bounded(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it can't take is counted; the duty is on the feed all the same."""
    monkeypatch.setattr("gateway.self_booking.WAITING_MAX", 1)
    scene.say(2)
    scene.say(2, person="P-0015", device=None, issi=2341015)
    assert scene.booking.stats() == {"waiting": 1, "dropped": 1}
