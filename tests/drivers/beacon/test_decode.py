"""`lapel decode beacon`."""

from __future__ import annotations

from drivers.beacon.decode import beacon

GOOD = b'{"latitude":52.5,"longitude":-0.24,"fix_time":"2026-11-21T21:05:28Z","battery_pct":64}\n'


def test_a_position_a_line():
    """Names of the domain; no device without a topic."""
    (shown,) = beacon([GOOD, b"\n"])
    assert shown == {
        "event": "position",
        "device": None,
        "time": "2026-11-21T21:05:28Z",
        "latitude": 52.5,
        "longitude": -0.24,
        "accuracy_m": None,
        "altitude_m": None,
        "speed_mps": None,
        "heading_deg": None,
        "battery_pct": 64,
        "reason": None,
    }


def test_the_topic_names_the_device():
    """--topic."""
    (shown,) = beacon([GOOD], topic="owntracks/bcn-1/phone")
    assert shown["device"] == "bcn-1"


def test_a_bad_line_is_an_error_and_the_run_goes_on():
    """{"error": …}, then the next."""
    first, second = beacon([b"{", GOOD])
    assert "not a JSON object" in first["error"]
    assert second["event"] == "position"


def test_an_sos_shows_its_trigger():
    """Emergency before everything, without a fix and without a time."""
    (shown,) = beacon([b'{"sos":true}'])
    assert shown == {"event": "emergency", "device": None, "time": None, "trigger": "beacon_sos"}
