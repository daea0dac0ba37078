"""A track to be shown: pages that together are the whole, GeoJSON and GPX as other people's readers have them."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest
from geojson_pydantic import FeatureCollection
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.feed import track
from tests.feed.past import NOON_MS, fix

GPX = "{http://www.topografix.com/GPX/1/1}"
POINT_ORDER = ["ele", "time", "name", "type"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 20), st.sampled_from(["live", "late", "held", "kept"])), max_size=40),
    st.integers(1, 7),
)
def test_pages_together_are_the_whole(made, limit):
    """Whatever the times (many at once too): page by page each place and each outlier comes once, in order."""
    fixes = [fix(at, 52.0 + number * 1e-3, mark=mark) for number, (at, mark) in enumerate(sorted(made))]
    line, held, after = [], [], None
    for _ in range(len(fixes) + 1):
        page = track.page("U", fixes, 0.0, limit, after)
        line, held, after = [*line, *page.line], [*held, *page.held], page.next
        assert len(page.line) <= limit
        if after is None:
            break
    assert after is None
    assert line == [each for each in fixes if each.mark != "held"]
    assert sorted(held, key=fixes.index) == [each for each in fixes if each.mark == "held"]


@pytest.mark.parametrize("cursor", ["", "1", "1-", "-1", "a-1", "1-1-1", "9" * 16 + "-1"])
def test_no_cursor(cursor):
    """Whatever is none is refused in words."""
    with pytest.raises(ValueError, match="is no cursor"):
        track.page("U", [fix()], 0.0, 10, cursor)


def test_geojson():
    """A line with a time and facts for each place, outliers as points of their own."""
    fixes = [fix(0), fix(5, 52.6, mark="held"), fix(10, 52.5705, mark="late", altitude_m=12.5, quality="a,b")]
    body = json.loads(track.geojson(track.page("PCC.CSO-014", fixes, 0.0, 100, None)))
    FeatureCollection.model_validate(body)
    line, outlier = body["features"]
    assert line["geometry"]["type"] == "LineString"
    assert line["geometry"]["coordinates"] == [[-0.24, 52.57], [-0.24, 52.5705, 12.5]]
    assert line["properties"]["coordTimes"] == ["2026-11-21T12:00:00Z", "2026-11-21T12:00:10Z"]
    assert [each["mark"] for each in line["properties"]["fixes"]] == ["live", "late"]
    assert line["properties"]["fixes"][1]["quality"] == ["a", "b"]
    assert outlier["properties"]["mark"] == "held"
    assert outlier["geometry"]["coordinates"] == [-0.24, 52.6]
    about = body["lapel:track"]
    assert (about["fixes"], about["points"], about["held"], about["next"]) == (3, 2, 1, None)


def test_geojson_of_little():
    """One place is a Point, none is null: RFC 7946 knows no line of one place."""
    one = json.loads(track.geojson(track.page("U", [fix()], 0.0, 100, None)))
    assert one["features"][0]["geometry"] == {"type": "Point", "coordinates": [-0.24, 52.57]}
    none = json.loads(track.geojson(track.page("U", [], 0.0, 100, None)))
    assert none["features"][0]["geometry"] is None
    FeatureCollection.model_validate(none)


def test_gpx():
    """The schema's order: way points before the track, children of a point in theirs; a silence begins a segment."""
    fixes = [fix(0, altitude_m=3.0), fix(5, 52.6, mark="held"), fix(10, mark="late"), fix(10 + 901)]
    root = ET.fromstring(track.gpx(track.page("A&B", fixes, 0.0, 100, None)))
    assert (root.tag, root.get("version"), root.get("creator")) == (f"{GPX}gpx", "1.1", "Lapel")
    assert [each.tag for each in root] == [f"{GPX}wpt", f"{GPX}trk"]
    assert root.findtext(f"{GPX}trk/{GPX}name") == "A&B"
    assert [len(segment) for segment in root.iter(f"{GPX}trkseg")] == [2, 1]
    for point in [*root.iter(f"{GPX}wpt"), *root.iter(f"{GPX}trkpt")]:
        names = [each.tag.removeprefix(GPX) for each in point]
        assert names == [name for name in POINT_ORDER if name in names]
        assert -90 <= float(point.get("lat", "")) <= 90
    times = [each.findtext(f"{GPX}time") for each in root.iter(f"{GPX}trkpt")]
    assert times == ["2026-11-21T12:00:00Z", "2026-11-21T12:00:10Z", "2026-11-21T12:15:11Z"]


def test_simplified():
    """Places on the way are left out, how many there were is said."""
    fixes = [fix(number, 52.57 + number * 1e-5) for number in range(100)]
    page = track.page("U", fixes, 2.0, 100, None)
    assert ([each.fix_ms for each in page.line], page.read) == ([NOON_MS, NOON_MS + 99_000], 100)
