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
    return as_json(Inbox(list(call.rooms.feed.messages())))


@ROUTES.add("POST /v1/messages/{id}/dealt", "message:act", Answer("Dealt with", shape=Message), By)
async def dealt(call: Call[By]) -> web.StreamResponse:
    """A named person has dealt with it; the first name stays."""
    number, by = call.part("id"), call.asked.by.strip()
    known = number.isascii() and number.isdigit() and len(number) < 16
    news = any(str(one.id) == number and one.dealt_with_by is None for one in call.rooms.feed.messages())
    found = call.rooms.feed.deal(int(number), by) if known else None
    if found is None:
        raise ProblemError(404, f"message {number!r} is not known")
    if news and found.receipt is not msgspec.UNSET:
        call.rooms.dispatch.dealt(found.receipt)
    structlog.get_logger().info("message_dealt", account=call.who.account, message=found.id, by=found.dealt_with_by)
    await on_record(call.rooms.feed, lambda: found)
    return as_json(found)


@ROUTES.add("GET /v1/handsets", "feed:read", Answer("Radios: reach, and emergency path proven", shape=Handsets))
async def handsets(call: Call[Nothing]) -> web.StreamResponse:
    """Answer every radio of the roster or heard."""
    return as_json(Handsets(list(call.rooms.feed.handsets())))
