"""The trail: what the board takes is kept once, with its mark; nobody's off-duty way; a refusing disk costs little."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gateway.domain.people import Holder
from gateway.errors import StoreBusyError
from gateway.feed import trail as trails
from gateway.feed.board import Board
from gateway.feed.past import in_order
from gateway.feed.settings import FeedSettings
from gateway.feed.trail import Trail
from tests.feed.past import fix
from tests.feed.shift import Roster, SetClock, at, who


class Shelf:
    """Keeps in memory; `refuse` makes it refuse."""

    def __init__(self):
        self.fixes, self.refuse, self.expired = [], None, []

    def add(self, fixes):
        """Keep them."""
        if self.refuse is not None:
            raise self.refuse
        self.fixes += fixes

    def expire(self, before):
        """Note it."""
        self.expired.append(before)
        return 0


class Held(Roster):
    """A roster that says who held every device, and until when it was somebody else."""

    def __init__(self):
        super().__init__()
        self.unit, self.before = None, datetime.min.replace(tzinfo=UTC)

    def holder(self, device, at):
        return Holder((), "PCC.CSO-2" if at < self.before else self.unit)


class Desk:
    """A board with one unit, and its trail."""

    def __init__(self, days=31):
        self.clock, self.roster, self.shelf = SetClock(), Held(), Shelf()
        self.board = Board(FeedSettings())
        self.unit = self.roster.unit = self.roster.enlist(1)
        self.board.refresh(self.roster, self.clock.now())
        self.trail = Trail(self.board, self.roster, self.shelf, days, self.clock)
        self.board.placed = self.trail.note
        self.who = who(self.unit, "P-1", "bcn-1")

    def take(self, lat=52.57, **more):
        """One report."""
        return self.board.place(at(self.clock.now(), lat, **more), self.who)

    def kept(self):
        """What lies on the shelf."""
        asyncio.run(self.trail.write())
        return self.shelf.fixes


def test_each_with_its_mark():
    """Live, held and late are kept; a fix sent twice and the word that there is none are not."""
    desk = Desk()
    assert desk.take() == "live"
    assert desk.take() == "duplicates"
    desk.clock.on(5)
    assert desk.take(52.97) == "held"
    desk.clock.on(5)
    assert desk.take(52.5701) == "live"
    assert desk.take(52.5702, age_s=8) == "late"
    assert [each.mark for each in desk.kept()] == ["live", "held", "live", "late"]
    last = desk.kept()[-1]
    assert last.arrived_ms - last.fix_ms == 8000
    assert (last.unit, last.device, last.person, last.source) == (desk.unit, "bcn-1", "P-1", "mqtt")
    assert [each.mark for each in in_order(desk.kept())] == ["live", "late", "held", "live"]


def test_a_clock_that_is_off():
    """What is kept is the time that the fix counts for; the device's own stands beside it."""
    desk = Desk()
    for number in range(8):
        desk.take(52.57 + number * 1e-5, age_s=-300)
        desk.clock.on(10)
    last = desk.kept()[-1]
    assert last.told_ms - last.arrived_ms == 300_000
    assert last.fix_ms == last.arrived_ms
    assert "clock_skew" in last.quality


def test_off_duty_nothing_is_kept():
    """Neither what comes then nor what comes later and was made then."""
    desk = Desk()
    desk.take()
    desk.board.set_duty(desk.unit, 11, desk.clock.now().utc.timestamp(), "sds_status")
    desk.clock.on(600)
    assert desk.take(52.5705) == "off_duty"
    desk.board.set_duty(desk.unit, 2, desk.clock.now().utc.timestamp(), "sds_status")
    desk.clock.on(10)
    assert desk.take(52.5706) == "live"
    assert desk.take(52.5707, age_s=300) == "late"
    desk.clock.on(10)
    assert desk.take(52.5707, age_s=15) == "late"
    assert [each.mark for each in desk.kept()] == ["live", "live", "late"]
    assert desk.trail.counts["before_duty"] == 1


