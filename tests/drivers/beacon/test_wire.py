"""Beacon payloads: both formats, what real apps send, and what is refused by name."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from drivers.beacon.wire import PAYLOAD_LIMIT, Topics, decode, read
from gateway.domain.events import EmergencyReport, PositionReport
from gateway.errors import WireError
from tests import peers
from tests.drivers.links.rig import NOW

PLAIN = "lapel/v1/beacon/bcn-0931/position"
OWN = "owntracks/bcn-0932/phone"
TOPICS = Topics()


def plain(**keys) -> bytes:
    """A plain position with keys changed; None leaves a key out."""
    body = {"v": 1, "fix_time": "2026-11-21T21:05:28.885Z", "latitude": 52.5, "longitude": -0.24} | keys
    return json.dumps({key: value for key, value in body.items() if value is not None}).encode()


def own(**keys) -> bytes:
    """An OwnTracks location with keys changed; None leaves a key out."""
    body = {"_type": "location", "lat": 52.5, "lon": -0.24, "tst": 1795295128} | keys
    return json.dumps({key: value for key, value in body.items() if value is not None}).encode()


def one(topic: str, payload: bytes) -> PositionReport:
    """The single position in a payload."""
    (event,) = decode(TOPICS, topic, payload, NOW)
    assert isinstance(event, PositionReport)
    return event


def test_plain_position():
    """Every key."""
    report = one(PLAIN, plain(accuracy_m=8, altitude_m=11, heading_deg=87.5, speed_mps=1.4, battery_pct=64, sos=False))
    assert (report.fix.latitude, report.fix.longitude) == (52.5, -0.24)
    assert (report.fix.accuracy_m, report.fix.altitude_m) == (8, 11)
    assert (report.fix.heading_deg, report.fix.speed_mps, report.battery_pct) == (87.5, 1.4, 64)
    assert report.stamp.device_time == datetime(2026, 11, 21, 21, 5, 28, 885000, UTC)
    assert (report.stamp.quality, report.source, report.origin.device) == ("device", "mqtt", "bcn-0931")
    assert report.stamp.arrived == NOW


def test_owntracks_location():
    """km/h become metres a second; t is the reason."""
    report = one(OWN, own(acc=9, vel=36, cog=88, batt=80, alt=-3, t="u", tid="32"))
    assert report.fix.speed_mps == pytest.approx(10.0)
    assert (report.fix.heading_deg, report.fix.accuracy_m, report.fix.altitude_m) == (88, 9, -3)
    assert (report.battery_pct, report.reason, report.origin.device) == (80, "u", "bcn-0932")
    assert report.stamp.device_time == datetime.fromtimestamp(1795295128, UTC)


def test_the_wire_examples_are_read():
    """Every beacon line of the shared examples."""
    path = peers.shared("examples/wire/telemetry.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    beacons = [line for line in lines if "camera" not in line["topic"]]
    assert len(beacons) == 3
    for line in beacons:
        events = decode(TOPICS, line["topic"], json.dumps(line["payload"]).encode(), NOW)
        assert events
        assert isinstance(events[0], EmergencyReport) is bool(line["payload"].get("sos"))


def test_content_decides_not_the_topic():
    """OwnTracks JSON on the plain topic and the other way round."""
    assert one(PLAIN, own()).origin.device == "bcn-0931"
    assert one(OWN, plain()).origin.device == "bcn-0932"


def test_numbers_as_text():
    """Old phones quote them."""
    report = one(OWN, b'{"_type":"location","lat":"48.1","lon":"2.5","tst":"1754215100","batt":"77"}')
    assert (report.fix.latitude, report.fix.longitude, report.battery_pct) == (48.1, 2.5, 77)


def test_an_array_of_messages_gives_all_of_them():
    """An offline queue in one payload, pretty-printed."""
    reading = read(TOPICS, OWN, b"[\n " + own(tst=1) + b",\n " + own(tst=2) + b"]", NOW)
    assert [event.stamp.device_time.timestamp() for event in reading.events] == [1, 2]
    assert reading.problems == ()


def test_a_bad_element_does_not_take_the_good_ones_with_it():
    """Good events come out beside the problem."""
    reading = read(TOPICS, OWN, b"[" + own() + b"," + own(lat=91) + b"]", NOW)
    assert len(reading.events) == 1
    assert "lat: 91.0 is out of range" in str(reading.problems[0])


def test_a_transition_is_a_position():
    """With the event as its reason; without a position it says nothing."""
    report = one(OWN + "/event", own(_type="transition", event="enter"))
    assert report.reason == "transition enter"
    assert decode(TOPICS, OWN + "/event", own(_type="transition", lat=None, lon=None), NOW) == ()


@pytest.mark.parametrize("kind", ["lwt", "card", "waypoint", "waypoints", "status", "cmd"])
def test_other_owntracks_types_say_nothing(kind):
    """Known, and no position."""
    assert decode(TOPICS, OWN, json.dumps({"_type": kind, "tst": 1}).encode(), NOW) == ()


@pytest.mark.parametrize("payload", [b"", b"  ", b"\n"])
def test_an_empty_payload_says_nothing(payload):
    """It clears a retained message."""
    assert decode(TOPICS, OWN, payload, NOW) == ()


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (own(lat=None), "lat: missing"),
        (own(lon=None), "lon: missing"),
        (own(tst=None), "tst: missing"),
        (own(tst=0), "tst: 0.0"),
        (own(tst=-5), "tst: -5.0"),
        (own(tst=1e300), "tst:"),
        (own(lat=91), "lat: 91.0 is out of range"),
        (own(lon=-181), "lon: -181.0 is out of range"),
        (own(lat=0, lon=0), "lat, lon: exactly 0, 0"),
        (own(lat="nan"), "lat:"),
        (own(lat="inf"), "lat:"),
        (own(lat="here"), "lat:"),
        (own(lat=True), "lat:"),
        (own(tst="yesterday"), "tst:"),
        (own(_type="encrypted", data="AAAA"), "cannot be opened"),
        (own(_type="teleport"), "'teleport' is unknown"),
        (own(_type=7), "_type:"),
        (plain(latitude=None), "latitude: missing"),
        (plain(longitude=None), "longitude: missing"),
        (plain(latitude=-90.1), "latitude:"),
        (plain(latitude=0, longitude=0), "latitude, longitude: exactly 0, 0"),
        (plain(fix_time="2026-11-21T21:05:28"), "fix_time: has no time zone"),
        (plain(fix_time="noon"), "fix_time:"),
        (plain(fix_time="0001-01-01T00:00:00+14:00"), "fix_time:"),
        (b'{"latitude":NaN,"longitude":1}', "payload: not a JSON object"),
        (b'{"latitude":1', "payload: not a JSON object"),
        (b"\xff\xfe\x00", "payload: not a JSON object"),
        (b'{"a":' * 5000, "payload: not a JSON object"),
        (b"7", "payload: not a JSON object"),
        (b"[7]", "payload: not a JSON object"),
        (b"null", "payload: not a JSON object"),
        (b"$GPRMC,120000,A,5234.4,N,00014.4,W,0,0,211126,,*00", "invalid checksum 00"),
        (b'{"class":"TPV","mode":3,"status":8,"lat":52.5,"lon":1}', "simulated"),
        (b'{"class":"TPV","mode":3,"lat":52.5}', "lon: missing"),
        (b'{"class":"TPV","mode":"x","lat":52.5,"lon":1}', "mode:"),
        (b'{"class":"TPV","mode":3,"lat":52.5,"lon":1,"time":"noon"}', "time:"),
        (b" " * (PAYLOAD_LIMIT + 1) + b"{}", "payload: 262147 bytes"),
    ],
)
def test_what_is_no_position_is_refused_by_name(payload, problem):
    """A WireError that names the field."""
    reading = read(TOPICS, PLAIN, payload, NOW)
    assert reading.events == ()
    with pytest.raises(WireError) as caught:
        decode(TOPICS, PLAIN, payload, NOW)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        ({"accuracy_m": -1}, "accuracy_m"),
        ({"speed_mps": -0.1}, "speed_mps"),
        ({"heading_deg": 361}, "heading_deg"),
        ({"heading_deg": -1}, "heading_deg"),
        ({"altitude_m": "high"}, "altitude_m"),
        ({"accuracy_m": "inf"}, "accuracy_m"),
    ],
)
def test_an_odd_extra_costs_the_extra_not_the_position(keys, name):
    """Unknown is None."""
    report = one(PLAIN, plain(**keys))
    assert getattr(report.fix, name) is None
    assert report.fix.latitude == 52.5


@pytest.mark.parametrize(
    ("battery", "expected"), [(0, 0), (100, 100), (64.4, 64), (101, None), (-1, None), ("full", None)]
)
def test_battery(battery, expected):
    """A percentage or unknown."""
    assert one(PLAIN, plain(battery_pct=battery)).battery_pct == expected


def test_north_is_zero():
    """360 degrees is 0."""
    assert one(PLAIN, plain(heading_deg=360)).fix.heading_deg == 0


def test_without_fix_time_the_gateways_clock_counts():
    """Quality gateway."""
    report = one(PLAIN, plain(fix_time=None))
    assert (report.stamp.device_time, report.stamp.quality) == (None, "gateway")


def test_sos_comes_before_its_position():
    """The emergency first."""
    emergency, position = decode(TOPICS, PLAIN, plain(sos=True), NOW)
    assert isinstance(emergency, EmergencyReport)
    assert emergency.trigger == "beacon_sos"
    assert emergency.fix == position.fix
    assert emergency.stamp == position.stamp


def test_sos_without_a_position_is_no_problem():
    """A beacon indoors."""
    reading = read(TOPICS, PLAIN, b'{"v":1,"sos":true}', NOW)
    assert [event.fix for event in reading.events] == [None]
    assert reading.problems == ()


@pytest.mark.parametrize(
    "payload",
    [
        plain(sos=True, latitude="x"),
        plain(sos=True, latitude=95),
        plain(sos=True, latitude=0, longitude=0),
        plain(sos=True, longitude=None),
        plain(sos=True, fix_time="noon"),
        plain(sos="yes", latitude=95),
        plain(sos=1, fix_time="noon"),
        b'{"sos":true,"latitude":NaN,"longitude":NaN}',
        b'{"sos" : true, "latitude": 52.1',
        b'{"sos":"true"',
        b'[{"sos":true,"latitude":91,"longitude":1}]',
        b'{"class":"TPV","mode":3,"sos":true}',
        own(sos=True, tst=0),
        own(sos=True, _type="teleport"),
        b'{"sos":true,"x":"' + b"a" * PAYLOAD_LIMIT + b'"}',
    ],
)
def test_an_sos_is_never_lost(payload):
    """Whatever else is wrong: exactly one emergency, and the problem beside it."""
    reading = read(TOPICS, PLAIN, payload, NOW)
    alarms = [event for event in reading.events if isinstance(event, EmergencyReport)]
    assert len(alarms) == 1
    assert alarms[0].fix is None
    assert alarms[0].origin.device == "bcn-0931"
    assert reading.events[0] is alarms[0]
    assert reading.problems


def test_an_sos_on_a_topic_that_names_nobody_still_counts():
    """Origin without a device."""
    reading = read(TOPICS, "lapel/v1/beacon/bad id/position", plain(sos=True), NOW)
    assert [event.origin.device for event in reading.events] == [None]
    assert "not a valid device id" in str(reading.problems[0])


@pytest.mark.parametrize("calm", [b"false", b"0", b"null", b'"false"', b'""', b'"no"', b' "off"'])
def test_a_plain_no_is_no_sos(calm):
    """Calm stays calm, in a broken message too."""
    assert read(TOPICS, PLAIN, b'{"sos":' + calm + b',"latitude":95}', NOW).events == ()


@pytest.mark.parametrize(
    "topic",
    ["lapel/v1/beacon//position", "lapel/v1/beacon/gateway/position", "lapel/v1/beacon/-x/position", "other/x", ""],
)
def test_a_topic_without_a_device_is_a_problem(topic):
    """Named, never raised out of read."""
    with pytest.raises(WireError, match="topic"):
        decode(TOPICS, topic, plain(), NOW)
    assert TOPICS.device(topic) is None


def test_topics_of_a_site_of_its_own():
    """The first + names the device; # and shared subscriptions work."""
    topics = Topics(["site/+/gps/#", "$share/gw/pos/+"], "b")
    assert topics.origin("site/dev1/gps/a/b").device == "dev1"
    assert topics.origin("pos/dev2").device == "dev2"
    assert topics.origin("pos/dev2").via == "b"
    assert topics.device("site/dev1") is None


