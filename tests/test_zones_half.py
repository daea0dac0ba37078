"""Zones from the configuration: read with it, and what is wrong named by file and key."""

from __future__ import annotations

import pytest

from gateway import settings as configuration
from gateway.app import checked
from gateway.errors import ConfigError
from gateway.feed.feed import Feed
from gateway.feed.settings import FeedSettings, MapSettings
from gateway.zones_half import read_zones, zones_half
from tests.feed.shift import Roster, SetClock
from tests.feed.squares import feature, file_of, square

RULES = "\n[[feed.coverage]]\nzone = 'beat:a'\npower = 'pcn'\nagencies = ['PCC']\n"


@pytest.fixture
def write(tmp_path):
    """Write a configuration and its zones; return the configuration's path."""

    def made(section: str, zones: bytes = file_of(feature(square(0, 0, 1, 1)))) -> str:
        (tmp_path / "beats.geojson").write_bytes(zones)
        (tmp_path / "lapel.toml").write_text(section if section.startswith("\n[[") else f"[map]\n{section}")
        return str(tmp_path / "lapel.toml")

    return made


def test_zones_are_found_beside_the_configuration_and_given_to_the_feed(write, tmp_path) -> None:
    """A relative path; ids with their kind; the rule as written."""
    settings, _ = checked(write('zones = "beats.geojson"\nzone_kind = "beat"' + RULES))
    feed = Feed(settings.feed, Roster(), SetClock(), tmp_path)
    zones_half(settings.feed, settings.map, feed)
    assert [zone.id for zone in feed.zoning.zones] == ["beat:a"]
    assert [(rule.zone, rule.agencies, rule.covered) for rule in feed.zoning.coverage()] == [("beat:a", ("PCC",), None)]


def test_nothing_configured() -> None:
    """No zones."""
    assert read_zones(FeedSettings(), MapSettings()) == ()


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ('zones = "wards.geojson"', "lapel.toml: map.zones: .*wards.geojson cannot be read"),
        ("zones = 7", "lapel.toml: map.zones: Expected"),
        ('zone = "beats.geojson"', r"map.zone: unknown key \(did you mean 'zones'\?\)"),
        ("[feed]\nzone_edge_m = -1", "feed.zone_edge_m"),
        (RULES, r"lapel.toml: feed.coverage\[0\].zone: there are no zones: name their file"),
        ('zones = "beats.geojson"' + RULES, r"feed.coverage\[0\].zone: no zone 'beat:a' in .*beats.geojson"),
        ('zones = "beats.geojson"\nzone_kind = "beats"' + RULES, r"did you mean 'beats:a'"),
        ('zones = "beats.geojson"\nzone_kind = "beat"' + RULES * 2, r"feed.coverage\[1\]: a rule .* stands twice"),
        ('zones = "beats.geojson"\n[[feed.coverage]]\nzone = "a"', r"feed.coverage\[0\].power: is required"),
        ('zones = "beats.geojson"\nzone_id = "CODE"', r"beats.geojson: map.zones: feature\[0\] \(Ay\): has no id"),
    ],
)
def test_what_is_wrong_is_named(write, section, problem) -> None:
    """File, key, and what to do."""
    zones = file_of(feature(square(0, 0, 1, 1), id=None)) if "zone_id" in section else None
    file = write(section, zones) if zones else write(section)
    with pytest.raises(ConfigError, match=problem):
        checked(file)


def test_a_feature_that_is_none_stops_the_check(write) -> None:
    """The zone file by its name, not the configuration's."""
    bad = file_of(feature(square(0, 0, 1, 1)), feature(square(0, 0, 500, 1), id="b"))
    with pytest.raises(
        ConfigError, match=r"^/.*beats.geojson: map.zones: feature\[1\] \(Ay\): ring 0, position 1: 500"
    ):
        checked(write('zones = "beats.geojson"', bad))


def test_a_file_that_goes_away_meanwhile(tmp_path) -> None:
    """As said of any file."""
    with pytest.raises(ConfigError, match="cannot be read"):
        read_zones(FeedSettings(), MapSettings(zones=str(tmp_path / "gone")))
    assert configuration.parse({"map": {"zones": "x"}}).map.zones == "x"
