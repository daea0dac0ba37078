"""Whose terminal: booked before own, nobody's that somebody else wears, the first of the roll."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from gateway.dispatch.whom import Wearer, terminal_of, wearer
from gateway.domain.ids import Issi, PersonId
from gateway.domain.people import Booking, Person
from gateway.roster.directory import Roster
from tests.dispatch.rig import DEVICES, OTHER, OWN, PEOPLE, POOL, SECOND, SHIFT, UNIT, UNITS, booked, roster

NOW = SHIFT + timedelta(hours=1)


def worn(unit: str, *bookings: Booking) -> Wearer | None:
    """Which terminal a unit wears by these bookings."""
    directory = roster(*bookings)
    return wearer(directory, directory.devices(), directory.unit(unit), NOW)


def test_own_issi_where_nothing_is_booked() -> None:
    """A terminal is personal issue; of a crew the first who has one."""
    assert worn(UNIT) == Wearer(OWN, "P-0014")
    assert worn(OTHER) == Wearer(SECOND, "P-0015")
    assert worn("PCC.EMPTY") is None


def test_booked_before_own() -> None:
    """A pool terminal booked to the officer, or to the unit as a whole."""
    assert worn(UNIT, booked(1, "trm-pool", "P-0014")) == Wearer(POOL, "P-0014")
    assert worn(OTHER, booked(1, "trm-pool", OTHER)) == Wearer(POOL, None)
    assert worn(OTHER, booked(1, "trm-pool", "P-0015")) == Wearer(POOL, "P-0015")


def test_two_booked_terminals_of_a_crew() -> None:
    """In the order of the roll, not of the devices."""
    both = booked(1, "trm-own", "P-0015"), booked(2, "trm-pool", "P-0016")
    assert worn(OTHER, *both) == Wearer(POOL, "P-0016")


def test_an_own_terminal_that_somebody_else_wears() -> None:
    """Lent out: a task must not reach the borrower; booked to its owner it is the owner's."""
    assert worn(UNIT, booked(1, "trm-own", "P-0015")) is None
    assert worn(UNIT, booked(1, "trm-own", "P-0014")) == Wearer(OWN, "P-0014")


def test_doubtful_bookings_are_nobody_s() -> None:
    """Two persons of different units at once; cameras are no terminals; a booking that has ended is none."""
    two = booked(1, "trm-pool", "P-0014"), booked(2, "trm-pool", "P-0015")
    assert worn(UNIT, *two) == Wearer(OWN, "P-0014")
    assert worn(UNIT, booked(1, "cam-1", "P-0014")) == Wearer(OWN, "P-0014")
    over = msgspec.structs.replace(booked(1, "trm-pool", "P-0014"), until=NOW)
    assert worn(UNIT, over) == Wearer(OWN, "P-0014")


def test_a_person_s_terminal() -> None:
    """Booked, own, or none."""
    directory = roster(booked(1, "trm-pool", "P-0016"))
    answers = [terminal_of(directory, directory.devices(), person, NOW) for person in ("P-0016", "P-0014", "P-9")]
    assert answers == [Wearer(POOL, "P-0016"), Wearer(OWN, "P-0014"), None]


def test_an_issi_without_a_device() -> None:
    """An own ISSI counts though no terminal of the roster has it."""
    person = Person(PersonId("P-0014"), "N", "PCC", "CSO", issi=Issi(99))
    directory = Roster([person, *PEOPLE[1:]], UNITS, DEVICES, [])
    assert wearer(directory, directory.devices(), directory.unit(UNIT), NOW) == Wearer(Issi(99), "P-0014")
