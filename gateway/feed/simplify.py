"""Fewer points for a long line: Douglas and Peucker (1973), on the plane around each stretch. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.feed.globe import EARTH_M

STRETCH = 2_000
"""Lines are taken in stretches of so many points, whose ends stay: the worst line costs no more than its length."""
Plane = NDArray[np.float64]


def simplified(places: Sequence[tuple[float, float]], tolerance_m: float) -> list[int]:
    """Which of the (latitude, longitude) stay: every other lies within tolerance_m of the line through these."""
    if len(places) < 3 or tolerance_m <= 0:
        return list(range(len(places)))
    degrees = np.asarray(places, dtype=np.float64)
    stay: list[int] = []
    for start in range(0, len(places) - 1, STRETCH):
        stretch = degrees[start : start + STRETCH + 1]
        stay.extend(start + number for number in _stays(_plane(stretch), tolerance_m)[:-1])
    return [*stay, len(places) - 1]


def _plane(degrees: Plane) -> Plane:
    """Metres north and east of the first; a line that crosses 180 degrees goes on."""
    north = np.radians(degrees[:, 0] - degrees[0, 0])
    east = np.radians((degrees[:, 1] - degrees[0, 1] + 180.0) % 360.0 - 180.0)
    return EARTH_M * np.column_stack((north, east * np.cos(np.radians(degrees[0, 0]))))


def _stays(points: Plane, tolerance_m: float) -> list[int]:
    stay, open_ = {0, len(points) - 1}, [(0, len(points) - 1)]
    while open_:
        first, last = open_.pop()
        if last - first < 2:
            continue
        away = _away_m(points[first + 1 : last], points[first], points[last])
        worst = int(np.argmax(away))
        if away[worst] > tolerance_m:
            middle = first + 1 + worst
            stay.add(middle)
            open_ += [(first, middle), (middle, last)]
    return sorted(stay)


def _away_m(points: Plane, start: Plane, end: Plane) -> Plane:
    """How far each is from the stretch between two points (not from the endless line through them)."""
    way = end - start
    length = float(way @ way)
    along = np.zeros(len(points)) if length == 0 else np.clip((points - start) @ way / length, 0.0, 1.0)
    off = points - start - along[:, None] * way
    return np.hypot(off[:, 0], off[:, 1])
