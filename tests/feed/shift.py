"""A shift to test with: a roster in memory, a clock that is set, reports as drivers emit them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

from gateway.domain.events import EmergencyReport, Origin, PositionReport, StatusReport, TextReport
from gateway.domain.people import Holder, Person, Power, Unit
from gateway.domain.position import Fix
from gateway.domain.time import Instant, Stamp
from gateway.feed import sse
from gateway.ports import Resolved

START = datetime(2026, 11, 21, 21, 0, tzinfo=UTC)


class SetClock:
    """A clock that stands until it is moved."""

    def __init__(self, start: datetime = START) -> None:
        self.mono_s, self.utc = 1000.0, start

    def now(self) -> Instant:
        """This moment."""
        return Instant(self.mono_s, self.utc)

    def on(self, seconds: float) -> Instant:
        """Go on by some seconds."""
        self.mono_s += seconds
        self.utc += timedelta(seconds=seconds)
        return self.now()


class Roster:
    """A Directory over two dictionaries; `broken` makes it raise, as a roster out of order would."""

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        self.by_unit: dict[str, Unit] = {}
        self.broken = False

    def enlist(self, number: int, *, agency="PCC", role="CSO", kind="foot", powers=("pcn",)) -> str:
        """One officer who is a unit of one."""
        granted = tuple(power if isinstance(power, Power) else Power(power) for power in powers)
        name, issi = f"Officer {number}", 2340000 + number
        person = Person(f"P-{number}", name, agency, role, str(number), issi, granted, ("aid",))
        unit = Unit(f"{agency}.{role}-{number}", f"{role}{number}", agency, kind, (person.id,))
        self.people[person.id], self.by_unit[unit.id] = person, unit
        return unit.id

    def crew(self, name: str, *numbers: int, kind="vehicle", **more) -> str:
        """Officers who are one unit; what each of them may is `powers` by number."""
        powers = more.pop("powers", {})
        for number in numbers:
            alone = self.enlist(number, kind=kind, powers=powers.get(number, ("pcn",)), **more)
            del self.by_unit[alone]
        agency = more.get("agency", "PCC")
        unit = Unit(f"{agency}.{name}", name, agency, kind, tuple(f"P-{number}" for number in numbers))
        self.by_unit[unit.id] = unit
        return unit.id

    def _answer(self, found):
        if self.broken:
            raise RuntimeError("the roster is on fire")
        return found

    def device(self, device):
        return self._answer(None)

    def terminal(self, issi):
        return self._answer(None)

    def holder(self, device, at):
        return self._answer(Holder())

    def attribute(self, device, start, end):
        raise NotImplementedError

    def person(self, person):
        return self._answer(self.people.get(person))

    def person_by_issi(self, issi):
        return self._answer(next((one for one in self.people.values() if one.issi == issi), None))

    def unit(self, unit):
        return self._answer(self.by_unit.get(unit))

    def unit_of(self, person):
        return self._answer(next((one for one in self.by_unit.values() if person in one.members), None))

    def units(self):
        return self._answer(list(self.by_unit.values()))


def stamp(now: Instant, age_s: float | None = 0.0) -> Stamp:
    """Arrived now, of a device time so many seconds ago; None for a device without a clock."""
    if age_s is None:
        return Stamp(now)
    return Stamp(now, now.utc - timedelta(seconds=age_s), "gnss")


def at(now: Instant, lat: float = 52.57, lon: float = -0.24, *, age_s: float | None = 0.0, **more) -> PositionReport:
    """A position report; source, device, accuracy_m and late as wanted."""
    fix = Fix(lat, lon, more.pop("accuracy_m", 8.0), None, more.pop("speed_mps", 1.4), more.pop("heading_deg", 87.5))
    source, device = more.pop("source", "mqtt"), more.pop("device", "bcn-1")
    return PositionReport(Origin("test", device), stamp(now, age_s), fix, source, **more)


def who(unit: str | None, person: str | None = None, device: str | None = None, issi: int | None = None) -> Resolved:
    """As resolve would say."""
    return Resolved(unit, person, device, issi)


def status(now: Instant, code: int | None, issi: int = 2340001) -> StatusReport:
    """A status from a radio."""
    return StatusReport(Origin("radio", None, issi), Stamp(now), 0x8000 + (code or 0), code)


def text(now: Instant, words: str) -> TextReport:
    """A text from a radio."""
    return TextReport(Origin("radio", None, 2340001), Stamp(now), words)


def press(now: Instant, trigger="tetra_status", *, device=None, issi=2340001, fix=None) -> EmergencyReport:
    """The button."""
    return EmergencyReport(Origin("radio", device, issi), Stamp(now), trigger, fix)


def expired(now: Instant) -> date:
    """Yesterday."""
    return now.utc.date() - timedelta(days=1)


class MemoryFiles:
    """FileOps in memory; `refuse` makes every write fail."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.refuse = False
        self.writes = 0

    def read(self, name):
        return self.files.get(name)

    def _check(self):
        self.writes += 1
        if self.refuse:
            raise OSError(28, "No space left on device")

    def replace(self, name, content):
        self._check()
        self.files[name] = content

    def append(self, name, content):
        self._check()
        self.files[name] = self.files[name] + content
        return len(self.files[name])


class Reader:
    """A consumer's own program: what it knows from what it read, and where it stands."""

    def __init__(self) -> None:
        self.units: dict[str, dict] = {}
        self.emergencies: dict[str, dict] = {}
        self.messages: dict[int, dict] = {}
        self.urgent: list[tuple[int, str]] = []
        self.ids: list[int] = []
        self.cursor: str | None = None
        self.snapshots = 0

    def read(self, chunk: bytes | None) -> None:
        """Take one chunk."""
        for block in sse.blocks(chunk or b""):
            content = json.loads(block.payload)
            self.cursor = block.id
            self.ids.append(int(block.id.rpartition("-")[2]))
            getattr(self, f"_{block.event}")(content)

    def drain(self, consumer) -> None:
        """Take all that waits."""
        while (chunk := consumer.take()) is not None:
            self.read(chunk)

    def _snapshot(self, content):
        self.snapshots += 1
        self.units = {feature["id"]: feature for feature in content["features"]}

    def _position(self, content):
        assert content["properties"]["seq"] == self.ids[-1]
        self.units[content["id"]] = content

    def _emergency(self, content):
        assert content["seq"] == self.ids[-1]
        self.urgent.append((content["seq"], "emergency"))
        self.emergencies[content["id"]] = content

    def _duty(self, content):
        assert content["seq"] == self.ids[-1]
        self.urgent.append((content["seq"], "duty"))

    def _message(self, content):
        assert content["seq"] == self.ids[-1]
        self.urgent.append((content["seq"], "message"))
        self.messages[content["id"]] = content

    def _proven(self, content):
        assert content["seq"] == self.ids[-1]
        self.urgent.append((content["seq"], "proven"))

    def _removed(self, content):
        if content["reason"] != "filter":
            self.urgent.append((content["seq"], "removed"))
        self.units.pop(content["unit"], None)
