"""Who a unit is today: its members, their unexpired powers and skills, as the roster has them. Pure."""

from __future__ import annotations

from datetime import date

import msgspec

from gateway.domain.people import Person, Power, Unit
from gateway.ports import Directory


class Roll(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A unit and its members at one day; `powers` and `skills` are those that it has there and then.

    away: members who are too far off for theirs to count, off: those who have booked off.
    """

    unit: Unit
    persons: tuple[Person, ...]
    day: date
    role: str
    powers: tuple[str, ...]
    skills: tuple[str, ...]
    away: frozenset[str] = frozenset()
    off: frozenset[str] = frozenset()

    @property
    def present(self) -> tuple[Person, ...]:
        """The members whose powers are the unit's."""
        if not self.away and not self.off:
            return self.persons
        return tuple(each for each in self.persons if each.id not in self.away and each.id not in self.off)

    def shows(self, person: str | None) -> bool:
        """Whether this person is where the unit is, as far as anybody knows: a member, not away, not booked off."""
        return person is None or (person in self.unit.members and person not in self.away and person not in self.off)

    @property
    def grants(self) -> tuple[Power, ...]:
        """Every power of every member who is with the unit, expired or not."""
        return tuple(power for person in self.present for power in person.powers)


def holds(power: Power, day: date) -> bool:
    """Whether a power still holds on a day (`expires` is the last)."""
    return power.expires is None or day <= power.expires


def powers_of(person: Person, day: date) -> tuple[str, ...]:
    """The powers a person has on a day, each once."""
    return tuple(dict.fromkeys(power.id for power in person.powers if holds(power, day)))


def call_roll(directory: Directory, unit: Unit, day: date, before: Roll | None) -> Roll:
    """Read a unit's members; the roll from before where nothing has changed."""
    found = [directory.person(member) for member in unit.members]
    persons = tuple(person for person in found if person is not None)
    if before is not None and before.day == day and before.unit == unit and before.persons == persons:
        return before
    return _granted(Roll(unit, persons, day, persons[0].role if persons else unit.kind, (), ()))


def without(roll: Roll, *, away: frozenset[str] | None = None, off: frozenset[str] | None = None) -> Roll:
    """The same unit while these members are not with it."""
    away = roll.away if away is None else away
    off = roll.off if off is None else off
    if (away, off) == (roll.away, roll.off):
        return roll
    return _granted(msgspec.structs.replace(roll, away=away, off=off))


def alone(roll: Roll, person: Person) -> Roll:
    """One member, away from the unit: with their own powers; on foot where the unit has a vehicle."""
    unit = roll.unit if roll.unit.kind != "vehicle" else msgspec.structs.replace(roll.unit, kind="foot")
    return _granted(Roll(unit, (person,), roll.day, person.role, (), ()))


def _granted(roll: Roll) -> Roll:
    present = roll.present
    powers = tuple(dict.fromkeys(power for person in present for power in powers_of(person, roll.day)))
    skills = tuple(dict.fromkeys(skill for person in present for skill in person.skills))
    return msgspec.structs.replace(roll, powers=powers, skills=skills)
