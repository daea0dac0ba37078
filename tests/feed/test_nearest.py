"""The nearest units."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.people import Power
from gateway.feed.board import Board
from gateway.feed.globe import bearing_deg, haversine_m
from gateway.feed.settings import FeedSettings
from gateway.feed.standing import EmergencyMark
from gateway.feed.wanted import Wanted
from tests.feed.shift import Roster, SetClock, at, who

HERE = {"lat": 52.57, "lon": -0.24}
MARK = EmergencyMark("EM-1", "active", "2026-11-21T21:00:00Z", None, None, ("manual",), 1, delivered=False)


class Scene:
    """A board to ask."""

    def __init__(self) -> None:
        self.board, self.roster, self.clock = Board(FeedSettings()), Roster(), SetClock()
        self.count = 0

    def unit(self, km_north: float, *, code: int | None = 2, **more) -> str:
        """A unit so far north of here."""
        self.count += 1
        unit = self.roster.enlist(self.count, **more)
        self.board.refresh(self.roster, self.clock.now())
        self.board.place(at(self.clock.now(), 52.57 + km_north / 111.195, device=f"b{self.count}"), who(unit))
        if code is not None:
            self.board.set_duty(unit, code, 1.0, "sds_status")
        return unit

    def ask(self, **more):
        """What is nearest."""
        return self.board.index.query(Wanted(**HERE, **more), self.clock.now())

    def names(self, **more) -> list[str]:
        """Only the names."""
        return [found.unit for found in self.ask(**more).results]


@pytest.fixture
def scene():
    """A board to ask."""
    return Scene()


def test_known_distances() -> None:
    """A degree of latitude, and half the equator."""
    assert haversine_m(0, 0, 1, 0) == pytest.approx(111_195, abs=1)
    assert haversine_m(0, -179.5, 0, 179.5) == pytest.approx(111_195, abs=1)
    assert bearing_deg(52, 0, 53, 0) == pytest.approx(0)
    assert bearing_deg(0, 0, 0, 1) == pytest.approx(90)
    assert bearing_deg(0, 0, -1, 0) == pytest.approx(180)


def test_a_result_says_how_and_why(scene) -> None:
    """Distance, bearing, estimate and its basis, age, reasons."""
    scene.unit(1.0)
    scene.clock.on(12)
    (found,) = scene.ask(power=("pcn",), agency=("PCC",), role=("CSO",)).results
    assert found.distance_m == pytest.approx(1000, abs=1)
    assert found.bearing_deg == pytest.approx(0, abs=0.1)
    assert found.eta_s == pytest.approx(1000 * 1.35 / 1.6, abs=1)
    assert found.eta_basis == "straight line x1.35, foot 1.6 m/s"
    assert found.age_s == 12
    assert found.why == (
        "duty available, deployable",
        "power pcn",
        "agency PCC",
        "role CSO",
        "position 12 s old",
    )


def test_the_ranking_is_by_time_not_by_metres(scene) -> None:
    """A vehicle at 3 km is sooner there than somebody on foot at 1."""
    walker, car = scene.unit(1.0), scene.unit(3.0, kind="vehicle")
    assert scene.names() == [car, walker]
    assert scene.ask().results[0].eta_basis == "straight line x1.35, vehicle 8 m/s"


def test_deployable_first(scene) -> None:
    """Then committed but deployable, then the rest; unknown is among the rest and says so."""
    unknown, scene_of, seven = scene.unit(0.1, code=None), scene.unit(0.2, code=6), scene.unit(0.3, code=7)
    three = scene.unit(0.4, code=3)
    assert scene.names() == [three, seven, unknown, scene_of]
    assert scene.ask().results[2].why[0] == "duty unknown"
    assert scene.ask().results[1].why[0] == "duty committed_deployable, deployable"


def test_who_is_not_offered(scene) -> None:
    """Off duty isn't even looked at; emergencies, other duties, the unlocated and the stale are counted."""
    scene.unit(0.1, code=11)
    pressed = scene.unit(0.2)
    scene.board.set_emergency(pressed, MARK)
    other = scene.unit(0.3, code=4)
    excluded, mine = scene.unit(0.4), scene.unit(0.5)
    nowhere = scene.roster.enlist(90)
    scene.board.refresh(scene.roster, scene.clock.now())
    scene.board.set_duty(nowhere, 2, 1.0, "api")
    scene.unit(0.6, agency="CAMBS")
    ranking = scene.ask(duty=("available", "on_duty"), exclude=(excluded, "PCC.GHOST"), agency=("PCC",))
    assert [found.unit for found in ranking.results] == [mine]
    assert ranking.considered == 6
    assert ranking.rejected == {"excluded": 1, "agency": 1, "duty": 2, "no_position": 1}
    assert other in scene.names()


