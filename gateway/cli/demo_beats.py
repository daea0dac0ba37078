"""Beats for the demonstration to walk in and out of: the town's four quarters, made up."""

from __future__ import annotations

from pathlib import Path

import msgspec

MIDDLE = (-0.2420, 52.5725)
REACH = (0.030, 0.018)
QUARTERS = {"nw": (-1, 1), "ne": (1, 1), "sw": (-1, -1), "se": (1, -1)}


def beats(folder: Path) -> Path:
    """Write them as an operator's zones would be given; return the file."""
    features = [
        {"type": "Feature", "id": name, "properties": {"name": f"Beat {name.upper()}"}, "geometry": _square(*signs)}
        for name, signs in QUARTERS.items()
    ]
    file = folder / "beats.geojson"
    file.write_bytes(msgspec.json.encode({"type": "FeatureCollection", "features": features}))
    return file


def _square(east: int, north: int) -> dict[str, object]:
    """One quarter; longitude first (RFC 7946 section 3.1.1)."""
    west_east = sorted((MIDDLE[0], MIDDLE[0] + east * REACH[0]))
    south_north = sorted((MIDDLE[1], MIDDLE[1] + north * REACH[1]))
    (west, last), (south, top) = west_east, south_north
    return {"type": "Polygon", "coordinates": [[[west, south], [last, south], [last, top], [west, top], [west, south]]]}
