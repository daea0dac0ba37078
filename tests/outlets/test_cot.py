"""CoT events: what the reference asks of each attribute, the samples, and any text that a roster may hold."""

from __future__ import annotations

import json
import re
from datetime import datetime
from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.time import from_rfc3339
from gateway.outlets import cot
from tests import peers
from tests.outlets.cot_features import LOOK, feature, pressed

NOW = from_rfc3339("2026-11-21T23:31:00Z")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
NCNAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
QOS = re.compile(r"\d-[rfi]-[gdc]")
PLACES = st.tuples(st.floats(-180, 180), st.floats(-90, 90))
POSITIVE = st.none() | st.floats(0, 1e9)


def unit(**more) -> cot.Unit:
    """As decoded from the feed."""
    return msgspec.convert(feature(**more), cot.Unit)


def emergency(**more) -> cot.Emergency:
    """As decoded from the feed."""
    return msgspec.convert(pressed(**more), cot.Emergency)


def moment(text: str) -> datetime:
    """One time of an event, in the form that every reader knows."""
    assert TIME.fullmatch(text)
    return from_rfc3339(text)


def checked(event: bytes) -> ET.Element:
    """An event that keeps to the schema facts."""
    assert event.startswith(b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<event ')
    assert event.endswith(b"</event>")
    assert event.count(b"</event>") == 1
    read = ET.fromstring(event)
    wanted = {"version", "uid", "type", "how", "time", "start", "stale", "qos", "opex"}
    assert set(read.attrib) == wanted
    assert read.get("version") == "2.0"
    assert QOS.fullmatch(read.get("qos"))
    assert re.fullmatch(r"[a-z0-9](-[A-Za-z0-9]+)+", read.get("type"))
    assert moment(read.get("time")) == moment(read.get("start"))
    moment(read.get("stale"))
    point = read.find("point")
    assert set(point.attrib) == {"lat", "lon", "hae", "ce", "le"}
    assert -90 <= float(point.get("lat")) <= 90
    assert -180 <= float(point.get("lon")) <= 180
    assert 0 <= float(point.get("ce")) <= cot.UNKNOWN
    for mark in read.iter("emergency"):
        assert NCNAME.fullmatch(mark.text)
    return read


def test_a_position_is_the_sample() -> None:
    """Event for event what the public schemas were checked with."""
    folder = peers.shared("examples/feed")
    whole = json.loads((folder / "unit.geojson").read_text())
    made = checked(cot.position(msgspec.convert(whole["features"][0], cot.Unit), LOOK))
    sample = ET.fromstring((folder / "cot_position.xml").read_bytes())
    sample.find("detail/__lapel").set("seq", "1000123")
    sample.find("detail/takv").set("device", "mqtt")
    assert ET.canonicalize(ET.tostring(made)) == ET.canonicalize(ET.tostring(sample))


@pytest.mark.parametrize(
    ("make", "file", "at"),
    [
        (cot.alert, "cot_emergency.xml", "2026-11-21T23:31:00Z"),
        (cot.cancelled, "cot_emergency_cancel.xml", "2026-11-21T23:36:00Z"),
    ],
)
def test_an_emergency_is_the_sample(make, file, at) -> None:
    """The alert beside the track, and its cancellation."""
    made = checked(make(emergency(), unit(), LOOK, from_rfc3339(at)))
    sample = ET.fromstring(peers.shared(f"examples/feed/{file}").read_bytes())
    assert ET.canonicalize(ET.tostring(made)) == ET.canonicalize(ET.tostring(sample))


@given(st.text(), st.text(), st.text(), PLACES, st.tuples(POSITIVE, POSITIVE, st.none() | st.floats(0, 359.999)))
def test_any_roster_makes_events(callsign, role, power, place, moving) -> None:
    """Whatever a callsign, a role or a power is made of."""
    accuracy_m, speed_mps, heading_deg = moving
    shown = unit(
        callsign=callsign, role=role, powers=[power], place=place, accuracy_m=accuracy_m, speed_mps=speed_mps,
        heading_deg=heading_deg, source=role,
    )  # fmt: skip
    read = checked(cot.position(shown, LOOK))
    legal = cot._ILLEGAL.sub("?", callsign)
    assert read.find("detail/contact").get("callsign") == legal
    assert read.find("detail/__lapel").get("powers") == cot._ILLEGAL.sub("?", power)
    track = read.find("detail/track")
    assert (track is None) == (heading_deg is None or speed_mps is None)
    assert track is None or 0 <= float(track.get("course")) < 360
    assert moment(read.get("start")) < moment(read.get("stale"))
    for made in (cot.alert(emergency(), shown, LOOK, NOW), cot.cancelled(emergency(), shown, LOOK, NOW)):
        assert checked(made).find("detail/contact").get("callsign") == f"{legal}-Alert"


def test_a_dropped_track_is_stale_before_it_starts() -> None:
    """At the place that the server had, and with nothing more of the unit."""
    read = checked(cot.dropped(unit(), LOOK, NOW))
    assert moment(read.get("stale")) < moment(read.get("start"))
    assert read.get("uid") == "LAPEL.PCC.CSO-014"
    assert [part.tag for part in read.find("detail")] == ["contact"]


def test_types_exercise_and_how() -> None:
    """A role's own type; an exercise says so in every event; a place that a person gave is estimated."""
    look = LOOK._replace(exercise=True, team="Red")
    read = checked(cot.position(unit(role="PC", source="manual"), look))
    assert (read.get("type"), read.get("opex"), read.get("how")) == ("a-f-G-U-U-L-C", "e", "h-e")
    assert read.find("detail/precisionlocation").get("geopointsrc") == "USER"
    assert read.find("detail/__group").get("name") == "Red"
    assert checked(cot.position(unit(source="lip"), LOOK)).get("how") == "m-r"
    for make in (cot.alert, cot.cancelled):
        read = checked(make(emergency(), unit(role="PC"), look, NOW))
        assert (read.get("opex"), read.get("qos")) == ("e", "9-i-g")
        assert read.find("detail/link").get("type") == "a-f-G-U-U-L-C"


def test_an_emergency_that_nobody_can_place_goes_out() -> None:
    """At no place, and it says so; without a unit, under a name of its own."""
    read = checked(cot.alert(emergency(unit=None), None, LOOK, NOW))
    point = read.find("point")
    assert (point.get("lat"), point.get("ce")) == ("0.0000000", "9999999.0")
    assert read.find("detail/remarks").text == "position unknown"
    assert (read.get("uid"), read.get("how")) == ("LAPEL.EM-1-9-1-1", "h-e")
    assert read.find("detail/link") is None
    assert read.find("detail/emergency").text == "EM-1"


@pytest.mark.parametrize(
    ("told", "lat"), [("2026-11-21T21:00:28Z", "52.5739210"), ("2026-11-21T21:00:29Z", "51.0000000"), (None, "52.5")]
)
def test_an_emergency_is_at_its_latest_place(told, lat) -> None:
    """Where it was told to be, or where its unit has moved to since."""
    place = told and {"latitude": 51.0, "longitude": 0.5, "accuracy_m": 3.0, "fix_time": told}
    read = checked(cot.alert(emergency(position=place), unit(), LOOK, NOW))
    assert read.find("point").get("lat").startswith(lat)


@pytest.mark.parametrize(
    ("away", "lat"), [(True, "51.0000000"), ("off", "51.0000000"), (False, "52.5739210"), (None, "52.5739210")]
)
def test_an_emergency_of_one_who_is_away_is_where_they_are(away, lat) -> None:
    """However new the position of the others is."""
    place = {"latitude": 51.0, "longitude": 0.5, "accuracy_m": 3.0, "fix_time": "2026-11-21T20:00:00Z"}
    raised = emergency(position=place, person="P-2")
    known = unit()
    named = "P-3" if away == "off" else raised.person
    who = ({"person": named, "away": away is True}, {"person": "P-9"}) if away is not None else ()
    members = msgspec.convert(who, tuple[cot.Member, ...])
    crew = msgspec.structs.replace(known, properties=msgspec.structs.replace(known.properties, members=members))
    assert checked(cot.alert(raised, crew, LOOK, NOW)).find("point").get("lat") == lat


@pytest.mark.parametrize(
    ("text", "name"), [("CSO14", "CSO14"), ("14 A", "_14_A"), ("", "_"), ("Ü-1", "_-1"), ("-x", "_-x"), ("é", "_")]
)
def test_callsigns_as_names(text, name) -> None:
    """No space, no leading digit, nothing that a client's schema refuses."""
    assert cot.ncname(text) == name


def test_a_unit_never_located_is_not_placed() -> None:
    """There is nothing to draw."""
    assert unit().placed
    assert not unit(place=None).placed
    assert not unit(fix_time=None).placed
