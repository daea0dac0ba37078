"""Whose frames are somebody's: only while they held the device, and their own radio while nobody else had it."""

from __future__ import annotations

from datetime import timedelta

from gateway.history.finding import Sought, days_of
from gateway.history.whom import of_device, of_person, of_unit
from gateway.roster.directory import Roster
from tests.roster.people import BOOKINGS, DEVICES, PEOPLE, ROSTER, SHIFT, UNITS, booking

END = SHIFT + timedelta(hours=10)
SPAN = (SHIFT, END)


def test_a_device_by_its_id_and_its_issi() -> None:
    """A terminal is heard by its ISSI; a device that the roster does not know by its id alone."""
    assert of_device(ROSTER, "bcn-1", SPAN) == [Sought("device:bcn-1", *SPAN)]
    assert of_device(ROSTER, "trm-1", SPAN) == [Sought("device:trm-1", *SPAN), Sought("issi:2341014", *SPAN)]
    assert of_device(ROSTER, "stranger", SPAN) == [Sought("device:stranger", *SPAN)]


def test_a_person_only_while_they_held_it() -> None:
    """Handed over at midnight: the second half is the other's; a booking to a unit is its members'."""
    noon = SHIFT + timedelta(hours=4)
    rows = [booking(1, "bcn-1", "P-0014", SHIFT, noon), booking(2, "bcn-1", "PCC.VAN-1", noon)]
    people = Roster(PEOPLE, UNITS, DEVICES, rows)
    mine, theirs = people.person("P-0014"), people.person("P-0015")
    assert mine is not None
    assert theirs is not None
    before = (SHIFT - timedelta(hours=1), END)
    assert Sought("device:bcn-1", SHIFT, noon) in of_person(people, mine, before)
    assert [each for each in of_person(people, theirs, before) if each.owner == "device:bcn-1"] == [
        Sought("device:bcn-1", noon, END)
    ]


def test_a_persons_own_radio_while_nobody_else_had_it() -> None:
    """Its ISSI is theirs but for the hours in which the terminal was booked, which count by the booking."""
    lent, back = SHIFT + timedelta(hours=2), SHIFT + timedelta(hours=3)
    people = Roster(PEOPLE, UNITS, DEVICES, [booking(1, "trm-1", "P-0015", lent, back)])
    mine, theirs = people.person("P-0014"), people.person("P-0015")
    assert mine is not None
    assert theirs is not None
    assert of_person(people, mine, SPAN) == [Sought("issi:2341014", SHIFT, lent), Sought("issi:2341014", back, END)]
    assert Sought("issi:2341014", lent, back) in of_person(people, theirs, SPAN)


def test_a_unit_is_what_it_and_its_members_held() -> None:
    """Everything booked to the unit or to one of its members."""
    unit = ROSTER.unit("PCC.CSO-014")
    assert unit is not None
    owners = {each.owner for each in of_unit(ROSTER, unit, SPAN)}
    assert owners == {"device:bcn-1", "device:cam-1", "device:trm-1", "issi:2341014"}
    assert len(BOOKINGS) == 3


def test_days_on_either_side_are_looked_at_too() -> None:
    """A frame lies where it was written, which may be later, or where a clock was wrong."""
    assert days_of([Sought("x", SHIFT, SHIFT)]) == ["2026-11-20", "2026-11-21", "2026-11-22"]
