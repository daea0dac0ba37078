"""Messages from officers (statuses 12 to 16, texts) with who dealt with each; radios and what is known of them."""

from __future__ import annotations

import msgspec
import structlog
from aiohttp import web

from gateway.api.emergencies import By
from gateway.api.on_record import on_record
from gateway.api.problem import ProblemError
from gateway.api.routing import Answer, Call, Nothing, Routes, as_json
from gateway.feed.handsets import Handset
from gateway.feed.messages import Message

ROUTES = Routes()


class Inbox(msgspec.Struct, frozen=True):
    """Messages from officers, oldest first."""

    messages: list[Message]
    v: int = 1


class Handsets(msgspec.Struct, frozen=True):
    """Every radio of the roster or heard, by ISSI."""

    handsets: list[Handset]
    v: int = 1


@ROUTES.add("GET /v1/messages", "feed:read", Answer("Messages from officers", shape=Inbox))
async def messages(call: Call[Nothing]) -> web.StreamResponse:
    """Answer statuses 12 to 16 and texts."""
    return as_json(Inbox(call.feed.messages()))


@ROUTES.add("POST /v1/messages/{id}/dealt", "message:act", Answer("Dealt with", shape=Message), By)
async def dealt(call: Call[By]) -> web.StreamResponse:
    """A named person has dealt with it; the first name stays."""
    number, by = call.part("id"), call.asked.by.strip()
    known = next((one for one in call.feed.messages() if str(one.id) == number), None)
    news = known is not None and known.dealt_with_by is None
    found = call.rooms.feed.deal(known.id, by) if known is not None else None
    if found is None:
        raise ProblemError(404, f"message {number!r} is not known")
    if news and found.receipt is not msgspec.UNSET:
        call.rooms.dispatch.dealt(found.receipt)
    structlog.get_logger().info("message_dealt", account=call.who.account, message=found.id, by=found.dealt_with_by)
    seen = call.feed.message(found)
    await on_record(call.rooms.feed, lambda: seen)
    return as_json(seen)


@ROUTES.add("GET /v1/handsets", "feed:read", Answer("Radios: reach, and emergency path proven", shape=Handsets))
async def handsets(call: Call[Nothing]) -> web.StreamResponse:
    """Answer every radio of the roster or heard."""
    return as_json(Handsets(call.feed.handsets()))
