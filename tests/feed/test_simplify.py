"""Fewer points: what is left out lies near to the line; compared with a plain reading of the definition."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.feed.simplify import STRETCH, simplified

DEGREE_M = 111_195.08
near = st.floats(-0.01, 0.01, allow_nan=False)


def away_m(point, start, end):
    """Metres from a point to the stretch between two others, by the textbook."""
    east = DEGREE_M * math.cos(math.radians(start[0]))
    px, py = (point[1] - start[1]) * east, (point[0] - start[0]) * DEGREE_M
    ex, ey = (end[1] - start[1]) * east, (end[0] - start[0]) * DEGREE_M
    length = ex * ex + ey * ey
    along = 0.0 if length == 0 else max(0.0, min(1.0, (px * ex + py * ey) / length))
    return math.hypot(px - along * ex, py - along * ey)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(near, near), min_size=1, max_size=80), st.floats(0.5, 500))
def test_whatever_is_left_out_is_near(offsets, tolerance_m):
    """Ends stay, order stays, and no place left out is farther off than was allowed."""
    places = [(52.57 + north, -0.24 + east) for north, east in offsets]
    stay = simplified(places, tolerance_m)
    assert stay == sorted(set(stay))
    assert {0, len(places) - 1} <= set(stay)
    for first, last in itertools.pairwise(stay):
        for number in range(first + 1, last):
            assert away_m(places[number], places[first], places[last]) <= tolerance_m * 1.01 + 0.01


def test_a_corner_stays_and_a_straight_does_not():
    """Two straights of fifty places are three places."""
    places = [(52.57 + number * 1e-5, -0.24) for number in range(50)]
    places += [(places[-1][0], -0.24 + number * 1e-5) for number in range(1, 50)]
    assert simplified(places, 1.0) == [0, 49, 98]


@pytest.mark.parametrize("tolerance_m", [0.0, -1.0])
def test_without_tolerance_all_stay(tolerance_m):
    """Nothing is asked, nothing is done; also of a line too short to lose any."""
    assert simplified([(1.0, 1.0)] * 5, tolerance_m) == [0, 1, 2, 3, 4]
    assert simplified([], 5.0) == []
    assert simplified([(1.0, 1.0), (2.0, 2.0)], 5.0) == [0, 1]


def test_a_unit_that_stood_still_is_two_places():
    """Many times one place."""
    assert simplified([(52.57, -0.24)] * 100, 5.0) == [0, 99]


def test_across_180_degrees():
    """A line that crosses the date line is no journey around the world."""
    places = [(0.0, 179.998 + number * 1e-4 if number < 20 else -180.0 + (number - 20) * 1e-4) for number in range(40)]
    assert simplified(places, 5.0) == [0, 39]


def test_long_lines_cost_no_more_than_their_length():
    """Places at random, none of which can go: a hundred thousand within seconds; ends of stretches stay."""
    chance = random.Random(1)
    places = [(52 + chance.random(), chance.random()) for _ in range(20_000)]
    stay = simplified(places, 10.0)
    assert set(range(0, len(places), STRETCH)) <= set(stay)
    assert len(stay) > 19_000
