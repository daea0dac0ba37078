"""The way out put together: off unless asked for, and what the status says of inputs, parts and clock."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from gateway.errors import ConfigError
from gateway.feed.feed import Feed
from gateway.host_clock import clock_note
from gateway.ports import InputHealth
from gateway.publishing import FEED_OUT, feed_out
from gateway.settings import Settings, parse
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


def test_an_agency_has_a_way_out_of_its_own(tmp_path):
    """Each over a link by a name of its own; none of them counts as an input."""
    asked, settings, clock = [], Settings(), SetClock()
    feed = Feed(settings.feed, Roster(), clock, tmp_path)
    section = msgspec.structs.replace(settings.feed, mqtt=True, mqtt_for=("PCC", "CAMBS"))

    def outlet(name):
        asked.append(name)
        return Broker()

    made, rounds = feed_out(msgspec.structs.replace(settings, feed=section), feed, clock, outlet)
    assert list(made) == [FEED_OUT, f"{FEED_OUT}-PCC", f"{FEED_OUT}-CAMBS"]
    assert asked == ["lapel-1", "lapel-1-PCC", "lapel-1-CAMBS"]
    assert made[f"{FEED_OUT}-PCC"].retained.root == "lapel/v1/agency/PCC/feed"
    rounds.inputs = lambda: {name: each.health() for name, each in made.items()}
    assert rounds().inputs == {}


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"mqtt_for": ["PCC"]}, "goes with mqtt = true"),
        ({"mqtt": True, "mqtt_for": ["PCC", "PCC"]}, "stands twice"),
        ({"mqtt": True, "mqtt_for": ["P/C"]}, "mqtt_for"),
    ],
)
def test_what_can_not_be_a_way_out_is_named(section, said):
    """By its key."""
    with pytest.raises(ConfigError) as wrong:
        parse({"feed": section})
    assert said in str(wrong.value)


def test_the_hosts_clock_is_asked():
    """A word, and milliseconds where it is kept; or nothing where this host does not say."""
    note = clock_note()
    assert note.synchronised in (True, False, None)
    assert (note.offset_ms is not None) == bool(note.synchronised)
    assert note.offset_ms is None or abs(note.offset_ms) < 1000
