"""Crews: whose powers are the unit's, who is a point of their own, and what changes when people come and go."""

from __future__ import annotations

import json

import msgspec
import pytest

from gateway.domain.people import Unit
from gateway.feed import encode
from gateway.feed.board import Board
from gateway.feed.settings import FeedSettings
from gateway.feed.wanted import Wanted
from tests.feed.schema import check_feature
from tests.feed.shift import Roster, SetClock, at, who

NORTH = 1 / 111_195
POWERS = {1: ("constable",), 2: ("csas.alcohol", "pcn"), 3: ("pcn",)}


class Scene:
    """A van with a crew of two and somebody on foot, all at work."""

    def __init__(self, *crew: int, **settings) -> None:
        self.roster, self.clock = Roster(), SetClock()
        self.van = self.roster.crew("VAN", *(crew or (1, 2)), powers=POWERS)
        self.walker = self.roster.enlist(9, powers=("housing.entry",))
        self.board = Board(FeedSettings(**settings))
        self.refresh()
        for unit in (self.van, self.walker):
            self.board.set_duty(unit, 2, self.clock.utc.timestamp(), "sds_status")

    def refresh(self) -> None:
        """The roster has changed."""
        self.board.refresh(self.roster, self.clock.now())

    def put(self, number: int, metres: float, unit: str | None = None, **more) -> str:
        """An officer's beacon is so far north."""
        report = at(self.clock.now(), 52.57 + metres * NORTH, device=f"b{number}", **{"speed_mps": 0.0, **more})
        return self.board.place(report, who(unit or self.van, f"P-{number}", f"b{number}"))

    def properties(self, unit: str | None = None) -> dict:
        """As consumers read it."""
        feature = json.loads(encode.feature(self.board.units[unit or self.van], self.clock.mono_s))
        check_feature(feature)
        return feature["properties"]

    def members(self) -> dict[str, dict]:
        """The van's."""
        return {member["person"]: member for member in self.properties()["members"]}

    def ask(self, **more) -> list[tuple[str, str | None]]:
        """Who is nearest to where the van began: unit, and the member where it is one alone."""
        ranking = self.board.index.query(Wanted(lat=52.57, lon=-0.24, **more), self.clock.now())
        return [(found.unit, found.person) for found in ranking.results]


@pytest.fixture
def scene(shared):
    """A van with a crew of two."""
    return Scene()


def test_together_they_have_each_others_powers(scene) -> None:
    """Within 150 m, and also where one has no position of their own."""
    scene.put(1, 0)
    assert scene.properties()["powers"] == ["constable", "csas.alcohol", "pcn"]
    assert scene.members()["P-2"]["apart_m"] is None
    scene.put(2, 149)
    assert scene.properties()["powers"] == ["constable", "csas.alcohol", "pcn"]
    mine = scene.members()["P-2"]
    assert (mine["apart_m"], mine["away"]) == (pytest.approx(149, abs=0.5), False)
    assert mine["coordinates"] == [-0.24, pytest.approx(52.57 + 149 * NORTH)]
    assert scene.ask(power=("constable", "pcn")) == [(scene.van, None)]


def test_apart_each_has_their_own(scene) -> None:
    """The unit is without the powers of who went; who went is ranked where they are, with theirs, on foot."""
    scene.put(1, 0)
    scene.put(2, 400)
    assert scene.properties()["powers"] == ["constable"]
    mine = scene.members()["P-2"]
    assert (mine["apart_m"], mine["away"]) == (pytest.approx(400, abs=0.5), True)
    assert mine["powers"] == ["csas.alcohol", "pcn"]
    assert scene.ask(power=("pcn",)) == [(scene.van, "P-2")]
    assert scene.ask(power=("constable", "pcn")) == []
    assert scene.ask() == [(scene.van, None), (scene.van, "P-2")]
    (found,) = scene.board.index.query(Wanted(lat=52.57, lon=-0.24, power=("pcn",)), scene.clock.now()).results
    assert found.distance_m == pytest.approx(400, abs=1)
    assert found.eta_basis == "straight line x1.35, foot 1.6 m/s"
    assert "away from the unit" in found.why


def test_back_together(scene) -> None:
    """One point again, with everybody's powers."""
    scene.put(1, 0)
    scene.put(2, 400)
    scene.clock.on(60)
    scene.put(1, 0)
    scene.put(2, 100)
    assert scene.properties()["powers"] == ["constable", "csas.alcohol", "pcn"]
    assert scene.ask() == [(scene.van, None)]
    assert scene.board.units[scene.van].apart == {}


def test_the_distance_is_configured(shared) -> None:
    """`[feed] member_m`."""
    scene = Scene(member_m=50)
    scene.put(1, 0)
    scene.put(2, 60)
    assert scene.members()["P-2"]["away"] is True


def test_what_the_van_has_driven_meanwhile_splits_nobody(scene) -> None:
    """The other's radio is a minute behind: at 14 m/s that is 800 m, and they sit side by side."""
    scene.put(1, 0, speed_mps=14.0)
    scene.put(2, 0, source="lip", accuracy_m=20.0)
    for _ in range(5):
        scene.clock.on(10)
        scene.put(1, 140 * _, speed_mps=14.0)
    assert scene.properties()["powers"] == ["constable", "csas.alcohol", "pcn"]


