"""Who is who at a moment: a pure answer from people, units, devices and bookings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import count

import msgspec

from gateway.domain.evidence import Attribution
from gateway.domain.ids import DeviceId, Issi, PersonId, UnitId
from gateway.domain.people import Booking, Device, Holder, Person, Shift, Unit

NOBODY = Holder()


def effective(bookings: Iterable[Booking]) -> list[Booking]:
    """Bookings that no later one corrects, oldest first."""
    rows = list(bookings)
    corrected = {row.corrects for row in rows if row.corrects is not None}
    return sorted((row for row in rows if row.id not in corrected), key=lambda row: (row.since, row.id))


def planned(booking: Booking) -> bool:
    """Whether its end was still to come when it was entered for the roster: a plan, which ends nothing."""
    late = booking.until is not None and booking.until > booking.entered_at
    return booking.how == "roster" and late and booking.corrects is None


def in_force(bookings: Iterable[Booking]) -> list[Booking]:
    """Effective bookings, each with the end that it really has: planned ones go on until the device is another's."""
    rows = effective(bookings)
    starts: dict[DeviceId, list[datetime]] = {}
    for row in rows:
        starts.setdefault(row.device, []).append(row.since)
    return [_lasting(row, starts[row.device]) if planned(row) else row for row in rows]


def _lasting(row: Booking, starts: Sequence[datetime]) -> Booking:
    following = min((start for start in starts if start > row.since), default=None)
    assert row.until is not None
    until = None if following is None else max(row.until, following)
    return msgspec.structs.replace(row, until=until)


def _booked_on(entered: Iterable[Booking]) -> dict[str, float]:
    standing = (row for row in entered if row.until is None and row.how not in ("roster", "self-booked"))
    return {row.holder: row.since.timestamp() for row in standing}


def overlaps(booking: Booking, start: datetime, end: datetime) -> bool:
    """Whether the booking covers any moment of [start, end]."""
    return booking.since <= end and (booking.until is None or booking.until > start)


_REVISIONS = count(1)


