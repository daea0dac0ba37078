"""The way out put together: off unless asked for, and what the status says of inputs, parts and clock."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from gateway.feed.feed import Feed
from gateway.host_clock import clock_note
from gateway.ports import InputHealth
from gateway.publishing import FEED_OUT, feed_out
from gateway.settings import Settings
from tests.feed.shift import Roster, SetClock
from tests.feed.test_mqtt_out import Broker


def test_off_unless_the_configuration_says_so(tmp_path):
    """Positions of officers go to no broker that nobody vouched for."""
    settings, clock = Settings(), SetClock()
    feed = Feed(settings.feed, Roster(), clock, tmp_path)
    assert feed_out(settings, feed, clock, lambda _name: Broker())[0] == {}
    on = msgspec.structs.replace(settings, feed=msgspec.structs.replace(settings.feed, mqtt=True))
    made, rounds = feed_out(on, feed, clock, lambda _name: Broker())
    assert list(made) == [FEED_OUT]
    assert made[FEED_OUT].health().state == "down"
    last = datetime(2026, 11, 21, 21, tzinfo=UTC)
    rounds.inputs = lambda: {
        "radio": InputHealth("up", last),
        "beacons": InputHealth("down"),
        FEED_OUT: made[FEED_OUT].health(),
    }
    rounds.parts = lambda: {"feed": "ok"}
    told = rounds()
    assert {name: (note.state, note.last) for name, note in told.inputs.items()} == {
        "radio": ("up", "2026-11-21T21:00:00Z"),
        "beacons": ("down", None),
    }
    assert told.parts == {"feed": "ok"}


def test_the_hosts_clock_is_asked():
    """A word, and milliseconds where it is kept; or nothing where this host does not say."""
    note = clock_note()
    assert note.synchronised in (True, False, None)
    assert (note.offset_ms is not None) == bool(note.synchronised)
    assert note.offset_ms is None or abs(note.offset_ms) < 1000
