"""The gate: whether a position can be where its device got to, by the speed of its class.

A fix that would have taken too fast a journey is held: kept and marked, and the live position stays. Held fixes
that agree with one another are where the device is: the third re-anchors the gate, so that no device is locked out
for longer; where they move as a vehicle does, its officer has got into one. Pure: time is the fixes' own.
"""

from __future__ import annotations

from itertools import pairwise
from math import asin, cos, hypot, radians, sin, sqrt
from typing import Literal

import msgspec

from gateway.domain.people import UnitKind
from gateway.domain.position import Fix
from gateway.feed.globe import EARTH_M

Verdict = Literal["accepted", "held", "reanchored", "promoted"]

LIMIT_MPS: dict[UnitKind, float] = {"foot": 8.0, "cycle": 20.0, "vehicle": 60.0}
"""Faster than anybody of the class goes; what the class gate was measured with."""
AGREEING = 3
"""So many held fixes that agree are no spike, whatever else was held among them."""
HELD_KEPT = 8
BURST_S = 15.0
"""Reflections come in bursts: fixes further apart than this are wrong each by itself."""
UNKNOWN_ACCURACY_M = 20.0
ACCURACY_MAX_M = 500.0
"""A fix that claims less accuracy than this would pass anywhere."""
SHORTEST_S = 1.0
"""Times have a grain of a second: two fixes within one were taken at most a second apart."""
RIDE_MPS = (8.0, 45.0)
RIDE_S = 120.0
DEGREE_M = EARTH_M * radians(1.0)


class _Point(msgspec.Struct, frozen=True, gc=False):
    fix: Fix
    at_s: float


class Gate(msgspec.Struct, gc=False):
    """One device's gate: the last accepted fix (confirmed: by the one before), those held, until when it rides."""

    kind: UnitKind
    anchor: _Point | None = None
    held: tuple[_Point, ...] = ()
    confirmed: bool = True
    riding_until_s: float = float("-inf")

    def judge(self, fix: Fix, at_s: float) -> Verdict:
        """Take the next fix of the device (at_s: seconds since 1970, never before the last) and say what it is."""
        point = _Point(fix, at_s)
        if self.anchor is None or self._near(self.anchor, point) or self._reachable(self.anchor, point):
            # One fix near the old place may itself be the spike: only two of them outdo those held.
            self.held = self.held if not self.confirmed else ()
            self.confirmed = True
            self._accept(point)
            return "accepted"
        self.confirmed = False
        chain = self._chain(point)
        self.held = (*self.held[1 - HELD_KEPT :], point)
        if len(chain) < AGREEING and not _slowly(chain):
            return "held"
        riding = self.kind != "vehicle" and _rides(chain)
        self._accept(point)
        # Should this one have been the spike, the next good one has company at once.
        self.held = tuple(chain[:-1])
        if riding:
            self.riding_until_s = at_s + RIDE_S
        return "promoted" if riding else "reanchored"

    def _chain(self, point: _Point) -> list[_Point]:
        """The longest row of held fixes that leads to this one, each within reach of the one before it."""
        chains: list[list[_Point]] = []
        for each in [*self.held, point]:
            behind = [chain for chain in chains if self._reachable(chain[-1], each)]
            chains.append([*max(behind, key=len, default=[]), each])
        return chains[-1]

    def trust(self, fix: Fix, at_s: float) -> None:
        """Take a fix whatever it is: in an emergency, or where a person says so."""
        self._accept(_Point(fix, at_s))
        self.held = ()

    def _accept(self, point: _Point) -> None:
        start, self.anchor = self.anchor, point
        if start is not None and self.riding_until_s > point.at_s and self._speed(start, point) > RIDE_MPS[0]:
            self.riding_until_s = point.at_s + RIDE_S

    def _near(self, start: _Point, end: _Point) -> bool:
        """The common case, without trigonometry: no way is longer than its degrees north and east, one after other."""
        here, there = start.fix, end.fix
        degrees = abs(there.latitude - here.latitude) + abs(there.longitude - here.longitude)
        return degrees * DEGREE_M <= LIMIT_MPS[self.kind] * max(end.at_s - start.at_s, SHORTEST_S)

    def _reachable(self, start: _Point, end: _Point) -> bool:
        return self._speed(start, end) <= self._limit(end.at_s, start)

    def _limit(self, at_s: float, start: _Point) -> float:
        """Held fixes are compared as those of a ride: whether they are one's is what they are to show."""
        riding = at_s < self.riding_until_s or any(start is each for each in self.held)
        return max(LIMIT_MPS[self.kind], RIDE_MPS[1] if riding else 0.0)

    @staticmethod
    def _speed(start: _Point, end: _Point) -> float:
        """The slowest journey that the two accuracies allow, in metres a second."""
        way_m = distance_m(start.fix, end.fix) - allowance_m(start.fix) - allowance_m(end.fix)
        return max(way_m, 0.0) / max(end.at_s - start.at_s, SHORTEST_S)


def _slowly(chain: list[_Point]) -> bool:
    """Two that agree over a quarter of a minute say what three of one burst do not."""
    return len(chain) > 1 and chain[-1].at_s - chain[0].at_s >= BURST_S


def _rides(chain: list[_Point]) -> bool:
    ways = ((distance_m(a.fix, b.fix), max(b.at_s - a.at_s, SHORTEST_S)) for a, b in pairwise(chain))
    return all(RIDE_MPS[0] <= way_m / lasted_s <= RIDE_MPS[1] for way_m, lasted_s in ways)


def allowance_m(fix: Fix) -> float:
    """How far off a fix may be: its accuracy, within reason."""
    return min(fix.accuracy_m if fix.accuracy_m is not None else UNKNOWN_ACCURACY_M, ACCURACY_MAX_M)


def distance_m(a: Fix, b: Fix) -> float:
    """Metres between two fixes (haversine, mean Earth radius; near ones on the plane)."""
    north, east = radians(b.latitude - a.latitude), radians(b.longitude - a.longitude)
    middle = radians((a.latitude + b.latitude) / 2)
    if abs(north) < 0.01 and abs(east) < 0.01:
        return EARTH_M * hypot(north, east * cos(middle))
    root = sin(north / 2) ** 2 + cos(radians(a.latitude)) * cos(radians(b.latitude)) * sin(east / 2) ** 2
    return 2 * EARTH_M * asin(min(1.0, sqrt(root)))
