"""A track to be read: positions as CSV and GPX. Reading copies; what is proved are the frames. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import msgspec

COLUMNS = (
    *("root", "index", "arrived", "who", "kind", "device_time", "latitude", "longitude", "accuracy_m", "altitude_m"),
    *("speed_mps", "heading_deg"),
)
NUMBERS = ("latitude", "longitude", "accuracy_m", "altitude_m", "speed_mps", "heading_deg")
RISKY = ("=", "+", "-", "@", "\t", "\r")


class Position(msgspec.Struct, frozen=True):
    """One frame as it is read: where it is proved, when it came, whose, and what it says, as far as it does."""

    root: int
    index: int
    arrived: str
    who: str
    kind: str
    device_time: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    accuracy_m: float | None = None
    altitude_m: float | None = None
    speed_mps: float | None = None
    heading_deg: float | None = None

    @classmethod
    def of(cls, root: int, index: int, arrived: str, who: str, said: dict[str, Any]) -> Position:
        """What a decoder said of a frame."""
        known = {name: float(said[name]) for name in NUMBERS if isinstance(said.get(name), (int, float))}
        time = said.get("time")
        return cls(root, index, arrived, who, "raw", time if isinstance(time, str) else None, **known)


def table(positions: Iterable[Position]) -> bytes:
    """CSV, every cell quoted; text that a spreadsheet would run has an apostrophe before it."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for each in positions:
        writer.writerow([_cell(getattr(each, name)) for name in COLUMNS])
    return out.getvalue().encode()


def gpx(positions: Iterable[Position], name: str) -> bytes:
    """GPX 1.1: the positions that have a latitude and a longitude, by the device's time or else by arrival."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<gpx version="1.1" creator="Lapel" xmlns="http://www.topografix.com/GPX/1/1">',
        f"<trk><name>{escape(name)}</name><trkseg>",
    ]
    for each in positions:
        if each.latitude is not None and each.longitude is not None:
            place = f"lat={quoteattr(str(each.latitude))} lon={quoteattr(str(each.longitude))}"
            lines.append(f"<trkpt {place}><time>{escape(each.device_time or each.arrived)}</time></trkpt>")
    return "\n".join([*lines, "</trkseg></trk></gpx>", ""]).encode()


def positions_in(decoded: object) -> Sequence[dict[str, Any]]:
    """Every object with a latitude and a longitude, however deep a decoder put it."""
    if isinstance(decoded, dict):
        here = [decoded] if _is_number(decoded.get("latitude")) and _is_number(decoded.get("longitude")) else []
        return [*here, *(each for below in decoded.values() for each in positions_in(below))]
    return [each for below in decoded for each in positions_in(below)] if isinstance(decoded, list) else []


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(RISKY) else text
