"""Zones read from GeoJSON, or refused with file, feature and reason."""

from __future__ import annotations

import json

import pytest

from gateway.errors import ConfigError
from gateway.feed.zones import VERTICES_MAX, Naming, parse
from tests.feed.schema import SHARED
from tests.feed.squares import feature, file_of, square

RING = [list(point) for point in square(0, 0, 1, 1)]


def test_the_wards_of_peterborough() -> None:
    """As the statistics office publishes them: ids and names found without being told."""
    text = (SHARED / "data/peterborough_wards.geojson").read_bytes()
    wards = parse(text, "wards.geojson", Naming(kind="ward"))
    assert (len(wards), wards[0].id, wards[0].name) == (24, "ward:E05002169", "Barnack")
    coordinates = json.loads(text)["features"][0]["geometry"]["coordinates"]
    assert json.loads(json.dumps(wards[0].polygons[0])) == [[point[:2] for point in ring] for ring in coordinates]


@pytest.mark.parametrize(
    ("naming", "more", "expected"),
    [
        (Naming(), {}, ("a", "Ay")),
        (Naming(kind="beat"), {}, ("beat:a", "Ay")),
        (Naming(), {"id": 7, "properties": None}, ("7", "7")),
        (Naming(id="no", name="called"), {"properties": {"no": 12, "called": "Bee"}}, ("12", "Bee")),
        (Naming(), {"id": None, "properties": {"code": "C-1"}}, ("C-1", "C-1")),
        (Naming(), {"id": None, "properties": {"WD13CD": "E05", "WD13NM": "Park"}}, ("ward:E05", "Park")),
        (Naming(id="WD13CD"), {"id": None, "properties": {"WD13CD": "E05"}}, ("E05", "E05")),
    ],
)
def test_ids_and_names(naming, more, expected) -> None:
    """The feature's own id, or the property that is named or says so."""
    (found,) = parse(file_of(feature(RING, **more)), "z", naming)
    assert (found.id, found.name) == expected


def test_many_polygons_holes_heights_and_a_single_feature() -> None:
    """Whatever RFC 7946 allows; heights are left out."""
    many = {"type": "MultiPolygon", "coordinates": [[RING, RING], [[[*point, 9.5] for point in RING]]]}
    (found,) = parse(json.dumps(feature(RING, geometry=many)).encode(), "z")
    assert found.polygons == ((square(0, 0, 1, 1),) * 2, (square(0, 0, 1, 1),))


def test_a_property_that_is_named_and_not_there_is_no_other() -> None:
    """A slip in zone_id doesn't fall back on ids that no rule or agreement knows."""
    with pytest.raises(ConfigError, match="zone_id names a property 'WD13'"):
        parse(file_of(feature(RING)), "z", Naming(id="WD13"))


BAD = [
    (b"{", "is not JSON"),
    (b"[]", "no GeoJSON"),
    (file_of(), "has no feature"),
    (json.dumps({"type": "FeatureCollection"}).encode(), "features: is no list"),
    (file_of(feature(RING), crs={"properties": {"name": "urn:ogc:def:crs:EPSG::27700"}}), "crs: is not WGS 84"),
    (file_of(7), r"feature\[0\]: is no Feature"),
    (file_of(feature(RING, id=None)), r"feature\[0\] \(Ay\): has no id: give zone_id"),
    (file_of(feature(RING, id="a,b")), "'a,b' is no id"),
    (file_of(feature(RING), feature(RING)), r"feature\[1\]: the id 'a' stands twice"),
    (file_of(feature(RING, geometry=None)), r"feature\[0\] \(Ay\): geometry: nothing"),
    (file_of(feature(RING, "LineString")), "geometry: LineString"),
    (file_of(feature(RING[:-1])), "ring 0: is not closed"),
    (file_of(feature([RING[0], RING[1], RING[0]])), "fewer than four"),
    (file_of(feature([])), "ring 0: is no list"),
    (file_of(feature([*RING[:2], [1, "2"], *RING[3:]])), r"ring 0, position 2: is not \[longitude"),
    (file_of(feature([*RING[:2], [True, 2], *RING[3:]])), "position 2"),
    (file_of(feature([[519_000, 298_000]] * 4)), "519000, 298000 are not degrees"),
    (file_of(feature(square(-179, 0, 179, 1))), "antimeridian"),
    (file_of(feature([*RING[:2], [1], *RING[3:]], "MultiPolygon")), "polygon 0, ring 0, position 2"),
    (file_of(feature([*([0, 0] for _ in range(VERTICES_MAX)), *RING])), "vertices; at most 100000"),
]


@pytest.mark.parametrize(("text", "problem"), BAD, ids=[problem for _, problem in BAD])
def test_what_is_no_zone_is_named(text, problem) -> None:
    """File, feature and reason."""
    with pytest.raises(ConfigError, match=problem) as refused:
        parse(text, "wards.geojson")
    assert str(refused.value).startswith("wards.geojson: map.zones")
