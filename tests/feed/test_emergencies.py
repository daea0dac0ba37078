"""Emergencies from the press to the end."""

from __future__ import annotations

import json

import pytest

from gateway.domain.events import EmergencyReport, Origin
from gateway.domain.ids import DeviceId
from gateway.errors import RefusedError
from gateway.feed import encode
from gateway.feed.emergencies import Emergencies
from gateway.ports import Resolved
from tests.feed.schema import SHARED
from tests.feed.shift import SetClock, press, stamp, who


@pytest.fixture
def clock():
    """Nine in the evening."""
    return SetClock()


def test_one_for_each_person(clock) -> None:
    """Whatever they press: triggers and presses are gathered."""
    known = Emergencies()
    first = known.press(press(clock.now()), who("PCC.A", "P-1", "trm-1", 1), journalled=True)
    camera = EmergencyReport(Origin("mqtt", DeviceId("cam-1")), stamp(clock.on(1)), "camera_panic")
    assert known.press(camera, who("PCC.A", "P-1", "cam-1"), journalled=True) is first
    other = known.press(press(clock.now(), issi=2), who("PCC.B", "P-2", "trm-2", 2), journalled=True)
    assert (first.id, other.id) == ("EM-20261121-0001", "EM-20261121-0002")
    assert (first.presses, first.triggers) == (2, ["tetra_status", "camera_panic"])


def test_the_same_press_heard_twice_is_one(clock) -> None:
    """Same trigger, same moment; another trigger of that moment is a second word of it."""
    known, now = Emergencies(), clock.now()
    for _ in range(3):
        found = known.press(press(now), who("PCC.A", "P-1"), journalled=True)
    assert found.presses == 1
    assert known.press(press(now, "lip_reason"), who("PCC.A", "P-1"), journalled=True).presses == 2


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Resolved(issi=7), Resolved(issi=7, device="trm-7"), True),
        (Resolved(issi=7), Resolved(issi=8), False),
        (Resolved(device="cam-1"), Resolved(device="cam-1"), True),
        (Resolved(device="cam-1"), Resolved(device="cam-2"), False),
        (Resolved(unit="A.X", person="P-1", issi=7), Resolved(unit="A.Y", person="P-1", issi=8), True),
        (Resolved(unit="A.X"), Resolved(unit="A.Y"), False),
    ],
)
def test_whose_it_is(clock, one, other, same) -> None:
    """The person's, else the ISSI's, else the device's, else the unit's."""
    known = Emergencies()
    report = EmergencyReport(Origin("x"), stamp(clock.now()), "manual")
    assert (known.press(report, one, journalled=True) is known.press(report, other, journalled=True)) == same


def test_its_life(clock) -> None:
    """Acknowledged by a named person, the first; cleared with an outcome; a press after that is a new one."""
    known = Emergencies()
    first = known.press(press(clock.now()), who("PCC.A", "P-1"), journalled=True)
    assert known.acknowledge(first.id, "P-9").state == "acknowledged"
    assert known.acknowledge(first.id, "P-8").acknowledged_by == "P-9"
    with pytest.raises(RefusedError):
        known.clear(first.id, "P-9", "because")  # type: ignore[arg-type]
    assert known.clear(first.id, "P-9", "false_activation").outcome == "false_activation"
    assert known.clear(first.id, "P-9", "test") is None
    assert known.acknowledge(first.id, "P-9") is None
    assert known.acknowledge("EM-none", "P-9") is None
    assert not known.any_open
    second = known.press(press(clock.on(5)), who("PCC.A", "P-1"), journalled=True)
    assert second is not first
    assert (second.id, second.state, second.presses) == ("EM-20261121-0002", "active", 1)