class Roster:
    """Implements gateway.ports.Directory; replaced as a whole when anything changes."""

    def __init__(
        self,
        people: Iterable[Person],
        units: Iterable[Unit],
        devices: Iterable[Device],
        bookings: Iterable[Booking],
        shifts: Iterable[Shift] = (),
    ) -> None:
        self.revision = next(_REVISIONS)
        self._people = {person.id: person for person in people}
        self._units = {unit.id: unit for unit in units}
        self._devices = {device.id: device for device in devices}
        self._terminals = {device.issi: device for device in self._devices.values() if device.issi is not None}
        self._by_issi = {person.issi: person for person in self._people.values() if person.issi is not None}
        self._unit_of = {member: unit for unit in self._units.values() for member in unit.members}
        self._bookings: dict[DeviceId, list[Booking]] = {}
        entered = effective(bookings)
        for booking in in_force(entered):
            self._bookings.setdefault(booking.device, []).append(booking)
        self._planned_until = {row.id: row.until for row in entered if planned(row)}
        self._shifts = [shift for shift in shifts if not shift.cancelled]
        self._plans = self._planned(entered)
        self._booked_on = _booked_on(entered)

    def become(self, other: Roster) -> None:
        """Take another roster's place, so that whoever holds this object sees the change."""
        self.__dict__.update(other.__dict__)

    def device(self, device: DeviceId) -> Device | None:
        """The device of this id."""
        return self._devices.get(device)

    def terminal(self, issi: Issi) -> Device | None:
        """The terminal with this ISSI."""
        return self._terminals.get(issi)

    def person(self, person: str) -> Person | None:
        """The person of this id."""
        return self._people.get(PersonId(person))

    def person_by_issi(self, issi: Issi) -> Person | None:
        """The person whose own ISSI this is."""
        return self._by_issi.get(issi)

    def unit(self, unit: str) -> Unit | None:
        """The unit of this id."""
        return self._units.get(UnitId(unit))

    def unit_of(self, person: str) -> Unit | None:
        """The unit this person is a member of."""
        return self._unit_of.get(PersonId(person))

    def people(self) -> Sequence[Person]:
        """Every person."""
        return list(self._people.values())

    def units(self) -> Sequence[Unit]:
        """Every unit."""
        return list(self._units.values())

    def devices(self) -> Sequence[Device]:
        """Every device."""
        return list(self._devices.values())

    def shifts(self) -> Sequence[Shift]:
        """Every planned shift."""
        return self._shifts

    def plans(self) -> Mapping[UnitId, Sequence[tuple[float, float]]]:
        """When each unit, or anybody of it, is planned to be on duty: seconds since 1970."""
        return self._plans

    def _planned(self, entered: Iterable[Booking]) -> dict[UnitId, list[tuple[float, float]]]:
        found: dict[UnitId, list[tuple[float, float]]] = {}
        spans = [(row.holder, row.since, row.until) for row in entered if planned(row) and row.until is not None]
        spans += [(shift.holder, shift.since, shift.until) for shift in self._shifts]
        for holder, since, until in spans:
            unit = self._units.get(UnitId(holder)) or self._unit_of.get(PersonId(holder))
            if unit is not None:
                found.setdefault(unit.id, []).append((since.timestamp(), until.timestamp()))
        return found

    def booked_on(self) -> Mapping[str, float]:
        """When each holder was last booked on, by people or at a device, seconds since 1970; plans book nobody on."""
        return self._booked_on

    def self_booked(self, person: str, at: datetime) -> list[Booking]:
        """Bookings that this person's own status opened and nothing has ended."""
        every = (row for rows in self._bookings.values() for row in rows)
        return [row for row in every if row.how == "self-booked" and row.holder == person and overlaps(row, at, at)]

    def bookings(self, device: DeviceId) -> Sequence[Booking]:
        """Effective bookings of a device, oldest first."""
        return self._bookings.get(device, [])

    def holder(self, device: DeviceId, at: datetime) -> Holder:
        """Who held the device then; several persons where bookings overlap, last_held_by where none does."""
        rows = self._bookings.get(device)
        if not rows:
            return NOBODY
        now = [row for row in rows if overlaps(row, at, at)]
        if not now:
            past = [row for row in rows if row.since <= at]
            last = self._persons(past[-1]) if past else ()
            return Holder(last_held_by=last[0] if len(last) == 1 else None)
        persons = tuple(dict.fromkeys(person for row in now for person in self._persons(row)))
        units = {unit for row in now if (unit := self._unit(row)) is not None}
        return Holder(persons, units.pop() if len(units) == 1 else None)

    def attribute(self, device: DeviceId, start: datetime | None, end: datetime | None) -> Attribution:
        """The one person who held the device at the start and whom nobody relieved before the end."""
        if start is None:
            return Attribution(None, flags=("holder_unknown", "recording_time_unknown"))
        rows = [row for row in self._bookings.get(device, []) if overlaps(row, start, max(start, end or start))]
        persons = tuple(dict.fromkeys(person for row in rows for person in self._persons(row)))
        if not persons:
            return Attribution(None, flags=("holder_unknown",))
        if len(persons) > 1:
            return Attribution(None, persons, ("holder_ambiguous",))
        if not any(overlaps(row, start, start) for row in rows):
            return Attribution(None, persons, ("holder_unknown", "booked_after_start"))
        return Attribution(persons[0], persons, self._doubts(rows, start))

    def _doubts(self, rows: Sequence[Booking], start: datetime) -> tuple[str, ...]:
        """That nobody had booked off by then, whatever was planned, is known; that it was planned otherwise too."""
        past = any((end := self._planned_until.get(row.id)) is not None and end <= start for row in rows)
        return ("past_planned_end",) if past else ()

    def _persons(self, booking: Booking) -> tuple[PersonId, ...]:
        """A booking to a unit is to its members; to anything else, to the person of that id."""
        unit = self._units.get(UnitId(booking.holder))
        return unit.members if unit else (PersonId(booking.holder),)

    def _unit(self, booking: Booking) -> UnitId | None:
        unit = self._units.get(UnitId(booking.holder)) or self._unit_of.get(PersonId(booking.holder))
        return unit.id if unit else None
