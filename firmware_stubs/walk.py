"""How officers move about Peterborough: from one place to the next at a walk, on a cycle or in a vehicle."""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass

CENTRE = (52.5725, -0.2420)
EARTH_M_PER_DEG = 111_320.0
REACH_M: Mapping[str, float] = {"foot": 600.0, "cycle": 1500.0, "vehicle": 3500.0}
SPEEDS: Mapping[str, tuple[float, float]] = {"foot": (1.1, 1.7), "cycle": (3.5, 5.5), "vehicle": (7.0, 14.0)}
STOP_CHANCE = 0.35


@dataclass(frozen=True)
class Place:
    """Where somebody is and how they move, in degrees and metres a second."""

    latitude: float
    longitude: float
    speed_mps: float
    heading_deg: float


class Walker:
    """One unit on the move; the same seed and the same steps make the same track."""

    def __init__(self, kind: str, seed: int) -> None:
        self._chance = random.Random(seed)
        self._kind = kind
        self._x, self._y = self._somewhere()
        self._goal = self._somewhere()
        self._pause_s = 0.0
        self._speed, self._heading = 0.0, 0.0
        self._set_out()

    def step(self, seconds: float) -> None:
        """Let time pass."""
        if self._pause_s > 0:
            self._pause_s -= seconds
            return
        left = math.hypot(self._goal[0] - self._x, self._goal[1] - self._y)
        way = self._speed * seconds
        if left <= way:
            self._arrive()
            return
        self._x += (self._goal[0] - self._x) * way / left
        self._y += (self._goal[1] - self._y) * way / left

    def place(self, noise_m: float = 0.0) -> Place:
        """Where the unit is, as one receiver with that much noise sees it."""
        x, y = (value + self._chance.gauss(0, noise_m) for value in (self._x, self._y))
        latitude = CENTRE[0] + y / EARTH_M_PER_DEG
        longitude = CENTRE[1] + x / (EARTH_M_PER_DEG * math.cos(math.radians(CENTRE[0])))
        return Place(latitude, longitude, 0.0 if self._pause_s > 0 else self._speed, self._heading)

    def _arrive(self) -> None:
        self._x, self._y = self._goal
        self._goal = self._somewhere()
        self._set_out()
        if self._chance.random() < STOP_CHANCE:
            self._pause_s = self._chance.uniform(3, 20)

    def _set_out(self) -> None:
        self._speed = self._chance.uniform(*SPEEDS[self._kind])
        self._heading = math.degrees(math.atan2(self._goal[0] - self._x, self._goal[1] - self._y)) % 360

    def _somewhere(self) -> tuple[float, float]:
        reach = REACH_M[self._kind]
        return self._chance.uniform(-reach, reach), self._chance.uniform(-reach, reach)
