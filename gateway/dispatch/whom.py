"""Which terminal a unit's officer wears now. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from gateway.domain.ids import Issi
from gateway.domain.people import Device, Unit
from gateway.ports import Directory


class Wearer(msgspec.Struct, frozen=True):
    """A terminal, and the officer who wears it where that is one person."""

    issi: Issi
    person: str | None = None


def wearer(directory: Directory, devices: Sequence[Device], unit: Unit, at: datetime) -> Wearer | None:
    """A terminal booked to the unit or a member, before a member's own ISSI; None where there is neither."""
    found = booked(directory, devices, unit.members, at, unit.id)
    if found is not None:
        return found
    for member in unit.members:
        own = own_terminal(directory, member, at)
        if own is not None:
            return own
    return None


def terminal_of(directory: Directory, devices: Sequence[Device], person: str, at: datetime) -> Wearer | None:
    """The terminal a person wears: the one booked, else their own."""
    return booked(directory, devices, (person,), at) or own_terminal(directory, person, at)


def booked(
    directory: Directory, devices: Sequence[Device], members: Sequence[str], at: datetime, unit: str | None = None
) -> Wearer | None:
    """The first terminal booked to one of them (in the order of the roll) or to their unit, to nobody else."""
    found: list[tuple[int, Wearer]] = []
    for device in devices:
        if device.kind != "terminal" or device.issi is None:
            continue
        holder = directory.holder(device.id, at)
        theirs = [members.index(person) for person in holder.persons if person in members]
        if holder.persons and len(theirs) == len(holder.persons) and (len(theirs) == 1 or holder.unit == unit):
            found.append((min(theirs), Wearer(device.issi, holder.person)))
    return min(found, key=lambda row: row[0])[1] if found else None


def own_terminal(directory: Directory, person: str, at: datetime) -> Wearer | None:
    """A person's own ISSI, unless a booking says that somebody else wears that terminal."""
    known = directory.person(person)
    if known is None or known.issi is None:
        return None
    terminal = directory.terminal(known.issi)
    holders = directory.holder(terminal.id, at).persons if terminal is not None else ()
    return Wearer(known.issi, person) if not holders or holders == (person,) else None
