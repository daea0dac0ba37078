"""Camera status, events and panics."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from drivers.camera.telemetry import PAYLOAD_LIMIT, device, read
from gateway.domain.events import CameraReport, EmergencyReport, PositionReport
from tests import peers
from tests.drivers.links.rig import NOW

EVENT, STATUS = "lapel/v1/camera/cam-1/event", "lapel/v1/camera/cam-1/status"


def said(topic: str, payload: bytes | dict):
    """Read one message."""
    return read(topic, payload if isinstance(payload, bytes) else json.dumps(payload).encode(), NOW, "cams")


def test_the_wire_examples_are_read():
    """Status, start, stop, panic."""
    path = peers.shared("examples/wire/telemetry.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    readings = [said(line["topic"], line["payload"]) for line in lines if "camera" in line["topic"]]
    assert [reading.problem for reading in readings] == [None] * 4
    assert [[type(event) for event in reading.events] for reading in readings] == [
        [CameraReport],
        [CameraReport, PositionReport],
        [CameraReport],
        [EmergencyReport, PositionReport],
    ]
    status, started, *_ = (reading.events[0] for reading in readings)
    assert (status.kind, status.body["battery_pct"], started.kind) == ("status", 71, "recording_started")
    assert status.stamp.device_time == datetime(2026, 11, 21, 21, 5, 4, tzinfo=UTC)
    assert status.stamp.quality == "device"


def test_panic_with_its_position():
    """Emergency first, same fix, source bwc."""
    emergency, position = said(
        EVENT,
        {"event": "panic", "latitude": 52.5, "longitude": -0.2, "accuracy_m": 8, "heading_deg": 10, "battery_pct": 9},
    ).events
    assert emergency.trigger == "camera_panic"
    assert emergency.fix == position.fix
    assert (position.source, position.reason, position.battery_pct) == ("bwc", "panic", 9)
    assert (position.fix.accuracy_m, position.fix.heading_deg, position.fix.speed_mps) == (8, 10, None)
    assert emergency.origin.device == "cam-1"


@pytest.mark.parametrize(
    "payload",
    [
        b'{"event":"panic","latitude":95,"longitude":1}',
        b'{"event":"panic","latitude":1}',
        b'{"event":"panic","latitude":0,"longitude":0}',
        b'{"event":"panic","latitude":"x","longitude":1}',
        b'{"event":"panic","latitude":true,"longitude":1}',
        b'{"event":"panic","at":"noon"}',
        b'{"event":"panic","at":17}',
        b'{"event" : "panic"',
        b'{"event":"panic","latitude":NaN}',
        b'{"event":"panic","x":"' + b"a" * PAYLOAD_LIMIT + b'"}',
    ],
)
def test_a_panic_is_never_lost(payload):
    """Exactly one emergency without a fix, and the problem beside it."""
    reading = said(EVENT, payload)
    assert [type(event) for event in reading.events] == [EmergencyReport]
    assert reading.events[0].fix is None
    assert reading.problem is not None


def test_a_panic_without_position_or_time_is_whole():
    """Nothing wrong with it."""
    reading = said(EVENT, {"event": "panic"})
    assert reading.problem is None
    assert reading.events == (EmergencyReport(reading.events[0].origin, reading.events[0].stamp, "camera_panic"),)
    assert (reading.events[0].stamp.device_time, reading.events[0].stamp.quality) == (None, "gateway")


def test_a_panic_of_a_camera_with_a_bad_name_still_counts():
    """Origin without a device."""
    reading = said("lapel/v1/camera/bad id/event", {"event": "panic"})
    assert [event.origin.device for event in reading.events] == [None]
    assert "device id" in str(reading.problem)


def test_a_bad_place_costs_the_position_not_the_report():
    """The camera's word is kept, the position is a problem."""
    reading = said(STATUS, {"battery_pct": 5, "latitude": 95, "longitude": 0})
    assert [type(event) for event in reading.events] == [CameraReport]
    assert "latitude: '95'" in str(reading.problem)


@pytest.mark.parametrize("payload", [b"", b" "])
def test_an_empty_payload_says_nothing(payload):
    """It clears the retained status."""
    assert said(STATUS, payload).events == ()
    assert said(STATUS, payload).problem is None


@pytest.mark.parametrize("payload", [b"{", b"[]", b"7", b"\xff", b'{"a":' * 3000])
def test_what_is_no_object_is_a_problem(payload):
    """Named."""
    reading = said(STATUS, payload)
    assert reading.events == ()
    assert "not a JSON object" in str(reading.problem)


def test_an_unknown_event_is_a_problem():
    """Named."""
    assert "'dance' is unknown" in str(said(EVENT, {"event": "dance"}).problem)
    assert "None" in str(said(EVENT, {}).problem)


def test_the_device_of_a_topic():
    """Or none."""
    assert device(EVENT) == "cam-1"
    assert device("lapel/v1/camera/gateway/event") is None
    assert device("else") is None


@pytest.mark.parametrize("kind", [{"x": 1}, ["panic"], 7, None, True])
def test_an_event_of_any_shape_is_read(kind):
    """An object where a word should be must not end the connection that panic buttons come by."""
    payload = json.dumps({"v": 1, "event": kind, "latitude": 97.2}).encode()
    reading = read("lapel/v1/camera/cam-1/event", payload, NOW, "cams")
    assert reading.events == ()
    assert "is unknown" in str(reading.problem)
