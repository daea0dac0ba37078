"""Which units are nearest: arrays of columns, searched whole. Pure (numpy).

Places are kept as points on the unit sphere: the chord orders exactly as the great circle does,
at the poles and at the antimeridian too, and costs three multiplications a unit.
"""

from __future__ import annotations

import math
from datetime import date
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from gateway.domain.ids import UnitId
from gateway.domain.people import UnitKind
from gateway.domain.time import Instant
from gateway.feed.duty import EMERGENCY, STATES, code_of
from gateway.feed.roll import Roll, holds
from gateway.feed.settings import FeedSettings
from gateway.feed.standing import Sighting, Standing
from gateway.feed.zone_rows import ZoneRows

EARTH_M = 6_371_008.8
FIRST_ROWS = 1024
SPARE = 64
UNKNOWN_DUTY = -1
_KINDS: tuple[UnitKind, ...] = ("foot", "cycle", "vehicle")

Mask = npt.NDArray[np.bool_]


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A place (degrees) and who would do: every power must be held, and any one of the duties, agencies and roles."""

    lat: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    lon: Annotated[float, msgspec.Meta(ge=-180, le=180)]
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 5
    power: tuple[str, ...] = ()
    duty: tuple[str, ...] = ()
    agency: tuple[str, ...] = ()
    role: tuple[str, ...] = ()
    max_age_s: Annotated[float, msgspec.Meta(ge=0)] | None = None
    exclude: tuple[str, ...] = ()
    zone: tuple[str, ...] = ()


class Candidate(msgspec.Struct, frozen=True):
    """One unit that could go, and why it is offered; the bearing is from the place asked for to the unit.

    person: it is this member alone, who is away from the unit.
    """

    unit: UnitId
    distance_m: float
    bearing_deg: float
    eta_s: float
    eta_basis: str
    age_s: float
    why: tuple[str, ...]
    person: str | None = None


class Ranking(msgspec.Struct, frozen=True):
    """Units, and members away from theirs, ranked; how many were looked at, and how many fell out for which reason."""

    results: tuple[Candidate, ...]
    considered: int
    rejected: dict[str, int]


def haversine_m(lat: float, lon: float, to_lat: float, to_lon: float) -> float:
    """Great-circle distance on the mean sphere."""
    phi, to_phi = math.radians(lat), math.radians(to_lat)
    half = math.sin((to_phi - phi) / 2) ** 2
    half += math.cos(phi) * math.cos(to_phi) * math.sin(math.radians(to_lon - lon) / 2) ** 2
    return 2 * EARTH_M * math.asin(min(1.0, math.sqrt(half)))


def bearing_deg(lat: float, lon: float, to_lat: float, to_lon: float) -> float:
    """The course on which to set out, from true north in [0, 360)."""
    phi, to_phi, east = math.radians(lat), math.radians(to_lat), math.radians(to_lon - lon)
    across = math.sin(east) * math.cos(to_phi)
    along = math.cos(phi) * math.sin(to_phi) - math.sin(phi) * math.cos(to_phi) * math.cos(east)
    return math.degrees(math.atan2(across, along)) % 360.0


def _columns(rows: int, words: int) -> dict[str, npt.NDArray[Any]]:
    return {
        "lat": np.zeros(rows),
        "lon": np.zeros(rows),
        "x": np.zeros(rows),
        "y": np.zeros(rows),
        "z": np.zeros(rows),
        "fix_mono_s": np.zeros(rows),
        "ageing_s": np.zeros(rows),
        "shown": np.zeros(rows, np.bool_),
        "located": np.zeros(rows, np.bool_),
        "duty": np.full(rows, UNKNOWN_DUTY, np.int8),
        "order": np.full(rows, 2, np.int8),
        "kind": np.zeros(rows, np.int8),
        "agency": np.full(rows, -1, np.int32),
        "role": np.full(rows, -1, np.int32),
        "powers": np.zeros((rows, words), np.uint64),
    }


class Index:
    """One row a unit, and one a member who is away from it; rows of those that left are used again."""

    def __init__(self, settings: FeedSettings) -> None:
        self._settings = settings
        self._words: dict[str, dict[str, int]] = {"agency": {}, "role": {}, "power": {}}
        self._names: list[UnitId | None] = []
        self._rolls: list[Roll | None] = []
        self._persons: list[str | None] = []
        self._rows: dict[UnitId, int] = {}
        self._apart: dict[UnitId, set[int]] = {}
        self._free: list[int] = []
        self.zones = ZoneRows()
        self._day: date | None = None
        self._speeds = np.array([settings.speed_mps(kind) for kind in _KINDS])
        self._adopt(_columns(FIRST_ROWS, 1))

    def _adopt(self, columns: dict[str, npt.NDArray[Any]]) -> None:
        """Bind the columns to names of their own: a lookup a column is most of an update's cost."""
        self._columns = columns
        self._lat, self._lon = columns["lat"], columns["lon"]
        self._x, self._y, self._z = columns["x"], columns["y"], columns["z"]
        self._fix, self._ageing = columns["fix_mono_s"], columns["ageing_s"]
        self._located = columns["located"]

    def _grow(self, rows: int, words: int) -> None:
        bigger = _columns(rows, words)
        for name, old in self._columns.items():
            if old.ndim == 1:
                bigger[name][: len(old)] = old
            else:
                bigger[name][: len(old), : old.shape[1]] = old
        self._adopt(bigger)

    def add(self, name: UnitId, person: str | None = None) -> int:
        """A row for a unit, or for a member who is away from it."""
        if self._free:
            row = self._free.pop()
            self._names[row], self._persons[row] = name, person
        else:
            row = len(self._names)
            self._names.append(name)
            self._persons.append(person)
            self._rolls.append(None)
            if row >= len(self._lat):
                self._grow(2 * len(self._lat), self._columns["powers"].shape[1])
        if person is None:
            self._rows[name] = row
        else:
            self._apart.setdefault(name, set()).add(row)
        return row

    def drop(self, row: int) -> None:
        """This unit is gone, or this member is with it again."""
        name = self._names[row]
        if name is not None and self._persons[row] is None:
            del self._rows[name]
        elif name is not None:
            self._apart[name].discard(row)
            if not self._apart[name]:
                del self._apart[name]
        self._names[row], self._rolls[row] = None, None
        self._columns["shown"][row] = self._located[row] = False
        self._free.append(row)
        self.zones.clear(row)

    def enrol(self, row: int, roll: Roll) -> None:
        """Its agency, role, kind and powers."""
        self._rolls[row] = roll
        self._columns["agency"][row] = self._number("agency", roll.unit.agency)
        self._columns["role"][row] = self._number("role", roll.role)
        self._columns["kind"][row] = _KINDS.index(roll.unit.kind)
        self._grant(row, roll, self._day or roll.day)

    def _number(self, what: str, word: str) -> int:
        known = self._words[what]
        return known.setdefault(word, len(known))

    def _grant(self, row: int, roll: Roll, day: date) -> None:
        numbers = [self._number("power", power.id) for power in roll.grants if holds(power, day)]
        words = len(self._words["power"]) // 64 + 1
        if words > self._columns["powers"].shape[1]:
            self._grow(len(self._lat), words)
        powers = self._columns["powers"]
        powers[row] = 0
        for number in numbers:
            powers[row, number // 64] |= np.uint64(1 << number % 64)

    def rank(self, row: int, standing: Standing) -> None:
        """Its duty, and whether it is shown at all."""
        code = standing.duty.code if standing.known_duty else UNKNOWN_DUTY
        deployable = standing.known_duty and standing.duty.deployable
        self._columns["duty"][row] = EMERGENCY if standing.emergency is not None else code
        self._columns["order"][row] = (1 if code == 7 else 0) if deployable else 2
        self._columns["shown"][row] = standing.on_feed
        self._located[row] = standing.live is not None
        if standing.live is None:
            self.zones.clear(row)

    def move(self, row: int, sighting: Sighting) -> None:
        """Where it is now."""
        lat, lon = sighting.fix.latitude, sighting.fix.longitude
        phi, lam = math.radians(lat), math.radians(lon)
        across = math.cos(phi)
        self._lat[row], self._lon[row] = lat, lon
        self._x[row], self._y[row], self._z[row] = across * math.cos(lam), across * math.sin(lam), math.sin(phi)
        self._fix[row], self._ageing[row] = sighting.fix_mono_s, sighting.pace.ageing_s
        self._located[row] = True

    # --- the question

    def query(self, wanted: Wanted, now: Instant) -> Ranking:
        """Rank the units that fit: deployable ones first, then by estimated time of arrival."""
        mask, considered, rejected = self._sift(wanted, now)
        best = self._best(wanted, np.flatnonzero(mask))
        order = self._columns["order"]
        results = [(int(order[row]), self._candidate(wanted, row, now)) for row in best]
        results.sort(key=lambda found: (found[0], found[1].eta_s, found[1].unit, found[1].person or ""))
        return Ranking(tuple(found for _, found in results[: max(0, wanted.limit)]), considered, rejected)

    def anybody(self, wanted: Wanted, now: Instant) -> bool:
        """Whether there is a unit that fits."""
        return bool(self._sift(wanted, now)[0].any())

    def _sift(self, wanted: Wanted, now: Instant) -> tuple[Mask, int, dict[str, int]]:
        if self._day != now.utc.date():
            self._new_day(now.utc.date())
        rows = len(self._names)
        mask: Mask = self._columns["shown"][:rows].copy()
        considered, rejected = int(np.count_nonzero(mask)), {}
        for reason, passed in self._tests(wanted, now, rows):
            left = mask & passed
            if lost := int(np.count_nonzero(mask)) - int(np.count_nonzero(left)):
                rejected[reason] = lost
            mask = left
        return mask, considered, rejected

    def _new_day(self, day: date) -> None:
        self._day = day
        for row, roll in enumerate(self._rolls):
            if roll is not None and any(power.expires is not None for power in roll.grants):
                self._grant(row, roll, day)

    def _tests(self, wanted: Wanted, now: Instant, rows: int) -> list[tuple[str, Mask]]:
        columns = {name: column[:rows] for name, column in self._columns.items()}
        tests: list[tuple[str, Mask]] = []
        if wanted.exclude:
            tests.append(("excluded", self._not_named(wanted.exclude, rows)))
        for what in ("agency", "role"):
            if words := getattr(wanted, what):
                numbers = [self._words[what].get(word, -2) for word in words]
                tests.append((what, np.isin(columns[what], numbers)))
        if wanted.power:
            tests.append(("power", self._empowered(wanted.power, columns["powers"])))
        tests.append(("duty", self._dutiful(wanted.duty, columns["duty"])))
        tests.append(("no_position", columns["located"]))
        if wanted.zone:
            tests.append(("zone", self.zones.mask(wanted.zone, rows)))
        age_s = now.mono_s - columns["fix_mono_s"]
        oldest_s = columns["ageing_s"] if wanted.max_age_s is None else wanted.max_age_s
        tests.append(("age", age_s <= oldest_s))
        return tests

    def _not_named(self, names: tuple[str, ...], rows: int) -> Mask:
        passed = np.ones(rows, np.bool_)
        for name in names:
            if (row := self._rows.get(UnitId(name))) is not None:
                passed[row] = False
                passed[list(self._apart.get(UnitId(name), ()))] = False
        return passed

    def _empowered(self, powers: tuple[str, ...], column: npt.NDArray[np.uint64]) -> Mask:
        passed = np.ones(len(column), np.bool_)
        for power in powers:
            number = self._words["power"].get(power)
            if number is None:
                return np.zeros(len(column), np.bool_)
            passed &= (column[:, number // 64] & np.uint64(1 << number % 64)) != 0
        return passed

    def _dutiful(self, states: tuple[str, ...], column: npt.NDArray[np.int8]) -> Mask:
        if not states:
            return np.asarray((column != EMERGENCY) & (column < 11))
        codes = [UNKNOWN_DUTY if state == "unknown" else code_of(state) for state in states]
        return np.isin(column, [code for code in codes if code is not None])

    def _best(self, wanted: Wanted, rows: npt.NDArray[np.intp]) -> list[int]:
        """A few more rows than asked, by order and chord over speed: the refinement sorts them exactly."""
        phi, lam = math.radians(wanted.lat), math.radians(wanted.lon)
        across = math.cos(phi)
        chord = (self._x[rows] - across * math.cos(lam)) ** 2
        chord += (self._y[rows] - across * math.sin(lam)) ** 2
        chord += (self._z[rows] - math.sin(phi)) ** 2
        score = chord / self._speeds[self._columns["kind"][rows]] ** 2
        score += self._columns["order"][rows] * (5.0 / float(self._speeds.min()) ** 2)
        keep = 4 * max(0, wanted.limit) + SPARE
        if len(rows) > keep:
            rows = rows[np.argpartition(score, keep)[:keep]]
        return [int(row) for row in rows]

    def _candidate(self, wanted: Wanted, row: int, now: Instant) -> Candidate:
        name, roll = self._names[row], self._rolls[row]
        assert name is not None
        assert roll is not None
        lat, lon = float(self._lat[row]), float(self._lon[row])
        distance_m = haversine_m(wanted.lat, wanted.lon, lat, lon)
        speed_mps = self._settings.speed_mps(roll.unit.kind)
        age_s = now.mono_s - float(self._fix[row])
        return Candidate(
            name,
            round(distance_m, 1),
            round(bearing_deg(wanted.lat, wanted.lon, lat, lon), 1) % 360.0,
            round(distance_m * self._settings.detour / speed_mps, 1),
            f"straight line x{self._settings.detour:g}, {roll.unit.kind} {speed_mps:g} m/s",
            round(age_s, 1),
            self._why(wanted, row, roll, age_s),
            self._persons[row],
        )

    def _why(self, wanted: Wanted, row: int, roll: Roll, age_s: float) -> tuple[str, ...]:
        code, order = int(self._columns["duty"][row]), int(self._columns["order"][row])
        state = "duty unknown" if code == UNKNOWN_DUTY else f"duty {STATES[code]}"
        why = [state + ("" if order == 2 else ", deployable")]
        why += [f"power {power}" for power in wanted.power]
        why += [f"agency {roll.unit.agency}"] if wanted.agency else []
        why += [f"role {roll.role}"] if wanted.role else []
        why += ["in the zone"] if wanted.zone else []
        why += ["away from the unit"] if self._persons[row] is not None else []
        return (*why, f"position {age_s:.0f} s old")
