"""Talkgroups that must be heard: covered, not covered, and what cannot be known."""

from __future__ import annotations

import pytest

from gateway.errors import ConfigError
from gateway.feed.coverage import GroupCover, Talkgroup, coverage
from gateway.ports import InputHealth
from gateway.settings import parse

CONTROL, EVENTS = Talkgroup(4037009, "Control"), Talkgroup(4037010, "Events")


def radio(*groups: int, state: str = "up") -> InputHealth:
    """A radio input that tells of these groups."""
    return InputHealth(state, groups=groups)


def test_each_group_is_covered_by_the_radios_that_name_it() -> None:
    """In the order of the configuration, with every input that hears it."""
    found = coverage([EVENTS, CONTROL], {"one": radio(4037009), "two": radio(1, 4037009)})
    assert [(group.name, group.cover, group.by) for group in found] == [
        ("Events", "not_covered", ()),
        ("Control", "covered", ("one", "two")),
    ]
    assert "scan list" in (found[0].why or "")


@pytest.mark.parametrize("state", ["down", "silent", "direct", "no_service", "starting"])
def test_a_radio_that_hears_nothing_covers_nothing(state: str) -> None:
    """Whatever it is set to; a beacon input is no radio."""
    inputs = {"one": radio(4037009, state=state), "beacons": InputHealth("up")}
    assert coverage([CONTROL], inputs) == [
        GroupCover(4037009, "Control", "not_covered", why="no radio input is up"),
    ]


def test_what_a_radio_does_not_tell_is_said_to_be_unknown() -> None:
    """A radio that names no group may be attached to any."""
    (found,) = coverage([CONTROL], {"one": radio(), "two": radio(7)})
    assert (found.cover, (found.why or "").startswith("one tells of no group")) == ("not_known", True)


@pytest.mark.parametrize(
    ("groups", "key"),
    [
        ([{"gssi": 0, "name": "x"}], "feed.groups[0].gssi"),
        ([{"gssi": 1 << 24, "name": "x"}], "feed.groups[0].gssi"),
        ([{"gssi": 5, "name": ""}], "feed.groups[0].name"),
        ([{"gssi": 5}], "feed.groups[0].name"),
        ([{"gssi": 5, "name": "x", "colour": 1}], "feed.groups[0]"),
        ([{"gssi": 5, "name": "x"}, {"gssi": 5, "name": "y"}], "feed"),
    ],
)
def test_a_group_that_is_none_is_refused_by_name(groups: list[dict[str, object]], key: str) -> None:
    """The configuration says which key."""
    with pytest.raises(ConfigError) as wrong:
        parse({"feed": {"groups": groups}})
    assert wrong.value.key.startswith(key)


def test_groups_are_read() -> None:
    """As a list of tables."""
    settings = parse({"feed": {"groups": [{"gssi": 4037009, "name": "Control"}]}})
    assert settings.feed.groups == (CONTROL,)
