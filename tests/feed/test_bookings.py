"""Booked on again: on duty from that booking on, once, and not by a booking of before."""

from __future__ import annotations

import pytest

from tests.feed.test_engaged import Scene


@pytest.fixture
async def scene():
    """Three units at work, and what is known of bookings in `since`."""
    made = await Scene().open()
    made.since = {}
    made.feed.booked.since = lambda: made.since
    return made


async def test_a_new_booking_brings_a_unit_back(scene) -> None:
    """On duty, derived, since the booking; positions are taken again, none of before is."""
    scene.here()
    scene.say(11)
    scene.turn(60)
    assert not scene.shown
    scene.since = {"P-1": scene.clock.utc.timestamp()}
    scene.clock.on(5)
    scene.feed.refresh()
    duty = scene.feed.duty(scene.one)
    assert (duty.state, duty.source, duty.booked_on) == ("on_duty", "derived", "2026-11-21T21:01:00Z")
    assert scene.shown
    assert scene.reader.units[scene.one]["properties"]["fresh"] == "never"
    scene.here()
    scene.turn()
    assert scene.reader.units[scene.one]["properties"]["fresh"] == "live"
    seq = scene.feed.board.units[scene.one].duty_seq
    scene.feed.refresh()
    assert scene.feed.board.units[scene.one].duty_seq == seq


async def test_one_of_before_does_not_and_one_to_come_not_yet(scene) -> None:
    """Whoever books off keeps the radio: its booking is older than their word."""
    scene.since = {"P-1": scene.clock.utc.timestamp() - 3600}
    scene.say(11)
    scene.feed.refresh()
    assert not scene.shown
    scene.since = {scene.one: scene.clock.utc.timestamp() + 30}
    scene.feed.refresh()
    assert not scene.shown
    scene.turn(31)
    assert scene.shown


async def test_one_of_a_crew(scene) -> None:
    """Theirs alone; the unit's state stays."""
    scene.say(5, scene.van, "P-3")
    scene.say(11, scene.van, "P-4")
    scene.clock.on(60)
    scene.since = {"P-3": scene.clock.utc.timestamp()}
    scene.feed.refresh()
    assert scene.feed.off_duty(scene.van, "P-4")
    scene.since = {"P-4": scene.clock.utc.timestamp()}
    scene.feed.refresh()
    assert not scene.feed.off_duty(scene.van, "P-4")
    assert scene.feed.duty(scene.van).state == "en_route"
    assert scene.feed.stats()["members_back"] == 1
