"""Cursor on Target: what the feed says of units and emergencies as CoT events (MITRE Base-Event 2.0, XML). Pure.

A template filled in, for an event made of elements costs ten times as much. Whatever comes from
the roster is escaped; what XML 1.0 cannot hold at all (section 2.2) becomes a question mark.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

import msgspec

UNKNOWN = 9999999.0
"""What CoT writes for a height or an error that nobody knows."""
ALERT_S = 600.0
CANCEL_S = 10.0
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_NAME = re.compile(r"[^A-Za-z0-9_.-]")
_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)
_HOW: Mapping[str, str] = {"manual": "h-e", "lip": "m-r"}
_EVENT = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    '<event version="2.0" uid="%s" type="%s" how="%s" time="%s" start="%s" stale="%s" qos="%s" opex="%s">'
    '<point lat="%.7f" lon="%.7f" hae="9999999.0" ce="%.1f" le="9999999.0"/><detail>%s</detail></event>'
)


class Point(msgspec.Struct, frozen=True):
    """Longitude first, as GeoJSON has it."""

    coordinates: tuple[float, ...]


class Duty(msgspec.Struct, frozen=True):
    """What a unit does."""

    code: int
    deployable: bool


class Member(msgspec.Struct, frozen=True):
    """Somebody of a crew; away: too far off to be where the unit is."""

    person: str = ""
    away: bool = False


class Properties(msgspec.Struct, frozen=True, kw_only=True):
    """What CoT wants of a feature's properties."""

    seq: int
    callsign: str
    agency: str
    role: str
    duty: Duty
    source: str
    fix_time: str | None
    stale_at: str | None
    issi: int | None = None
    powers: tuple[str, ...] = ()
    accuracy_m: float | None = None
    heading_deg: float | None = None
    speed_mps: float | None = None
    battery_pct: int | None = None
    members: tuple[Member, ...] = ()


class Unit(msgspec.Struct, frozen=True):
    """One unit, as its feature on the feed says."""

    id: str
    geometry: Point | None
    properties: Properties

    @property
    def placed(self) -> bool:
        """Whether there is anything to draw."""
        known = self.properties
        return self.geometry is not None and known.fix_time is not None and known.stale_at is not None


class Place(msgspec.Struct, frozen=True):
    """Where an emergency is."""

    latitude: float
    longitude: float
    accuracy_m: float | None
    fix_time: str


class Emergency(msgspec.Struct, frozen=True):
    """One emergency, as its record on the feed says."""

    id: str
    state: str
    unit: str | None = None
    person: str | None = None
    position: Place | None = None


class Look(NamedTuple):
    """How one server's events look: types by role, colour of the team, whether it is all an exercise."""

    type: str
    types: Mapping[str, str]
    team: str
    exercise: bool
    version: str

    def type_of(self, unit: Unit | None) -> str:
        """The type of a unit's track."""
        return self.type if unit is None else self.types.get(unit.properties.role, self.type)

    @property
    def opex(self) -> str:
        """Operations or exercise."""
        return "e" if self.exercise else "o"


@lru_cache(maxsize=16_384)
def escaped(text: str) -> str:
    """Text as it may stand in an attribute (XML 1.0 sections 2.2, 2.4 and 3.3.3)."""
    return _ILLEGAL.sub("?", text).translate(_ESCAPES)


def ncname(text: str) -> str:
    """Text as the content of `emergency`: an NCName (no spaces, no leading digit) in TAK's schema."""
    name = _NOT_NAME.sub("_", text)
    return name if name[:1].isalpha() or name[:1] == "_" else f"_{name}"


def uid(unit: str) -> str:
    """A unit's track."""
    return f"LAPEL.{unit}"


def alert_uid(emergency: Emergency) -> str:
    """An emergency's event: of its unit's track, else of itself."""
    return uid(emergency.unit or emergency.id) + "-9-1-1"


def position(unit: Unit, look: Look) -> bytes:
    """A unit's position; only of one that is placed."""
    known = unit.properties
    start, stale = _milli(known.fix_time or ""), _milli(known.stale_at or "")
    how = _HOW.get(known.source, "m-g")
    return _track(unit, look, (start, stale), how, _detail(unit, look))


def dropped(unit: Unit, look: Look, now: datetime) -> bytes:
    """Drop the track: stale before it starts, at the place that the server had last."""
    times = (_time(now), _time(now - timedelta(seconds=1)))
    return _track(unit, look, times, "m-g", f'<contact callsign="{escaped(unit.properties.callsign)}"/>')