def test_a_position_that_is_less_exact_than_that_splits_nobody(scene) -> None:
    """A radio good to 500 m that says 400 m away."""
    scene.put(1, 0)
    scene.put(2, 400, source="lip", accuracy_m=500.0)
    assert scene.members()["P-2"]["away"] is False


def test_who_went_does_not_take_the_unit_along(scene) -> None:
    """However good their beacon is: the unit stays with the device that is shown, until that is silent."""
    scene.put(1, 0, source="lip", accuracy_m=50.0)
    assert scene.put(2, 800) == "kept"
    assert scene.properties()["powers"] == ["constable"]
    scene.clock.on(130)
    assert scene.put(2, 800) == "live"
    assert scene.properties()["powers"] == ["csas.alcohol", "pcn"]
    assert scene.members()["P-1"]["away"] is True


def test_a_position_that_is_lost_is_none(scene) -> None:
    """Ten minutes without a word: counted as with the unit again, without anybody asking."""
    scene.put(1, 0)
    scene.put(2, 400)
    for _ in range(61):
        scene.clock.on(10)
        scene.put(1, 0)
        scene.board.age(scene.clock.now())
    assert scene.board.units[scene.van].roll.away == frozenset()
    assert scene.ask(power=("pcn", "constable")) == [(scene.van, None)]


def test_excluding_a_unit_excludes_its_members(scene) -> None:
    """Both points; and duty and agency are the unit's."""
    scene.put(1, 0)
    scene.put(2, 400)
    assert scene.ask(exclude=(scene.van,)) == []
    scene.board.set_duty(scene.van, 4, scene.clock.utc.timestamp(), "api")
    assert scene.ask(duty=("refreshments",)) == [(scene.van, None), (scene.van, "P-2")]


def test_off_duty_nobody_is_anywhere(scene) -> None:
    """No row of the index is left behind, nor is one when the unit leaves the roster."""
    scene.put(1, 0)
    scene.put(2, 400)
    scene.board.set_duty(scene.van, 11, scene.clock.utc.timestamp(), "sds_status")
    assert scene.ask() == []
    assert scene.board.units[scene.van].apart == {}
    scene.board.set_duty(scene.van, 2, scene.clock.utc.timestamp(), "sds_status")
    scene.clock.on(10)
    scene.put(1, 0)
    scene.put(2, 400)
    del scene.roster.by_unit[scene.van]
    scene.refresh()
    assert scene.ask() == []


def test_joining_another_unit_takes_the_position_along(scene) -> None:
    """At once, before the next fix; the van's powers go too, and the walker has both's."""
    scene.put(1, 0)
    scene.put(2, 60)
    scene.put(9, 80, scene.walker)
    van, walker = scene.roster.by_unit[scene.van], scene.roster.by_unit[scene.walker]
    scene.roster.by_unit[scene.van] = msgspec.structs.replace(van, members=("P-1",))
    scene.roster.by_unit[scene.walker] = msgspec.structs.replace(walker, members=("P-9", "P-2"))
    scene.refresh()
    assert scene.properties()["powers"] == ["constable"]
    assert [note["device"] for note in scene.properties()["sources"]] == ["b1"]
    said = scene.properties(scene.walker)
    assert said["powers"] == ["housing.entry", "csas.alcohol", "pcn"]
    assert {note["device"] for note in said["sources"]} == {"b9", "b2"}


def test_who_leaves_with_the_shown_position_leaves_the_rest_where_they_are(scene) -> None:
    """And the last one to leave leaves it nowhere."""
    scene.put(2, 60)
    scene.put(1, 0)
    van = scene.roster.by_unit[scene.van]
    scene.roster.by_unit[scene.van] = msgspec.structs.replace(van, members=("P-1",))
    scene.refresh()
    standing = scene.board.units[scene.van]
    assert standing.live.device == "b1"
    scene.roster.by_unit[scene.van] = Unit(scene.van, "VAN", "PCC", "vehicle")
    scene.refresh()
    assert standing.live is None
    assert scene.ask() == []
    assert scene.properties()["fresh"] == "never"


def test_one_of_a_crew_books_off(scene) -> None:
    """Their positions are neither shown nor kept, their powers are gone; the others go on; back on is back."""
    scene.put(1, 0)
    scene.put(2, 50)
    standing = scene.board.units[scene.van]
    assert scene.board.members.book_off(standing, "P-2", scene.clock.utc.timestamp())
    scene.board.forget_person(standing, "P-2", scene.clock.now())
    assert scene.put(2, 50) == "off_duty"
    assert scene.board.off_duty(scene.van, "P-2")
    assert not scene.board.off_duty(scene.van, "P-1")
    said = scene.properties()
    assert (list(scene.members()), said["powers"]) == (["P-1"], ["constable"])
    assert [note["device"] for note in said["sources"]] == ["b1"]
    scene.refresh()
    assert scene.properties()["powers"] == ["constable"]
    assert not scene.board.members.book_off(
        standing, "P-1", scene.clock.utc.timestamp()
    )  # the last of them is the unit
    assert scene.board.members.book_on(standing, "P-2", scene.clock.utc.timestamp())
    scene.clock.on(1)
    assert scene.put(2, 50) == "kept"
    assert scene.properties()["powers"] == ["constable", "csas.alcohol", "pcn"]


def test_a_unit_of_one_has_no_points_of_its_own(scene) -> None:
    """Its member is where it is."""
    scene.put(9, 0, scene.walker)
    (member,) = scene.properties(scene.walker)["members"]
    assert member["apart_m"] == 0
    assert "coordinates" not in member
