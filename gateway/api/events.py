"""The feed as server-sent events."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import structlog
from aiohttp import web

from gateway.api.feed_socket import notes
from gateway.api.rooms import Rooms
from gateway.api.routing import Answer, Call, Routes
from gateway.api.streaming import pusher
from gateway.api.units import FOLLOWERS, Shown, filters
from gateway.api.zones import known_zones
from gateway.domain.time import rfc3339
from gateway.feed.event_consumer import EventConsumer, Status

ROUTES = Routes()
RESUMED = {"Last-Event-ID": {"type": "string", "description": "A cursor, epoch-seq; what is none begins anew"}}
EVENTS = Answer("Server-sent events; /asyncapi.yaml says which", "text/event-stream")


@ROUTES.add("GET /v1/feed", "feed:read", EVENTS, Shown, RESUMED)
async def follow(call: Call[Shown]) -> web.StreamResponse:
    """Follow the feed; Last-Event-ID (epoch-seq) goes on where a consumer was cut off."""
    feed = call.feed
    known_zones(call.rooms, call.asked.zone)
    cursor = call.request.headers.get("Last-Event-ID")
    clock = None if call.rooms.exercise else _now  # whose clock is another
    kind = partial(EventConsumer, status=partial(_status, call.rooms), came_with=cursor, clock=clock)
    consumer = feed.subscribe(cursor, filters(call.asked), kind)
    followers = call.request.config_dict[FOLLOWERS]
    followers.add(consumer)
    response = web.StreamResponse(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    response.content_type = "text/event-stream"
    if call.request.transport is not None:
        consumer.cut = call.request.transport.abort
    try:
        await response.prepare(call.request)
        push = pusher(call.request.transport, chunked=response.headers.get("Transfer-Encoding") == "chunked")
        async for chunk in consumer:
            await response.write(chunk)
            consumer.push = push  # not before: the headers go with the first of them
    except ConnectionError:
        structlog.get_logger().debug("consumer_gone", account=call.who.account)
    finally:
        followers.discard(consumer)
        feed.unsubscribe(consumer)
    return response


def _now() -> str:
    return rfc3339(datetime.now(UTC))


def _status(rooms: Rooms, at: str) -> Status:
    return Status(rooms.instance, at, rooms.feed.epoch, rooms.feed.seq, notes(rooms))