def _track(unit: Unit, look: Look, times: tuple[str, str], how: str, detail: str) -> bytes:
    known, at = unit.properties, (0.0, 0.0) if unit.geometry is None else unit.geometry.coordinates
    start, stale = times
    return _filled(
        *(escaped(uid(unit.id)), look.type_of(unit), how, start, start, stale, "1-r-c", look.opex),
        *(at[1], at[0], _error(known.accuracy_m), detail),
    )


def _detail(unit: Unit, look: Look) -> str:
    known = unit.properties
    parts = [
        f'<contact callsign="{escaped(known.callsign)}"/>',
        f'<__group name="{escaped(look.team)}" role="Team Member"/>',
    ]
    if known.heading_deg is not None and known.speed_mps is not None:
        parts.append(f'<track course="{round(known.heading_deg, 1) % 360.0:.1f}" speed="{known.speed_mps:.2f}"/>')
    source = "USER" if known.source == "manual" else "GPS"
    parts.append(f'<precisionlocation geopointsrc="{source}" altsrc="???"/>')
    if known.battery_pct is not None:
        parts.append(f'<status battery="{known.battery_pct}"/>')
    parts.append(f'<takv device="{escaped(known.source)}" platform="lapel" os="linux" version="{look.version}"/>')
    return "".join((*parts, _own(unit)))


def _own(unit: Unit) -> str:
    """What TAK has no word for; servers and clients pass it on."""
    known = unit.properties
    issi = "" if known.issi is None else f' issi="{known.issi}"'
    return (
        f'<__lapel agency="{escaped(known.agency)}" role="{escaped(known.role)}"{issi} state="{known.duty.code}" '
        f'deployable="{"true" if known.duty.deployable else "false"}" powers="{escaped(" ".join(known.powers))}" '
        f'source="{escaped(known.source)}" seq="{known.seq}"/>'
    )


def alert(emergency: Emergency, unit: Unit | None, look: Look, now: datetime) -> bytes:
    """The emergency as an event of its own; beside the track, never instead of it."""
    return _alert(emergency, unit, look, now, cancel=False)


def cancelled(emergency: Emergency, unit: Unit | None, look: Look, now: datetime) -> bytes:
    """It is over."""
    return _alert(emergency, unit, look, now, cancel=True)


def _alert(emergency: Emergency, unit: Unit | None, look: Look, now: datetime, *, cancel: bool) -> bytes:
    name = unit.properties.callsign if unit is not None else emergency.unit or emergency.id
    place = _place(emergency, unit)
    start, stale = _time(now), _time(now + timedelta(seconds=CANCEL_S if cancel else ALERT_S))
    link = ""
    if emergency.unit is not None:
        link = f'<link uid="{escaped(uid(emergency.unit))}" type="{look.type_of(unit)}" relation="p-p"/>'
    mark = 'cancel="true"' if cancel else 'type="911 Alert"'
    remarks = "" if place is not None else "<remarks>position unknown</remarks>"
    detail = f'{link}<contact callsign="{escaped(name)}-Alert"/>{remarks}<emergency {mark}>{ncname(name)}</emergency>'
    kind, how = "b-a-o-can" if cancel else "b-a-o-tbl", "m-g" if place is not None else "h-e"
    lat, lon, accuracy_m = (0.0, 0.0, None) if place is None else (place.latitude, place.longitude, place.accuracy_m)
    return _filled(
        *(escaped(alert_uid(emergency)), kind, how, start, start, stale, "9-i-g", look.opex),
        *(lat, lon, _error(accuracy_m), detail),
    )


def _place(emergency: Emergency, unit: Unit | None) -> Place | None:
    """The later of where it was last told to be, and where its unit is: not of one whose officer is away from it."""
    told = emergency.position
    if unit is None or unit.geometry is None or unit.properties.fix_time is None:
        return told
    crew = unit.properties.members
    with_it = emergency.person is None or not crew or Member(emergency.person) in crew
    if told is not None and not with_it:
        return told
    known, at = unit.properties, unit.geometry.coordinates
    here = Place(at[1], at[0], known.accuracy_m, unit.properties.fix_time)
    return told if told is not None and _milli(told.fix_time) > _milli(here.fix_time) else here


def _filled(*values: object) -> bytes:
    return (_EVENT % values).encode()


def _error(accuracy_m: float | None) -> float:
    """Our accuracy is of one sigma, as `ce` is."""
    return UNKNOWN if accuracy_m is None else min(accuracy_m, UNKNOWN)


def _milli(text: str) -> str:
    """RFC 3339 with milliseconds always: more than one reader knows no other form."""
    return text if "." in text else f"{text[:-1]}.000Z"


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
