"""Where a unit was: its track over a span, as GeoJSON or GPX. Who looked, and what for, is on record."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import msgspec
import structlog
from aiohttp import web

from gateway.api.evidence import seen
from gateway.api.problem import ProblemError
from gateway.api.routing import Answer, Call, Routes
from gateway.api.shapes import Moment
from gateway.domain.time import rfc3339
from gateway.feed import track as tracks
from gateway.feed.past import PastFix

ROUTES = Routes()
GEOJSON, GPX = "application/geo+json", "application/gpx+xml"
COLLECTION = {"type": "object", "required": ["type", "features", "lapel:track"]}


class TrackOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from", "until": "to"}):
    """Which span (to is exclusive; the last hour where nothing is said), how it is written, and what it is wanted for.

    simplify_m: leave out places that are within so many metres of the line through the others. after is the
    `next` of the page before (`Lapel-Next` with GPX).
    """

    since: Moment | None = None
    until: Moment | None = None
    format: Literal["geojson", "gpx"] = "geojson"
    simplify_m: Annotated[float, msgspec.Meta(ge=0, le=100_000)] = 0.0
    limit: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 10_000
    after: Annotated[str, msgspec.Meta(pattern="^[0-9]{1,15}-[0-9]{1,6}$")] | None = None
    purpose: Annotated[str, msgspec.Meta(max_length=2000)] | None = None


@ROUTES.add("GET /v1/units/{unit}/track", "feed:track", Answer("Its track", GEOJSON, COLLECTION, also=(GPX,)), TrackOf)
async def track(call: Call[TrackOf]) -> web.StreamResponse:
    """Answer where a unit was; a log line, and where there is a log of acts one `view` entry a sitting."""
    asked, unit = call.asked, call.part("unit")
    since, until = _span(asked)
    if call.rooms.tracks is None:
        raise ProblemError(404, "this instance keeps no position history")
    seen = call.feed.has_track(unit)
    fixes = await asyncio.to_thread(call.rooms.tracks.track, unit, since, until) if seen else None
    if fixes is None or (not fixes and call.rooms.roster().unit(unit) is None):
        raise ProblemError(404, f"no unit {unit!r} is on the roster")
    await _on_record(call, unit, (rfc3339(since), rfc3339(until)))
    return await asyncio.to_thread(_answer, asked, unit, fixes)


def _span(asked: TrackOf) -> tuple[datetime, datetime]:
    until = asked.until or datetime.now(UTC)
    try:
        since = asked.since or until - timedelta(hours=1)
        span = since.astimezone(UTC), until.astimezone(UTC)
    except OverflowError:
        raise ProblemError(422, "from, to: no time that a calendar knows") from None
    if span[0] >= span[1]:
        raise ProblemError(422, "to: lies before from")
    return span


def _answer(asked: TrackOf, unit: str, fixes: Sequence[PastFix]) -> web.Response:
    page = tracks.page(unit, fixes, asked.simplify_m, asked.limit, asked.after)
    if asked.format == "geojson":
        return web.Response(body=tracks.geojson(page), content_type=GEOJSON)
    headers = {"Content-Disposition": f'attachment; filename="{unit}.gpx"'}
    if page.next is not None:
        headers["Lapel-Next"] = page.next
    return web.Response(body=tracks.gpx(page), content_type=GPX, headers=headers)


async def _on_record(call: Call[TrackOf], unit: str, span: tuple[str, str]) -> None:
    asked, who = call.asked, call.who
    structlog.get_logger().info(
        "track_shown",
        account=who.account,
        person=who.person,
        unit=unit,
        since=span[0],
        until=span[1],
        format=asked.format,
        purpose=asked.purpose,
    )
    if call.rooms.evidence is None:
        return
    said = {"from": asked.since and span[0], "to": asked.until and span[1], "purpose": asked.purpose}
    detail = {"what": "track", "unit": unit, **{name: part for name, part in said.items() if part is not None}}
    await seen(call, "view", f"track {sorted(detail.items())}", None, {**detail, "from": span[0], "to": span[1]})
