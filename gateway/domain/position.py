"""Fix (the geometric part) and what it was measured with."""

from __future__ import annotations

from typing import Literal

import msgspec

PositionSource = Literal["lip", "mqtt", "bwc", "manual"]


class Fix(msgspec.Struct, frozen=True, gc=False):
    """A WGS 84 position in degrees; every other part is None where it is unknown.

    accuracy_m is a radius in metres, speed_mps metres a second over ground,
    heading_deg degrees from true north in [0, 360).
    """

    latitude: float
    longitude: float
    accuracy_m: float | None = None
    altitude_m: float | None = None
    speed_mps: float | None = None
    heading_deg: float | None = None
