"""Powers that hold in an area only."""

from __future__ import annotations

import pytest

from gateway.domain.people import Power
from gateway.feed.areas import Areas
from gateway.feed.hub import Hub
from gateway.feed.wanted import Wanted
from gateway.feed.zone_cover import CoverRule
from gateway.feed.zoning import Zoning
from tests.feed.squares import square, zone
from tests.feed.test_nearest import Scene

WARD, OTHER = "ward:E1", "ward:E2"
ZONES = (zone(WARD, square(-0.3, 52.5, -0.2, 52.6)), zone(OTHER, square(-0.2, 52.5, -0.1, 52.6)))
THERE = {"lat": 52.57, "lon": -0.15}


@pytest.fixture
def scene():
    """A board with zones."""
    made = Scene()
    made.zoning = Zoning(made.board, Hub(made.board.settings, made.board))
    made.zoning.take_up(ZONES, ())
    return made


def test_it_holds_where_it_was_granted(scene) -> None:
    """By the place asked for, not by where the officer stands; the zone with or without the word before its colon."""
    for area in (WARD, "E1"):
        unit = scene.unit(0.1, powers=(Power("csas.litter", None, area),))
        assert unit in scene.names(power=("csas.litter",), limit=9)
        assert unit in scene.names(limit=9)
    assert scene.ask(power=("csas.litter",)).results[0].why[1] == f"power csas.litter in {WARD}"
    found = scene.board.index.query(Wanted(**THERE, power=("csas.litter",)), scene.clock.now())
    assert (found.results, found.rejected) == ((), {"power": 2})


def test_of_several_grants_any_will_do(scene) -> None:
    """One for each ward; one without an area is for everywhere."""
    two = scene.unit(0.1, powers=(Power("pcn", None, WARD), Power("pcn", None, OTHER)))
    everywhere = scene.unit(0.2, powers=(Power("pcn", None, OTHER), Power("pcn")))
    assert scene.names(power=("pcn",)) == [two, everywhere]
    found = scene.board.index.query(Wanted(**THERE, power=("pcn",)), scene.clock.now()).results
    assert {each.unit: each.why[1] for each in found} == {two: f"power pcn in {OTHER}", everywhere: "power pcn"}


def test_an_area_that_is_no_zone_is_said(scene) -> None:
    """It cannot be looked at: the unit is offered, with a word."""
    scene.unit(0.1, powers=(Power("pcn", None, "E06000031"),))
    assert scene.ask(power=("pcn",)).results[0].why[1] == "power pcn (for E06000031, which is no zone: not looked at)"


def test_skills_are_no_powers(scene) -> None:
    """All of them are wanted, by a name of their own."""
    aid = scene.unit(0.1)
    assert scene.names(skill=("aid",)) == [aid]
    assert scene.ask(skill=("aid",)).results[0].why[1] == "skill aid"
    assert scene.ask(skill=("aid", "dog")).rejected == {"skill": 1}
    assert scene.ask(power=("aid",)).rejected == {"power": 1}


def test_a_zone_is_covered_by_who_may_there(scene) -> None:
    """Whoever has the power for another area alone does not cover it."""
    scene.unit(0.1, powers=(Power("pcn", None, OTHER),))
    scene.zoning.moved([*scene.board.units.values()])
    assert not scene.zoning._anybody(CoverRule(WARD, "pcn"), scene.clock.now())
    scene.unit(0.2, powers=(Power("pcn", None, "E1"),))
    scene.zoning.moved([*scene.board.units.values()])
    assert scene.zoning._anybody(CoverRule(WARD, "pcn"), scene.clock.now())


def test_without_zones() -> None:
    """Nothing can be looked at, so nothing is held against anybody."""
    areas = Areas()
    assert areas.around(52.57, -0.24) == frozenset()
    assert areas.holds(None, frozenset()) is True
    assert areas.holds("E1", frozenset()) is None
