"""Zones as an operator's GeoJSON file gives them (RFC 7946): polygons with holes, each under an id of its own. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec

from gateway.errors import ConfigError

Ring = tuple[tuple[float, float], ...]
Rings = tuple[Ring, ...]
KEY = "map.zones"
VERTICES_MAX = 100_000
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._-]{0,63}")
CODE, NAME = re.compile(r"(?i:id|code)|[A-Z]+\d\dCD"), re.compile(r"(?i:name)|[A-Z]+\d\dNM")
"""Under which property an id and a name are looked for: by those words, or as the statistics office names them."""
KINDS = {"WD": "ward", "LAD": "district", "LSOA": "lsoa", "MSOA": "msoa", "PFA": "force"}
WGS_84 = ("CRS84", "EPSG:4326", "EPSG::4326")


class Naming(msgspec.Struct, frozen=True):
    """Which properties have a zone's id and name, and what word goes before every id (`kind:id`)."""

    id: str | None = None
    name: str | None = None
    kind: str | None = None


class Zone(msgspec.Struct, frozen=True):
    """One zone: its polygons, each an outer ring and its holes; positions are longitude, latitude in degrees."""

    id: str
    name: str
    polygons: tuple[Rings, ...]


class _WrongError(ValueError):
    """What is wrong with a feature."""


def parse(text: bytes, file: str, naming: Naming = Naming()) -> tuple[Zone, ...]:  # noqa: B008 - frozen
    """Every zone of a file; ConfigError names file and feature."""
    zones: list[Zone] = []
    for number, feature in enumerate(_features(text, file)):
        where = f"{KEY}: feature[{number}]"
        try:
            zone = _zone(feature, naming)
        except _WrongError as wrong:
            raise ConfigError(where + _called(feature, naming), str(wrong), file) from None
        if any(zone.id == other.id for other in zones):
            raise ConfigError(where, f"the id {zone.id!r} stands twice", file)
        zones.append(zone)
    if not zones:
        raise ConfigError(KEY, "has no feature", file)
    if (vertices := sum(len(ring) for zone in zones for rings in zone.polygons for ring in rings)) > VERTICES_MAX:
        raise ConfigError(KEY, f"{vertices} vertices; at most {VERTICES_MAX}: simplify it", file)
    return tuple(zones)


def _features(text: bytes, file: str) -> list[Any]:
    try:
        whole = msgspec.json.decode(text)
    except msgspec.DecodeError as wrong:
        raise ConfigError(KEY, f"is not JSON: {wrong}", file) from wrong
    if not isinstance(whole, dict) or whole.get("type") not in ("FeatureCollection", "Feature"):
        raise ConfigError(KEY, "is no GeoJSON FeatureCollection", file)
    if (crs := whole.get("crs")) is not None and not any(name in str(crs) for name in WGS_84):
        raise ConfigError(f"{KEY}: crs", "is not WGS 84 (RFC 7946 section 4)", file)
    features = [whole] if whole["type"] == "Feature" else whole.get("features")
    if not isinstance(features, list):
        raise ConfigError(f"{KEY}: features", "is no list", file)
    return features


def _zone(feature: Any, naming: Naming) -> Zone:  # noqa: ANN401 - JSON of somebody else's
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        raise _WrongError("is no Feature")
    code = _named(feature, naming.id, CODE)
    if code is None and naming.id is not None:
        raise _WrongError(f"has no id: zone_id names a property {naming.id!r} that it does not have")
    if code is None and feature.get("id") is not None:
        code = str(feature["id"])
    if code is None:
        raise _WrongError("has no id: give zone_id the name of the property that has it")
    kind = naming.kind or (_kind(feature) if naming.id is None else None)
    whole = f"{kind}:{code}" if kind else code
    if not ID.fullmatch(whole):
        raise _WrongError(f"{whole!r} is no id (letters, digits, : . _ -; at most 64)")
    return Zone(whole, _named(feature, naming.name, NAME) or code, tuple(_polygons(feature.get("geometry"))))


def _named(feature: dict[str, Any], wanted: str | None, pattern: re.Pattern[str]) -> str | None:
    """The property wanted by name, else the first whose name says what it is; None for none."""
    properties = feature.get("properties")
    if not isinstance(properties, dict):
        properties = {}
    names = [wanted] if wanted is not None else [name for name in properties if pattern.fullmatch(name)]
    if wanted is None and pattern is CODE and feature.get("id") is not None:
        return None
    found = (properties.get(name) for name in names)
    return next((str(value) for value in found if isinstance(value, str | int) and str(value)), None)


def _kind(feature: dict[str, Any]) -> str | None:
    """What the statistics office's name for the property that has the id says it is."""
    properties = feature.get("properties")
    if feature.get("id") is not None or not isinstance(properties, dict):
        return None
    first = next((name for name in properties if CODE.fullmatch(name)), "")
    return KINDS.get(first[:-4]) if first.endswith("CD") else None


def _called(feature: Any, naming: Naming) -> str:  # noqa: ANN401 - JSON of somebody else's
    name = _named(feature, naming.name, NAME) if isinstance(feature, dict) else None
    return f" ({name})" if name else ""


def _polygons(geometry: Any) -> Iterator[Rings]:  # noqa: ANN401 - JSON of somebody else's
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind not in ("Polygon", "MultiPolygon"):
        raise _WrongError(f"geometry: {kind or 'nothing'}, where Polygon or MultiPolygon is wanted")
    found = geometry.get("coordinates")
    polygons = _listed([found] if kind == "Polygon" else found, "coordinates")
    for number, rings in enumerate(polygons):
        where = f"polygon {number}, ring" if kind == "MultiPolygon" else "ring"
        yield tuple(_ring(ring, f"{where} {count}") for count, ring in enumerate(_listed(rings, where)))


def _listed(found: Any, where: str) -> list[Any]:  # noqa: ANN401 - JSON of somebody else's
    if not isinstance(found, list) or not found:
        raise _WrongError(f"{where}: is no list with something in it")
    return found


def _ring(ring: Any, where: str) -> Ring:  # noqa: ANN401 - JSON of somebody else's
    """RFC 7946 section 3.1.6: four or more positions, the last the same as the first."""
    points = tuple(_position(point, f"{where}, position {number}") for number, point in enumerate(_listed(ring, where)))
    if len(points) < 4 or points[0] != points[-1]:
        raise _WrongError(f"{where}: is not closed, or of fewer than four positions (RFC 7946 section 3.1.6)")
    if any(abs(a[0] - b[0]) > 180 for a, b in pairwise(points)):
        raise _WrongError(f"{where}: cut it at the antimeridian (RFC 7946 section 3.1.9)")
    return points


def _position(point: Any, where: str) -> tuple[float, float]:  # noqa: ANN401 - JSON of somebody else's
    if not isinstance(point, list) or len(point) < 2 or not all(_number(each) for each in point[:2]):
        raise _WrongError(f"{where}: is not [longitude, latitude]")
    lon, lat = float(point[0]), float(point[1])
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise _WrongError(f"{where}: {lon:g}, {lat:g} are not degrees")
    return lon, lat


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