def test_stale_only_when_asked(scene) -> None:
    """Beyond ageing by default, beyond max_age_s where given."""
    unit = scene.unit(1.0)
    scene.clock.on(31)
    assert scene.names() == []
    assert scene.ask().rejected == {"age": 1}
    assert scene.names(max_age_s=60) == [unit]
    assert scene.names(max_age_s=10) == []


def test_powers_expire(scene) -> None:
    """At midnight after the last day, without a word from the roster."""
    last = scene.clock.utc.date()
    unit = scene.unit(1.0, powers=(Power("pcn", last), Power("csas.litter")))
    assert scene.names(power=("pcn", "csas.litter")) == [unit]
    scene.clock.utc += timedelta(days=1)
    assert scene.names(power=("pcn",)) == []
    assert scene.names(power=("csas.litter",)) == [unit]
    assert scene.names(power=("never.heard.of",)) == []


def test_more_powers_than_one_word_holds(scene) -> None:
    """Each is found and none is taken for another."""
    units = [scene.unit(1.0, powers=(f"power.n{number}",)) for number in range(150)]
    for number in (0, 63, 64, 127, 128, 149):
        assert scene.names(power=(f"power.n{number}",)) == [units[number]]


def test_more_units_than_first_rows(scene) -> None:
    """The columns grow."""
    for number in range(1100):
        scene.roster.enlist(number)
    scene.board.refresh(scene.roster, scene.clock.now())
    for number in range(1100):
        report = at(scene.clock.now(), 52.57 + (1100 - number) / 10_000, device=f"b{number}")
        scene.board.place(report, who(f"PCC.CSO-{number}"))
    assert scene.names(limit=3) == ["PCC.CSO-1099", "PCC.CSO-1098", "PCC.CSO-1097"]
    assert scene.names(limit=0) == []


def test_duty_by_name_and_by_code(scene) -> None:
    """An unknown word finds nobody."""
    unit, unknown = scene.unit(1.0, code=5), scene.unit(2.0, code=None)
    assert scene.names(duty=("en_route",)) == scene.names(duty=("5",)) == [unit]
    assert scene.names(duty=("unknown",)) == [unknown]
    assert scene.names(duty=("asleep",)) == []


@given(
    fleet=st.lists(
        st.tuples(
            st.integers(-40, 40), st.integers(-40, 40), st.sampled_from(("foot", "vehicle")), st.sampled_from((2, 7, 8))
        ),
        min_size=1,
        max_size=60,
    ),
    limit=st.integers(1, 8),
)
@settings(max_examples=60)
def test_what_is_cut_off_early_is_what_a_full_ranking_has_first(fleet, limit):
    """Ties by distance and by a tenth of a second too: all are worked out, or only those near the last one wanted."""
    scene = Scene()
    for north, east, kind, code in fleet:
        scene.count += 1
        unit = scene.roster.enlist(scene.count, kind=kind)
        scene.board.refresh(scene.roster, scene.clock.now())
        place = at(scene.clock.now(), 52.57 + north * 1e-5, -0.24 + east * 1e-5, device=f"b{scene.count}")
        scene.board.place(place, who(unit))
        scene.board.set_duty(unit, code, 1.0, "sds_status")
    everybody = scene.ask(limit=500).results
    assert len(everybody) == len(fleet)
    order = {2: 0, 7: 1, 8: 2}
    codes = {f"PCC.CSO-{number}": code for number, (*_, code) in enumerate(fleet, 1)}
    keys = [(order[codes[one.unit]], one.eta_s, one.unit) for one in everybody]
    assert keys == sorted(keys)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gateway.feed.nearest.SPARE", 0)
        assert scene.ask(limit=limit).results == everybody[:limit]
