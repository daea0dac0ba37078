"""Standings and emergencies as JSON: GeoJSON Features (RFC 7946 section 3.2) as unit.schema.json asks. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

import msgspec

from gateway.domain.ids import ISSI_MAX
from gateway.domain.people import Person
from gateway.feed.duty import Duty, DutyRecord
from gateway.feed.emergencies import Emergency, EmergencyPlace, EmergencyRecord, Press
from gateway.feed.fusion import CONFLICT
from gateway.feed.gate import distance_m
from gateway.feed.globe import haversine_m
from gateway.feed.members import own_sighting
from gateway.feed.messages import Message
from gateway.feed.proofs import Proof
from gateway.feed.roll import powers_of
from gateway.feed.slices import listed
from gateway.feed.standing import EmergencyMark, Sighting, SourceChange, Standing
from gateway.feed.wording import time_text

QUALITIES = frozenset({"outlier_held", "low_accuracy", "clock_skew", "no_gnss", "reanchored", "source_conflict"})
_ENCODER = msgspec.json.Encoder()


class Point(msgspec.Struct, frozen=True, tag_field="type", tag="Point"):
    """A place, longitude first."""

    coordinates: tuple[float, float]


class Member(msgspec.Struct, frozen=True):
    """One officer of a unit. coordinates (longitude, latitude) and what follows: where they themselves are, in a crew.

    apart_m: how far that is from the unit; None where no position of their own is known. away: too far to be with it.
    """

    person: str
    collar: str | None
    issi: int | None
    powers: tuple[str, ...]
    devices: tuple[str, ...]
    apart_m: float | None = None
    away: bool | msgspec.UnsetType = msgspec.UNSET
    coordinates: tuple[float, float] | msgspec.UnsetType = msgspec.UNSET
    fix_time: str | msgspec.UnsetType = msgspec.UNSET
    accuracy_m: float | msgspec.UnsetType | None = msgspec.UNSET


class SourceNote(msgspec.Struct, frozen=True):
    """Where one device says the unit is; coordinates (longitude, latitude) where there are several."""

    source: str
    device: str
    fix_time: str
    accuracy_m: float | None
    disagrees_m: float | None
    coordinates: tuple[float, float] | msgspec.UnsetType = msgspec.UNSET


class Properties(msgspec.Struct, frozen=True):
    """The properties of a unit's feature, in the order of the example."""

    seq: int
    callsign: str
    issi: int | None
    collar: str | None
    members: msgspec.Raw
    reach: str
    agency: str
    role: str
    unit_type: str
    powers: msgspec.Raw
    skills: msgspec.Raw
    duty: Duty
    fresh: str
    source: str
    sources: list[SourceNote]
    fix_time: str | None
    received_at: str
    stale_at: str | None
    time_quality: str | msgspec.UnsetType
    accuracy_m: float | None
    heading_deg: float | None
    speed_mps: float | None
    quality: list[str]
    battery_pct: int | None
    emergency: EmergencyMark | None
    overtime: bool = False
    recording: bool | msgspec.UnsetType = msgspec.UNSET
    zones: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    uncertainty_mps: float | msgspec.UnsetType = msgspec.UNSET
    masked: bool | msgspec.UnsetType = msgspec.UNSET
    shared_by: str | msgspec.UnsetType = msgspec.UNSET
    source_change: SourceChange | msgspec.UnsetType = msgspec.UNSET


class Feature(msgspec.Struct, frozen=True, tag_field="type", tag="Feature"):
    """A unit as GeoJSON."""

    id: str
    geometry: Point | None
    properties: Properties


def feature(standing: Standing, now_mono_s: float) -> bytes:
    """One unit's feature; made at most once between two changes."""
    if standing.feature is None:
        standing.feature = _ENCODER.encode(_feature(standing, now_mono_s))
    return standing.feature


def _feature(standing: Standing, now_mono_s: float) -> Feature:
    live = standing.live
    point = None if live is None else Point((live.fix.longitude, live.fix.latitude))
    return Feature(standing.id, point, _properties(standing, live, now_mono_s))


