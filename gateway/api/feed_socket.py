"""The feed over a WebSocket: hello, then what the consumer asks for; whole frames, one write a tick."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
import structlog
from aiohttp import WSMsgType, web
from aiohttp.abc import AbstractStreamWriter

from gateway.api.problem import ProblemError
from gateway.api.rooms import Rooms
from gateway.api.routing import Answer, Call, Nothing, Routes
from gateway.api.streaming import pusher
from gateway.api.units import Shown, filters
from gateway.api.zones import known_zones
from gateway.errors import RefusedError
from gateway.feed.batch_consumer import BatchConsumer, Batches
from gateway.feed.batches import (
    GOING_AWAY,
    NORMAL,
    POLICY,
    TRY_AGAIN_LATER,
    Heartbeat,
    Hello,
    Input,
    close,
    said,
    short,
)
from gateway.feed.consumer import GOING_AWAY as STOPPING
from gateway.feed.consumer import LEFT, SLOW, Consumer

ROUTES = Routes()
FIRST_WORD_S = 10.0
CLOSE_PATIENCE_S = 5.0
PING_S = 20.0
MOST_SAID_OCTETS = 64 << 10
UPGRADE = {"Upgrade": "websocket"}


class Subscribe(msgspec.Struct, frozen=True, tag="subscribe", forbid_unknown_fields=True):
    """Begin with a snapshot of these units; again, with other filters, at any time."""

    filters: Shown = Shown()


class Resume(msgspec.Struct, frozen=True, tag="resume", forbid_unknown_fields=True):
    """Go on behind a cursor (`epoch-seq`): every urgent record since, and each unit's latest; else a snapshot."""

    cursor: str
    filters: Shown = Shown()


class Ack(msgspec.Struct, frozen=True, tag="ack", forbid_unknown_fields=True):
    """This consumer has the emergency of that seq: `delivered`, by a machine, never `acknowledged`."""

    seq: Annotated[int, msgspec.Meta(ge=0)]


Word = Subscribe | Resume | Ack
_WORD = msgspec.json.Decoder(Word)


def notes(rooms: Rooms) -> dict[str, Input]:
    """How each input is, as heartbeats say it."""
    return {name: Input(health.state, health.last) for name, health in rooms.inputs().items()}


class Desks:
    """Every open socket of the feed, and what they share."""

    def __init__(self, instance: str) -> None:
        self.batches = Batches(instance)
        self.open: set[Desk] = set()


DESKS = web.AppKey("desks", Desks)


@ROUTES.add("GET /v1/feed/ws", "feed:read", Answer("WebSocket, as /asyncapi.yaml describes", status=101))
async def socket(call: Call[Nothing]) -> web.StreamResponse:
    """Serve one consumer until it leaves, or is closed with a code and a reason."""
    _own_page(call.request)
    response = web.WebSocketResponse(
        heartbeat=PING_S, timeout=CLOSE_PATIENCE_S, compress=False, max_msg_size=MOST_SAID_OCTETS
    )
    if not response.can_prepare(call.request).ok:
        raise ProblemError(426, "this is a WebSocket: ask with Connection: Upgrade", headers=UPGRADE)
    desks = call.request.config_dict[DESKS]
    writer = await response.prepare(call.request)
    desk = Desk(call, response, writer, desks.batches)
    desks.open.add(desk)
    try:
        await desk.serve()
    finally:
        desks.open.discard(desk)
    return response


def _own_page(request: web.Request) -> None:
    """A browser sends its cookies with any site's WebSocket; a bearer token only our caller has."""
    origin = request.headers.get("Origin")
    if origin is not None and "Authorization" not in request.headers and urlsplit(origin).netloc != request.host:
        raise ProblemError(403, "this request comes from another site")


async def send_away(app: web.Application) -> None:
    """The server is about to close: so are they."""
    for desk in list(app[DESKS].open):
        desk.leave(GOING_AWAY, STOPPING)


