"""Crews of which a member is away, as other agencies see them: by what the unit is, and nobody who is left out."""

from __future__ import annotations

import json

import msgspec
import pytest

from gateway.feed import trimming
from gateway.feed.agreement import Agreement
from gateway.feed.feed import Feed
from gateway.feed.filters import Filters
from gateway.feed.overtime import Overtime
from gateway.feed.questions import Offer, Question, told
from gateway.feed.seen import Seen
from gateway.feed.settings import FeedSettings
from gateway.feed.wanted import Wanted
from tests.feed.shift import MemoryFiles, Reader, Roster, SetClock, at, press, who

NORTH = 1 / 111_195
AWAY_M = 1_500
POWERS = {1: ("constable",), 2: ("pcn",)}


def agreed(**more) -> Agreement:
    """PCC sees CAMBS."""
    return Agreement(consumer="PCC", owner="CAMBS", **more)


class Scene:
    """CAMBS' van with a crew of two, of which one is away; an officer of PCC."""

    def __init__(self, folder, *agreements: Agreement) -> None:
        self.roster, self.clock = Roster(), SetClock()
        self.van = self.roster.crew("VAN", 1, 2, powers=POWERS, agency="CAMBS")
        self.own = self.roster.enlist(9)
        self.feed = Feed(FeedSettings(), self.roster, self.clock, folder, files=MemoryFiles())
        self.feed.sharing.take_up(agreements)

    async def begin(self) -> None:
        await self.feed.open()
        for unit in (self.van, self.own):
            self.feed.set_duty(unit, 2)
        self.put(9, 0, self.own)
        self.put(1, 0)
        self.put(2, AWAY_M)
        assert self.feed.board.units[self.van].roll.away == {"P-2"}

    def put(self, number: int, metres: float, unit: str | None = None) -> None:
        report = at(self.clock.now(), 52.57 + metres * NORTH, device=f"b{number}", speed_mps=0.0)
        self.feed.position(report, who(unit or self.van, f"P-{number}", f"b{number}"))

    def seen(self, agency="PCC") -> Seen:
        return Seen(self.feed, self.feed.sharing.view(agency, masked=False))

    def ask(self, **more) -> set[tuple[str, str | None]]:
        found = self.seen().nearest(Wanted(lat=52.57, lon=-0.24, **more))
        assert found.considered == len(found.results) + sum(found.rejected.values())
        return {(one.unit, one.person) for one in found.results}


@pytest.fixture
async def scene(tmp_path, request):
    """With the agreements that the test asks for."""
    made = Scene(tmp_path, *getattr(request, "param", ()))
    await made.begin()
    yield made
    await made.feed.close()


@pytest.mark.parametrize("scene", [[agreed(power=("pcn",))]], indirect=True)
async def test_a_unit_that_is_not_shared_has_no_member_in_nearest(scene):
    """The one who is away has the power that is agreed on; the unit has it not, and is not seen."""
    assert scene.seen().unit(scene.van) is None
    assert scene.ask() == {(scene.own, None)}


@pytest.mark.parametrize("scene", [[agreed(power=("constable",))]], indirect=True)
async def test_a_unit_that_is_shared_is_with_its_members(scene):
    """Also with one who has not the power: its feature tells where they are."""
    assert scene.ask() == {(scene.own, None), (scene.van, None), (scene.van, "P-2")}


@pytest.mark.parametrize("scene", [[agreed(without=("members",))]], indirect=True)
async def test_members_left_out_are_nowhere(scene):
    """No point of their own, no place among the sources, not in a duty's record."""
    assert scene.ask() == {(scene.own, None), (scene.van, None)}
    properties = json.loads(scene.seen().unit(scene.van))["properties"]
    assert properties["members"] == []
    assert [each.get("coordinates") for each in properties["sources"]] == [None, None]
    reader = Reader()
    consumer = scene.feed.subscribe(None, Filters(view=scene.seen().view))
    reader.drain(consumer)
    scene.feed.set_duty(scene.van, 11, person="P-2")
    scene.feed.tick(scene.clock.on(1))
    heard = b"".join(iter(consumer.take, None))
    assert b"event: duty" in heard
    assert b'"P-2"' not in heard
    assert b"booked_off" not in heard


@pytest.mark.parametrize("scene", [[agreed(without=("skills",))]], indirect=True)
async def test_skills_left_out_can_not_be_asked_for(scene):
    """`nearest` answers of them as the feature does: there are none."""
    assert scene.ask(skill=("aid",)) == {(scene.own, None)}
    assert (scene.van, "P-2") in scene.ask()


