"""Units: snapshot, one, nearest, the live stream, and their status as the control room sets it."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import structlog
from aiohttp import web

from gateway.api.on_record import on_record
from gateway.api.problem import ProblemError
from gateway.api.questions import noted
from gateway.api.routing import Answer, Call, Nothing, Routes, as_json
from gateway.api.streaming import in_pieces
from gateway.api.tasks import may_act_on
from gateway.api.zones import known_zones
from gateway.domain.time import rfc3339
from gateway.feed.batches import Record
from gateway.feed.changes import awaited, collected
from gateway.feed.consumer import GOING_AWAY, Consumer
from gateway.feed.duty import DutyRecord
from gateway.feed.encode import Feature
from gateway.feed.exercise import marked
from gateway.feed.filters import Filters
from gateway.feed.sse import cursor
from gateway.feed.wanted import Candidate, Wanted

ROUTES = Routes()
FOLLOWERS = web.AppKey("followers", set[Consumer])
GEOJSON = "application/geo+json"
Age = Annotated[float, msgspec.Meta(ge=0)]


class Stream(msgspec.Struct, frozen=True):
    """Where in the stream a snapshot was taken."""

    epoch: str
    seq: int
    generated_at: datetime


MEMBERS = {"at": "lapel:stream", "whole": "lapel:whole", "removed": "lapel:removed", "records": "lapel:records"}


class Collection(msgspec.Struct, frozen=True, tag_field="type", tag="FeatureCollection", rename=MEMBERS):
    """Units as GeoJSON (RFC 7946 section 3.3); behind a cursor what has changed since, unless it is the whole."""

    at: Stream
    features: list[Feature]
    whole: bool | msgspec.UnsetType = msgspec.UNSET
    removed: list[str] | msgspec.UnsetType = msgspec.UNSET
    records: list[Record] | msgspec.UnsetType = msgspec.UNSET


class Shown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which units: any of the agencies, roles, duties and zones, every power; bbox is west,south,east,north."""

    agency: tuple[str, ...] = ()
    role: tuple[str, ...] = ()
    power: tuple[str, ...] = ()
    duty: tuple[str, ...] = ()
    bbox: Annotated[tuple[float, ...], msgspec.Meta(min_length=4, max_length=4)] | None = None
    max_age_s: Age | None = None
    zone: tuple[str, ...] = ()


class Since(Shown, frozen=True, forbid_unknown_fields=True):
    """The same; with `after` (epoch-seq) what has changed since, waited for up to wait_s."""

    after: Annotated[str, msgspec.Meta(pattern="^.+-[0-9]+$")] | None = None
    wait_s: Annotated[float, msgspec.Meta(ge=0, le=60)] = 25.0


class Offered(msgspec.Struct, frozen=True):
    """A unit that could go, why it is offered, and its Feature; person: this member alone, who is away from it."""

    unit: str
    distance_m: float
    bearing_deg: float
    eta_s: float
    eta_basis: str
    age_s: float
    why: tuple[str, ...]
    person: str | None
    feature: msgspec.Raw


class Ranked(msgspec.Struct, frozen=True):
    """Units in the order in which they would be sent; how many fell out for which reason."""

    results: list[Offered]
    considered: int
    rejected: dict[str, int]
    v: int = 1


