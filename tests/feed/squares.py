"""Zones to test with: squares, as zones and as the text of a file."""

from __future__ import annotations

import json

from gateway.feed.zones import Ring, Zone

METRE = 1 / 111_195.08


def square(west: float, south: float, east: float, north: float) -> Ring:
    """A closed ring."""
    return ((west, south), (east, south), (east, north), (west, north), (west, south))


def zone(name: str, *rings: Ring) -> Zone:
    """A zone of one polygon."""
    return Zone(name, name.title(), (tuple(rings),))


def feature(ring: object, kind: str = "Polygon", **more: object) -> dict[str, object]:
    """A feature with an id, or whatever else it is to have."""
    rings = [[ring]] if kind == "MultiPolygon" else [ring]
    geometry = {"type": kind, "coordinates": rings}
    return {"type": "Feature", "id": "a", "geometry": geometry, "properties": {"name": "Ay"}, **more}


def file_of(*features: object, **more: object) -> bytes:
    """A FeatureCollection."""
    return json.dumps({"type": "FeatureCollection", "features": features, **more}).encode()
