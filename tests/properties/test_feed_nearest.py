"""The ranking against exact distances over every unit."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.feed.board import Board
from gateway.feed.nearest import EARTH_M, Wanted, bearing_deg, haversine_m
from gateway.feed.settings import FeedSettings
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
