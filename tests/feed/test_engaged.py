"""What keeps a unit on the feed whatever roster or status says, and that it goes once that is over."""

from __future__ import annotations

import json

import pytest

from gateway.domain.events import CameraReport, Origin
from gateway.domain.time import Stamp
from gateway.errors import RefusedError
from gateway.feed.feed import Feed
from gateway.feed.settings import FeedSettings
from tests.feed.shift import MemoryFiles, Reader, Roster, SetClock, at, press, status, who


class Scene:
    """A feed with two units, a consumer, and tasks as dispatch would have them."""

    def __init__(self, files: MemoryFiles | None = None) -> None:
        self.roster, self.clock, self.files = Roster(), SetClock(), files or MemoryFiles()
        self.one, self.two = self.roster.enlist(1), self.roster.enlist(2)
        self.van = self.roster.crew("VAN", 3, 4)
        self.tasks: set[str] = set()
        self.feed = self.made()

    def made(self) -> Feed:
        """A feed over the same disk."""
        feed = Feed(FeedSettings(), self.roster, self.clock, None, files=self.files)
        feed.board.engaged.tasked = lambda: self.tasks
        return feed

    async def open(self) -> Scene:
        """Opened and followed."""
        await self.feed.open()
        self.consumer, self.reader = self.feed.subscribe(), Reader()
        return self

    def say(self, code: int, unit: str | None = None, person: str | None = None) -> None:
        """A status from a radio."""
        self.feed.status(status(self.clock.now(), code), who(unit or self.one, person))

    def here(self, unit: str | None = None, person: str | None = None, device: str = "bcn-1") -> None:
        """A position."""
        self.feed.position(at(self.clock.now(), device=device), who(unit or self.one, person, device))

    def camera(self, kind: str, **body) -> None:
        """What the first unit's camera says."""
        stamp = Stamp(self.clock.now())
        self.feed.camera(CameraReport(Origin("test", "cam-1"), stamp, kind, body), who(self.one, "P-1", "cam-1"))

    def turn(self, seconds: float = 2.0) -> None:
        """Time passes, and everything has its turn."""
        self.feed.tick(self.clock.on(seconds))
        self.reader.drain(self.consumer)

    @property
    def shown(self) -> bool:
        """Whether the first unit is on the feed, to those who ask and to those who follow."""
        self.reader.drain(self.consumer)
        asked = self.feed.unit(self.one) is not None
        assert asked == (self.one in self.reader.units)
        return asked


@pytest.fixture
async def scene():
    """Opened."""
    return await Scene().open()


async def test_a_recording_keeps_it_until_it_ends(scene) -> None:
    """Status 11 in the middle: still there, off duty, and moving; gone with the last frame, positions and all."""
    scene.here()
    scene.camera("recording_started")
    scene.say(11)
    scene.turn()
    assert scene.shown
    properties = scene.reader.units[scene.one]["properties"]
    assert (properties["duty"]["state"], properties["recording"]) == ("off_duty", True)
    scene.here()
    assert scene.feed.board.counts["live"] == 2
    scene.camera("recording_stopped")
    assert not scene.shown
    scene.here()
    assert scene.feed.board.counts["off_duty"] == 1
    assert scene.feed.off_duty(scene.one)


async def test_a_recording_that_begins_off_duty(scene) -> None:
    """Shows its unit too, as an emergency would; a status of a camera at rest does not."""
    scene.say(11)
    scene.camera("status", battery_pct=80)
    assert not scene.shown
    scene.camera("recording_started")
    scene.turn()
    assert scene.shown
    scene.camera("status", recording=False)
    assert not scene.shown


async def test_a_camera_that_falls_silent_keeps_nobody_for_good(scene) -> None:
    """It lost its power: a quarter of an hour, and off duty is off duty."""
    scene.camera("recording_started")
    scene.say(11)
    scene.turn(890)
    assert scene.shown
    scene.camera("status", recording=True)
    scene.turn(890)
    assert scene.shown
    scene.turn(20)
    assert not scene.shown


async def test_a_task_keeps_it_until_it_is_over(scene) -> None:
    """Asked for at each booking off, and every second."""
    scene.tasks = {scene.one, "PCC.GHOST"}
    scene.say(11)
    scene.turn()
    assert scene.shown
    scene.tasks = set()
    scene.turn()
    assert not scene.shown
    scene.say(2)
    scene.turn()
    assert scene.shown


async def test_an_emergency_and_a_task_both(scene) -> None:
    """It goes when the last of them is over."""
    scene.tasks = {scene.one}
    scene.feed.emergency(press(scene.clock.now()), who(scene.one, "P-1"), journalled=True)
    scene.say(11)
    (raised,) = scene.feed.emergencies()
    scene.feed.clear(raised.id, "Sgt 1", "assisted")
    scene.turn()
    assert scene.shown
    scene.tasks = set()
    scene.turn()
    assert not scene.shown