@pytest.mark.parametrize("scene", [[agreed(power=("pcn",), when="emergency", within_m=2_000.0)]], indirect=True)
async def test_an_emergency_shows_units_not_members(scene):
    """A van is not shown for a power that went away with somebody."""
    scene.feed.emergency(press(scene.clock.on(1)), who(scene.own, "P-9", "b9"), journalled=True)
    scene.feed.tick(scene.clock.on(2))
    assert scene.feed.sharing.opened == {}


@pytest.mark.parametrize("off", [False, True])
async def test_who_presses_away_from_the_unit_is_told_of_where_they_are(scene, off):
    """The unit shows where the others are: the emergency's own place follows who is in it, also who has booked off."""
    if off:
        scene.feed.set_duty(scene.van, 11, person="P-2")
    scene.feed.emergency(press(scene.clock.on(1), device="b2"), who(scene.van, "P-2", "b2"), journalled=True)
    (one,) = scene.feed.emergencies()
    before = 0.0 if one.position is None or off else one.position.latitude
    for step in range(1, 5):
        scene.clock.on(6)
        scene.put(1, 0)
        scene.put(2, AWAY_M + step * 20)
    (one,) = scene.feed.emergencies()
    assert one.position.latitude > max(before, 52.57 + (AWAY_M + 30) * NORTH)
    assert scene.feed.opening._place(scene.feed._alarm.emergencies.open()[0])[0] == one.position.latitude


async def test_masked_units_are_in_no_count(scene):
    """Not even in that of those past their planned end."""
    masked = msgspec.structs.replace(scene.roster.by_unit[scene.own], masked=True)
    scene.roster.by_unit[scene.own] = masked
    scene.feed.refresh()
    now_s = scene.clock.utc.timestamp()
    overtime = Overtime(scene.feed.board, lambda _one: None)
    scene.feed.board.units[scene.own].on_since_s = now_s - 90
    overtime.take_up(lambda: {scene.own: [(now_s - 60, now_s - 1)]})
    overtime.look(scene.clock.now())
    assert scene.feed.board.units[scene.own].overtime
    assert overtime.marked == 0


def test_a_record_without_members_keeps_what_is_said_of_the_unit():
    """A key that is there only where there is something to say is not there."""
    said = json.dumps({"unit": "U", "booked_off": {"P-2": "t"}, "code": 2}).encode()
    assert json.loads(trimming.record(said, frozenset({"members"}))) == {"unit": "U", "code": 2}
    assert b"P-2" in trimming.record(said, frozenset({"issi"}))


@pytest.mark.parametrize("scene", [[agreed(without=("members", "skills"))]], indirect=True)
async def test_a_question_on_record_tells_no_more_than_the_feed(scene):
    """How many were looked at counts whom the asker saw; a member's point is not told without members."""
    offers = tuple(Offer(scene.van, 1.0, 1.0, 1.0, (), person) for person in (None, "P-2"))
    asked = {"lat": 0.0, "lon": 0.0, "limit": 5}
    one = Question("t", "a", None, asked, offers, 2, {"duty": 1})
    left = told(one, scene.seen().may_hear_of)
    assert (left.offered, left.considered, left.rejected) == (offers[:1], None, {})
    by_skill = msgspec.structs.replace(one, asked={**asked, "skill": ["aid"]})
    assert told(by_skill, scene.seen().may_hear_of).offered == ()
    assert told(one, scene.seen("FRS").may_hear_of).offered == ()
    assert scene.seen().narrowed
    assert not scene.seen(None).narrowed


async def test_who_goes_to_a_masked_unit_is_named_no_longer(scene):
    """Not as one of the crew that booked off, nor in the mark of an emergency that is still open."""
    scene.feed.set_duty(scene.van, 11, person="P-2")
    scene.feed.emergency(press(scene.clock.on(1), device="b1"), who(scene.van, "P-1", "b1"), journalled=True)
    crew = scene.roster.by_unit
    crew["CAMBS.COVERT"] = msgspec.structs.replace(crew[scene.van], id="CAMBS.COVERT", callsign="C", masked=True)
    scene.roster.enlist(3, agency="CAMBS")
    crew[scene.van] = msgspec.structs.replace(crew[scene.van], members=("P-3",))
    scene.feed.refresh()
    scene.feed.set_duty(scene.van, 3)
    reader = Reader()
    consumer = scene.feed.subscribe(None)
    heard = consumer.take() or b""
    reader.read(heard)
    assert reader.units[scene.van]["properties"]["emergency"]["person"] is None
    assert scene.feed.duty(scene.van).booked_off is msgspec.UNSET
    assert b'"P-1"' not in heard
    assert b'"P-2"' not in heard
    (one,) = scene.feed.emergencies()
    assert one.person == "P-1"