def test_numbers_begin_anew_each_day(clock) -> None:
    """And go beyond four digits rather than stop."""
    known = Emergencies()
    known.press(press(clock.now()), who(None, "P-1"), journalled=True)
    known.skip_to_next(1000, clock.now().utc)
    assert known.press(press(clock.now()), who(None, "P-2"), journalled=True).id == "EM-20261121-1001"
    clock.on(86_400)
    assert known.press(press(clock.now()), who(None, "P-3"), journalled=True).id == "EM-20261122-0001"
    known._number = 9_999
    assert known.press(press(clock.now()), who(None, "P-4"), journalled=True).id == "EM-20261122-10000"


def test_a_device_clock_ahead_raises_nothing_in_the_future(clock) -> None:
    """Raised at arrival at the latest."""
    report = EmergencyReport(Origin("x"), stamp(clock.now(), -500), "beacon_sos")
    found = Emergencies().press(report, who(None, "P-1"), journalled=True)
    assert found.raised_s == clock.utc.timestamp()


def test_which_one_a_unit_shows(clock) -> None:
    """The unacknowledged before the acknowledged, then the older."""
    known = Emergencies()
    first = known.press(press(clock.now()), who("PCC.A", "P-1"), journalled=True)
    second = known.press(press(clock.on(1)), who("PCC.A", "P-2"), journalled=True)
    assert known.of_unit("PCC.A") is first
    known.acknowledge(first.id, "P-9")
    assert known.of_unit("PCC.A") is second
    assert known.of_unit("PCC.B") is None
    assert known.of_unit(None) is None


@pytest.mark.parametrize("number", [1, 2])
def test_the_record_has_what_the_examples_have(clock, number) -> None:
    """Known and unknown holder alike; what goes beyond is named here."""
    example = json.loads((SHARED / "examples/wire/feed.jsonl").read_text().splitlines()[number])["payload"]
    resolved = Resolved(example["unit"], example["person"], None, example["issi"], example.get("last_held_by"))
    found = Emergencies().press(press(clock.now(), issi=example["issi"]), resolved, journalled=True)
    made = json.loads(encode.emergency(found, 5))
    assert set(made) == set(example)
    assert made.get("holder") == example.get("holder")
    assert made.get("last_held_by") == example.get("last_held_by")


def test_restored_as_it_was(clock) -> None:
    """From its own record; numbering goes on behind it; what is over stays over."""
    known = Emergencies()
    found = known.press(press(clock.now()), who("PCC.A", "P-1", "trm-1", 1), journalled=True)
    known.acknowledge(found.id, "P-9")
    again = Emergencies()
    copy = again.restore(encode.emergency_record(found, 5), found.raised_s)
    assert encode.emergency_record(copy, 5) == encode.emergency_record(found, 5)
    assert again.press(press(clock.on(9)), who("PCC.A", "P-1"), journalled=True) is copy
    assert again.press(press(clock.now(), issi=3), who(None, "P-3"), journalled=True).id == "EM-20261121-0002"
    known.clear(found.id, "P-9", "test")
    again.restore(encode.emergency_record(found, 6), found.raised_s)
    assert [one.person for one in again.open()] == ["P-3"]


def test_what_is_over_is_forgotten_in_time(clock) -> None:
    """The latest thousand are kept, the open ones all."""
    known = Emergencies()
    kept = known.press(press(clock.now()), who(None, "P-open"), journalled=True)
    for number in range(1_100):
        found = known.press(press(clock.now()), who(None, f"P-{number}"), journalled=True)
        known.clear(found.id, "P-9", "test")
    assert len(known.known) <= 1_002
    assert known.known[kept.id] is kept


def test_a_clock_set_back_over_midnight_names_no_two_alike(clock) -> None:
    """The day comes again, and its numbers go on where they were: none is taken from an open emergency."""
    known = Emergencies()
    first = known.press(press(clock.now(), issi=1), Resolved(issi=1), journalled=True)
    clock.on(86_400)
    known.press(press(clock.now(), issi=2), Resolved(issi=2), journalled=True)
    clock.on(-86_400)
    third = known.press(press(clock.now(), issi=3), Resolved(issi=3), journalled=True)
    assert third.id != first.id
    assert len(known.known) == 3
    assert known.clear(first.id, "P-1", "test") is first