class Desk:
    """One consumer: what it says is taken, what it subscribed to is sent, each by a task of its own."""

    def __init__(
        self, call: Call[Any], response: web.WebSocketResponse, writer: AbstractStreamWriter | None, batches: Batches
    ) -> None:
        self._feed, self._rooms, self._account = call.rooms.feed, call.rooms, call.who.account
        self._seen = call.feed
        self._response, self._writer, self._batches = response, writer, batches
        self._exercise = True if call.rooms.exercise else msgspec.UNSET
        self._transport = call.request.transport
        self._consumer: Consumer | None = None
        self._chosen = asyncio.Event()
        self._closing: tuple[int, str] | None = None
        self._abort: asyncio.TimerHandle | None = None

    async def serve(self) -> None:
        """Until either side ends it."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._send())
                await self._listen()
                self.leave(NORMAL, LEFT)
        except* ConnectionError:
            structlog.get_logger().debug("consumer_gone", account=self._account)
        finally:
            if self._abort is not None:
                self._abort.cancel()
            if self._consumer is not None:
                self._feed.unsubscribe(self._consumer)

    def leave(self, code: int, reason: str) -> None:
        """No more; why is the first reason given."""
        self._closing = self._closing or (code, reason)
        self._chosen.set()
        if self._consumer is not None:
            self._consumer.end(STOPPING if reason == STOPPING else LEFT)

    # --- out

    async def _send(self) -> None:
        await self._write(said(self._hello()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_WORD_S):
                await self._chosen.wait()
        served = None
        while self._consumer is not None and self._consumer is not served:  # another one where the filters changed
            served = self._consumer
            async for chunk in served:
                await self._write(chunk)
        await self._close()

    async def _write(self, whole_frames: bytes) -> None:
        """One write; then wait until there is room, which holds up nobody but this consumer."""
        if self._transport is None or self._writer is None or self._transport.is_closing():
            raise ConnectionResetError("the consumer is gone")
        self._transport.write(whole_frames)
        await self._writer.drain()

    async def _close(self) -> None:
        if self._abort is not None:
            return  # its close frame is on its way already, behind all that it did not take
        code, reason = self._closing or (POLICY, "say subscribe or resume first")
        await self._response.close(code=code, message=short(reason))

    def _cut(self) -> None:
        """It does not take what it is sent: say why, and wait no longer than patience for it to read that."""
        if self._abort is None and self._transport is not None:
            self._closing = (TRY_AGAIN_LATER, SLOW)
            self._transport.write(close(*self._closing))
            self._abort = asyncio.get_running_loop().call_later(CLOSE_PATIENCE_S, self._transport.abort)

    def _hello(self) -> Hello:
        feed = self._feed
        return Hello(
            feed.epoch, feed.seq, feed.oldest, self._rooms.instance, feed.settings.heartbeat_s, exercise=self._exercise
        )

    def _pulse(self, at: str) -> bytes:
        feed, rooms = self._feed, self._rooms
        return said(Heartbeat(at, feed.epoch, feed.seq, notes(rooms), rooms.instance, exercise=self._exercise))

    # --- in

    async def _listen(self) -> None:
        async for message in self._response:
            if message.type is not WSMsgType.TEXT:
                return self.leave(POLICY, "say it as text")
            try:
                self._hear(_WORD.decode(message.data))
            except (msgspec.ValidationError, ProblemError) as wrong:
                return self.leave(POLICY, str(wrong))
            except msgspec.DecodeError as wrong:
                return self.leave(POLICY, f"this is not JSON: {wrong}")
            except RefusedError as wrong:
                return self.leave(TRY_AGAIN_LATER, str(wrong))
        return None

    def _hear(self, word: Word) -> None:
        if not isinstance(word, Ack):
            self._follow(word.cursor if isinstance(word, Resume) else None, word.filters)
        elif (number := self._batches.told.get(f"{self._feed.epoch}-{word.seq}")) is not None:
            structlog.get_logger().info("emergency_delivered", account=self._account, emergency=number)
            self._feed.delivered(number)

    def _follow(self, cursor: str | None, asked: Shown) -> None:
        known_zones(self._rooms, asked.zone)
        wanted = filters(asked)
        if self._closing is not None:
            return
        if self._consumer is not None:
            self._consumer.replaced = True
            self._feed.unsubscribe(self._consumer)
        kind = partial(BatchConsumer, batches=self._batches, pulse=self._pulse)
        self._consumer = self._seen.subscribe(cursor, wanted, kind)
        self._consumer.cut, self._consumer.push = self._cut, pusher(self._transport, chunked=False)
        self._chosen.set()
