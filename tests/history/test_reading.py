"""Reading copies: CSV that a spreadsheet does not run, GPX that parses, positions however deep they lie."""

from __future__ import annotations

import csv
import io
from xml.etree import ElementTree as ET

from gateway.history.reading import Position, gpx, positions_in, table

NS = {"g": "http://www.topografix.com/GPX/1/1"}


def test_positions_are_found_however_deep() -> None:
    """In lists and objects; one without both coordinates is none, and a truth value is no number."""
    here = {"latitude": 1.5, "longitude": -2}
    decoded = [{"item": "sds", "sds": {"lip": here}}, {"latitude": None, "longitude": 3}, {"latitude": True}]
    assert list(positions_in(decoded)) == [here]


def test_a_table_is_quoted_and_runs_nothing() -> None:
    """Numbers as they are, also negative ones; text that begins like a formula has an apostrophe."""
    said = {"latitude": 52.5, "longitude": -0.24, "time": "=HYPERLINK()", "speed_mps": "fast"}
    rows = list(csv.DictReader(io.StringIO(table([Position.of(1, 7, "at", "@me", said)]).decode(), newline="")))
    assert rows[0]["longitude"] == "-0.24"
    assert rows[0]["who"] == "'@me"
    assert rows[0]["device_time"] == "'=HYPERLINK()"
    assert rows[0]["speed_mps"] == ""


def test_a_track_has_the_points_that_have_a_place() -> None:
    """By the device's own time where it gave one; names are escaped."""
    points = [
        Position(1, 0, "2026-11-21T21:30:00Z", "bcn-1", "raw", None, 52.5, -0.24),
        Position(1, 1, "2026-11-21T21:31:00Z", "bcn-1", "digest"),
        Position(1, 2, "2026-11-21T21:32:00Z", "bcn-1", "raw", "2026-11-21T21:31:59Z", 52.6, -0.25),
    ]
    tree = ET.fromstring(gpx(points, "<&> bcn-1"))
    assert tree.findtext("g:trk/g:name", "", NS) == "<&> bcn-1"
    found = [(each.get("lat"), each.findtext("g:time", "", NS)) for each in tree.iterfind(".//g:trkpt", NS)]
    assert found == [("52.5", "2026-11-21T21:30:00Z"), ("52.6", "2026-11-21T21:31:59Z")]
