"""A unit's track to be shown: which fixes, in pages, as GeoJSON (RFC 7946) or GPX 1.1. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from gateway.domain.time import rfc3339
from gateway.feed.past import PastFix, moment
from gateway.feed.simplify import simplified

GAP_MS = 900_000
"""A unit that was silent for longer begins a new segment in GPX: nobody knows the way in between."""
_CURSOR = re.compile(r"([0-9]{1,15})-([0-9]{1,6})")


class Page(msgspec.Struct, frozen=True):
    """Fixes of a track: those of the line, outliers beside it; read: how many there were; next: cursor of the rest."""

    unit: str
    line: Sequence[PastFix]
    held: Sequence[PastFix]
    read: int
    simplify_m: float
    next: str | None = None


def page(unit: str, fixes: Sequence[PastFix], simplify_m: float, limit: int, after: str | None) -> Page:
    """The first so many places behind the cursor; ValueError for one that is none. Fixes by time, as kept."""
    line = [each for each in fixes if each.mark != "held"]
    stay = simplified([(each.latitude, each.longitude) for each in line], simplify_m)
    chosen = [line[number] for number in stay]
    start_ms, passed = _cursor(after)
    behind = [each for each in chosen if each.fix_ms >= start_ms][passed:]
    shown, rest = behind[:limit], behind[limit:]
    # Outliers go with the page in whose time they lie; the first takes what is before, the last what is behind.
    since = shown[0].fix_ms if after is not None and shown else 0
    until = rest[0].fix_ms if rest else None
    held = [each for each in fixes if each.mark == "held" and each.fix_ms >= since]
    held = [each for each in held if until is None or each.fix_ms < until]
    return Page(unit, shown, held, len(fixes), simplify_m, _next(chosen, rest))


def _cursor(after: str | None) -> tuple[int, int]:
    if after is None:
        return 0, 0
    found = _CURSOR.fullmatch(after)
    if found is None:
        raise ValueError(f"{after[:40]!r} is no cursor of a track")
    return int(found[1]), int(found[2])


def _next(chosen: Sequence[PastFix], rest: Sequence[PastFix]) -> str | None:
    """The time of the next place, and how many of that very time were shown already."""
    if not rest:
        return None
    at = rest[0].fix_ms
    same = sum(each.fix_ms == at for each in chosen) - sum(each.fix_ms == at for each in rest)
    return f"{at}-{same}"


# --- GeoJSON


def geojson(page: Page) -> bytes:
    """A FeatureCollection: the line (a Point where there is one place, none where there is no place), each outlier."""
    said = {"unit": page.unit, "fixes": page.read, "points": len(page.line), "held": len(page.held)}
    about = {"v": 1, **said, "simplify_m": page.simplify_m, "next": page.next}
    features = [_line(page), *(_outlier(each) for each in page.held)]
    return msgspec.json.encode({"type": "FeatureCollection", "lapel:track": about, "features": features})


def _line(page: Page) -> dict[str, Any]:
    places = [_place(each) for each in page.line]
    geometry: dict[str, Any] | None = {"type": "LineString", "coordinates": places}
    if len(places) < 2:
        geometry = {"type": "Point", "coordinates": places[0]} if places else None
    times = [rfc3339(moment(each.fix_ms)) for each in page.line]
    properties = {"unit": page.unit, "coordTimes": times, "fixes": [_facts(each) for each in page.line]}
    return {"type": "Feature", "id": page.unit, "geometry": geometry, "properties": properties}


def _outlier(fix: PastFix) -> dict[str, Any]:
    properties = {"unit": fix.unit, "time": rfc3339(moment(fix.fix_ms)), **_facts(fix)}
    point = {"type": "Point", "coordinates": _place(fix)}
    return {"type": "Feature", "geometry": point, "properties": properties}


def _place(fix: PastFix) -> list[float]:
    return [fix.longitude, fix.latitude, *([] if fix.altitude_m is None else [fix.altitude_m])]


def _facts(fix: PastFix) -> dict[str, Any]:
    return {
        "mark": fix.mark,
        "source": fix.source,
        "device": fix.device,
        "received_at": rfc3339(moment(fix.arrived_ms)),
        "time_quality": fix.time_quality,
        "accuracy_m": fix.accuracy_m,
        "speed_mps": fix.speed_mps,
        "heading_deg": fix.heading_deg,
        "quality": fix.quality.split(",") if fix.quality else [],
    }


# --- GPX


def gpx(page: Page) -> bytes:
    """GPX 1.1: outliers as way points of type `held`, then the track, in segments where nothing was heard between."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<gpx version="1.1" creator="Lapel" xmlns="http://www.topografix.com/GPX/1/1">',
        *(_point("wpt", each, "<name>outlier</name><type>held</type>") for each in page.held),
        f"<trk><name>{_escaped(page.unit)}</name>",
    ]
    for segment in _segments(page.line):
        lines += ["<trkseg>", *(_point("trkpt", each, _type(each)) for each in segment), "</trkseg>"]
    return "\n".join([*lines, "</trk></gpx>", ""]).encode()


def _segments(line: Sequence[PastFix]) -> Iterator[list[PastFix]]:
    segment: list[PastFix] = []
    for each in line:
        if segment and each.fix_ms - segment[-1].fix_ms > GAP_MS:
            yield segment
            segment = []
        segment.append(each)
    if segment:
        yield segment


def _type(fix: PastFix) -> str:
    return "<type>late</type>" if fix.mark == "late" else ""


def _point(name: str, fix: PastFix, inner: str) -> str:
    """The order of children is the schema's: ele, time, name, src, type."""
    height = "" if fix.altitude_m is None else f"<ele>{fix.altitude_m:.2f}</ele>"
    time = f"<time>{rfc3339(moment(fix.fix_ms))}</time>"
    return f'<{name} lat="{fix.latitude:.7f}" lon="{fix.longitude:.7f}">{height}{time}{inner}</{name}>'


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
