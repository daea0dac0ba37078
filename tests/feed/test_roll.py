"""Who a unit is today."""

from __future__ import annotations

from datetime import date

from gateway.domain.people import Power, Unit
from gateway.feed.roll import call_roll, holds
from tests.feed.shift import START, Roster

TODAY = START.date()


def test_a_power_holds_on_its_last_day() -> None:
    """And not on the next."""
    power = Power("pcn", date(2026, 11, 21))
    assert holds(power, date(2026, 11, 21))
    assert not holds(power, date(2026, 11, 22))
    assert holds(Power("pcn"), date(2999, 1, 1))


def test_a_crew_has_the_powers_of_its_members_once() -> None:
    """Expired ones left out; the role is the first member's."""
    roster = Roster()
    roster.enlist(1, powers=("pcn", Power("csas.litter", date(2026, 1, 1))))
    roster.enlist(2, role="PC", powers=("constable", "pcn"))
    crew = Unit("PCC.VAN", "VAN", "PCC", "vehicle", ("P-1", "P-2", "P-gone"))
    roll = call_roll(roster, crew, TODAY, None)
    assert roll.powers == ("pcn", "constable")
    assert roll.role == "CSO"
    assert roll.skills == ("aid",)
    assert len(roll.grants) == 4


def test_an_empty_vehicle_has_its_kind_for_a_role() -> None:
    """A unit without members is still a unit."""
    assert call_roll(Roster(), Unit("PCC.VAN", "VAN", "PCC", "vehicle"), TODAY, None).role == "vehicle"


def test_nothing_changed_is_the_same_roll() -> None:
    """So that refreshing costs nothing; a new day, a new power or a new member is another."""
    roster = Roster()
    unit = roster.by_unit[roster.enlist(1)]
    first = call_roll(roster, unit, TODAY, None)
    assert call_roll(roster, unit, TODAY, first) is first
    assert call_roll(roster, unit, date(2026, 11, 22), first) is not first
    roster.enlist(1, powers=("pcn", "constable"))
    assert call_roll(roster, roster.by_unit[unit.id], TODAY, first).powers == ("pcn", "constable")
