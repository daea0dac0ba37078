"""Ways over the globe, taken as a sphere. Pure."""

from __future__ import annotations

import math

EARTH_M = 6_371_008.8
"""Mean radius (IUGG)."""


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
