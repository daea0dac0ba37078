"""Who a unit is today: its members, their unexpired powers and skills, as the roster has them. Pure."""

from __future__ import annotations

from datetime import date

import msgspec

from gateway.domain.people import Person, Power, Unit
from gateway.ports import Directory


class Roll(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A unit and its members at one day; `powers` are those that hold that day."""

    unit: Unit
    persons: tuple[Person, ...]
    day: date
    role: str
    powers: tuple[str, ...]
    skills: tuple[str, ...]

    @property
    def grants(self) -> tuple[Power, ...]:
        """Every power of every member, expired or not."""
        return tuple(power for person in self.persons for power in person.powers)


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
    powers = tuple(dict.fromkeys(power for person in persons for power in powers_of(person, day)))
    skills = tuple(dict.fromkeys(skill for person in persons for skill in person.skills))
    return Roll(unit, persons, day, persons[0].role if persons else unit.kind, powers, skills)
