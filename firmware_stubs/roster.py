"""Who is on shift: people of three agencies, their units, devices and bookings, and the roster file that says so."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

AREA = "E06000031"
FIRST_ISSI = 2341001
CREW_EVERY = 6


@dataclass(frozen=True)
class Agency:
    """One agency's ids, roles and the powers that its people may hold."""

    id: str
    roles: tuple[str, ...]
    prefix: str
    kinds: tuple[str, ...]
    powers: tuple[str, ...]


AGENCIES = (
    Agency("PCC", ("CSO", "PEO"), "CSO", ("foot", "foot", "cycle"), ("pcn", "csas.litter", "csas.alcohol")),
    Agency("CAMBS", ("PC", "PCSO", "PS"), "CB", ("vehicle", "foot"), ("constable", "traffic.control", "pcn")),
    Agency("CFRS", ("FF", "WM"), "FR", ("vehicle",), ("fire.safety", "housing.entry")),
)


@dataclass(frozen=True)
class Person:
    """One officer with a personal radio."""

    id: str
    collar: str
    agency: str
    role: str
    issi: int
    powers: tuple[str, ...]


@dataclass(frozen=True)
class Unit:
    """What is dispatched: an officer alone or a crew."""

    id: str
    callsign: str
    agency: str
    kind: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class Device:
    """One device and who booked it; a terminal has its radio's identity."""

    id: str
    kind: str
    agency: str
    holder: str
    issi: int | None = None


@dataclass(frozen=True)
class Headcount:
    """How many of each a shift has."""

    people: int
    beacons: int
    cameras: int


@dataclass(frozen=True)
class Roster:
    """A whole shift's people, units and devices."""

    people: tuple[Person, ...]
    units: tuple[Unit, ...]
    devices: tuple[Device, ...]

    def unit_of(self, person: str) -> Unit:
        """The unit that a person belongs to."""
        return next(unit for unit in self.units if person in unit.members)

    def devices_of(self, kind: str) -> list[Device]:
        """The devices of one kind, in order."""
        return [device for device in self.devices if device.kind == kind]


def plan(count: Headcount, seed: int) -> Roster:
    """Make up a shift; the same seed makes the same one."""
    chance = random.Random(seed)
    people = tuple(_person(number, chance) for number in range(count.people))
    return Roster(people, _units(people, chance), tuple(_devices(people, count)))


def _person(number: int, chance: random.Random) -> Person:
    agency = AGENCIES[(0, 1, 0, 1, 2)[number % 5]]
    powers = tuple(power for power in agency.powers if chance.random() < 0.6)
    if agency.id == "PCC" and number % 2 == 0 and "pcn" not in powers:
        powers = ("pcn", *powers)
    role = chance.choice(agency.roles)
    return Person(f"P-{number + 1:04d}", f"{7001 + number}", agency.id, role, FIRST_ISSI + number, powers)


def _units(people: Sequence[Person], chance: random.Random) -> tuple[Unit, ...]:
    """One unit a person, except that now and then two of an agency crew a vehicle."""
    units: list[Unit] = []
    waiting = list(people)
    while waiting:
        first = waiting.pop(0)
        agency = next(each for each in AGENCIES if each.id == first.agency)
        crew = [first.id]
        mate = next((person for person in waiting if person.agency == first.agency), None)
        if mate is not None and len(units) % CREW_EVERY == 1:
            waiting.remove(mate)
            crew.append(mate.id)
        kind = "vehicle" if len(crew) > 1 else chance.choice(agency.kinds)
        number = int(first.id[2:])
        name = f"{first.agency}.{agency.prefix}-{number:03d}"
        units.append(Unit(name, f"{agency.prefix}{number:02d}", first.agency, kind, tuple(crew)))
    return tuple(units)


def _devices(people: Sequence[Person], count: Headcount) -> list[Device]:
    devices = [Device(f"trm-{each.issi}", "terminal", each.agency, each.id, each.issi) for each in people]
    for kind, prefix, many in (("camera", "cam", count.cameras), ("beacon", "bcn", count.beacons)):
        for number in range(many):
            # Cameras from one end of the roster, beacons from the other, so that each mix of devices occurs.
            holder = people[number % len(people) if kind == "camera" else -1 - number % len(people)]
            devices.append(Device(f"{prefix}-{number + 1:04d}", kind, holder.agency, holder.id))
    return devices


def toml(roster: Roster, now: datetime) -> str:
    """The roster file; everybody booked their devices half an hour ago."""
    since = (now.astimezone(UTC) - timedelta(minutes=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    blocks = ["v = 1"]
    blocks += [_person_block(person) for person in roster.people]
    blocks += [_unit_block(unit) for unit in roster.units]
    blocks += [_device_block(device) for device in roster.devices]
    blocks += [_booking_block(device, since) for device in roster.devices]
    return "\n\n".join(blocks) + "\n"


def _person_block(person: Person) -> str:
    powers = ", ".join(_power(power) for power in person.powers)
    return (
        f'[[person]]\nid = "{person.id}"\ncollar = "{person.collar}"\nname = "Officer {int(person.id[2:])}"\n'
        f'agency = "{person.agency}"\nrole = "{person.role}"\nissi = {person.issi}\npowers = [{powers}]'
    )


def _power(power: str) -> str:
    limits = f', expires = 2031-03-31, area = "{AREA}"' if power.startswith("csas.") else ""
    return f'{{ id = "{power}"{limits} }}'


def _unit_block(unit: Unit) -> str:
    members = ", ".join(f'"{member}"' for member in unit.members)
    return (
        f'[[unit]]\nid = "{unit.id}"\ncallsign = "{unit.callsign}"\nagency = "{unit.agency}"\n'
        f'kind = "{unit.kind}"\nmembers = [{members}]'
    )


def _device_block(device: Device) -> str:
    identity = f"\nissi = {device.issi}" if device.issi is not None else ""
    return f'[[device]]\nid = "{device.id}"\nkind = "{device.kind}"\nagency = "{device.agency}"{identity}'


def _booking_block(device: Device, since: str) -> str:
    how = "radio" if device.kind == "terminal" else "kiosk"
    return f'[[booking]]\ndevice = "{device.id}"\nholder = "{device.holder}"\nfrom = {since}\nhow = "{how}"'
