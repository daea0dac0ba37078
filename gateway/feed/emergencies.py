"""Emergencies: one for each person who pressed, from the press to the word of a named person that it is over. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from gateway.domain.events import EmergencyReport, Origin, Trigger
from gateway.domain.time import from_rfc3339
from gateway.errors import RefusedError
from gateway.ports import Resolved

State = Literal["active", "acknowledged", "cleared"]
Outcome = Literal["assisted", "false_activation", "test"]
OUTCOMES: tuple[Outcome, ...] = ("assisted", "false_activation", "test")
CLEARED_KEPT = 1_000
KILLED, DAMAGED = 100, 1_000
"""How far numbers are stepped over for what may have been told and is not known."""
PRESSES_KEPT = 32
BROUGHT_AGAIN: tuple[Trigger, ...] = ("camera_panic", "beacon_sos")


class EmergencyPlace(msgspec.Struct, frozen=True):
    """Where it was raised, or where the unit was last known."""

    latitude: float
    longitude: float
    accuracy_m: float | None
    fix_time: str


class Press(msgspec.Struct, frozen=True):
    """One press, by the time that its device gave, else the time of its arrival."""

    trigger: Trigger
    at: str


class EmergencyRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """An emergency as consumers and the urgent log have it."""

    v: int
    seq: int
    id: str
    state: State
    raised_at: str
    person: str | None
    unit: str | None
    issi: int | None
    triggers: tuple[Trigger, ...]
    presses: int
    delivered: bool
    acknowledged_by: str | None
    position: EmergencyPlace | None
    journalled: bool
    device: str | None = None
    holder: str | None = None
    last_held_by: str | None = None
    cleared_by: str | None = None
    outcome: Outcome | None = None
    pressed: tuple[Press, ...] = ()


class Emergency(msgspec.Struct, eq=False):
    """One emergency as it stands. seen_s are the moments of its presses, so that one heard twice counts once.

    journalled is the intake's word of the frame, kept the urgent log's of the record.
    """

    id: str
    key: str
    raised_s: float
    person: str | None
    unit: str | None
    issi: int | None
    device: str | None
    last_held_by: str | None = None
    state: State = "active"
    triggers: list[Trigger] = msgspec.field(default_factory=list)
    presses: int = 0
    delivered: bool = False
    acknowledged_by: str | None = None
    cleared_by: str | None = None
    outcome: Outcome | None = None
    place: EmergencyPlace | None = None
    journalled: bool = True
    kept: bool = True
    seq: int = 0
    seen_s: list[tuple[Trigger, float]] = msgspec.field(default_factory=list)


def key_of(person: str | None, origin: Origin, who: Resolved) -> str:
    """Whose emergency it is: the person's, else the ISSI's, the device's, the unit's, the link's."""
    issi = who.issi if who.issi is not None else origin.issi
    device = who.device or origin.device
    if person is not None:
        return f"person {person}"
    if issi is not None:
        return f"issi {issi}"
    if device is not None:
        return f"device {device}"
    return f"unit {who.unit}" if who.unit is not None else f"link {origin.via}"


def _numbered(number: str) -> tuple[str, int]:
    """Day and count of an emergency's id; of what is none, nothing that a number could clash with."""
    day, _, count = number.removeprefix("EM-").partition("-")
    return (day, int(count)) if count.isdecimal() else ("", 0)


def _among(one: Emergency, trigger: Trigger, at_s: float) -> bool:
    """Whether this press is one of those counted; to the millisecond, as they are written down."""
    return any(trigger == seen and round(at_s * 1000) == round(seen_s * 1000) for seen, seen_s in one.seen_s)