def test_a_topic_filter_that_names_no_device_is_refused():
    """ValueError at start."""
    with pytest.raises(ValueError, match="no '\\+' level"):
        Topics(["site/gps"])


def test_many_topics_do_not_fill_memory():
    """The cache of topics is bounded."""
    topics = Topics()
    for number in range(10_000):
        topics.origin(f"lapel/v1/beacon/d{number}/position")
    assert len(topics._known) <= 4096


@pytest.mark.parametrize("kind", ["lwt", "transition", "status"])
def test_an_sos_on_a_message_without_a_position_comes_out(kind):
    """Types that say nothing else."""
    (event,) = decode(TOPICS, OWN, json.dumps({"_type": kind, "sos": True}).encode(), NOW)
    assert isinstance(event, EmergencyReport)


def test_gpsd_tpv():
    """Metres a second, degrees, eph as accuracy, altMSL before alt."""
    report = one(
        PLAIN,
        b'{"class":"TPV","device":"/dev/gps0","mode":3,"time":"2026-11-21T21:05:28.000Z","lat":52.5,"lon":-0.24,'
        b'"alt":50.0,"altMSL":11.5,"speed":1.4,"track":87.5,"eph":7.2,"leapseconds":18}',
    )
    assert (report.fix.latitude, report.fix.longitude, report.fix.altitude_m) == (52.5, -0.24, 11.5)
    assert (report.fix.speed_mps, report.fix.heading_deg, report.fix.accuracy_m) == (1.4, 87.5, 7.2)
    assert report.stamp.device_time == datetime(2026, 11, 21, 21, 5, 28, tzinfo=UTC)


