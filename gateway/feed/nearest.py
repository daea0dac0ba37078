"""Which units are nearest: arrays of columns, searched whole. Pure (numpy).

Places are kept as points on the unit sphere: the chord orders exactly as the great circle does,
at the poles and at the antimeridian too, and costs three multiplications a unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from gateway.domain.ids import UnitId
from gateway.domain.people import UnitKind
from gateway.domain.time import Instant
from gateway.feed.areas import NOWHERE, Areas
from gateway.feed.duty import EMERGENCY, STATES, code_of
from gateway.feed.globe import EARTH_M, bearing_deg, haversine_m
from gateway.feed.roll import Roll, holds
from gateway.feed.settings import FeedSettings
from gateway.feed.standing import Sighting, Standing
from gateway.feed.wanted import Candidate, Ranking, Wanted
from gateway.feed.zone_rows import ZoneRows

FIRST_ROWS = 1024
SPARE = 16
LONGER_THAN_ANY = 5.0
"""A chord of the unit sphere, squared, is 4 at most."""
TIE_S = 0.2
"""Arrivals are told, and ranked, to a tenth of a second."""
UNKNOWN_DUTY = -1
_KINDS: tuple[UnitKind, ...] = ("foot", "cycle", "vehicle")

Mask = npt.NDArray[np.bool_]


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
        self.zones, self.areas = ZoneRows(), Areas()
        self._granted: dict[str, dict[int, str | None]] = {}
        self._day: date | None = None
        self._speed = {kind: settings.speed_mps(kind) for kind in _KINDS}
        self._speeds = np.array(list(self._speed.values()))
        self._adopt(_columns(FIRST_ROWS, 1))

    def _adopt(self, columns: dict[str, npt.NDArray[Any]]) -> None:
        """Bind the columns to names of their own: a lookup a column is most of an update's cost."""
        self._columns = columns
        self._lat, self._lon = columns["lat"], columns["lon"]
        self._x, self._y, self._z = columns["x"], columns["y"], columns["z"]
        self._fix, self._located = columns["fix_mono_s"], columns["located"]
        # Views for single rows: numpy's own item assignment costs twice as much.
        places = ("lat", "lon", "x", "y", "z", "fix_mono_s", "ageing_s", "located")
        self._place: list[Any] = [columns[name].data for name in places]

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
        numbers = [self._grant_number(power.id, power.area) for power in roll.grants if holds(power, day)]
        numbers += [self._grant_number(f"skill {skill}", None) for skill in roll.skills]
        words = len(self._words["power"]) // 64 + 1
        if words > self._columns["powers"].shape[1]:
            self._grow(len(self._lat), words)
        powers = self._columns["powers"]
        powers[row] = 0
        for number in numbers:
            powers[row, number // 64] |= np.uint64(1 << number % 64)

    def _grant_number(self, word: str, area: str | None) -> int:
        """A bit of its own for each area that a power is granted for."""
        number = self._number("power", word if area is None else f"{word} @ {area}")
        self._granted.setdefault(word, {})[number] = area
        return number

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
        lats, lons, x, y, z, fixes, ageing, located = self._place
        lats[row], lons[row] = lat, lon
        x[row], y[row], z[row] = across * math.cos(lam), across * math.sin(lam), math.sin(phi)
        fixes[row], ageing[row], located[row] = sighting.fix_mono_s, sighting.pace.ageing_s, True

    # --- the question

    def query(self, wanted: Wanted, now: Instant, seen: Callable[[int], Mask] | None = None) -> Ranking:
        """Rank the units that fit: deployable ones first, then by estimated time of arrival. seen: among these rows."""
        here = self.areas.around(wanted.lat, wanted.lon) if wanted.power else NOWHERE
        mask, considered, rejected = self._sift(wanted, now, here, seen)
        best = self._best(wanted, np.flatnonzero(mask))
        order = self._columns["order"]
        ranked = sorted((int(order[row]), self._arrival_s(wanted, row), *self._called(row), row) for row in best)
        results = [self._candidate(wanted, row, now, here) for *_, row in ranked[: max(0, wanted.limit)]]
        return Ranking(tuple(results), considered, rejected)

    def _called(self, row: int) -> tuple[str, str]:
        return str(self._names[row]), self._persons[row] or ""

    def anybody(self, wanted: Wanted, now: Instant, seen: Callable[[int], Mask] | None = None) -> bool:
        """Whether there is a unit that fits in the zones wanted, wherever in them."""
        return bool(self._sift(wanted, now, frozenset(wanted.zone), seen)[0].any())

    def chosen(
        self, agency: tuple[str, ...], role: tuple[str, ...], power: tuple[str, ...], zone: tuple[str, ...], rows: int
    ) -> Mask:
        """The rows of these agencies and roles, with every power, in any of the zones; nothing named: all."""
        passed = np.ones(rows, np.bool_)
        for what, words in (("agency", agency), ("role", role)):
            if words:
                numbers = [self._words[what].get(word, -2) for word in words]
                passed &= np.isin(self._columns[what][:rows], numbers)
        if power:
            passed &= self._empowered(power, self._columns["powers"][:rows], None)
        return passed & self.zones.mask(zone, rows) if zone else passed

    @property
    def parted(self) -> Iterable[UnitId]:
        """Units of which a member is away, with a row of their own."""
        return self._apart.keys()

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self._names)

    def near(self, lat: float, lon: float, metres: float, rows: int) -> Mask:
        """The rows on the feed whose last known place is within so many metres."""
        phi, lam = math.radians(lat), math.radians(lon)
        across = math.cos(phi)
        chord = (self._x[:rows] - across * math.cos(lam)) ** 2 + (self._y[:rows] - across * math.sin(lam)) ** 2
        chord += (self._z[:rows] - math.sin(phi)) ** 2
        found = chord <= (2 * math.sin(metres / (2 * EARTH_M))) ** 2
        return np.asarray(found & self._located[:rows] & self._columns["shown"][:rows])

    def named(self, mask: Mask) -> list[UnitId]:
        """The units of these rows."""
        return [name for row in np.flatnonzero(mask) if (name := self._names[row]) is not None]

    def _sift(
        self, wanted: Wanted, now: Instant, here: frozenset[str], seen: Callable[[int], Mask] | None
    ) -> tuple[Mask, int, dict[str, int]]:
        if self._day != now.utc.date():
            self._new_day(now.utc.date())
        rows = len(self._names)
        mask: Mask = self._columns["shown"][:rows].copy()
        if seen is not None:
            mask &= seen(rows)
        considered, rejected = int(np.count_nonzero(mask)), {}
        count = considered
        for reason, passed in self._tests(wanted, now, rows, here):
            mask &= passed
            left = int(np.count_nonzero(mask))
            if left < count:
                rejected[reason] = count - left
            count = left
        return mask, considered, rejected

    def _new_day(self, day: date) -> None:
        self._day = day
        for row, roll in enumerate(self._rolls):
            if roll is not None and any(power.expires is not None for power in roll.grants):
                self._grant(row, roll, day)

    def _tests(self, wanted: Wanted, now: Instant, rows: int, here: frozenset[str]) -> list[tuple[str, Mask]]:
        columns = {name: column[:rows] for name, column in self._columns.items()}
        tests: list[tuple[str, Mask]] = []
        if wanted.exclude:
            tests.append(("excluded", self._not_named(wanted.exclude, rows)))
        for what in ("agency", "role"):
            if words := getattr(wanted, what):
                numbers = [self._words[what].get(word, -2) for word in words]
                tests.append((what, _any_of(columns[what], numbers)))
        if wanted.power:
            tests.append(("power", self._empowered(wanted.power, columns["powers"], here)))
        if wanted.skill:
            words = tuple(f"skill {skill}" for skill in wanted.skill)
            tests.append(("skill", self._empowered(words, columns["powers"], here)))
        tests.append(("duty", self._dutiful(wanted.duty, columns["duty"])))
        tests.append(("no_position", columns["located"]))
        if wanted.zone:
            tests.append(("zone", self.zones.mask(wanted.zone, rows)))
        # Each whole column that is made on the way costs as much as a filter does.
        if wanted.max_age_s is None:
            fresh = columns["fix_mono_s"] + columns["ageing_s"] >= now.mono_s
        else:
            fresh = columns["fix_mono_s"] >= now.mono_s - wanted.max_age_s
        tests.append(("age", fresh))
        return tests

    def _not_named(self, names: tuple[str, ...], rows: int) -> Mask:
        passed = np.ones(rows, np.bool_)
        for name in names:
            if (row := self._rows.get(UnitId(name))) is not None:
                passed[row] = False
                passed[list(self._apart.get(UnitId(name), ()))] = False
        return passed

    def _empowered(self, powers: tuple[str, ...], column: npt.NDArray[np.uint64], here: frozenset[str] | None) -> Mask:
        """Who holds every power here; None: wherever."""
        passed = np.ones(len(column), np.bool_)
        for power in powers:
            bits: dict[int, int] = {}
            for number, area in self._granted.get(power, {}).items():
                if here is None or self.areas.holds(area, here) is not False:
                    bits[number // 64] = bits.get(number // 64, 0) | 1 << number % 64
            held = [(column[:, word] & np.uint64(some)) != 0 for word, some in bits.items()]
            if not held:
                return np.zeros(len(column), np.bool_)
            passed &= held[0] if len(held) == 1 else np.logical_or.reduce(held)
        return passed

    def _dutiful(self, states: tuple[str, ...], column: npt.NDArray[np.int8]) -> Mask:
        if not states:
            return np.asarray((column != EMERGENCY) & (column < 11))
        codes = [UNKNOWN_DUTY if state == "unknown" else code_of(state) for state in states]
        return _any_of(column, [code for code in codes if code is not None])

    def _best(self, wanted: Wanted, rows: npt.NDArray[np.intp]) -> list[int]:
        """A few more rows than asked, by order and chord over speed: the refinement sorts them exactly.

        So many of each kind: only among equal speeds does the chord sort as the way over the globe does.
        """
        phi, lam = math.radians(wanted.lat), math.radians(wanted.lon)
        across = math.cos(phi)
        chord = (self._x[rows] - across * math.cos(lam)) ** 2
        chord += (self._y[rows] - across * math.sin(lam)) ** 2
        chord += (self._z[rows] - math.sin(phi)) ** 2
        reach = chord + self._columns["order"][rows] * LONGER_THAN_ANY
        keep, kinds = wanted.limit + SPARE, self._columns["kind"][rows]
        best: list[npt.NDArray[np.intp]] = []
        for kind in range(len(_KINDS)):
            mine = np.flatnonzero(kinds == kind)
            best.append(mine[np.argpartition(reach[mine], keep)[:keep]] if len(mine) > keep else mine)
        found = np.concatenate(best)
        return [int(row) for row in self._first(rows[found], chord[found], wanted.limit)]

    def _first(self, rows: npt.NDArray[np.intp], chord: npt.NDArray[np.float64], limit: int) -> npt.NDArray[np.intp]:
        """Without those who come a tie's width behind the last one wanted, or later: they need no exact answer."""
        last = max(0, limit - 1)
        if len(rows) <= last:
            return rows
        order = self._columns["order"][rows]
        arc = 2 * np.arcsin(np.minimum(np.sqrt(chord) / 2, 1.0))
        time_s = arc * EARTH_M * self._settings.detour / self._speeds[self._columns["kind"][rows]]
        final = np.lexsort((time_s, order))[last]
        kept = (order < order[final]) | ((order == order[final]) & (time_s <= time_s[final] + TIE_S))
        return np.asarray(rows[kept])

    def _arrival_s(self, wanted: Wanted, row: int) -> float:
        """How long it takes to get there, as it is told."""
        roll = self._rolls[row]
        assert roll is not None
        distance_m = haversine_m(wanted.lat, wanted.lon, float(self._lat[row]), float(self._lon[row]))
        return round(distance_m * self._settings.detour / self._speed[roll.unit.kind], 1)

    def _candidate(self, wanted: Wanted, row: int, now: Instant, here: frozenset[str]) -> Candidate:
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
            self._arrival_s(wanted, row),
            f"straight line x{self._settings.detour:g}, {roll.unit.kind} {speed_mps:g} m/s",
            round(age_s, 1),
            self._why(wanted, row, age_s, here),
            self._persons[row],
        )

    def _why(self, wanted: Wanted, row: int, age_s: float, here: frozenset[str]) -> tuple[str, ...]:
        roll = self._rolls[row]
        assert roll is not None
        code, order = int(self._columns["duty"][row]), int(self._columns["order"][row])
        state = "duty unknown" if code == UNKNOWN_DUTY else f"duty {STATES[code]}"
        why = [state + ("" if order == 2 else ", deployable")]
        day = self._day or roll.day
        grants = [power for power in roll.grants if holds(power, day)]
        why += [self.areas.why(power, grants, here) for power in wanted.power]
        why += [f"skill {skill}" for skill in wanted.skill]
        why += [f"agency {roll.unit.agency}"] if wanted.agency else []
        why += [f"role {roll.role}"] if wanted.role else []
        why += ["in the zone"] if wanted.zone else []
        why += ["away from the unit"] if self._persons[row] is not None else []
        return (*why, f"position {age_s:.0f} s old")


def _any_of(column: npt.NDArray[Any], values: list[int]) -> Mask:
    """Of few values that is quicker than a look-up."""
    if not values:
        return np.zeros(len(column), np.bool_)
    passed = column == values[0]
    for value in values[1:]:
        passed |= column == value
    return np.asarray(passed)
