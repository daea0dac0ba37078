"""The ranking against exact distances over every unit."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.feed.board import Board
from gateway.feed.globe import EARTH_M, bearing_deg, haversine_m
from gateway.feed.settings import FeedSettings
from gateway.feed.wanted import Wanted
from tests.feed.shift import START, Roster, SetClock, at, who

latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 180)
units = st.lists(
    st.tuples(latitudes, longitudes, st.sampled_from([2, 3, 6, 7, 11, None]), st.booleans()), min_size=1, max_size=150
)


@settings(derandomize=True, deadline=None)
@given(units, latitudes, longitudes, st.integers(1, 7), st.booleans())
def test_the_nearest_are_the_nearest(crowd, lat, lon, limit, only_pcn) -> None:
    """Anywhere on the globe, over the antimeridian and at the poles, with any filter."""
    board, roster, clock = Board(FeedSettings()), Roster(), SetClock()
    for number, (_, _, _, pcn) in enumerate(crowd):
        roster.enlist(number, powers=("pcn",) if pcn else ("other",))
    board.refresh(roster, clock.now())
    expected = []
    for number, (unit_lat, unit_lon, code, pcn) in enumerate(crowd):
        name = f"PCC.CSO-{number}"
        if code is not None:
            board.set_duty(name, code, START.timestamp(), "sds_status")
        board.place(at(clock.now(), unit_lat, unit_lon, device=f"b{number}"), who(name))
        if code != 11 and (pcn or not only_pcn):
            order = {2: 0, 3: 0, 7: 1}.get(code, 2)
            expected.append((order, haversine_m(lat, lon, unit_lat, unit_lon)))
    power = ("pcn",) if only_pcn else ()
    ranking = board.index.query(Wanted(lat=lat, lon=lon, limit=limit, power=power), clock.now())
    found = [haversine_m(lat, lon, *_place(crowd, one.unit)) for one in ranking.results]
    expected.sort()
    assert len(found) == min(limit, len(expected))
    for mine, (_, theirs) in zip(found, expected, strict=False):
        assert math.isclose(mine, theirs, abs_tol=1.0)


crews = st.lists(
    st.tuples(
        st.floats(-3, 3),
        st.floats(-3, 3),
        st.lists(
            st.tuples(st.integers(0, 3), st.floats(0, 400), st.floats(0, 360), st.booleans()), min_size=1, max_size=4
        ),
        st.sampled_from([2, 7, 11, None]),
    ),
    min_size=1,
    max_size=25,
)
POWERS = ("constable", "pcn", "csas.alcohol", "housing.entry")
DEGREE_M = 111_195.0


def _crowd(fleet, board, roster, clock):
    """Put the fleet on the board; the points that there are by the rule: order, speed, place, powers, whose."""
    points, number = [], 0
    for count, (lat, lon, people, code) in enumerate(fleet):
        numbers = range(number, number + len(people))
        powers = {each: (POWERS[one[0]],) for each, one in zip(numbers, people, strict=True)}
        unit = roster.crew(f"V-{count}", *numbers, powers=powers)
        number += len(people)
        board.refresh(roster, clock.now())
        if code is not None:
            board.set_duty(unit, code, START.timestamp(), "sds_status")
        places = []
        for each, (_, metres, course, placed) in zip(numbers, people, strict=True):
            way_m = metres if each != numbers[0] else 0.0
            there = (
                lat + way_m * math.cos(math.radians(course)) / DEGREE_M,
                lon + way_m * math.sin(math.radians(course)) / DEGREE_M / math.cos(math.radians(lat)),
            )
            if placed or each == numbers[0]:
                board.place(
                    at(clock.now(), *there, device=f"b{each}", speed_mps=0.0), who(unit, f"P-{each}", f"b{each}")
                )
                places.append((each, there))
        points += _points(unit, code, powers, places)
    return points


def _points(unit, code, powers, places):
    if code == 11:
        return []
    order, (_, mine) = {2: 0, 7: 1}.get(code, 2), places[0]
    away = [(each, there) for each, there in places[1:] if haversine_m(*mine, *there) > 150]
    gone = {each for each, _ in away}
    together = {power for each, granted in powers.items() if each not in gone for power in granted}
    alone = [(order, 1.6, there, set(powers[each]), (unit, f"P-{each}")) for each, there in away]
    return [(order, 8.0, mine, together, (unit, None)), *alone]


@settings(derandomize=True, deadline=None)
@given(crews, st.floats(-3, 3), st.floats(-3, 3), st.integers(1, 9), st.sets(st.sampled_from(POWERS), max_size=2))
def test_split_crews_are_as_many_points(fleet, lat, lon, limit, power) -> None:
    """Whoever is more than 150 m from the unit is a point of their own: what the index says is what counting says."""
    board, roster, clock = Board(FeedSettings()), Roster(), SetClock()
    points = _crowd(fleet, board, roster, clock)
    wanted = Wanted(lat=lat, lon=lon, limit=limit, power=tuple(sorted(power)))
    ranking = board.index.query(wanted, clock.now())
    assert ranking.considered == len(points)
    fit = [
        (order, haversine_m(lat, lon, *there) * 1.35 / mps, name)
        for order, mps, there, granted, name in points
        if power <= granted
    ]
    assert ranking.rejected.get("power", 0) == len(points) - len(fit)
    best = {name: eta_s for _, eta_s, name in fit}
    assert len(ranking.results) == min(limit, len(fit))
    for found, (_, eta_s, _) in zip(ranking.results, sorted(fit, key=lambda one: one[:2]), strict=False):
        assert math.isclose(found.eta_s, eta_s, abs_tol=1.0)
        assert math.isclose(best[(found.unit, found.person)], found.eta_s, abs_tol=1.0)
        assert set(wanted.power) == {word.removeprefix("power ") for word in found.why if word.startswith("power ")}


def _place(crowd, unit: str) -> tuple[float, float]:
    return crowd[int(unit.rpartition("-")[2])][:2]


@settings(derandomize=True, deadline=None)
@given(latitudes, longitudes, latitudes, longitudes)
def test_distance_and_bearing_are_sane(lat, lon, to_lat, to_lon) -> None:
    """Symmetric, at most half way round, and a bearing in [0, 360)."""
    there, back = haversine_m(lat, lon, to_lat, to_lon), haversine_m(to_lat, to_lon, lat, lon)
    assert math.isclose(there, back, rel_tol=1e-9, abs_tol=1e-3)
    assert 0 <= there <= math.pi * EARTH_M + 1
    assert 0 <= bearing_deg(lat, lon, to_lat, to_lon) <= 360
