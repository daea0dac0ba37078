"""GeoJSON Features (RFC 7946) with a Point: the position in `geometry`, the rest in `properties` as in plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drivers.beacon import plain
from drivers.beacon.message import lenient
from gateway.domain.events import Event, Origin
from gateway.domain.time import Instant
from gateway.errors import WireError

ALIASES = {"time": "fix_time", "timestamp": "fix_time", "accuracy": "accuracy_m", "heading": "heading_deg"}
"""What other senders call our properties; ours count where both are there."""


def claims(found: Mapping[str, Any]) -> bool:
    """Whether an object is of this format."""
    return found.get("type") in ("Feature", "FeatureCollection")


def read(found: Mapping[str, Any], origin: Origin, now: Instant) -> list[Event]:
    """One Feature to events; WireError names the member (RFC 7946 section 3)."""
    properties = found.get("properties")
    said = properties if isinstance(properties, Mapping) else {}
    plainly = {ALIASES[name]: value for name, value in said.items() if name in ALIASES} | dict(said)
    # Nothing but the geometry says where.
    for name in ("latitude", "longitude", "_type", "class"):
        plainly.pop(name, None)
    return plain.events(lenient(plainly | _point(found.get("geometry"))), origin, now)


def _point(geometry: object) -> dict[str, Any]:
    """Longitude first (RFC 7946 section 3.1.1), altitude third; no geometry is no position."""
    if geometry is None:
        return {}
    if not isinstance(geometry, Mapping) or geometry.get("type") != "Point":
        raise WireError("geometry: is no Point")
    place = geometry.get("coordinates")
    if not isinstance(place, (list, tuple)) or not 2 <= len(place) <= 4:
        raise WireError("geometry.coordinates: is not [longitude, latitude] or with an altitude")
    named = {"longitude": place[0], "latitude": place[1]}
    return named | ({"altitude_m": place[2]} if len(place) > 2 else {})
