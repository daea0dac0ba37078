"""Which points lie in which zones, many at once; how far a point is from a zone's edge. Pure (numpy).

Even-odd along each point's parallel, plane in longitude and latitude as RFC 7946 section 3.1.1 has lines. An edge
counts from its lower end up to below its upper one, and is reckoned upwards whichever way its ring runs: so a point
on the line between two zones is in exactly one of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gateway.feed.globe import EARTH_M
from gateway.feed.zones import Rings, Zone

Numbers = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Box = tuple[float, float, float, float]
AT_ONCE = 1 << 13
"""Points times edges in one array: what stays within a processor's cache, and in memory that need not be asked for."""
SLAB_EDGES, SLABS_MAX = 64, 64


class Polygon:
    """Edges of one polygon, sorted into slabs of latitude so that a point meets few of them."""

    def __init__(self, rings: Rings) -> None:
        ends = [np.array(ring) for ring in rings]
        starts = np.concatenate([ring[:-1] for ring in ends])
        stops = np.concatenate([ring[1:] for ring in ends])
        self.lines = np.concatenate([starts, stops], axis=1)
        self.box: Box = (*starts.min(axis=0).tolist(), *starts.max(axis=0).tolist())
        upward = np.where((starts[:, 1] <= stops[:, 1])[:, None], self.lines, self.lines[:, [2, 3, 0, 1]])
        self._slabs = self._sorted(upward[upward[:, 1] < upward[:, 3]])

    def _sorted(self, edges: Numbers) -> list[tuple[Numbers, ...]]:
        """Columns x1, y1, y2 and how far east an edge gets for each degree north; an edge is in each slab it meets."""
        count = min(max(1, len(edges) // SLAB_EDGES), SLABS_MAX)
        height = self.box[3] - self.box[1]
        self._per_degree, self._last = count / height if height > 0 else 0.0, count - 1
        x1, y1, x2, y2 = edges.T
        columns, low, high = (x1, y1, y2, (x2 - x1) / (y2 - y1)), self._slab(y1), self._slab(y2)
        met = [(low <= number) & (high >= number) for number in range(count)]
        return [tuple(column[each].copy() for column in columns) for each in met]

    def _slab(self, lat: Numbers) -> npt.NDArray[np.int64]:
        slabs: npt.NDArray[np.int64] = ((lat - self.box[1]) * self._per_degree).astype(np.int64)
        return np.clip(slabs, 0, self._last)

    def contains(self, lon: Numbers, lat: Numbers) -> Mask:
        """Whether each point is inside."""
        if self._last == 0:
            return _odd(lon, lat, self._slabs[0])
        inside, slabs = np.zeros(len(lon), np.bool_), self._slab(lat)
        for number in set(slabs.tolist()):
            these = np.flatnonzero(slabs == number)
            inside[these] = _odd(lon[these], lat[these], self._slabs[number])
        return inside


def _odd(lon: Numbers, lat: Numbers, edges: tuple[Numbers, ...]) -> Mask:
    x1, low, high, slope = edges
    step, parts = max(1, AT_ONCE // max(1, len(x1))), []
    for first in range(0, len(lon), step):
        x, y = lon[first : first + step, None], lat[first : first + step, None]
        crossed = (low <= y) & (y < high) & (x1 + (y - low) * slope > x)
        parts.append(np.count_nonzero(crossed, axis=1) % 2 == 1)
    return np.concatenate(parts)


class Shapes:
    """All zones, in their order."""

    def __init__(self, zones: Sequence[Zone]) -> None:
        self._zones = [[Polygon(rings) for rings in zone.polygons] for zone in zones]
        self._polygons = [(number, each) for number, polygons in enumerate(self._zones) for each in polygons]
        self._boxes = np.array([each.box for _, each in self._polygons]).reshape(-1, 4)

    def boxes(self) -> list[Box]:
        """West, south, east, north of each zone."""
        boxes = (np.array([each.box for each in polygons]) for polygons in self._zones)
        return [(*box[:, :2].min(axis=0).tolist(), *box[:, 2:].max(axis=0).tolist()) for box in boxes]

    def inside(self, lon: Numbers, lat: Numbers) -> Mask:
        """A row a point, a column a zone."""
        west, south, east, north = self._boxes.T
        x, y = lon[:, None], lat[:, None]
        boxed = (x >= west) & (x <= east) & (y >= south) & (y <= north)
        found = np.zeros((len(lon), len(self._zones)), np.bool_)
        for number in np.flatnonzero(boxed.any(axis=0)).tolist():
            zone, polygon = self._polygons[number]
            rows = np.flatnonzero(boxed[:, number])
            found[rows, zone] |= polygon.contains(lon[rows], lat[rows])
        return found

    def edge_m(self, zone: int, lon: float, lat: float) -> float:
        """How far a point is from the nearest edge of a zone, on the plane that touches there."""
        return min(_off_m(polygon.lines, lon, lat) for polygon in self._zones[zone])


def _off_m(lines: Numbers, lon: float, lat: float) -> float:
    scale_m = np.radians(1.0) * EARTH_M
    flat = (lines - np.array([lon, lat, lon, lat])) * (scale_m * np.array([np.cos(np.radians(lat)), 1.0] * 2))
    start, way = flat[:, :2], flat[:, 2:] - flat[:, :2]
    long2 = np.maximum((way * way).sum(axis=1), np.finfo(float).tiny)
    along = np.clip(-(start * way).sum(axis=1) / long2, 0.0, 1.0)
    return float(np.hypot(*(start + along[:, None] * way).T).min())
