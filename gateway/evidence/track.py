"""Where a camera was while it recorded: GeoJSON or an Axis gpstrail in, GeoJSON (RFC 7946) or GPX 1.1 out. Pure.

What can't be read is said with its place, and never guessed: the words of the camera are kept as they came.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from itertools import repeat
from math import isfinite
from typing import Any

import msgspec

from gateway.domain.time import from_rfc3339, rfc3339
from gateway.errors import WireError

POINTS_MAX = 1_000_000
WKT = re.compile(r"\s*POINT\s*Z?\s*\(\s*(\S+)\s+(\S+)(?:\s+(\S+))?\s*\)\s*", re.IGNORECASE)


class Point(msgspec.Struct, frozen=True):
    """One place of a track; at None where the camera gave no time."""

    longitude: float
    latitude: float
    altitude_m: float | None = None
    at: datetime | None = None


def read(found: object, started_at: datetime | None = None) -> list[Point]:
    """Read a track as a camera or its side file gives it; WireError names the place that is wrong."""
    if not isinstance(found, dict):
        raise WireError("track: not a JSON object")
    try:
        points = _axis(found, started_at) if "CoordinateEntries" in found else _geojson(found, "track")
    except (ValueError, OverflowError, RecursionError) as wrong:
        raise WireError(f"track: {wrong}") from wrong
    if not points:
        raise WireError("track: has no point")
    return points


def read_file(content: bytes, started_at: datetime | None = None) -> list[Point]:
    """Read a side file."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as wrong:
        raise WireError(f"track: not JSON: {wrong}") from wrong
    return read(found, started_at)


# --- in


def _axis(found: dict[str, Any], started_at: datetime | None) -> list[Point]:
    """`{"CoordinateEntries":[{"LocationWKT":"POINT(lon lat)","SecondsFromStart":64.0,"Timestamp":…}]}`."""
    points = []
    for place, entry in enumerate(_listed(found["CoordinateEntries"], "track.CoordinateEntries")):
        where = f"track.CoordinateEntries[{place}]"
        text = entry.get("LocationWKT") if isinstance(entry, dict) else None
        match = WKT.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise WireError(f"{where}.LocationWKT: {str(text)[:40]!r} is no POINT(longitude latitude)")
        at, seconds = entry.get("Timestamp"), entry.get("SecondsFromStart")
        when = None if at is None else _time(at, where)
        if when is None and started_at is not None and _real(seconds):
            when = started_at + timedelta(seconds=float(seconds))
        points.append(_point([float(part) for part in match.groups() if part is not None], when, where))
    return points


def _geojson(found: object, where: str) -> list[Point]:
    """A LineString (times in `coordTimes`, as togeojson writes them), MultiLineString, points, or collections."""
    if not isinstance(found, dict):
        raise WireError(f"{where}: not a GeoJSON object")
    kind = found.get("type")
    if kind == "FeatureCollection":
        features = _listed(found.get("features"), f"{where}.features")
        return [point for place, each in enumerate(features) for point in _geojson(each, f"{where}.features[{place}]")]
    if kind == "Feature":
        return _feature(found, where)
    return _geometry(found, _times_of(found), where)


def _feature(found: dict[str, Any], where: str) -> list[Point]:
    properties = found.get("properties")
    geometry = found.get("geometry")
    if not isinstance(geometry, dict):
        raise WireError(f"{where}.geometry: is missing")
    return _geometry(geometry, _times_of(properties if isinstance(properties, dict) else {}), f"{where}.geometry")


def _times_of(found: dict[str, Any]) -> list[object]:
    inner = found.get("coordinateProperties")
    times = found.get("coordTimes") or found.get("times") or (inner.get("times") if isinstance(inner, dict) else None)
    if isinstance(times, list):
        return times
    one = found.get("time") or found.get("at")
    return [one] if one is not None else []


def _geometry(found: dict[str, Any], times: list[object], where: str) -> list[Point]:
    kind, where = found.get("type"), f"{where}.coordinates"
    if kind == "Point":
        lines = [[found.get("coordinates")]]
    elif kind in ("LineString", "MultiPoint"):
        lines = [_listed(found.get("coordinates"), where)]
    elif kind == "MultiLineString":
        lines = [_listed(line, where) for line in _listed(found.get("coordinates"), where)]
        times = [time for part in times for time in (part if isinstance(part, list) else [part])]
    else:
        raise WireError(f"{where.removesuffix('.coordinates')}.type: {str(kind)[:40]!r} is no track")
    places = [place for line in lines for place in line]
    if times and len(times) != len(places):
        raise WireError(f"{where}: {len(places)} places and {len(times)} times")
    timed = zip(places, times or repeat(None), strict=False)
    return [
        _point(place, None if time is None else _time(time, f"{where}[{number}]"), f"{where}[{number}]")
        for number, (place, time) in enumerate(timed)
    ]


def _point(place: object, at: datetime | None, where: str) -> Point:
    if not isinstance(place, list) or not 2 <= len(place) <= 4 or not all(map(_real, place)):
        raise WireError(f"{where}: {str(place)[:60]!r} is no position")
    longitude, latitude = float(place[0]), float(place[1])
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        raise WireError(f"{where}: {longitude}, {latitude} is off the globe")
    return Point(longitude, latitude, float(place[2]) if len(place) > 2 else None, at)


def _listed(found: object, where: str) -> list[Any]:
    if not isinstance(found, list):
        raise WireError(f"{where}: not a list")
    if len(found) > POINTS_MAX:
        raise WireError(f"{where}: {len(found)} places, more than {POINTS_MAX}")
    return found


def _real(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)


def _time(value: object, where: str) -> datetime:
    try:
        return from_rfc3339(str(value))
    except ValueError as wrong:
        raise WireError(f"{where}: {wrong}") from wrong


# --- out


def geojson(points: list[Point], exhibit: str) -> dict[str, Any]:
    """One Feature: the line (a Point where there is one place alone), with the time of each place."""
    places = [[p.longitude, p.latitude, *([] if p.altitude_m is None else [p.altitude_m])] for p in points]
    alone = len(points) == 1
    geometry = {"type": "Point" if alone else "LineString", "coordinates": places[0] if alone else places}
    times = [None if point.at is None else rfc3339(point.at) for point in points]
    properties = {"exhibit": exhibit, "coordTimes": times if any(times) else None, "points": len(points)}
    return {"type": "Feature", "id": exhibit, "geometry": geometry, "properties": properties}


def gpx(points: list[Point], exhibit: str) -> str:
    """GPX 1.1 with one track."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<gpx version="1.1" creator="Lapel" xmlns="http://www.topografix.com/GPX/1/1">',
        f"<trk><name>{_escaped(exhibit)}</name><trkseg>",
    ]
    for point in points:
        inner = "" if point.altitude_m is None else f"<ele>{point.altitude_m:.2f}</ele>"
        inner += "" if point.at is None else f"<time>{rfc3339(point.at)}</time>"
        lines.append(f'<trkpt lat="{point.latitude:.8f}" lon="{point.longitude:.8f}">{inner}</trkpt>')
    return "\n".join([*lines, "</trkseg></trk></gpx>\n"])


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
