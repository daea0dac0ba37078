"""A small roster for tests."""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.domain.ids import DeviceId, Issi, PersonId, UnitId
from gateway.domain.people import Booking, Device, Person, Power, Unit
from gateway.roster.directory import Roster

SHIFT = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
PEOPLE = [
    Person(PersonId("P-0014"), "Officer 14", "PCC", "CSO", "7714", Issi(2341014), (Power("pcn"),)),
    Person(PersonId("P-0015"), "Officer 15", "PCC", "CSO", "7715", Issi(2341015)),
]
UNITS = [
    Unit(UnitId("PCC.CSO-014"), "CSO14", "PCC", "foot", (PersonId("P-0014"),)),
    Unit(UnitId("PCC.VAN-1"), "VAN1", "PCC", "vehicle", (PersonId("P-0015"),)),
]
DEVICES = [
    Device(DeviceId("bcn-1"), "beacon", "PCC"),
    Device(DeviceId("cam-1"), "camera", "PCC"),
    Device(DeviceId("trm-1"), "terminal", "PCC", Issi(2341014)),
]


def booking(number: int, device: str, holder: str, since: datetime = SHIFT, until=None, corrects=None) -> Booking:
    """One booking."""
    return Booking(number, DeviceId(device), holder, since, until, "kiosk", "test", SHIFT, corrects)


BOOKINGS = [booking(1, "bcn-1", "P-0014"), booking(2, "cam-1", "P-0014"), booking(3, "trm-1", "P-0014")]
ROSTER = Roster(PEOPLE, UNITS, DEVICES, BOOKINGS)
