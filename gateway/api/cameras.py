"""Recordings that should come: the list of what is missing, its settlement, daily counts, and exhibits' tracks."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web

from gateway.api.evidence import one_exhibit, seen
from gateway.api.problem import ProblemError
from gateway.api.rooms import evidence_of
from gateway.api.routing import Answer, Call, Routes, as_json
from gateway.api.settling import may_see
from gateway.api.shapes import WORDS
from gateway.domain.cameras import DayCount
from gateway.domain.evidence import RecordingKey
from gateway.domain.ids import DeviceId, ExhibitId
from gateway.errors import WireError
from gateway.evidence import track as tracks
from gateway.evidence.expected import Expectations, ExpectedRow
from gateway.evidence.rows import Exhibit

ROUTES = Routes()
DAYS_MAX = 366
SIDECAR_MAX = 64 << 20
REASON_MAX = 4000
GEOJSON, GPX = "application/geo+json", "application/gpx+xml"
FEATURE = {"type": "object", "required": ["type", "id", "geometry", "properties"]}


class ExpectedOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which rows: of one camera; `all` with what came and what was settled."""

    device: str | None = None
    all: bool = False
    limit: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1000


class ExpectedRows(msgspec.Struct, frozen=True):
    """What is expected, the longest waiting first."""

    expected: list[ExpectedRow]
    v: int = 1


class CountsOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from", "until": "to"}):
    """CountsOf of UTC, both included; the last seven where nothing is said."""

    since: date | None = None
    until: date | None = None
    device: str | None = None


class DailyCounts(msgspec.Struct, frozen=True):
    """Of each day (UTC) and camera."""

    counts: list[DayCount]
    zone: Literal["UTC"] = "UTC"
    v: int = 1


class Settlement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why nobody waits for it any more."""

    reason: Annotated[str, msgspec.Meta(max_length=REASON_MAX, pattern=WORDS)]


class SealNow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which upload is sealed with what has come of it, and why."""

    device: str
    recording: str
    reason: Annotated[str, msgspec.Meta(max_length=REASON_MAX, pattern=WORDS)]


class SealedNow(msgspec.Struct, frozen=True):
    """What came is this exhibit; None where nothing had come."""

    exhibit: str | None
    size: int | None
    v: int = 1


