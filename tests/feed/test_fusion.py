"""Several devices of one person: which one is shown, and whether they can all be right."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.position import Fix
from gateway.feed import encode
from gateway.feed.board import Board
from gateway.feed.fusion import agree, contradict
from gateway.feed.gate import distance_m
from gateway.feed.settings import FeedSettings
from tests.feed.schema import check_feature
from tests.feed.shift import Roster, SetClock, at, who

NORTH = 1 / 111_195
"""Degrees of latitude a metre."""


class Scene:
    """One officer with a beacon and a radio."""

    def __init__(self, **settings) -> None:
        self.roster, self.clock = Roster(), SetClock()
        self.unit = self.roster.enlist(1, kind=settings.pop("kind", "foot"))
        self.board = Board(FeedSettings(**settings))
        self.board.refresh(self.roster, self.clock.now())

    def beacon(self, metres: float = 0.0, **more) -> str:
        """The beacon is so far north."""
        report = at(self.clock.now(), 52.57 + metres * NORTH, device="bcn-1", **more)
        return self.board.place(report, who(self.unit, "P-1", "bcn-1"))

    def radio(self, metres: float = 0.0, person: str | None = "P-1", **more) -> str:
        """The radio is so far north."""
        more = {"accuracy_m": 20.0, "source": "lip", "device": "trm-1", **more}
        return self.board.place(at(self.clock.now(), 52.57 + metres * NORTH, **more), who(self.unit, person, "trm-1"))

    def properties(self) -> dict:
        """As consumers read it."""
        feature = json.loads(encode.feature(self.board.units[self.unit], self.clock.mono_s))
        check_feature(feature)
        return feature["properties"]

    def both(self, metres: float, seconds: int, every: int = 10, **more) -> None:
        """The beacon here, the radio there, for so long."""
        for second in range(0, seconds, every):
            self.beacon()
            if second % 60 == 0:
                self.radio(metres, **more)
            self.clock.on(every)


@pytest.fixture
def scene():
    """One officer with a beacon and a radio."""
    return Scene()


def test_a_radio_left_behind_is_a_conflict_that_shows_both_positions(scene, shared) -> None:
    """A kilometre apart for longer than a minute: marked, and each device with where it says that it is."""
    scene.both(1000, 50)
    assert "source_conflict" not in scene.properties()["quality"]
    scene.both(1000, 70)
    said = scene.properties()
    assert said["quality"] == ["source_conflict"]
    places = {note["device"]: note["coordinates"] for note in said["sources"]}
    assert places["bcn-1"] == [-0.24, 52.57]
    assert places["trm-1"] == [-0.24, pytest.approx(52.57 + 1000 * NORTH)]
    assert max(note["disagrees_m"] or 0 for note in said["sources"]) == pytest.approx(1000, abs=1)
    assert scene.board.fusion.conflicts == 1


def test_it_is_over_when_they_agree_again_or_one_falls_silent(scene, shared) -> None:
    """Nothing is marked any longer, by the next position."""
    scene.both(1000, 130)
    scene.clock.on(130)
    scene.beacon()
    scene.radio(20)
    assert "source_conflict" not in scene.properties()["quality"]
    scene.both(-1000, 250)
    assert "source_conflict" in scene.properties()["quality"]
    for _ in range(20):  # the radio's last word is older than three of its intervals
        scene.clock.on(10)
        scene.beacon()
    assert "source_conflict" not in scene.properties()["quality"]


def test_what_somebody_can_have_walked_or_driven_is_no_conflict(shared) -> None:
    """A minute old and 400 m away: on foot that is possible, and a car is anywhere by then."""
    for kind, metres in (("foot", 400), ("vehicle", 3000)):
        scene = Scene(conflict_s=0, kind=kind)
        scene.radio(0)
        scene.clock.on(60)
        scene.beacon(metres)
        assert "source_conflict" not in scene.properties()["quality"]
        scene.radio(0)  # and back at once it is not
        assert "source_conflict" in scene.properties()["quality"]


def test_accuracy_is_allowed_for(shared) -> None:
    """A radio that is good to 200 m only does not contradict a beacon 190 m away."""
    scene = Scene(conflict_s=0)
    scene.beacon()
    scene.radio(190, accuracy_m=200.0)
    assert "source_conflict" not in scene.properties()["quality"]


def test_of_a_device_whose_holder_is_not_known_nothing_is_said(shared) -> None:
    """Two devices of one unit may be with two people."""
    scene = Scene(conflict_s=0)
    scene.beacon()
    scene.radio(1000, person=None)
    assert scene.properties()["quality"] == []


def test_where_the_position_comes_from_and_that_this_has_changed(scene, shared) -> None:
    """The first source is no change; the hold-down keeps it; a silent beacon gives way to the radio, and says so."""
    scene.beacon()
    assert "source_change" not in scene.properties()
    scene.clock.on(15)
    assert scene.radio(10) == "kept"
    scene.clock.on(6)
    assert scene.radio(12) == "live"
    said = scene.properties()
    assert said["source"] == "lip"
    change = {"at": "2026-11-21T21:00:21Z", "from": "mqtt", "from_device": "bcn-1", "device": "trm-1"}
    assert said["source_change"] == change
    scene.clock.on(1)
    assert scene.beacon(12) == "live"
    assert scene.properties()["source_change"]["from"] == "lip"
    assert scene.board.fusion.changes == 2


def test_off_duty_nothing_of_it_is_left(scene, shared) -> None:
    """Neither conflict nor where a position came from."""
    scene.both(1000, 130)
    scene.board.set_duty(scene.unit, 11, scene.clock.utc.timestamp(), "sds_status")
    scene.board.set_duty(scene.unit, 2, scene.clock.utc.timestamp(), "sds_status")
    scene.clock.on(1)
    scene.beacon()
    said = scene.properties()
    assert (said["quality"], "source_change" in said, len(said["sources"])) == ([], False, 1)


@settings(derandomize=True, deadline=None)
@given(
    st.floats(0, 5000),
    st.none() | st.floats(0, 600),
    st.none() | st.floats(0, 600),
    st.floats(0, 120),
    st.sampled_from(["foot", "cycle", "vehicle"]),
)
def test_who_contradicts_does_not_agree(metres, one_m, other_m, apart_s, kind) -> None:
    """Never both; nothing within 100 m contradicts; symmetric."""
    scene = Scene(kind=kind)
    scene.beacon(0, accuracy_m=one_m)
    scene.radio(metres, accuracy_m=other_m, age_s=apart_s)
    sightings = list(scene.board.units[scene.unit].sightings.values())
    if len(sightings) < 2:
        return
    a, b = sightings
    assert not (contradict(a, b, kind) and agree(a.fix, b.fix))
    assert contradict(a, b, kind) == contradict(b, a, kind)
    assert agree(a.fix, b.fix) or distance_m(a.fix, b.fix) > 100
    assert agree(Fix(52.57, -0.24), Fix(52.57, -0.24))
