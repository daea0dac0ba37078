"""Tracks in and out: the forms cameras use, what is wrong named by its place, never a guess."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from geojson_pydantic import Feature
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import WireError
from gateway.evidence import track
from gateway.evidence.track import Point

BEGAN = datetime(2026, 11, 21, 21, 5, 3, tzinfo=UTC)
ENTRY = {"LocationWKT": "POINT(13.2 55.7)", "SecondsFromStart": 64.0, "Timestamp": "2022-08-23T11:48:10Z"}
PAIRS = [[-0.24, 52.57], [-0.25, 52.58]]
TEXTS = ["2026-11-21T21:05:03Z", "2026-11-21T21:05:33Z"]


def test_an_axis_trail() -> None:
    """Longitude first; its time stamp counts, else the seconds from the start."""
    without = {name: part for name, part in ENTRY.items() if name != "Timestamp"}
    points = track.read({"CoordinateEntries": [ENTRY, without]}, BEGAN)
    assert points == [
        Point(13.2, 55.7, None, datetime(2022, 8, 23, 11, 48, 10, tzinfo=UTC)),
        Point(13.2, 55.7, None, BEGAN + timedelta(seconds=64)),
    ]
    assert track.read({"CoordinateEntries": [without]})[0].at is None


@pytest.mark.parametrize(
    "found",
    [
        {"type": "LineString", "coordinates": PAIRS, "times": TEXTS},
        {"type": "MultiPoint", "coordinates": PAIRS, "coordTimes": TEXTS},
        {
            "type": "Feature",
            "geometry": {"type": "LineString", "coordinates": PAIRS},
            "properties": {"coordTimes": TEXTS},
        },
        {
            "type": "Feature",
            "geometry": {"type": "LineString", "coordinates": PAIRS},
            "properties": {"coordinateProperties": {"times": TEXTS}},
        },
        {
            "type": "FeatureCollection",
            "features": [
                {"type": "Feature", "geometry": {"type": "Point", "coordinates": pair}, "properties": {"time": text}}
                for pair, text in zip(PAIRS, TEXTS, strict=True)
            ],
        },
        {"type": "MultiLineString", "coordinates": [[PAIRS[0]], [PAIRS[1]]], "coordTimes": [[TEXTS[0]], [TEXTS[1]]]},
    ],
)
def test_forms_of_geojson(found: dict[str, Any]) -> None:
    """All of them are the same two places and times."""
    points = track.read(found)
    assert [[point.longitude, point.latitude] for point in points] == PAIRS
    assert [point.at for point in points] == [BEGAN, BEGAN + timedelta(seconds=30)]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([], "not a JSON object"),
        ({}, "type"),
        ({"type": "Polygon", "coordinates": []}, "'Polygon' is no track"),
        ({"type": "LineString", "coordinates": []}, "has no point"),
        ({"type": "LineString", "coordinates": 7}, "coordinates: not a list"),
        ({"type": "LineString", "coordinates": [[0.1, 1], [181, 0]]}, "coordinates[1]: 181.0, 0.0 is off the globe"),
        ({"type": "LineString", "coordinates": [[float("nan"), 1]]}, "coordinates[0]"),
        ({"type": "LineString", "coordinates": [[True, 1]]}, "coordinates[0]"),
        ({"type": "LineString", "coordinates": PAIRS, "times": TEXTS[:1]}, "2 places and 1 times"),
        ({"type": "LineString", "coordinates": PAIRS, "times": ["noon", "one"]}, "coordinates[0]"),
        ({"type": "Feature", "geometry": None}, "geometry: is missing"),
        ({"CoordinateEntries": [ENTRY, {"LocationWKT": "POINT(1)"}]}, "CoordinateEntries[1].LocationWKT"),
        ({"CoordinateEntries": [{"LocationWKT": "POINT(a b)"}]}, "track"),
        ({"CoordinateEntries": "x"}, "not a list"),
    ],
)
def test_what_is_wrong_is_named(found: object, said: str) -> None:
    """By its place."""
    with pytest.raises(WireError) as wrong:
        track.read(found, BEGAN)
    assert said in str(wrong.value)


@given(st.binary(max_size=200) | st.text(max_size=80).map(str.encode))
def test_a_side_file_of_anything(content: bytes) -> None:
    """Read, or a WireError; nothing else."""
    with contextlib.suppress(WireError):
        track.read_file(content)


PLACES = st.builds(
    Point,
    st.floats(-180, 180),
    st.floats(-90, 90),
    st.none() | st.floats(-100, 9000),
    st.none()
    | st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)).map(lambda at: at.replace(tzinfo=UTC, microsecond=0)),
)


@given(st.lists(PLACES, min_size=2, max_size=12))
def test_out_and_in_again(points: list[Point]) -> None:
    """GeoJSON that others accept; read back it is the same where every place has a time, or none has."""
    body = json.loads(json.dumps(track.geojson(points, "X-1")))
    Feature.model_validate(body)
    timed = [point.at is not None for point in points]
    if all(timed) or not any(timed):
        assert track.read(body) == points
    found = ET.fromstring(track.gpx(points, 'X-<1>&"')).findall(".//{*}trkpt")
    assert len(found) == len(points)
    assert all(
        abs(float(each.attrib["lat"]) - point.latitude) < 1e-7 for each, point in zip(found, points, strict=True)
    )


def test_one_place() -> None:
    """A point is no line."""
    body = track.geojson([Point(1.0, 2.0)], "X-1")
    assert body["geometry"] == {"type": "Point", "coordinates": [1.0, 2.0]}
    assert track.read(body) == [Point(1.0, 2.0)]
