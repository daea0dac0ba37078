"""Properties of the beacon wire: nothing is raised, nothing true is lost, an SOS always comes out."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.beacon.decode import beacon
from drivers.beacon.wire import Topics, read
from gateway.domain.events import EmergencyReport
from tests.drivers.links.rig import NOW

TOPICS = Topics()
TOPIC = "lapel/v1/beacon/bcn-1/position"
QUIET = settings(derandomize=True, deadline=None)
NUMBERS = st.one_of(st.floats(), st.integers(), st.text(max_size=8), st.none(), st.booleans(), st.just("NaN"))
WORDS = "_type class lat lon tst acc alt vel cog batt t event latitude longitude fix_time accuracy_m battery_pct sos v"
KEYS = st.sampled_from(WORDS.split())
JSON = st.recursive(
    NUMBERS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)
LATITUDE, LONGITUDE = st.floats(-90, 90), st.floats(-180, 180)


@given(st.binary(max_size=300), st.sampled_from([TOPIC, "owntracks/a/b", "x", "lapel/v1/beacon/ /position"]))
@QUIET
def test_any_bytes_give_a_reading(payload, topic):
    """Never an exception; without a problem every event is whole."""
    reading = read(TOPICS, topic, payload, NOW)
    assert reading.problems or all(event.origin.device for event in reading.events)


@given(
    st.one_of(st.dictionaries(KEYS, JSON, max_size=8), st.lists(st.dictionaries(KEYS, JSON, max_size=6), max_size=4))
)
@QUIET
def test_any_json_gives_positions_in_range_or_a_problem(body):
    """What passes is a position on earth, and not 0,0."""
    reading = read(TOPICS, TOPIC, json.dumps(body).encode(), NOW)
    for event in reading.events:
        if event.fix is not None:
            assert -90 <= event.fix.latitude <= 90
            assert -180 <= event.fix.longitude <= 180
            assert (event.fix.latitude, event.fix.longitude) != (0, 0)
            assert event.fix.heading_deg is None or 0 <= event.fix.heading_deg < 360
            assert event.fix.speed_mps is None or event.fix.speed_mps >= 0
        else:
            assert isinstance(event, EmergencyReport) or (isinstance(body, list) or body.get("class") == "TPV")


@given(st.dictionaries(KEYS, JSON, max_size=8), st.sampled_from([True, 1, "true", "yes", [1], {"a": 1}]), st.booleans())
@QUIET
def test_an_sos_always_comes_out_first(body, sos, in_array):
    """Whatever its neighbours are, cut short or not."""
    body.pop("sos", None)
    payload = json.dumps({"sos": sos, **body}).encode()
    whole = b"[" + payload + b"]" if in_array else payload
    for sent in (whole, payload[:-1]):
        events = read(TOPICS, TOPIC, sent, NOW).events
        assert isinstance(events[0], EmergencyReport)
        assert sum(isinstance(event, EmergencyReport) for event in events) == 1


@given(LATITUDE, LONGITUDE, st.integers(1, 4_000_000_000), st.floats(0, 400), st.booleans())
@QUIET
def test_a_good_owntracks_location_is_read_as_it_was_written(latitude, longitude, tst, velocity, quoted):
    """Numbers or text, the same position."""
    values = {"lat": latitude, "lon": longitude, "tst": tst, "vel": velocity}
    body = {"_type": "location", **{key: repr(value) if quoted else value for key, value in values.items()}}
    reading = read(TOPICS, TOPIC, json.dumps(body).encode(), NOW)
    if latitude == 0 and longitude == 0:
        assert reading.problems
        return
    (event,) = reading.events
    assert (event.fix.latitude, event.fix.longitude) == (latitude, longitude)
    assert event.stamp.device_time.timestamp() == tst
    assert abs(event.fix.speed_mps * 3.6 - velocity) < 1e-9 * max(1, velocity)


@given(st.lists(st.binary(max_size=60), max_size=6))
@QUIET
def test_decode_never_raises(lines):
    """One bad line is one error."""
    for shown in beacon(lines):
        assert ("error" in shown) != ("event" in shown)
