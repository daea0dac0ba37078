"""NMEA 0183: what gpsd made of the same bytes, and what is refused."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.beacon.decode import beacon
from drivers.beacon.topics import Topics
from drivers.beacon.wire import PAYLOAD_LIMIT, read
from gateway.domain.time import Instant
from tests import peers
from tests.drivers.links.rig import NOW

TOPICS = Topics()
TOPIC = "lapel/v1/beacon/bcn-0931/position"
RMC = b"$GNRMC,103607.00,A,5327.03942,N,00214.42462,W,0.046,,060321,,,A,V*0F"
GGA = "GPGGA,103607.00,5327.0394,N,00214.4246,W,1,06,5.88,56.0,M,48.5,M,,"


def sentence(body: str) -> bytes:
    """A body with its checksum (XOR of the bytes between $ and *)."""
    total = 0
    for byte in body.encode():
        total ^= byte
    return f"${body}*{total:02X}".encode()


def lines(name: str) -> list[bytes]:
    """A log of the shared vectors, comments left out."""
    return [line for line in peers.shared(f"vectors/nmea/{name}").read_bytes().splitlines() if line[:1] not in b"#"]


@pytest.mark.parametrize("name", ["humminbird-M37.log", "quectel-eg25-g.log"])
@pytest.mark.parametrize("together", [False, True], ids=["a line a message", "all in one"])
def test_every_position_that_gpsd_found(name, together):
    """Each distinct (lat, lon) of the .chk, within the nine digits that gpsd prints; none refused.

    All in one, sentences of one fix are one position, and only one of their roundings is kept.
    """
    chk = peers.shared(f"vectors/nmea/{name}.chk").read_text()
    wanted = {
        (said["lat"], said["lon"])
        for line in chk.splitlines()
        if line.startswith('{"class":"TPV"') and "lat" in (said := json.loads(line))
    }
    payloads = [b"\n".join(lines(name))] if together else lines(name)
    readings = [read(TOPICS, TOPIC, payload, NOW) for payload in payloads]
    assert [problem for reading in readings for problem in reading.problems] == []
    found = {(event.fix.latitude, event.fix.longitude) for reading in readings for event in reading.events}
    assert len(wanted) > 10
    near = 1e-5 if together else 2e-9
    for lat, lon in wanted:
        assert any(abs(lat - a) < near and abs(lon - b) < near for a, b in found), (lat, lon)


def test_malformed_lines_are_refused_each_with_its_reason():
    """A bad checksum beside a good line costs the good one nothing."""
    shown = list(beacon(lines("pygpsdata-nmeabadck.log")))
    assert [("error" in each) for each in shown] == [True, False, True]
    assert all("checksum" in each["error"] for each in shown if "error" in each)
    (ends,) = [each for each in beacon(lines("pygpsdata-badeof.log")) if "error" in each]
    assert "b'$'" in ends["error"]


def test_a_receivers_second_is_one_position():
    """RMC brings date, speed and course, GGA the altitude; a VTG and a DTM say nothing of where."""
    rmc = sentence("GNRMC,103607.00,A,5327.03942,N,00214.42462,W,19.438,87.5,060321,,,A,V")
    vtg = b"$GNVTG,,T,,M,0.046,N,0.085,K,A*32"
    (event,) = read(TOPICS, TOPIC, b"\r\n".join([rmc, vtg, sentence(GGA)]) + b"\r\n", NOW).events
    assert event.stamp.device_time == datetime(2021, 3, 6, 10, 36, 7, tzinfo=UTC)
    assert (event.stamp.quality, event.source) == ("gnss", "mqtt")
    assert event.fix.speed_mps == pytest.approx(10.0, abs=1e-3)
    assert (event.fix.heading_deg, event.fix.altitude_m, event.fix.accuracy_m) == (87.5, 56.0, None)


@pytest.mark.parametrize(
    ("arrived", "day"),
    [((21, 10, 36, 9), 21), ((21, 23, 59, 59), 21), ((22, 0, 10, 0), 22), ((21, 22, 40, 0), 22)],
)
def test_a_time_without_a_date_is_the_nearest(arrived, day):
    """GGA alone: the day that brings its time nearest to the arrival, across midnight too."""
    hour = 10 if arrived[1] == 10 else 0
    body = GGA.replace("103607.00", f"{hour:02d}3607.00") if arrived[1] != 23 else GGA.replace("103607", "235958")
    now = Instant(0.0, datetime(2026, 11, *arrived, tzinfo=UTC))
    (event,) = read(TOPICS, TOPIC, sentence(body), now).events
    assert event.stamp.device_time.day == day


@pytest.mark.parametrize(
    "body",
    [
        "GNRMC,103607.00,V,5327.03942,N,00214.42462,W,0.046,,060321,,,N,V",
        "GNRMC,103607.00,A,5327.03942,N,00214.42462,W,0.046,,060321,,,E,V",
        "GPGGA,103607.00,,,,,0,00,99.99,,M,,M,,",
        "GPGGA,103607.00,5327.0394,N,00214.4246,W,6,06,5.88,56.0,M,48.5,M,,",
        "GNGNS,103607.00,5327.03942,N,00214.42462,W,NNNN,06,5.88,56.0,48.5,,,V",
        "GPGSV,1,1,01,14,49,042,20",
    ],
)
def test_no_fix_is_no_position_and_no_fault(body):
    """Void, estimated or of another kind: nothing is said, nothing refused."""
    reading = read(TOPICS, TOPIC, sentence(body), NOW)
    assert (reading.events, reading.problems) == ((), ())


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (sentence("GPGGA,103607.00,5327.0394,N,00214.4246,W,8,06,5.88,56.0,M,48.5,M,,"), "GGA: a simulated position"),
        (sentence("GNRMC,103607.00,A,5327.0,N,00214.4,W,0,,060321,,,S,V"), "RMC: a simulated position"),
        (sentence("GNRMC,103607.00,A,9927.0,N,00214.4,W,0,,060321,,,A,V"), "RMC lat: 99.45 is out of range"),
        (sentence("GNRMC,103607.00,A,0000.0,N,00000.0,E,0,,060321,,,A,V"), "exactly 0, 0"),
        (sentence("GNRMC,103607.00,A,,,,,0,,060321,,,A,V"), "RMC lat: missing"),
        (sentence("GNRMC,,A,5327.0,N,00214.4,W,0,,060321,,,A,V"), "RMC time: missing"),
        (RMC.replace(b"5327", b"5328"), "invalid checksum 0F"),
        (RMC[:-3], "not an NMEA sentence with a checksum"),
        (b"$GP" + b"A" * 600 + b"*00", "not an NMEA sentence"),
    ],
)
def test_what_is_refused(payload, problem):
    """By name, and nothing comes out."""
    reading = read(TOPICS, TOPIC, payload, NOW)
    assert reading.events == ()
    assert problem in str(reading.problems[0])


def test_many_lines_name_theirs():
    """The line that is wrong is named, the others count."""
    reading = read(TOPICS, TOPIC, b"\n".join([RMC, RMC[:-1] + b"0", RMC.replace(b"\r", b"")]), NOW)
    assert len(reading.events) == 1
    assert str(reading.problems[0]).startswith("line 2: ")


def test_one_format_alone():
    """Where the configuration names a format, another is refused."""
    assert read(TOPICS, TOPIC, RMC, NOW, "nmea").events
    assert read(TOPICS, TOPIC, RMC, NOW, "json").problems
    assert read(TOPICS, TOPIC, b'{"latitude":52.5,"longitude":-0.24}', NOW, "nmea").problems


@given(st.lists(st.sampled_from([RMC, sentence(GGA), b"$", b"$GPGGA,*00"]) | st.binary(max_size=90), max_size=6))
def test_nothing_is_raised(parts):
    """Whatever stands among sentences; a position is always on the globe and has a time."""
    payload = b"$GPGSA\n" + b"\n".join(parts)
    reading = read(TOPICS, TOPIC, payload[:PAYLOAD_LIMIT], NOW, "nmea")
    for event in reading.events:
        assert -90 <= event.fix.latitude <= 90
        assert event.stamp.device_time is not None
    assert all(str(problem) for problem in reading.problems)


@given(
    st.from_regex(
        re.compile(r"GNRMC,[0-9.A-Z]{0,10},A,[0-9.,NSEW-]{0,30},[0-9.]{0,5},,[0-9]{0,6},,,A,V"), fullmatch=True
    )
)
def test_odd_fields_are_read_or_refused(body):
    """A right checksum over wrong fields."""
    reading = read(TOPICS, TOPIC, sentence(body), NOW)
    assert len(reading.events) + len(reading.problems) <= 1
