"""Which formats there are, in the order in which a payload is tried: a new one is a module and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from drivers.beacon import geojson, gpsd, nmea, owntracks, plain
from gateway.domain.events import Event, Origin
from gateway.domain.time import Instant
from gateway.errors import WireError

Read = Callable[[Mapping[str, Any], Origin, Instant], list[Event]]
Name = Literal["auto", "owntracks", "gpsd", "geojson", "json", "nmea"]


class Objects(NamedTuple):
    """A format whose messages are JSON objects."""

    claims: Callable[[Mapping[str, Any]], bool]
    read: Read


class Lines(NamedTuple):
    """A format of its own lines: read gives the events and what was wrong."""

    claims: Callable[[bytes], bool]
    read: Callable[[bytes, Origin, Instant], tuple[list[Event], list[WireError]]]


OBJECTS: dict[str, Objects] = {
    "owntracks": Objects(owntracks.claims, owntracks.read),
    "gpsd": Objects(gpsd.claims, gpsd.read),
    "geojson": Objects(geojson.claims, geojson.read),
    "json": Objects(plain.claims, plain.read),
}
LINES: dict[str, Lines] = {
    "nmea": Lines(nmea.claims, nmea.read),
}