async def test_the_roster_takes_away_nobody_who_is_busy(scene) -> None:
    """A unit that is gone from the roster stays until its recording is over."""
    scene.camera("recording_started")
    del scene.roster.by_unit[scene.one]
    scene.feed.refresh()
    assert scene.shown
    scene.camera("recording_stopped")
    scene.feed.refresh()
    assert not scene.shown


async def test_a_restart_in_the_middle(scene) -> None:
    """Booked off, the task goes on: after the restart it is shown as soon as dispatch says so."""
    scene.tasks = {scene.one}
    scene.say(11)
    await scene.feed.close()
    scene.feed = scene.made()
    await scene.open()
    scene.turn()
    assert scene.shown


async def test_one_of_a_crew_goes_home(scene) -> None:
    """Their 11 is theirs alone, told as such, over a restart too; the last one's is the unit's."""
    scene.here(scene.van, "P-3", "b3")
    scene.here(scene.van, "P-4", "b4")
    scene.say(5, scene.van, "P-3")
    scene.say(11, scene.van, "P-4")
    scene.turn()
    duty = scene.feed.duty(scene.van)
    assert (duty.state, duty.booked_off) == ("en_route", {"P-4": "2026-11-21T21:00:00Z"})
    unit = scene.reader.units[scene.van]["properties"]
    assert ([each["person"] for each in unit["members"]], len(unit["sources"])) == (["P-3"], 1)
    assert scene.feed.off_duty(scene.van, "P-4")
    await scene.feed.close()
    scene.feed = scene.made()
    await scene.open()
    assert scene.feed.off_duty(scene.van, "P-4")
    assert not scene.feed.off_duty(scene.van, "P-3")
    scene.clock.on(1)
    scene.say(2, scene.van, "P-4")
    assert not scene.feed.off_duty(scene.van, "P-4")
    scene.say(11, scene.van, "P-4")
    scene.say(11, scene.van, "P-3")
    scene.turn()
    assert scene.feed.unit(scene.van) is None
    assert scene.feed.duty(scene.van).state == "off_duty"
    scene.clock.on(1)
    scene.say(2, scene.van, "P-3")
    assert not scene.feed.off_duty(scene.van, "P-4")  # the unit came back as it was


class Booked:
    """Bookings that remember what they heard."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.off: list[str] = []

    def heard(self, report, who) -> None:
        """Remembered."""
        self.codes.append(report.code)

    def booked_off(self, unit, person, by) -> None:
        """Remembered."""
        self.off.append((unit, person))


async def test_what_bookings_are_told(scene) -> None:
    """Statuses as they are taken, also of somebody without a unit; not late ones; the control room's 11."""
    scene.feed.duties.bookings = booked = Booked()
    before = scene.clock.now()
    scene.clock.on(60)
    scene.say(2)
    scene.feed.status(status(before, 11), who(scene.one, "P-1"))
    scene.feed.status(status(scene.clock.now(), 14), who(scene.one, "P-1"))
    scene.feed.status(status(scene.clock.now(), 3), who(None, "P-77"))
    assert booked.codes == [2, 3]
    scene.feed.set_duty(scene.two, 4)
    scene.feed.set_duty(scene.two, 11)
    assert booked.off == [(scene.two, None)]


async def test_the_control_room_books_one_of_a_crew_off_and_on(scene) -> None:
    """Them alone, and the last of them with the unit; only 11 and states of work are anybody's own."""
    scene.feed.duties.bookings = booked = Booked()
    scene.say(5, scene.van, "P-3")
    scene.here(scene.van, "P-4", "b4")
    assert scene.feed.set_duty(scene.van, 11, person="P-4")
    assert scene.feed.off_duty(scene.van, "P-4")
    assert scene.feed.duty(scene.van).state == "en_route"
    assert scene.feed.set_duty(scene.van, 2, person="P-4")
    assert not scene.feed.off_duty(scene.van, "P-4")
    assert scene.feed.duty(scene.van).state == "en_route"
    for code, person in ((4, "P-1"), (9, "P-4")):
        with pytest.raises(RefusedError):
            scene.feed.set_duty(scene.van, code, person=person)
    scene.feed.set_duty(scene.van, 11, person="P-3")
    scene.feed.set_duty(scene.van, 11, person="P-4")
    assert scene.feed.duty(scene.van).state == "off_duty"
    assert booked.off == [(scene.van, "P-4"), (scene.van, "P-3"), (scene.van, "P-4")]


async def test_a_late_status_books_nobody_off(scene) -> None:
    """One that was sent before the last that counts."""
    before = scene.clock.now()
    scene.clock.on(60)
    scene.say(2, scene.van, "P-3")
    scene.feed.status(status(before, 11), who(scene.van, "P-4"))
    assert not scene.feed.off_duty(scene.van, "P-4")
    assert scene.feed.stats()["status_late"] == 1


async def test_the_feature_is_read_back(scene) -> None:
    """What a duty record says is JSON with the names of the contract."""
    scene.say(2)
    scene.reader.drain(scene.consumer)
    record = json.loads(scene.feed._annals._latest[f"duty {scene.one}"].payload)
    assert {"overtime", "since", "source"} < set(record)