def _properties(standing: Standing, live: Sighting | None, now_mono_s: float) -> Properties:
    roll, fix = standing.roll, None if live is None else live.fix
    first = roll.persons[0] if roll.persons else None
    powers, skills = _granted(standing)
    return Properties(
        standing.seq,
        roll.unit.callsign,
        _issi(first.issi) if first else None,
        first.collar if first else None,
        _members(standing),
        standing.reach,
        roll.unit.agency,
        roll.role,
        roll.unit.kind,
        powers,
        skills,
        standing.duty,
        standing.fresh(now_mono_s),
        "none" if live is None else live.source,
        [] if live is None else _sources(standing, live),
        None if live is None else time_text(live.fix_s),
        time_text(standing.noted_s if live is None else live.received_s),
        None if live is None else time_text(live.fix_s + live.pace.ageing_s),
        msgspec.UNSET if live is None else live.time_quality,
        None if fix is None else _least_zero(fix.accuracy_m),
        None if fix is None or fix.heading_deg is None else fix.heading_deg % 360.0,
        None if fix is None else _least_zero(fix.speed_mps),
        [] if live is None else _quality(standing, live),
        _percent(standing.battery),
        _mark(standing),
        standing.overtime,
        recording=True if standing.recording else msgspec.UNSET,
        zones=msgspec.UNSET if standing.zones is None else standing.zones,
        uncertainty_mps=msgspec.UNSET if live is None else standing.speed_mps,
        masked=True if roll.unit.masked else msgspec.UNSET,
        source_change=standing.change or msgspec.UNSET,
    )


def _quality(standing: Standing, live: Sighting) -> list[str]:
    if not live.quality and not standing.conflicts:
        return []
    marks = [mark for mark in live.quality if mark in QUALITIES]
    return [*marks, CONFLICT] if standing.conflicts else marks


def _granted(standing: Standing) -> tuple[msgspec.Raw, msgspec.Raw]:
    if standing.roll_json is None:
        roll = standing.roll
        standing.roll_json = msgspec.Raw(_ENCODER.encode(roll.powers)), msgspec.Raw(_ENCODER.encode(roll.skills))
    return standing.roll_json


def _members(standing: Standing) -> msgspec.Raw:
    if standing.members_json is None:
        members = [_member(person, standing) for person in standing.roll.persons if person.id not in standing.off]
        standing.members_json = msgspec.Raw(_ENCODER.encode(members))
    return standing.members_json


def _member(person: Person, standing: Standing) -> Member:
    devices = tuple(sorted(device for device, holder in standing.devices.items() if holder == person.id))
    powers, live = powers_of(person, standing.roll.day), standing.live
    found = Member(person.id, person.collar, _issi(person.issi), powers, devices)
    if len(standing.roll.persons) == 1:
        return found if live is None else msgspec.structs.replace(found, apart_m=0.0)
    mine = own_sighting(standing, person.id)
    if live is None or mine is None:
        return found
    return msgspec.structs.replace(
        found,
        apart_m=0.0 if mine is live else round(distance_m(mine.fix, live.fix), 1),
        away=person.id in standing.roll.away,
        coordinates=(mine.fix.longitude, mine.fix.latitude),
        fix_time=time_text(mine.fix_s),
        accuracy_m=_least_zero(mine.fix.accuracy_m),
    )


def _sources(standing: Standing, live: Sighting) -> list[SourceNote]:
    if len(standing.sightings) == 1 and live.device in standing.sightings:
        return [_source(live, live, several=False)]
    return [_source(sighting, live, several=True) for sighting in standing.sightings.values()]


def _source(sighting: Sighting, live: Sighting, *, several: bool) -> SourceNote:
    fix, shown = sighting.fix, live.fix
    apart_m = None
    if sighting is not live:
        apart_m = round(haversine_m(shown.latitude, shown.longitude, fix.latitude, fix.longitude), 1)
    accuracy_m = _least_zero(fix.accuracy_m)
    place = (fix.longitude, fix.latitude) if several else msgspec.UNSET
    return SourceNote(sighting.source, sighting.device, time_text(sighting.fix_s), accuracy_m, apart_m, place)


def _least_zero(number: float | None) -> float | None:
    return number if number is not None and number >= 0 else None


def _mark(standing: Standing) -> EmergencyMark | None:
    """Who is (or was, when it began) with another unit is named in the emergency's own record, not in this one's."""
    mark = standing.emergency
    if mark is None or mark.person is None or mark.person in standing.roll.unit.members:
        return mark
    return msgspec.structs.replace(mark, person=None)


