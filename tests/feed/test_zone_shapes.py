"""Points in polygons, against a reckoning of its own."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.feed.globe import haversine_m
from gateway.feed.zone_rows import ZoneRows
from gateway.feed.zone_shapes import SLAB_EDGES, Shapes
from gateway.feed.zones import Zone
from tests.feed.squares import METRE, square, zone

GRID = st.integers(-40, 40)
POINT = st.tuples(GRID, GRID)
RINGS = st.lists(st.lists(POINT, min_size=3, max_size=300), min_size=1, max_size=4)


def odd(rings, x: int, y: int) -> bool:
    """Even-odd by exact fractions along the parallel to the east: an independent reckoning."""
    crossings = 0
    for ring in rings:
        for (x1, y1), (x2, y2) in pairwise(ring):
            if min(y1, y2) <= y < max(y1, y2):
                crossings += Fraction(x1) + Fraction((x2 - x1) * (y - y1), y2 - y1) > x
    return crossings % 2 == 1


def on_line(rings, x: int, y: int) -> bool:
    """Whether rounding decides: the point is on an edge itself."""
    return any(
        (x2 - x1) * (y - y1) == (x - x1) * (y2 - y1)
        and min(x1, x2) <= x <= max(x1, x2)
        and min(y1, y2) <= y <= max(y1, y2)
        for ring in rings
        for (x1, y1), (x2, y2) in pairwise(ring)
    )


def inside(shapes: Shapes, points) -> np.ndarray:
    """One row a point."""
    lon, lat = np.array(points, float).reshape(len(points), 2).T
    return shapes.inside(lon, lat)


@settings(max_examples=150, deadline=None)
@given(RINGS, st.lists(POINT, min_size=1, max_size=30))
def test_as_an_exact_reckoning_has_it(rings, points) -> None:
    """Any rings, crossing themselves and one another, many edges and few: even-odd, and one as many."""
    closed = tuple((*ring, ring[0]) for ring in rings)
    shapes = Shapes([Zone("z", "z", (closed,))])
    found = inside(shapes, points)[:, 0]
    for (x, y), is_in in zip(points, found, strict=True):
        assert inside(shapes, [(x, y)])[0, 0] == is_in
        assert on_line(closed, x, y) or is_in == odd(closed, x, y)


@given(st.lists(POINT, min_size=1, max_size=40, unique=True))
def test_neighbours_share_no_point(points) -> None:
    """Zones that tile the plane: each point in exactly one, on the lines between them too."""
    cells = [(w, s) for w in range(-41, 42, 20) for s in range(-41, 42, 20)]
    tiles = []
    for number, (w, s) in enumerate(cells):
        ring = square(w, s, w + 20, s + 20)
        tiles.append(zone(f"t{number}", ring if number % 2 else ring[::-1]))
    assert (inside(Shapes(tiles), points).sum(axis=1) == 1).all()


def test_many_edges_are_searched_by_slabs() -> None:
    """A circle of many edges, in slabs of latitude."""
    turns = np.linspace(0, 2 * np.pi, 40 * SLAB_EDGES)
    ring = [(float(np.cos(turn)), float(np.sin(turn))) for turn in turns[:-1]]
    shapes = Shapes([zone("round", (*ring, ring[0]))])
    points = np.random.default_rng(1).uniform(-1.2, 1.2, (3000, 2))
    radius = np.hypot(*points.T)
    sure = abs(radius - 1) > 1e-4
    assert (inside(shapes, points)[sure, 0] == (radius < 1)[sure]).all()


def test_holes_and_islands() -> None:
    """Out in the hole, in on the island within it; polygons of one zone that touch are both in."""
    holed = (square(0, 0, 9, 9), square(2, 2, 7, 7))
    shapes = Shapes([Zone("z", "z", (holed, (square(4, 4, 5, 5),)))])
    points = [(1, 1), (3, 3), (4.5, 4.5), (10, 1)]
    assert inside(shapes, points)[:, 0].tolist() == [True, False, True, False]


def test_overlapping_polygons_of_one_zone_do_not_cancel() -> None:
    """A zone is all of its polygons."""
    twice = ((square(0, 0, 2, 2),), (square(1, 1, 3, 3),))
    assert inside(Shapes([Zone("z", "z", twice)]), [(1.5, 1.5)])[0, 0]


@given(st.floats(-89, 89), st.floats(-150, 150), st.floats(1, 500))
def test_how_far_the_edge_is(lat, lon, off_m) -> None:
    """As the great circle has it, west of an edge that runs north."""
    wide = 0.01 / np.cos(np.radians(lat))
    shapes = Shapes([zone("z", square(lon, lat - 0.01, lon + wide, lat + 0.01))])
    west = lon - off_m * METRE / np.cos(np.radians(lat))
    assert shapes.edge_m(0, west, lat) == pytest.approx(haversine_m(lat, west, lat, lon), rel=1e-3, abs=0.01)


def test_no_zones() -> None:
    """Nothing configured."""
    assert inside(Shapes(()), [(0, 0)]).shape == (1, 0)
    assert not ZoneRows().mask(("a",), 3).any()


def test_rows_grow_and_are_forgotten() -> None:
    """A row used again by another unit is not where the first one was."""
    rows = ZoneRows(["a", "b"])
    rows.room(2)
    rows.inside[1, 1] = rows.known[1] = True
    assert rows.mask(("b", "nowhere"), 5).tolist() == [False, True, False, False, False]
    assert not rows.mask(("a",), 2).any()
    rows.clear(1)
    rows.clear(99)
    assert not rows.mask(("b",), 5).any()
    assert not rows.known.any()