class Emergencies:
    """Every emergency that is not over, and the latest that are."""

    def __init__(self) -> None:
        self.known: dict[str, Emergency] = {}
        self._open: dict[str, Emergency] = {}
        self._day, self._number = "", 0

    def press(self, report: EmergencyReport, who: Resolved, *, journalled: bool) -> Emergency:
        """Raise one, or add to the one that this person has open already."""
        arrived_s = report.stamp.arrived.utc.timestamp()
        raised_s = min(arrived_s, report.stamp.at.timestamp())
        key = key_of(who.person, report.origin, who)
        found = self._open.get(key)
        if found is None:
            issi = who.issi if who.issi is not None else report.origin.issi
            device = who.device or report.origin.device
            number = self._next_id(report.stamp.arrived.utc)
            found = Emergency(number, key, raised_s, who.person, who.unit, issi, device, who.last_held_by)
            self._keep(found)
        self._count(found, report.trigger, report.stamp.at.timestamp())
        found.unit = who.unit or found.unit
        found.journalled = found.journalled and journalled
        return found

    def _count(self, found: Emergency, trigger: Trigger, at_s: float) -> None:
        if _among(found, trigger, at_s):
            return
        found.seen_s = [*found.seen_s[1 - PRESSES_KEPT :], (trigger, at_s)]
        found.presses += 1
        if trigger not in found.triggers:
            found.triggers.append(trigger)

    def redelivered(self, report: EmergencyReport, who: Resolved) -> bool:
        """Whether a broker brings once more a press that is over: the same device at the same time by its clock.

        Only what comes by MQTT is kept and brought again. A radio is never taken for one that repeats itself:
        the time in its report is its last fix's, and an officer indoors may well press twice at one fix.
        """
        device, told = report.origin.device, report.stamp.device_time
        if report.trigger not in BROUGHT_AGAIN or told is None or self.at(who.person, report.origin, who) is not None:
            return False
        over = [one for one in self.known.values() if one.device == device and one.state == "cleared"]
        return any(_among(one, report.trigger, told.timestamp()) for one in over)

    def _keep(self, emergency: Emergency) -> None:
        self.known[emergency.id] = emergency
        if emergency.state != "cleared":
            self._open[emergency.key] = emergency
        over = [number for number, one in self.known.items() if one.state == "cleared"]
        for number in over[: max(0, len(over) - CLEARED_KEPT)]:
            del self.known[number]

    def _next_id(self, at: datetime) -> str:
        self._begin_day(f"{at:%Y%m%d}")
        self._number += 1
        return f"EM-{self._day}-{self._number:04d}"

    def _begin_day(self, day: str) -> None:
        if day != self._day:
            # A clock set back over midnight comes to a day again whose first numbers are taken.
            taken = [_numbered(number) for number in self.known]
            self._day, self._number = day, max((count for when, count in taken if when == day), default=0)

    def restore(self, record: EmergencyRecord, raised_s: float) -> Emergency:
        """Take up one that was recorded before; later records of the same one replace it."""
        origin = Origin("restored")
        who = Resolved(record.unit, None, record.device, record.issi)  # type: ignore[arg-type]
        emergency = Emergency(
            record.id,
            key_of(record.person, origin, who),
            raised_s,
            record.person,
            record.unit,
            record.issi,
            record.device,
            record.last_held_by,
            record.state,
            list(record.triggers),
            record.presses,
            record.delivered,
            record.acknowledged_by,
            record.cleared_by,
            record.outcome,
            record.position,
            record.journalled,
            seq=record.seq,
            seen_s=[(press.trigger, from_rfc3339(press.at).timestamp()) for press in record.pressed]
            or [(trigger, raised_s) for trigger in record.triggers],
        )
        if record.state == "cleared":
            self._open.pop(emergency.key, None)
        self._keep(emergency)
        self._count_from(record.id)
        return emergency

    def _count_from(self, number: str) -> None:
        self._day, self._number = max((self._day, self._number), _numbered(number))

    def skip_to_next(self, step: int, at: datetime) -> None:
        """After a kill or a damaged log go on at the next so many: a number must never name two emergencies."""
        self._begin_day(f"{at:%Y%m%d}")
        self._number = (self._number // step + 1) * step

    @property
    def any_open(self) -> bool:
        """Whether there is one."""
        return bool(self._open)

    def open(self) -> list[Emergency]:
        """Those not over, oldest first."""
        return sorted(self._open.values(), key=lambda one: (one.raised_s, one.id))

    def of_unit(self, unit: str | None) -> Emergency | None:
        """The one a unit shows: unacknowledged before acknowledged, then the oldest."""
        if unit is None:
            return None
        found = [one for one in self.open() if one.unit == unit]
        return min(found, key=lambda one: one.state != "active", default=None)

    def at(self, person: str | None, origin: Origin, who: Resolved) -> Emergency | None:
        """The open one of this person or device."""
        return self._open.get(key_of(person, origin, who))

    def acknowledge(self, number: str, by: str) -> Emergency | None:
        """A named person has seen it; the first name stays. None for one unknown or over."""
        found = self.known.get(number)
        if found is None or found.state == "cleared":
            return None
        if found.acknowledged_by is None:
            found.state, found.acknowledged_by = "acknowledged", by
        return found

    def clear(self, number: str, by: str, outcome: Outcome) -> Emergency | None:
        """It is over, says a named person, and how it ended. None for one unknown or over."""
        if outcome not in OUTCOMES:
            raise RefusedError(422, f"{outcome!r} is no outcome of an emergency ({', '.join(OUTCOMES)})")
        found = self.known.get(number)
        if found is None or found.state == "cleared":
            return None
        found.state, found.cleared_by, found.outcome = "cleared", by, outcome
        self._open.pop(found.key, None)
        return found
