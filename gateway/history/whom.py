"""Whose frames are somebody's: by device, and for a person or unit by who held what, when. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from gateway.domain.ids import DeviceId, Issi, PersonId
from gateway.domain.people import Booking, Device, Person, Unit
from gateway.history.finding import Sought

Span = tuple[datetime, datetime]


class People(Protocol):
    """The roster, as far as it is asked here."""

    def device(self, device: DeviceId) -> Device | None:
        """The device of this id."""
        ...

    def devices(self) -> Sequence[Device]:
        """Every device."""
        ...

    def bookings(self, device: DeviceId) -> Sequence[Booking]:
        """Effective bookings of a device, oldest first."""
        ...

    def person(self, person: str) -> Person | None:
        """The person of this id."""
        ...

    def unit(self, unit: str) -> Unit | None:
        """The unit of this id."""
        ...

    def terminal(self, issi: Issi) -> Device | None:
        """The terminal with this ISSI."""
        ...


def of_device(people: People, device: str, span: Span) -> list[Sought]:
    """All of a device's frames: by its id, and of a terminal by its ISSI too."""
    known = people.device(DeviceId(device))
    return [Sought(name, *span) for name in _names(known or Device(DeviceId(device), "beacon", ""))]


def of_person(people: People, person: Person, span: Span) -> list[Sought]:
    """What came from devices while the person held them, and from the person's own ISSI while nobody had it."""
    units = {PersonId(person.id), *_units_of(people, person)}
    return [*_held(people, units, span), *_own(people, person, span)]


def of_unit(people: People, unit: Unit, span: Span) -> list[Sought]:
    """What came from devices that the unit, or one of its members, held."""
    members = [known for each in unit.members if (known := people.person(each)) is not None]
    held = _held(people, {unit.id, *unit.members}, span)
    return [*held, *(each for member in members for each in _own(people, member, span))]


def _units_of(people: People, person: Person) -> set[str]:
    """Units that the person is a member of: what is booked to them is held by their members."""
    holders = {booking.holder for device in people.devices() for booking in people.bookings(device.id)}
    known = {name: people.unit(name) for name in holders}
    return {name for name, unit in known.items() if unit is not None and person.id in unit.members}


def _held(people: People, holders: set[str] | set[PersonId], span: Span) -> Iterator[Sought]:
    for device in people.devices():
        for booking in people.bookings(device.id):
            since, until = max(span[0], booking.since), min(span[1], booking.until or span[1])
            if booking.holder in holders and since < until:
                yield from (Sought(name, since, until) for name in _names(device))


def _own(people: People, person: Person, span: Span) -> Iterator[Sought]:
    """An Airwave terminal is personal issue: its ISSI is its officer's where no booking says otherwise."""
    if person.issi is None:
        return
    terminal = people.terminal(person.issi)
    free, at = [], span[0]
    for booking in people.bookings(terminal.id) if terminal is not None else ():
        if booking.since > at:
            free.append((at, min(booking.since, span[1])))
        at = max(at, booking.until or span[1])
    for since, until in [*free, (at, span[1])]:
        if since < until:
            yield Sought(f"issi:{person.issi}", since, until)


def _names(device: Device) -> list[str]:
    return [f"device:{device.id}", *([f"issi:{device.issi}"] if device.issi is not None else [])]
