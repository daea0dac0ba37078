"""Zones: who is in each, whether the rules over them hold, and their outlines."""

from __future__ import annotations

import msgspec
from aiohttp import web

from gateway.api.problem import ProblemError
from gateway.api.rooms import Rooms
from gateway.api.routing import Answer, Call, Nothing, Routes, as_json
from gateway.feed.zone_cover import ZoneCover
from gateway.feed.zones import Rings

ROUTES = Routes()
GEOJSON = "application/geo+json"


class ZoneNow(msgspec.Struct, frozen=True):
    """A zone: its box (west, south, east, north) and the units on the feed that are in it."""

    id: str
    name: str
    bbox: tuple[float, ...]
    members: list[str]


class Zones(msgspec.Struct, frozen=True):
    """Every zone, and every rule over them."""

    zones: list[ZoneNow]
    coverage: list[ZoneCover]
    v: int = 1


class Outline(msgspec.Struct, frozen=True, tag_field="type", tag="MultiPolygon"):
    """A zone's polygons, longitude first (RFC 7946 section 3.1.7)."""

    coordinates: tuple[Rings, ...]


class ZoneNote(msgspec.Struct, frozen=True):
    """What is told of a zone besides its outline."""

    name: str
    members: list[str]


class ZoneFeature(msgspec.Struct, frozen=True, tag_field="type", tag="Feature"):
    """A zone as GeoJSON."""

    id: str
    bbox: tuple[float, ...]
    geometry: Outline
    properties: ZoneNote


@ROUTES.add("GET /v1/zones", "feed:read", Answer("Zones, their units, and the rules over them", shape=Zones))
async def zones(call: Call[Nothing]) -> web.StreamResponse:
    """Answer every zone; none where no file is configured."""
    zoning = call.rooms.feed.zoning
    members = call.feed.members()
    told = zip(zoning.zones, zoning.boxes(), strict=True)
    listed = [ZoneNow(zone.id, zone.name, box, members[zone.id]) for zone, box in told]
    return as_json(Zones(listed, list(call.feed.coverage())))


@ROUTES.add("GET /v1/zones/{zone}", "feed:read", Answer("One zone with its outline", GEOJSON, ZoneFeature))
async def zone(call: Call[Nothing]) -> web.StreamResponse:
    """Answer one zone as a GeoJSON Feature."""
    zoning, name = call.rooms.feed.zoning, call.part("zone")
    for one, box in zip(zoning.zones, zoning.boxes(), strict=True):
        if one.id == name:
            note = ZoneNote(one.name, call.feed.members()[name])
            return as_json(ZoneFeature(name, box, Outline(one.polygons), note), media=GEOJSON)
    raise ProblemError(404, f"there is no zone {name!r}")


def known_zones(rooms: Rooms, asked: tuple[str, ...]) -> None:
    """ProblemError 422 for a zone that there is not: it would look as if nobody were there."""
    ids = {one.id for one in rooms.feed.zoning.zones}
    for name in asked:
        if name not in ids:
            raise ProblemError(422, f"zone: there is no zone {name!r}")
