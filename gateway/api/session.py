"""Signing in on the page: a token once, then an HttpOnly cookie."""

from __future__ import annotations

import asyncio
import time

import msgspec
from aiohttp import web

from gateway.api.auth import COOKIE, own_site
from gateway.api.identity import OPEN
from gateway.api.problem import ProblemError
from gateway.api.routing import Answer, Call, Nothing, Routes, as_json
from gateway.domain.evidence import Act

ROUTES = Routes()
LOGGED_EVERY_S = 10.0
"""Failed sign-ins enter the log at most this often, with their count: a flood must not fill it."""


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bearer token, as `lapel token create` printed it."""

    token: str


class Who(msgspec.Struct, frozen=True):
    """Who is signed in."""

    account: str
    permissions: list[str]
    v: int = 1


class Failures:
    """Counts failed sign-ins between log entries."""

    def __init__(self) -> None:
        self.count, self.last_s = 0, float("-inf")


FAILURES = web.AppKey("failures", Failures)


@ROUTES.add("POST /v1/session", OPEN, Answer("Sign in", shape=Who), SignIn)
async def sign_in(call: Call[SignIn]) -> web.StreamResponse:
    """Set the session cookie for a token; a wrong one is 401 and on record."""
    own_site(call.request)
    door = call.rooms.doorkeeper
    try:
        key = await asyncio.to_thread(door.sign_in, call.asked.token)
    except ProblemError as wrong:
        if wrong.status == 401:
            await _on_record(call)
        raise
    who = await asyncio.to_thread(door.bearer, call.asked.token)
    response = as_json(Who(who.account, sorted(who.permissions)))
    response.set_cookie(
        COOKIE, key, httponly=True, samesite="Strict", secure=call.request.secure, path="/", max_age=door.session_s
    )
    return response


async def _on_record(call: Call[SignIn]) -> None:
    failures = call.request.config_dict.get(FAILURES)
    if failures is None or call.rooms.evidence is None:
        return
    failures.count += 1
    if time.monotonic() - failures.last_s < LOGGED_EVERY_S:
        return
    count, failures.count, failures.last_s = failures.count, 0, time.monotonic()
    detail = {"remote": call.request.remote, "attempts": count}
    await call.rooms.evidence.custody.record(Act("login_failed", "unknown", detail=detail))


@ROUTES.add("GET /v1/session", "", Answer("Who is signed in", shape=Who))
async def session(call: Call[Nothing]) -> web.StreamResponse:
    """Answer who is asking; 401 for nobody."""
    if not call.who.account:
        raise ProblemError(401, "nobody is signed in")
    return as_json(Who(call.who.account, sorted(call.who.permissions)))


@ROUTES.add("DELETE /v1/session", OPEN, Answer("Sign out", status=204))
async def sign_out(call: Call[Nothing]) -> web.StreamResponse:
    """End the session."""
    call.rooms.doorkeeper.sign_out(call.request)
    response = web.Response(status=204)
    response.del_cookie(COOKIE, path="/")
    return response