def _percent(number: int | None) -> int | None:
    return number if number is not None and 0 <= number <= 100 else None


def _issi(number: int | None) -> int | None:
    return number if number is not None and 1 <= number <= ISSI_MAX else None


def duty(standing: Standing, seq: int) -> bytes:
    """A unit's duty as a record of its own."""
    return _ENCODER.encode(duty_record(standing, seq))


def duty_record(standing: Standing, seq: int) -> DutyRecord:
    """A unit's duty as consumers and the urgent log have it."""
    now = standing.duty
    return DutyRecord(
        1,
        seq,
        standing.id,
        now.code,
        now.state,
        now.deployable,
        now.since,
        now.incident,
        now.source,
        standing.overtime,
        time_text(standing.on_since_s) if isfinite(standing.on_since_s) else msgspec.UNSET,
        _off(standing) or msgspec.UNSET,
    )


def _off(standing: Standing) -> dict[str, str]:
    """Of those who are its members: who has left it meanwhile may be with a unit that not everybody sees."""
    members = standing.roll.unit.members
    return {person: time_text(at_s) for person, at_s in standing.off.items() if person in members}


def removed(unit: str, seq: int, reason: str) -> bytes:
    """The word that a unit has left the feed."""
    return _ENCODER.encode({"v": 1, "seq": seq, "unit": unit, "reason": reason})


def message(said: Message, seq: int) -> bytes:
    """A message from an officer, and who dealt with it, as a record."""
    return _ENCODER.encode({"v": 1, "seq": seq, **msgspec.to_builtins(said)})


def proven(proof: Proof, seq: int) -> bytes:
    """The word that a handset's emergency path works, as a record."""
    return _ENCODER.encode({"v": 1, "seq": seq, **msgspec.structs.asdict(proof)})


def emergency(raised: Emergency, seq: int) -> bytes:
    """An emergency as a record."""
    return _ENCODER.encode(emergency_record(raised, seq))


def emergency_record(raised: Emergency, seq: int | None = None) -> EmergencyRecord:
    """An emergency as consumers and the urgent log have it; by itself, under the number it went out with."""
    unknown = raised.person is None and raised.unit is None
    return EmergencyRecord(
        1,
        raised.seq if seq is None else seq,
        raised.id,
        raised.state,
        time_text(raised.raised_s),
        raised.person,
        raised.unit,
        _issi(raised.issi),
        tuple(raised.triggers),
        raised.presses,
        raised.delivered,
        raised.acknowledged_by,
        _place(raised.place),
        raised.journalled and raised.kept,
        raised.device,
        "unknown" if unknown else None,
        raised.last_held_by if unknown else None,
        raised.cleared_by,
        raised.outcome,
        _pressed(raised),
    )


def _pressed(raised: Emergency) -> tuple[Press, ...]:
    """Every press; none where there was one, for that is the `raised_at` and the only trigger."""
    presses = tuple(Press(trigger, time_text(at_s)) for trigger, at_s in raised.seen_s)
    return () if [press.at for press in presses] == [time_text(raised.raised_s)] else presses


def _place(place: EmergencyPlace | None) -> EmergencyPlace | None:
    return None if place is None else msgspec.structs.replace(place, accuracy_m=_least_zero(place.accuracy_m))


def collection(slices: Iterator[list[bytes]], epoch: str, seq: int, at: str) -> Iterator[bytes]:
    """A FeatureCollection (RFC 7946 section 3.3) that says where in the stream it was taken, in pieces."""
    stream = _ENCODER.encode({"epoch": epoch, "seq": seq, "generated_at": at})
    head = b'{"type":"FeatureCollection","lapel:stream":%b,"features":[' % stream
    return listed(head, slices, b"]}")


def snapshot(slices: Iterator[list[bytes]], epoch: str, seq: int, emergencies: list[bytes]) -> Iterator[bytes]:
    """The first event of a stream that begins anew, in pieces."""
    head = _ENCODER.encode({"v": 1, "epoch": epoch, "seq": seq})[:-1] + b',"features":['
    return listed(head, slices, b'],"emergencies":[%b]}' % b",".join(emergencies))
