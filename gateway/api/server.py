"""The HTTP server: one middleware that knows who asks, what they may, and how errors look."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import msgspec
import structlog
from aiohttp import web

from gateway.api import (
    asyncapi,
    audit,
    cameras,
    copies,
    derivatives,
    disposals,
    emergencies,
    events,
    evidence,
    exports,
    feed_socket,
    health,
    integrity,
    log,
    masking,
    members,
    messages,
    questions,
    retention,
    roster,
    session,
    settling,
    tasks,
    tracks,
    units,
    work,
    zones,
)
from gateway.api.afterwards import FAILURES, PLAYBACKS, Failures, Playbacks, write_failures, write_playbacks
from gateway.api.identity import NOBODY, OPEN, Identity
from gateway.api.openapi import document
from gateway.api.problem import ProblemError, from_error
from gateway.api.rooms import Rooms
from gateway.api.routing import Answer, Call, Route, Routes, asked_of
from gateway.errors import ConfigError

MOST_BODY_BYTES = 1 << 20
MOST_LINE_BYTES = 32 << 10
"""A query whose purpose is as long as it may be, each of its characters as twelve."""
CLOSE_PATIENCE_S = 3.0
AFTERWARDS_EVERY_S = 5.0
SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
}
INSTANCE = web.AppKey("instance", str)
STARTED = web.RequestKey("started", bool)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def table(pages: Routes) -> Routes:
    """Every route of the gateway: the public ones, and the pages over them."""
    routes = Routes()
    feeds = (units, zones, events, feed_socket, asyncapi, emergencies, messages, tasks)
    public = (health, session, *feeds, roster, members, log)
    kept = (evidence, settling, cameras, work, retention, disposals, copies, audit, integrity)
    for part in (*public, *kept):
        routes.include(part.ROUTES)
    for part in (derivatives, exports, tracks, questions, masking):
        routes.include(part.ROUTES)
    routes.include(pages)
    return routes


class Server:
    """Listens, answers, closes."""

    def __init__(self, rooms: Rooms, version: str, pages: Routes) -> None:
        self._rooms, self._version = rooms, version
        self._runner: web.AppRunner | None = None
        self._document: bytes | None = None
        self._failures, self._playbacks = Failures(), Playbacks()
        self.routes = table(pages)
        self.routes.add("GET /openapi.json", OPEN, Answer("This document", shape={"type": "object"}))(self._openapi)

    async def _openapi(self, _call: Call[object]) -> web.StreamResponse:
        if self._document is None:  # anybody may ask, as often as they like: it is made once
            self._document = msgspec.json.encode(document(self.routes.all, self._version))
        return web.Response(body=self._document, content_type="application/json")

    def application(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(client_max_size=MOST_BODY_BYTES, middlewares=[_guard])
        app[FAILURES], app[PLAYBACKS] = self._failures, self._playbacks
        app[evidence.SITTINGS] = evidence.Sittings()
        app[units.FOLLOWERS] = set()
        app[INSTANCE] = self._rooms.instance
        app.on_response_prepare.append(_headed)
        app[feed_socket.DESKS] = feed_socket.Desks(self._rooms.instance)
        app.on_shutdown.extend((units.send_away, feed_socket.send_away))
        for route in self.routes.all:
            app.router.add_route(route.method, route.path, self._bound(route))
        return app

    def _bound(self, route: Route) -> Handler:
        async def serve(request: web.Request) -> web.StreamResponse:
            who = await self._admitted(request, route)
            return await route.run(Call(request, who, await asked_of(request, route), self._rooms))

        return serve

    async def _admitted(self, request: web.Request, route: Route) -> Identity:
        """Deny by default: a route without its permission granted is 401 or 403."""
        try:
            who = await asyncio.to_thread(self._rooms.doorkeeper.who, request)
        except ProblemError as wrong:
            if wrong.status == 401 and "Authorization" in request.headers:
                await session.failed(request, self._rooms, request.headers["Authorization"].partition(" ")[2].strip())
            if wrong.status != 401 or route.permission != OPEN:
                raise
            who = NOBODY  # a session whose token was revoked must not lock anybody out of the page
        if who.may(route.permission):
            return who
        if not who.account:
            raise ProblemError(401, "sign in, or send a bearer token")
        raise ProblemError(403, f"this needs the permission {route.permission!r}", permission=route.permission)

    async def open(self, host: str, port: int) -> int:
        """Listen; return the port (for port 0). ConfigError when it cannot."""
        self._runner = web.AppRunner(
            self.application(),
            access_log=None,
            shutdown_timeout=CLOSE_PATIENCE_S,
            handler_cancellation=True,
            max_line_size=MOST_LINE_BYTES,
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        try:
            await site.start()
        except OSError as wrong:
            await self.close()
            raise ConfigError("api.port", f"cannot listen on {host}:{port}: {wrong.strerror}") from wrong
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """Stop listening and end open streams."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()
            await self._put_on_record(None)

    async def run(self) -> None:
        """Put on record what is to be told afterwards, for as long as it runs."""
        while True:
            await asyncio.sleep(AFTERWARDS_EVERY_S)
            try:
                await self._put_on_record(datetime.now(UTC))
            except Exception:  # noqa: BLE001 - a defect here must not take the feed along: the next turn tries again
                structlog.get_logger().exception("not_put_on_record")

    async def _put_on_record(self, now: datetime | None) -> None:
        """What is due now; without a time, everything: nothing more will come."""
        if self._rooms.evidence is not None:
            custody = self._rooms.evidence.custody
            await write_failures(custody, self._failures, now or datetime.max.replace(tzinfo=UTC))
            await write_playbacks(custody, self._playbacks, now)


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors become problems; every answer carries the security headers."""
    try:
        response = await handler(request)
    except web.HTTPException as said:
        response = from_error(said)
    except (ConnectionResetError, asyncio.CancelledError):
        raise
    except Exception as error:  # noqa: BLE001 - every error becomes a problem document; ours are logged
        response = from_error(error)
        if response.status >= 500:
            structlog.get_logger().exception("request_failed", path=request.path, method=request.method)
        if STARTED in request:
            _cut(request)
    return response


def _cut(request: web.Request) -> None:
    """An answer that has begun can only be cut off: a problem written behind it would pass for its content."""
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError("the answer was cut off")


async def _headed(request: web.Request, response: web.StreamResponse) -> None:
    """Every answer carries the security headers and says which gateway it is from, streams too."""
    request[STARTED] = True
    response.headers.update(SECURITY)
    response.headers["Lapel-Instance"] = request.config_dict[INSTANCE]
    response.headers.setdefault("Cache-Control", "no-store")
