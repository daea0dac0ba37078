"""What an emergency shows of another agency's units: when it begins, who is near enough, when it is over."""

from __future__ import annotations

import json

import msgspec
import pytest

from gateway.feed.agreement import Agreement
from gateway.feed.feed import Feed
from gateway.feed.filters import Filters
from gateway.feed.seen import Seen
from gateway.feed.settings import FeedSettings
from tests.feed.shift import MemoryFiles, Reader, Roster, SetClock, at, press, who

HERE, NEAR, FAR = 52.57, 52.58, 52.67
RULE = {"consumer": "PCC", "owner": "CAMBS", "when": "emergency", "within_m": 2_000.0}


class Scene:
    """PCC's officer 1, CAMBS' officers 2 and 3, and PCC's desk."""

    def __init__(self, tmp_path, **rule) -> None:
        self.roster, self.clock, self.files = Roster(), SetClock(), MemoryFiles()
        self.one = self.roster.enlist(1)
        self.two, self.three = (self.roster.enlist(number, agency="CAMBS", role="PC") for number in (2, 3))
        self.folder, self.rule = tmp_path, Agreement(**{**RULE, **rule})
        self.told: list = []

    async def begin(self) -> None:
        self.feed = Feed(FeedSettings(), self.roster, self.clock, self.folder, files=self.files)
        self.feed.sharing.take_up([self.rule])
        self.feed.opening.told = self.told.append
        await self.feed.open()
        self.view = self.feed.sharing.view("PCC", masked=False)
        self.reader = Reader()
        self.consumer = self.feed.subscribe(None, Filters(view=self.view))

    def place(self, unit, lat, *, wait_s=60.0) -> None:
        number = unit.rpartition("-")[2]
        report = at(self.clock.on(wait_s), lat, device=f"bcn-{number}")
        self.feed.position(report, who(unit, f"P-{number}", f"bcn-{number}"))
        self.tick()

    def tick(self) -> None:
        self.feed.tick(self.clock.on(1.1))
        self.reader.drain(self.consumer)

    def press(self, unit, **more) -> str:
        number = unit.rpartition("-")[2]
        self.feed.emergency(press(self.clock.on(1), **more), who(unit, f"P-{number}"), journalled=True)
        self.feed.tick(self.clock.on(0.01))
        self.reader.drain(self.consumer)
        return max(self.feed.emergencies(), key=lambda one: one.seq).id

    def said(self) -> list:
        return [(each.what, each.emergency, each.units) for each in self.told]


@pytest.fixture
async def scene(tmp_path):
    """Two near, one far; nobody of the other agency is seen."""
    made = Scene(tmp_path)
    await made.begin()
    for unit, lat in ((made.one, HERE), (made.two, NEAR), (made.three, FAR)):
        made.place(unit, lat)
    assert made.reader.units.keys() == {made.one}
    yield made
    await made.feed.close()


async def test_those_near_are_shown_at_once_and_say_why(scene):
    """In stream, snapshot and ranking; the far one is not; the word of it is said."""
    number = scene.press(scene.one)
    assert scene.reader.units.keys() == {scene.one, scene.two}
    shown = scene.reader.units[scene.two]["properties"]
    assert shown["shared_by"] == f"emergency {number}"
    assert "shared_by" not in scene.reader.units[scene.one]["properties"]
    assert scene.said() == [("begin", number, (scene.two,))]
    (begin,) = scene.told
    assert (begin.consumer, begin.owner, begin.within_m) == ("PCC", "CAMBS", 2_000.0)
    seen = Seen(scene.feed, scene.view)
    assert json.loads(seen.unit(scene.two))["properties"]["shared_by"] == f"emergency {number}"
    assert {each["id"] for each in json.loads(seen.snapshot())["features"]} == {scene.one, scene.two}
    assert not seen.has_track(scene.two)
    assert not seen.may_act_on(scene.two)


async def test_it_ends_with_the_emergency(scene):
    """Taken away from who follows, and from who comes back; the end names all that were ever shown."""
    number = scene.press(scene.one)
    scene.place(scene.three, NEAR, wait_s=36_000.0)
    assert scene.reader.units.keys() == {scene.one, scene.two, scene.three}
    cursor = scene.reader.cursor
    scene.feed.clear(number, "P-9", "assisted")
    scene.tick()
    assert scene.reader.units.keys() == {scene.one}
    assert scene.said()[1:] == [("more", number, (scene.two, scene.three)), ("end", number, (scene.two, scene.three))]
    again = Reader()
    again.units = {scene.two: {}}
    again.drain(scene.feed.subscribe(cursor, Filters(view=scene.view)))
    assert again.units.keys() == {scene.one}
    assert scene.feed.sharing.opened == {}


async def test_who_leaves_is_shown_no_longer_and_nobody_flickers_on_the_edge(scene):
    """Up to a fifth farther out one that was near stays; one that was not is not taken in."""
    scene.press(scene.one)
    scene.place(scene.two, HERE + 0.0205, wait_s=600.0)  # 2,280 m
    assert scene.two in scene.reader.units
    scene.place(scene.three, HERE + 0.0205, wait_s=36_000.0)
    assert scene.feed.board.units[scene.three].live.fix.latitude == HERE + 0.0205
    assert scene.three not in scene.reader.units
    scene.place(scene.two, HERE + 0.03, wait_s=600.0)
    assert scene.two not in scene.reader.units


async def test_a_masked_unit_is_not_shown(scene):
    """An emergency beside it unmasks nobody, nor names it on record."""
    scene.roster.by_unit[scene.two] = msgspec.structs.replace(scene.roster.by_unit[scene.two], masked=True)
    scene.feed.refresh()
    scene.press(scene.one)
    scene.tick()
    assert scene.reader.units.keys() == {scene.one}
    assert all(scene.two not in each.units for each in scene.told)


async def test_it_goes_on_after_a_restart(scene):
    """The emergency is still open: it begins anew, on record too."""
    number = scene.press(scene.one)
    await scene.feed.close()
    scene.told.clear()
    await scene.begin()
    scene.place(scene.one, HERE)
    scene.place(scene.two, NEAR)
    assert scene.two in scene.reader.units
    assert scene.said()[0][:2] == ("begin", number)


@pytest.mark.parametrize(
    ("rule", "shown"),
    [
        ({"of": ("PCC",)}, True),
        ({"of": ("CAMBS",)}, False),
        ({"role": ("PC",)}, True),
        ({"role": ("CSO",)}, False),
        ({"power": ("constable",)}, False),
        ({"within_m": 500.0}, False),
    ],
)
async def test_the_rule_says_whose_emergency_shows_whom(tmp_path, rule, shown):
    """By agency of the emergency; by role, power and distance of the unit."""
    scene = Scene(tmp_path, **rule)
    await scene.begin()
    scene.place(scene.one, HERE)
    scene.place(scene.two, NEAR)
    scene.press(scene.one)
    assert (scene.two in scene.reader.units) is shown
    await scene.feed.close()


async def test_an_emergency_without_a_place_shows_nobody_until_it_has_one(tmp_path):
    """Nobody is near to nowhere."""
    scene = Scene(tmp_path)
    await scene.begin()
    scene.place(scene.two, NEAR)
    scene.press(scene.one)
    assert scene.told == []
    scene.place(scene.one, HERE)
    assert scene.two in scene.reader.units
    await scene.feed.close()