class WantedRecording(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which recording somebody waits for."""

    device: str
    recording: str


class WantedFirst(msgspec.Struct, frozen=True):
    """It goes first from now on where room or rate is short."""

    device: str
    recording: str
    wanted: bool
    v: int = 1


class TrackFormat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a track is written."""

    format: Literal["geojson", "gpx"] = "geojson"


def _room(call: Call[Any]) -> Expectations:
    if call.rooms.expected is None:
        raise ProblemError(404, "this instance keeps no list of expected recordings")
    return call.rooms.expected


@ROUTES.add("GET /v1/expected", "evidence:read", Answer("Recordings that should come", shape=ExpectedRows), ExpectedOf)
async def expected(call: Call[ExpectedOf]) -> web.StreamResponse:
    """Answer what is expected, waiting, missing, incomplete."""
    asked = call.asked
    rows = await asyncio.to_thread(_room(call).listed, asked.device, everything=asked.all, limit=asked.limit)
    return as_json(ExpectedRows(rows))


@ROUTES.add("GET /v1/expected/counts", "evidence:read", Answer("Daily counts", shape=DailyCounts), CountsOf)
async def counts(call: Call[CountsOf]) -> web.StreamResponse:
    """Answer, for each day and camera: recorded, received, sealed, missing, settled."""
    until = call.asked.until or datetime.now(UTC).date()
    since = call.asked.since or until - timedelta(days=6)
    if not 0 <= (until - since).days < DAYS_MAX:
        raise ProblemError(422, f"from, to: between one day and {DAYS_MAX}")
    return as_json(DailyCounts(await asyncio.to_thread(_room(call).counts, since, until, call.asked.device)))


@ROUTES.add(
    "POST /v1/expected/{number}/settle",
    "evidence:expected",
    Answer("The row as settled", shape=ExpectedRow),
    Settlement,
)
async def settle(call: Call[Settlement]) -> web.StreamResponse:
    """A named person waits no more, and says why; on record in the log, and the row stays."""
    number = call.part("number")
    if not re.fullmatch(r"[0-9]{1,15}", number):
        raise ProblemError(404, f"expected recording {number[:40]!r}: they are numbered")
    return as_json(await _room(call).settle(int(number), call.who.account, call.asked.reason.strip()))


@ROUTES.add("POST /v1/uploads/seal", "evidence:expected", Answer("What came, sealed", shape=SealedNow), SealNow)
async def seal_now(call: Call[SealNow]) -> web.StreamResponse:
    """Seal an upload whose camera will not return; what comes later adds an exhibit."""
    asked = call.asked
    key = RecordingKey(DeviceId(asked.device), asked.recording)
    evidence_of(call.rooms)
    sealed = await _room(call).seal_now(key, call.who.account, asked.reason.strip())
    return as_json(SealedNow(sealed.exhibit if sealed else None, sealed.size if sealed else None))


@ROUTES.add("POST /v1/uploads/want", "evidence:expected", Answer("It goes first", shape=WantedFirst), WantedRecording)
async def want(call: Call[WantedRecording]) -> web.StreamResponse:
    """Ask for a recording: of what waits for room or for its turn it goes first, until it is sealed or a restart."""
    asked = call.asked
    if len(asked.recording) > REASON_MAX or call.rooms.roster().device(DeviceId(asked.device)) is None:
        raise ProblemError(404, f"device: {asked.device[:64]!r} is none of the roster's")
    if not evidence_of(call.rooms).want(RecordingKey(DeviceId(asked.device), asked.recording)):
        raise ProblemError(409, "as many recordings as may go first are wanted already")
    return as_json(WantedFirst(asked.device, asked.recording, wanted=True))


@ROUTES.add(
    "GET /v1/exhibits/{exhibit}/track",
    "evidence:content",
    Answer("Where it was recorded", GEOJSON, FEATURE, also=(GPX,)),
    TrackFormat,
)
async def track(call: Call[TrackFormat]) -> web.StreamResponse:
    """Answer the track that came with a recording; one `view` entry a sitting."""
    row = await one_exhibit(call)
    may_see(call.who, row)
    await seen(call, "view", f"track {row.id}", row.id, {"what": "track"})
    points = await asyncio.to_thread(_track, call, row)
    headers = {"Content-Disposition": f'attachment; filename="{row.id}.{call.asked.format}"'}
    if call.asked.format == "gpx":
        return web.Response(body=tracks.gpx(points, row.id).encode(), content_type=GPX, headers=headers)
    body = msgspec.json.encode(tracks.geojson(points, row.id))
    return web.Response(body=body, content_type=GEOJSON, headers=headers)


def _track(call: Call[Any], row: Exhibit) -> list[tracks.Point]:
    """From the custody detail of the seal, else from a side file sealed as an exhibit of its own."""
    if row.gone:
        raise ProblemError(410, f"{row.id} was disposed of")
    detail = evidence_of(call.rooms).custody.detail(row.log_index) if row.sealed_at is not None else None
    extra = (detail[0] if detail else {}).get("user_data")
    found = extra.get("track") if isinstance(extra, dict) else None
    try:
        if found is not None:
            return tracks.read(found, row.started_at)
        return _side_file(call, row)
    except WireError as wrong:
        raise ProblemError(422, f"the track is kept as it came and can't be read: {wrong}") from wrong


def _side_file(call: Call[Any], row: Exhibit) -> list[tracks.Point]:
    sidecars = call.rooms.expected.sidecars(row) if call.rooms.expected is not None else []
    for each in sidecars:
        side = evidence_of(call.rooms).catalogue.exhibit(each.exhibit)
        if side is None or not side.complete or side.gone or (side.size or 0) > SIDECAR_MAX:
            continue
        may_see(call.who, side)
        content = b"".join(evidence_of(call.rooms).reader.read(ExhibitId(side.id), 0, side.size or 0))
        return tracks.read_file(content, row.started_at)
    raise ProblemError(404, f"no track came with {row.id}")
