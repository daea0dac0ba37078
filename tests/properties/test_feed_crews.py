"""Crews under anything at all: the index, the rolls and what is shown always agree."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.events import CameraReport, Origin
from gateway.domain.time import Stamp
from gateway.feed import encode
from gateway.feed.board import Board
from gateway.feed.settings import FeedSettings
from gateway.feed.wanted import Wanted
from tests.feed.schema import check_feature
from tests.feed.shift import START, Roster, SetClock, at, who

PEOPLE = range(5)
UNITS = ("PCC.VAN", "PCC.CAR")
people, units = st.sampled_from(PEOPLE), st.sampled_from(UNITS)
steps = st.one_of(
    st.tuples(st.just("fix"), people, st.sampled_from([0, 90, 160, 500, 2000]), st.booleans()),
    st.tuples(st.just("wait"), st.sampled_from([1, 20, 130, 700])),
    st.tuples(st.just("duty"), units, st.sampled_from([2, 5, 9, 11])),
    st.tuples(st.just("off"), people),
    st.tuples(st.just("on"), people),
    st.tuples(st.just("join"), people, st.sampled_from((*UNITS, None))),
    st.tuples(st.just("film"), people, st.booleans()),
    st.tuples(st.just("task"), st.sets(units)),
)


class Shift:
    """Two crews whose people come and go; `shown` are the units that consumers were not told the leaving of."""

    def __init__(self) -> None:
        self.clock, self.roster, self.board = SetClock(), Roster(), Board(FeedSettings())
        self.roster.crew("VAN", 0, 1, 2)
        self.roster.crew("CAR", 3, 4)
        self.tasks: set[str] = set()
        self.board.engaged.tasked = lambda: self.tasks
        self.board.refresh(self.roster, self.clock.now())

    def _unit_of(self, number):
        found = self.roster.unit_of(f"P-{number}")
        return None if found is None else found.id

    def fix(self, number, metres, radio) -> None:
        """A beacon or a radio says where this officer is."""
        device, source = (f"r{number}", "lip") if radio else (f"b{number}", "mqtt")
        report = at(self.clock.now(), 52.57 + metres / 111_195, device=device, source=source)
        self.board.place(report, who(self._unit_of(number), f"P-{number}", device))

    def wait(self, seconds) -> None:
        """Time passes."""
        self.board.age(self.clock.on(seconds))

    def duty(self, unit, code) -> None:
        """The unit as a whole."""
        self.board.set_duty(unit, code, self.clock.utc.timestamp(), "api")

    def off(self, number) -> None:
        """One of them goes, unless they are the last."""
        standing = self.board.units.get(self._unit_of(number))
        if standing is not None and self.board.members.book_off(standing, f"P-{number}", 0.0):
            self.board.forget_person(standing, f"P-{number}", self.clock.now())

    def on(self, number) -> None:
        """And is back."""
        standing = self.board.units.get(self._unit_of(number))
        if standing is not None:
            self.board.members.book_on(standing, f"P-{number}", self.clock.utc.timestamp())

    def join(self, number, unit) -> None:
        """To another crew, or to none."""
        for name, each in self.roster.by_unit.items():
            left = [member for member in each.members if member != f"P-{number}"]
            members = (*left, *([f"P-{number}"] if name == unit else []))
            self.roster.by_unit[name] = msgspec.structs.replace(each, members=members)
        self.board.refresh(self.roster, self.clock.now())

    def film(self, number, filming) -> None:
        """Their camera."""
        report = CameraReport(Origin("test", f"c{number}"), Stamp(self.clock.now()), "status", {"recording": filming})
        self.board.camera(report, who(self._unit_of(number), f"P-{number}", f"c{number}"))

    def task(self, tasked) -> None:
        """What dispatch has open."""
        self.tasks = set(tasked)

    def check(self) -> None:
        """What holds whatever happened."""
        points = 0
        for standing in self.board.units.values():
            people = {person.id for person in standing.roll.persons}
            assert set(standing.apart) == standing.roll.away <= people
            assert standing.roll.off == frozenset(standing.off)
            assert not standing.roll.away & frozenset(standing.off)
            assert {holder for holder in standing.devices.values() if holder} <= people
            if standing.on_feed:
                points += 1 + len(standing.apart)
                check_feature(json.loads(encode.feature(standing, self.clock.mono_s)))
            else:
                assert (standing.live, standing.sightings, standing.apart) == (None, {}, {})
            assert standing.live is None or standing.live in standing.sightings.values()
        ranking = self.board.index.query(Wanted(lat=52.57, lon=-0.24, limit=50, max_age_s=1e9), self.clock.now())
        assert ranking.considered == points
        named = [(found.unit, found.person) for found in ranking.results]
        assert len(set(named)) == len(named)
        places = [device for standing in self.board.units.values() for device in standing.sightings]
        assert len(set(places)) == len(places)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.lists(steps, max_size=40))
def test_whatever_happens_everything_agrees(day) -> None:
    """Fixes, time, duty, people who come, go and change crews, cameras and tasks, in any order."""
    shift = Shift()
    assert shift.clock.utc == START
    for number, metres in enumerate((0, 500, 90, 0, 500)):  # one of each crew is away
        shift.fix(number, metres, radio=False)
    assert [len(standing.apart) for standing in shift.board.units.values()] == [1, 1]
    for word, *more in day:
        getattr(shift, word)(*more)
        shift.check()
