"""GeoJSON Features, collections and lines of JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from drivers.beacon.topics import Topics
from drivers.beacon.wire import read
from gateway.domain.events import EmergencyReport, PositionReport
from tests.drivers.links.rig import NOW

TOPICS = Topics()
TOPIC = "lapel/v1/beacon/bcn-0931/position"


def feature(coordinates: object = (-0.24, 52.5, 11), **properties) -> dict:
    """A Feature with a Point."""
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": coordinates},
        "properties": {"fix_time": "2026-11-21T21:05:28Z"} | properties,
    }


def test_a_feature():
    """Longitude comes first; properties by our names or by others'."""
    (event,) = read(TOPICS, TOPIC, json.dumps(feature(accuracy=8, heading_deg=87.5)).encode(), NOW).events
    assert (event.fix.latitude, event.fix.longitude, event.fix.altitude_m) == (52.5, -0.24, 11)
    assert (event.fix.accuracy_m, event.fix.heading_deg) == (8, 87.5)
    assert event.stamp.device_time == datetime(2026, 11, 21, 21, 5, 28, tzinfo=UTC)


def test_only_the_geometry_says_where():
    """A latitude among the properties counts for nothing."""
    (event,) = read(TOPICS, TOPIC, json.dumps(feature(latitude=1.0, longitude=1.0, lat=9)).encode(), NOW).events
    assert (event.fix.latitude, event.fix.longitude) == (52.5, -0.24)


def test_an_sos_with_and_without_a_place():
    """The emergency first; a Feature without geometry is a beacon indoors."""
    first, second = read(TOPICS, TOPIC, json.dumps(feature(sos=True)).encode(), NOW).events
    assert isinstance(first, EmergencyReport)
    assert isinstance(second, PositionReport)
    (alone,) = read(TOPICS, TOPIC, json.dumps(feature(sos=True) | {"geometry": None}).encode(), NOW).events
    assert isinstance(alone, EmergencyReport)


@pytest.mark.parametrize(
    ("geometry", "problem"),
    [
        ({"type": "LineString", "coordinates": [[0, 1], [1, 2]]}, "geometry: is no Point"),
        ("here", "geometry: is no Point"),
        ({"type": "Point", "coordinates": [1]}, "geometry.coordinates"),
        ({"type": "Point", "coordinates": [-0.24, 99]}, "latitude: 99.0 is out of range"),
        ({"type": "Point", "coordinates": ["x", 52]}, "longitude"),
        ({"type": "Point", "coordinates": [0, 0]}, "exactly 0, 0"),
        (None, "latitude: missing"),
    ],
)
def test_what_is_refused(geometry, problem):
    """The member is named."""
    reading = read(TOPICS, TOPIC, json.dumps(feature() | {"geometry": geometry}).encode(), NOW)
    assert reading.events == ()
    assert problem in str(reading.problems[0])


def test_a_collection_is_a_batch():
    """Each Feature by itself: one bad one costs the others nothing."""
    collection = {"type": "FeatureCollection", "features": [feature(), feature((500, 1)), 7, feature((-0.3, 52.6))]}
    reading = read(TOPICS, TOPIC, json.dumps(collection).encode(), NOW)
    assert [event.fix.latitude for event in reading.events] == [52.5, 52.6]
    assert len(reading.problems) == 2
    assert "features" in str(read(TOPICS, TOPIC, b'{"type":"FeatureCollection","features":1}', NOW).problems[0])


def test_objects_a_line():
    """As gpsd prints them: reports without a position say nothing."""
    report = {"class": "TPV", "mode": 3, "time": "2026-11-21T21:05:28Z", "lat": 52.5, "lon": -0.24}
    version = {"class": "VERSION", "release": "3.22"}
    payload = b"\n".join(json.dumps(each).encode() for each in (version, report, report | {"lat": 95}, report))
    reading = read(TOPICS, TOPIC, payload, NOW)
    assert [event.fix.latitude for event in reading.events] == [52.5, 52.5]
    assert len(reading.problems) == 1


def test_one_bad_element_of_an_array():
    """The others count."""
    good = {"_type": "location", "lat": 52.5, "lon": -0.24, "tst": 1795295128}
    reading = read(TOPICS, TOPIC, json.dumps([good, 5, good | {"tst": 0}, good]).encode(), NOW)
    assert (len(reading.events), len(reading.problems)) == (2, 2)


def test_a_pretty_printed_object_is_one():
    """Newlines inside are no lines of their own."""
    assert len(read(TOPICS, TOPIC, json.dumps(feature(), indent=2).encode(), NOW).events) == 1
