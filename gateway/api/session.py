"""Signing in on the page: a token once, then an HttpOnly cookie."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from aiohttp import web

from gateway.api.afterwards import FAILURES, write_failures
from gateway.api.auth import COOKIE, own_site
from gateway.api.identity import OPEN
from gateway.api.problem import ProblemError
from gateway.api.rooms import Rooms
from gateway.api.routing import Answer, Call, Nothing, Routes, as_json
from gateway.domain.evidence import Act
from gateway.errors import GatewayError

ROUTES = Routes()


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bearer token, as `lapel token create` printed it."""

    token: str


class Who(msgspec.Struct, frozen=True):
    """Who is signed in."""

    account: str
    permissions: list[str]
    v: int = 1
    agency: str | None = None


@ROUTES.add("POST /v1/session", OPEN, Answer("Sign in", shape=Who), SignIn)
async def sign_in(call: Call[SignIn]) -> web.StreamResponse:
    """Set the session cookie for a token; a wrong one is 401 and on record."""
    own_site(call.request)
    door = call.rooms.doorkeeper
    try:
        key = await asyncio.to_thread(door.sign_in, call.asked.token)
    except ProblemError as wrong:
        if wrong.status == 401:
            await failed(call.request, call.rooms, call.asked.token)
        raise
    who = await asyncio.to_thread(door.bearer, call.asked.token)
    await _on_record(call, who.account, "session")
    response = as_json(Who(who.account, sorted(who.permissions), agency=who.agency))
    response.set_cookie(
        COOKIE, key, httponly=True, samesite="Strict", secure=call.request.secure, path="/", max_age=door.session_s
    )
    return response


async def failed(request: web.Request, rooms: Rooms, presented: str) -> None:
    """Count a log-in that failed; the first is on record at once, more of them once a minute."""
    if rooms.evidence is None:
        return
    account = await asyncio.to_thread(rooms.doorkeeper.named, presented)
    failures = request.config_dict[FAILURES]
    failures.note(presented, account, request.remote)
    await write_failures(rooms.evidence.custody, failures, datetime.now(UTC))


async def _on_record(call: Call[Any], account: str, act: str) -> None:
    """A session's beginning or end; a log that will not now keeps nobody away from the feed."""
    if call.rooms.evidence is None:
        return
    said = {"act": act, "account": account, "from": call.request.remote}
    try:
        await call.rooms.evidence.custody.record(Act("account", account, detail=said))
    except GatewayError as problem:
        structlog.get_logger().error("session_not_recorded", account=account, act=act, problem=str(problem))


@ROUTES.add("GET /v1/session", "", Answer("Who is signed in", shape=Who))
async def session(call: Call[Nothing]) -> web.StreamResponse:
    """Answer who is asking; 401 for nobody."""
    if not call.who.account:
        raise ProblemError(401, "nobody is signed in")
    return as_json(Who(call.who.account, sorted(call.who.permissions), agency=call.who.agency))


@ROUTES.add("DELETE /v1/session", OPEN, Answer("Sign out", status=204))
async def sign_out(call: Call[Nothing]) -> web.StreamResponse:
    """End the session."""
    if call.who.account:
        await _on_record(call, call.who.account, "session_end")
    call.rooms.doorkeeper.sign_out(call.request)
    response = web.Response(status=204)
    response.del_cookie(COOKIE, path="/")
    return response