class SetDuty(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A status as the control room sets it: its code (1..11), the incident it belongs to, why it was set.

    person: only this member of the unit, who books off (11) or is at work again (1..8).
    """

    code: Annotated[int, msgspec.Meta(ge=1, le=11)]
    incident: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    reason: Annotated[str, msgspec.Meta(max_length=400)] | None = None
    person: Annotated[str, msgspec.Meta(max_length=64)] | None = None


def filters(asked: Shown) -> Filters:
    """The feed's filter of a query; ProblemError 400 for a box that is none."""
    box = None
    if asked.bbox is not None:
        if not all(map(math.isfinite, asked.bbox)):
            raise ProblemError(400, "bbox: four numbers, west,south,east,north")
        if asked.bbox[1] > asked.bbox[3]:
            raise ProblemError(422, "bbox: south is north of north")
        box = (asked.bbox[0], asked.bbox[1], asked.bbox[2], asked.bbox[3])
    return Filters(
        agency=asked.agency,
        role=asked.role,
        power=asked.power,
        duty=asked.duty,
        bbox=box,
        max_age_s=asked.max_age_s,
        zone=asked.zone,
    )


@ROUTES.add(
    "GET /v1/units", "feed:read", Answer("Every unit on the feed, or what has changed", GEOJSON, Collection), Since
)
async def units(call: Call[Since]) -> web.StreamResponse:
    """Answer a GeoJSON snapshot, or wait for what changes behind a cursor."""
    known_zones(call.rooms, call.asked.zone)
    asked, feed = call.asked, call.feed
    if asked.after is None:
        return await in_pieces(call.request, feed.collection(filters(asked)), feed.turn, GEOJSON)
    if cursor(asked.after) is None:
        raise ProblemError(400, "after: an epoch and a number, epoch-seq")
    consumer, followers = feed.subscribe(asked.after, filters(asked)), _all(call)
    followers.add(consumer)
    try:
        chunk = await awaited(consumer, asked.wait_s)
    finally:
        followers.discard(consumer)
        call.rooms.feed.unsubscribe(consumer)
    # In a thread: of a hundred thousand units it takes a second, in which nobody else is to wait.
    body = await asyncio.to_thread(collected, chunk, asked.after, rfc3339(datetime.now(UTC)))
    return web.Response(body=marked(body) if call.rooms.exercise else body, content_type=GEOJSON)


@ROUTES.add("GET /v1/units/nearest", "feed:nearest", Answer("Who is nearest and would do", shape=Ranked), Wanted)
async def nearest(call: Call[Wanted]) -> web.StreamResponse:
    """Answer a ranking; who asked for what, and what was answered, is on record."""
    asked = call.asked
    known_zones(call.rooms, asked.zone)
    ranking = call.feed.nearest(asked)
    structlog.get_logger().info(
        "nearest_asked", account=call.who.account, query=msgspec.structs.asdict(asked), found=len(ranking.results)
    )
    noted(call, ranking)
    return as_json(Ranked([_offered(each, call) for each in ranking.results], ranking.considered, ranking.rejected))


def _offered(candidate: Candidate, call: Call[Any]) -> Offered:
    feature = call.feed.unit(candidate.unit)
    return Offered(**msgspec.structs.asdict(candidate), feature=msgspec.Raw(feature or b"null"))


@ROUTES.add("GET /v1/units/{unit}", "feed:read", Answer("One unit", GEOJSON, Feature))
async def unit(call: Call[Nothing]) -> web.StreamResponse:
    """Answer one unit's Feature."""
    feature = call.feed.unit(call.part("unit"))
    if feature is None:
        raise ProblemError(404, f"no unit {call.part('unit')!r} is on the feed")
    return web.Response(body=feature, content_type=GEOJSON)


@ROUTES.add("PUT /v1/units/{unit}/duty", "duty:write", Answer("The status as it stands", shape=DutyRecord), SetDuty)
async def set_duty(call: Call[SetDuty]) -> web.StreamResponse:
    """Set anyone's status; the latest act wins, whoever's it is. Who did it, and why, is logged."""
    asked, name, feed = call.asked, call.part("unit"), call.rooms.feed
    unknown = f"no unit {name!r} is on the roster"
    may_act_on(call, name, unknown)
    if not feed.set_duty(name, asked.code, incident=asked.incident, person=asked.person):
        raise ProblemError(404, unknown)
    stands = feed.duty(name)
    if asked.person is None:
        call.rooms.dispatch.duty(name, asked.code, call.who.account)
    structlog.get_logger().info(
        "duty_set",
        unit=name,
        code=asked.code,
        incident=asked.incident,
        reason=asked.reason,
        member=asked.person,
        account=call.who.account,
        person=call.who.person,
    )
    await on_record(feed, lambda: stands)
    await call.rooms.dispatch.on_record()
    return as_json(stands)


def _all(call: Call[Any]) -> set[Consumer]:
    return call.request.config_dict[FOLLOWERS]


async def send_away(app: web.Application) -> None:
    """The server is about to close: end every stream, so that the stop need not wait for one."""
    for consumer in app[FOLLOWERS]:
        consumer.end(GOING_AWAY)
