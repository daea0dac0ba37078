"""Which points lie in which zones, many at once; how far a point is from a zone's edge. Pure (numpy).

Even-odd along each point's parallel, plane in longitude and latitude as RFC 7946 section 3.1.1 has lines. An edge
counts from its lower end up to below its upper one, and is reckoned upwards whichever way its ring runs: so a point
on the line between two zones is in exactly one of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gateway.feed.gate import EARTH_M
from gateway.feed.zones import Rings, Zone

Numbers = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
AT_ONCE = 1 << 20
"""Points times edges in one array: what stays within a processor's cache and a tick."""
SLAB_EDGES, SLABS_MAX = 64, 64


class Polygon:
    """Edges of one polygon, sorted into slabs of latitude so that a point meets few of them."""

    def __init__(self, rings: Rings) -> None:
        ends = [np.array(ring) for ring in rings]
        starts = np.concatenate([ring[:-1] for ring in ends])
        stops = np.concatenate([ring[1:] for ring in ends])
        self.lines = np.concatenate([starts, stops], axis=1)
        (self.west, self.south), (self.east, self.north) = starts.min(axis=0), starts.max(axis=0)
        upward = np.where((starts[:, 1] <= stops[:, 1])[:, None], self.lines, self.lines[:, [2, 3, 0, 1]])
        rising = upward[upward[:, 1] < upward[:, 3]]
        self._slabs = self._sorted(rising)

    def _sorted(self, edges: Numbers) -> list[Numbers]:
        count = min(max(1, len(edges) // SLAB_EDGES), SLABS_MAX)
        self._per_degree = count / (self.north - self.south) if self.north > self.south else 0.0
        self._last = count - 1
        low, high = self._slab(edges[:, 1]), self._slab(edges[:, 3])
        return [edges[(low <= number) & (high >= number)] for number in range(count)]

    def _slab(self, lat: Numbers) -> npt.NDArray[np.int64]:
        slabs: npt.NDArray[np.int64] = ((lat - self.south) * self._per_degree).astype(np.int64)
        return np.clip(slabs, 0, self._last)

    def contains(self, lon: Numbers, lat: Numbers) -> Mask:
        """Whether each point is inside."""
        inside = np.zeros(len(lon), np.bool_)
        boxed = (lon >= self.west) & (lon <= self.east) & (lat >= self.south) & (lat <= self.north)
        near = np.flatnonzero(boxed)
        slabs = self._slab(lat[near])
        for number in np.unique(slabs):
            edges, these = self._slabs[number], near[slabs == number]
            step = max(1, AT_ONCE // max(1, len(edges)))
            for first in range(0, len(these), step):
                part = these[first : first + step]
                inside[part] = _odd(lon[part, None], lat[part, None], edges)
        return inside


def _odd(lon: Numbers, lat: Numbers, edges: Numbers) -> Mask:
    x1, y1, x2, y2 = edges.T
    level = (y1 <= lat) & (lat < y2)
    east = x1 + (lat - y1) * ((x2 - x1) / (y2 - y1)) > lon
    return np.asarray(np.count_nonzero(level & east, axis=1) % 2 == 1)


class Shapes:
    """All zones, in their order."""

    def __init__(self, zones: Sequence[Zone]) -> None:
        self._zones = [[Polygon(rings) for rings in zone.polygons] for zone in zones]
        boxes = [_box(polygons) for polygons in self._zones]
        self.boxes = np.array(boxes).reshape(len(boxes), 4)

    def inside(self, lon: Numbers, lat: Numbers) -> Mask:
        """A row a point, a column a zone."""
        west, south, east, north = self.boxes.T
        x, y = lon[:, None], lat[:, None]
        found = np.asarray((x >= west) & (x <= east) & (y >= south) & (y <= north))
        for number in np.flatnonzero(found.any(axis=0)):
            rows = np.flatnonzero(found[:, number])
            within = [polygon.contains(lon[rows], lat[rows]) for polygon in self._zones[number]]
            found[rows, number] = np.logical_or.reduce(within)
        return found

    def edge_m(self, zone: int, lon: float, lat: float) -> float:
        """How far a point is from the nearest edge of a zone, on the plane that touches there."""
        return min(_off_m(polygon.lines, lon, lat) for polygon in self._zones[zone])


def _box(polygons: Sequence[Polygon]) -> tuple[float, float, float, float]:
    west, south = min(each.west for each in polygons), min(each.south for each in polygons)
    return west, south, max(each.east for each in polygons), max(each.north for each in polygons)


def _off_m(lines: Numbers, lon: float, lat: float) -> float:
    scale_m = np.radians(1.0) * EARTH_M
    flat = (lines - np.array([lon, lat, lon, lat])) * (scale_m * np.array([np.cos(np.radians(lat)), 1.0] * 2))
    start, way = flat[:, :2], flat[:, 2:] - flat[:, :2]
    long2 = np.maximum((way * way).sum(axis=1), np.finfo(float).tiny)
    along = np.clip(-(start * way).sum(axis=1) / long2, 0.0, 1.0)
    return float(np.hypot(*(start + along[:, None] * way).T).min())