@pytest.mark.parametrize("mode", [0, 1, None])
def test_gpsd_without_a_fix_says_that_there_is_none(mode):
    """Mode below 2: whatever position it carries is stale."""
    report = one(PLAIN, json.dumps({"class": "TPV", "mode": mode, "lat": 52.5, "lon": 1}).encode())
    assert report.fix is None


@pytest.mark.parametrize("kind", ["SKY", "VERSION", "WATCH", "DEVICES"])
def test_other_gpsd_classes_say_nothing(kind):
    """No position in them."""
    assert decode(TOPICS, PLAIN, json.dumps({"class": kind, "time": "2026-11-21T21:05:28Z"}).encode(), NOW) == ()


def test_an_sos_from_gpsd_comes_first():
    """With and without a fix."""
    placed = decode(TOPICS, PLAIN, b'{"class":"TPV","mode":2,"lat":1,"lon":2,"sos":true}', NOW)
    unplaced = decode(TOPICS, PLAIN, b'{"class":"TPV","mode":1,"sos":true}', NOW)
    assert [type(event) for event in (*placed, *unplaced)] == [EmergencyReport, PositionReport] * 2


@pytest.mark.parametrize("keys", [{"status": "ok"}, {"mode": "walk"}, {"time": "noon"}, {"speed": {}}])
def test_keys_of_another_format_cost_nothing(keys):
    """A plain position with a word of its own under gpsd's key."""
    assert one(PLAIN, plain(**keys)).fix.latitude == 52.5
    assert one(OWN, own(**keys)).fix.latitude == 52.5
