"""People, units, devices and bookings: who is who, and who holds what, when."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

import msgspec

from gateway.domain.ids import DeviceId, Issi, PersonId, UnitId

DeviceKind = Literal["camera", "beacon", "terminal"]
UnitKind = Literal["foot", "cycle", "vehicle"]
How = Literal["card", "code", "console", "kiosk", "radio", "dock", "roster", "corrected", "self-booked"]


class Power(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A legal power, e.g. `pcn` or `csas.litter`; expires is the last day it holds."""

    id: str
    expires: date | None = None
    area: str | None = None


class Person(msgspec.Struct, frozen=True, gc=False):
    """One officer: collar number, agency, role, own ISSI, powers, skills."""

    id: PersonId
    name: str
    agency: str
    role: str
    collar: str | None = None
    issi: Issi | None = None
    powers: tuple[Power, ...] = ()
    skills: tuple[str, ...] = ()


class Unit(msgspec.Struct, frozen=True, gc=False):
    """An officer, crew or vehicle as dispatched; callsign is its name on the air today.

    masked (covert): seen only by those who may see masked units; true or, for every other unit, not said.
    """

    id: UnitId
    callsign: str
    agency: str
    kind: UnitKind = "foot"
    members: tuple[PersonId, ...] = ()
    masked: bool | msgspec.UnsetType = msgspec.UNSET


class Device(msgspec.Struct, frozen=True, gc=False):
    """A camera, beacon or terminal; a terminal has an ISSI beside its own id."""

    id: DeviceId
    kind: DeviceKind
    agency: str
    issi: Issi | None = None


class Booking(msgspec.Struct, frozen=True, gc=False):
    """Device held by a person or unit from since until until (None: still), and how that is known.

    An `until` that was still to come when it was entered for the roster (`how`) is a plan: the booking lasts until it
    is ended. Corrections never overwrite: `corrects` names the booking that this one replaces,
    `reason` says why, `actor` who entered it.
    """

    id: int
    device: DeviceId
    holder: str
    since: datetime
    until: datetime | None
    how: How
    actor: str
    entered_at: datetime
    corrects: int | None = None
    reason: str | None = None


class Shift(msgspec.Struct, frozen=True, rename={"since": "from", "until": "to"}):
    """When a person or unit is planned to be on duty. A plan: it books nobody on and nobody off."""

    holder: str
    since: datetime
    until: datetime
    cancelled: bool = False


class Holder(msgspec.Struct, frozen=True, gc=False):
    """Who held a device at a moment: person and unit where known; several persons where doubtful."""

    persons: tuple[PersonId, ...] = ()
    unit: UnitId | None = None
    last_held_by: PersonId | None = None

    @property
    def person(self) -> PersonId | None:
        """The one person, or None: nobody and two are never guessed."""
        return self.persons[0] if len(self.persons) == 1 else None
