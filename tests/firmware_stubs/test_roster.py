"""The roster file is what the contract's example shows, for any headcount."""

import re
import tomllib
from datetime import UTC, datetime

import pytest

from firmware_stubs.roster import Headcount, plan, toml
from firmware_stubs.walk import Walker

NOW = datetime(2026, 11, 21, 21, 30, tzinfo=UTC)


@pytest.mark.parametrize(("people", "beacons", "cameras"), [(1, 1, 1), (20, 10, 6), (7, 0, 12), (120, 60, 3)])
def test_the_file_holds_everybody_once(people, beacons, cameras):
    """Ids are unique and well formed, every device is booked, every person is in one unit."""
    kept = tomllib.loads(toml(plan(Headcount(people, beacons, cameras), 4), NOW))
    assert kept["v"] == 1
    ids = [each["id"] for table in ("person", "unit", "device") for each in kept[table]]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name) for name in ids)
    assert len(kept["device"]) == people + beacons + cameras
    assert {booking["device"] for booking in kept["booking"]} == {device["id"] for device in kept["device"]}
    members = [member for unit in kept["unit"] for member in unit["members"]]
    assert sorted(members) == sorted(person["id"] for person in kept["person"])
    assert all(booking["from"] < NOW for booking in kept["booking"])
    assert all(unit["id"].startswith(unit["agency"] + ".") for unit in kept["unit"])


def test_some_may_issue_penalty_notices_and_others_not():
    """So that a filter by power has something to find and something to leave."""
    people = plan(Headcount(20, 0, 0), 1).people
    assert 0 < sum("pcn" in person.powers for person in people) < 20
    assert {person.agency for person in people} == {"PCC", "CAMBS", "CFRS"}


def test_the_same_seed_makes_the_same_shift():
    """And another seed another."""
    assert plan(Headcount(9, 3, 2), 5) == plan(Headcount(9, 3, 2), 5)
    assert plan(Headcount(9, 3, 2), 5) != plan(Headcount(9, 3, 2), 6)


@pytest.mark.parametrize("kind", ["foot", "cycle", "vehicle"])
def test_nobody_jumps(kind):
    """Speed stays plausible, and the walk stays about Peterborough."""
    walker = Walker(kind, 11)
    before = walker.place()
    for _ in range(2000):
        walker.step(0.5)
        after = walker.place()
        north = (after.latitude - before.latitude) * 111_320
        east = (after.longitude - before.longitude) * 111_320 * 0.608
        assert (north**2 + east**2) ** 0.5 <= 14.1 * 0.5
        assert abs(after.latitude - 52.57) < 0.05
        assert abs(after.longitude + 0.24) < 0.08
        before = after
