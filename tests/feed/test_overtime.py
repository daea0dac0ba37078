"""A planned end changes the mark, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.feed.feed import Feed
from gateway.feed.overtime import Overtime
from gateway.feed.settings import FeedSettings
from tests.feed.shift import START, MemoryFiles, Reader, Roster, SetClock, at, press, status, who

HOUR = 3600.0
BEGIN = START.timestamp() - 8 * HOUR


class Scene:
    """A feed with one unit whose shift is planned to end in an hour."""

    def __init__(self) -> None:
        self.roster, self.clock, self.files = Roster(), SetClock(), MemoryFiles()
        self.unit, self.other = self.roster.enlist(1), self.roster.enlist(2)
        self.plans = {self.unit: [(BEGIN, BEGIN + 9 * HOUR)], "PCC.GHOST": [(BEGIN, BEGIN + HOUR)]}
        self.feed = self.made()

    def made(self) -> Feed:
        """A feed over the same disk."""
        feed = Feed(FeedSettings(), self.roster, self.clock, None, files=self.files)
        feed.overtime.take_up(lambda: self.plans)
        return feed

    async def open(self) -> Scene:
        """Opened and followed."""
        await self.feed.open()
        self.consumer, self.reader = self.feed.subscribe(), Reader()
        self.turn(0)
        return self

    def say(self, code: int) -> None:
        """A status from the unit's radio."""
        self.feed.status(status(self.clock.now(), code), who(self.unit, "P-1"))

    def turn(self, seconds: float) -> None:
        """Time passes."""
        self.feed.tick(self.clock.on(seconds))
        self.reader.drain(self.consumer)

    def here(self) -> None:
        """A position, at once on the feed."""
        self.feed.position(at(self.clock.now()), who(self.unit, "P-1", "bcn-1"))
        self.turn(0)

    def properties(self) -> dict:
        """As a consumer has it."""
        return self.reader.units[self.unit]["properties"]


@pytest.fixture
async def scene():
    """Opened."""
    return await Scene().open()


async def test_a_planned_end_in_the_middle_of_an_incident_changes_the_mark_alone(scene) -> None:
    """An emergency, at scene, positions: before and after differ in `overtime` (and what only time changes)."""
    scene.say(6)
    scene.feed.emergency(press(scene.clock.now()), who(scene.unit, "P-1"), journalled=True)
    (raised,) = scene.feed.emergencies()
    scene.feed.acknowledge(raised.id, "Sgt 1")
    for _ in range(359):
        scene.turn(10)
        scene.here()
    before = dict(scene.properties())
    assert before["overtime"] is False
    scene.turn(10)
    scene.here()
    after = dict(scene.properties())
    differ = {key for key in before if before[key] != after[key]}
    assert differ == {"overtime", "seq", "fix_time", "received_at", "stale_at", "sources"}
    assert after["overtime"] is True
    assert (after["duty"]["state"], after["emergency"]["state"]) == ("at_scene", "acknowledged")
    assert scene.feed.duty(scene.unit).overtime
    assert scene.reader.urgent[-1][1] == "duty"
    assert not [name for _, name in scene.reader.urgent if name == "removed"]
    assert scene.feed.stats()["overtime"] == 1
    duty_seq = scene.feed.board.units[scene.unit].duty_seq
    assert duty_seq < scene.reader.urgent[-1][0]  # a mark is no change of duty: a task sent by the last one stands


async def test_it_ends_with_the_booking_off_and_not_before(scene) -> None:
    """Two days later still there; off by its own word, and no overtime when it comes back to no plan."""
    scene.say(2)
    scene.turn(48 * HOUR)
    assert scene.properties()["overtime"] is True
    scene.say(11)
    scene.turn(1)
    assert scene.unit not in scene.reader.units
    scene.turn(61)
    assert not scene.feed.duty(scene.unit).overtime
    scene.say(2)
    scene.turn(61)
    assert scene.properties()["overtime"] is False


async def test_the_next_shift_is_no_overtime(scene) -> None:
    """Planned again: the mark goes when it begins; a plan that is put off takes it away at once."""
    scene.say(2)
    scene.turn(2 * HOUR)
    assert scene.properties()["overtime"] is True
    scene.plans[scene.unit] = [(BEGIN, BEGIN + 12 * HOUR)]
    scene.feed.refresh()
    scene.turn(0)
    assert scene.properties()["overtime"] is False
    scene.plans[scene.unit] += [(BEGIN + 13 * HOUR, BEGIN + 14 * HOUR)]
    scene.turn(2.5 * HOUR)
    assert scene.properties()["overtime"] is True
    scene.turn(HOUR)
    assert scene.properties()["overtime"] is False


async def test_over_a_restart_it_is_told_once(scene) -> None:
    """The mark is kept, and so is since when they are on duty."""
    scene.say(11)
    scene.clock.on(60)
    scene.say(2)
    scene.turn(2 * HOUR)
    assert scene.feed.duty(scene.unit).overtime
    booked_on = scene.feed.duty(scene.unit).booked_on
    assert booked_on == "2026-11-21T21:01:00Z"
    seq = scene.feed.seq
    await scene.feed.close()
    scene.feed = scene.made()
    await scene.open()
    assert scene.feed.duty(scene.unit).booked_on == booked_on
    assert scene.properties()["overtime"] is True
    assert not [number for number, name in scene.reader.urgent if name == "duty" and number > seq]


async def test_a_unit_that_never_said_anything(scene) -> None:
    """Unknown stays unknown; only its feature has the mark."""
    scene.here()
    scene.turn(2 * HOUR)
    assert (scene.properties()["overtime"], scene.properties()["duty"]["state"]) == (True, "unknown")
    assert scene.reader.urgent == []


spans = st.lists(st.tuples(st.integers(-40, 40), st.integers(1, 20)), max_size=6)


@settings(derandomize=True, deadline=None)
@given(spans, st.integers(-50, 50), st.none() | st.integers(-50, 50))
def test_the_rule(planned, now_h, on_h) -> None:
    """In overtime: nothing planned covers now, and the last plan that ended did so while they were on duty."""
    scene = Scene()
    spans = [(BEGIN + begin * HOUR, BEGIN + (begin + length) * HOUR) for begin, length in planned]
    scene.plans = {scene.unit: spans}
    scene.feed.board.refresh(scene.roster, scene.clock.now())
    standing = scene.feed.board.units[scene.unit]
    if on_h is not None:
        standing.on_since_s = BEGIN + on_h * HOUR
    now = scene.clock.now()
    now = type(now)(now.mono_s, now.utc + timedelta(hours=now_h))
    told = []
    overtime = Overtime(scene.feed.board, told.append)
    overtime.take_up(lambda: scene.plans)
    overtime.look(now)
    now_s = now.utc.timestamp()
    begun = [span for span in spans if span[0] <= now_s]
    covered = any(begin <= now_s < end for begin, end in begun)
    on_since = standing.on_since_s
    assert standing.overtime == (not covered and any(on_since < end <= now_s for _, end in begun))
    assert told == []  # a duty that is not known is not told
    overtime.look(now)
    assert overtime.marked == standing.overtime


async def test_who_comes_on_duty_after_it_is_not_in_overtime_from_the_next_tick_on() -> None:
    """Off duty past the end of the plan, and back by a status: that is no more of the same shift."""
    scene = await Scene().open()
    scene.say(2)
    scene.here()
    scene.turn(HOUR + 1)
    assert scene.properties()["overtime"]
    scene.say(11)
    scene.turn(1)
    scene.say(2)
    scene.turn(0.1)
    assert not scene.properties()["overtime"]