def test_what_one_of_a_crew_did_off_duty_is_not_kept_either():
    """Their own way while the others went on: neither as it comes nor when it is sent later."""
    desk = Desk()
    desk.unit = desk.roster.unit = desk.roster.crew("VAN", 1, 2)
    desk.board.refresh(desk.roster, desk.clock.now())
    standing = desk.board.units[desk.unit]
    desk.who = who(desk.unit, "P-1", "bcn-1")
    desk.take()
    assert desk.board.members.book_off(standing, "P-1", desk.clock.utc.timestamp())
    desk.clock.on(600)
    assert desk.take(52.5701) == "off_duty"
    assert desk.board.members.book_on(standing, "P-1", desk.clock.utc.timestamp())
    desk.clock.on(10)
    assert desk.take(52.5702) == "live"
    assert desk.take(52.5703, age_s=300) == "late"
    assert [each.latitude for each in desk.kept()] == [52.57, 52.5702]
    assert desk.trail.counts["before_duty"] == 1


def test_a_late_fix_is_of_whoever_held_the_device_then():
    """A device that has changed hands brings its queue: the way of the last holder is not the new one's."""
    desk = Desk()
    desk.take()
    desk.roster.before = desk.clock.now().utc - timedelta(seconds=60)
    assert desk.take(52.5701, age_s=120) == "late"
    assert desk.take(52.5702, age_s=30) == "late"
    assert [each.latitude for each in desk.kept()] == [52.57, 52.5702]
    assert desk.trail.counts["other_holder"] == 1


def test_older_than_is_kept():
    """What would be forgotten at once is not written."""
    desk = Desk(days=1)
    desk.take()
    assert desk.take(52.5701, age_s=90_000) == "late"
    assert len(desk.kept()) == 1
    assert desk.trail.counts["too_old"] == 1


def test_masked():
    """Of a masked unit nothing is kept."""
    desk = Desk()
    desk.trail.masked = lambda unit: unit == desk.unit
    desk.take()
    assert desk.kept() == []


@pytest.mark.parametrize("refusal", [StoreBusyError("full"), OSError(28, "No space left on device")])
def test_a_disk_that_refuses(refusal):
    """What is refused waits, in order, and is written when it can be; it is said."""
    desk = Desk()
    desk.take()
    desk.shelf.refuse = refusal
    assert desk.kept() == []
    assert desk.trail.stats()["failing"] == 1
    desk.clock.on(5)
    desk.take(52.5701)
    desk.shelf.refuse = None
    assert [each.latitude for each in desk.kept()] == [52.57, 52.5701]
    assert (desk.trail.stats()["failing"], desk.trail.waiting) == (0, 0)


def test_what_waits_is_bounded(monkeypatch):
    """The oldest go first, and are counted."""
    monkeypatch.setattr(trails, "BACKLOG", 100)
    desk = Desk()
    for number in range(150):
        desk.clock.on(5)
        desk.take(52.57 + number * 1e-5)
    kept = desk.kept()
    assert len(kept) <= 100
    assert len(kept) + desk.trail.counts["dropped"] == 150
    assert kept[-1].latitude == pytest.approx(52.57 + 149e-5)


def test_a_defect_of_history_costs_history_alone(monkeypatch):
    """The board has its position all the same."""

    def broken(*_):
        raise RuntimeError("a defect")

    monkeypatch.setattr(trails, "past_of", broken)
    desk = Desk()
    assert desk.take() == "live"
    assert desk.trail.counts["faults"] == 1


def test_it_runs(monkeypatch):
    """Written by itself within a batch, old days forgotten at the start."""
    monkeypatch.setattr(trails, "BATCH_S", 0.01)
    desk = Desk(days=3)
    desk.take()

    async def main():
        async with asyncio.TaskGroup() as group:
            running = group.create_task(desk.trail.run())
            await asyncio.sleep(0.1)
            running.cancel()

    asyncio.run(main())
    assert len(desk.shelf.fixes) == 1
    assert desk.shelf.expired == [datetime(2026, 11, 18).date()]


def test_in_order_each_once():
    """A queue sent again, and a batch written again, add nothing; the first to arrive stays."""
    first, again = fix(0), fix(0, arrived_ms=fix(60).arrived_ms, mark="late")
    assert in_order([again, fix(5), first, first]) == [first, fix(5)]
