"""The feed out over MQTT: a consumer that keeps retained topics as they should be, over a link that may come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple, Protocol

import structlog

from gateway.errors import LinkError
from gateway.feed import sse
from gateway.feed.consumer import LEFT, Consumer
from gateway.feed.feed import Feed
from gateway.feed.retained import ROOT, URGENT_MAX, Message, Retained
from gateway.feed.seen import Seen
from gateway.feed.status import Condition, holder, offline, online
from gateway.ports import Clock, InputHealth

STATUS = "lapel/v1/gateway/status"
AGENCY = "lapel/v1/agency"
IN_FLIGHT = 32
CONFIRMED_WITHIN_S = 20.0
FAREWELL_S = 2.0
LOOK_S = 1.0
TURN_S = 2.0
"""So long we look for another instance; emergencies wait for no longer."""
SILENT_S = 60.0

_log = structlog.get_logger()


class Outlet(Protocol):
    """A link to a broker (QoS 1). `run` serves one connection; LinkError when it can't be had, or goes."""

    async def run(self, topic: str, will: bytes) -> None:
        """Serve until cancelled; the broker says `will` (retained) when the connection ends without a word."""
        ...

    async def ready(self) -> None:
        """Return once it is connected."""
        ...

    @property
    def connected(self) -> bool:
        """Whether the broker has let us in."""
        ...

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Return once the broker has acknowledged it."""
        ...

    async def found(self, below: str) -> dict[str, bytes]:
        """What lies retained below a topic."""
        ...


class Where(NamedTuple):
    """Below which topic units and emergencies lie, and where the status does."""

    root: str = ROOT
    status: str = STATUS

    @classmethod
    def of_agency(cls, agency: str) -> Where:
        """What one agency's consumers may read, and nobody else."""
        return cls(f"{AGENCY}/{agency}/feed", f"{AGENCY}/{agency}/status")


class FeedOut:
    """A driver, restarted by the supervisor: each run is one connection, and begins with everything said anew."""

    def __init__(
        self,
        feed: Feed | Seen,
        outlet: Outlet,
        clock: Clock,
        instance: str,
        told: Callable[[], Condition],
        where: Where = Where(),  # noqa: B008 - frozen
    ) -> None:
        self._feed, self._outlet, self._clock, self._told = feed, outlet, clock, told
        self._where, self.retained = where, Retained(instance, where.root)
        self.counters = dict.fromkeys(("published", "urgent", "cleared", "stale_cleared", "sweeps_failed", "behind"), 0)
        self._sending: dict[int, Message] = {}
        self._sent = 0
        self._cursor: str | None = None
        self._wake, self._stated = asyncio.Event(), asyncio.Event()
        self._last: datetime | None = None
        self._other, self._other_s = b"", 0.0

    def health(self) -> InputHealth:
        """Down without a connection; what waits is in the counters."""
        kept = self.retained
        counters = {**self.counters, "waiting": kept.waiting, "units": kept.units, "merged": kept.merged}
        counters["unreadable"] = kept.unreadable
        if not self._outlet.connected:
            return InputHealth("down", self._last, "no connection to the broker", counters)
        return InputHealth("up", self._last, None, counters)

    async def run(self) -> None:
        """Serve one connection; LinkError when it goes, or while another instance fills these topics."""
        await self._wait_our_turn()
        async with asyncio.TaskGroup() as group:
            link = group.create_task(self._outlet.run(self._where.status, self._offline()), name="feed out")
            try:
                await self._outlet.ready()
                await self._serve()
            finally:
                await self._farewell()
                link.cancel()

    async def _wait_our_turn(self) -> None:
        """Two instances would overwrite and empty each other's topics: the status says whose they are.

        Asked before we connect: our own will would put out the other's status. That one runs is what it says again
        and again: a broker that restarts forgets the will of one that died meanwhile.
        """
        said, now_s = b"", self._clock.now().mono_s
        with suppress(LinkError, TimeoutError):  # a broker that does not show it, or is not there: connecting tells
            async with asyncio.timeout(TURN_S):
                said = (await self._outlet.found(self._where.status)).get(self._where.status, b"")
        former = holder(said)
        if former is None or former[0] == self.retained.instance:
            return
        name, online_still = former
        if said != self._other:
            self._other, self._other_s = said, now_s
        if online_still and now_s - self._other_s < SILENT_S:
            raise LinkError(f"{name!r} fills the feed's topics: we do once it is offline")
        self.retained.heir_of = name

    async def _serve(self) -> None:
        consumer = self._begin()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow(consumer))
                group.create_task(self._pump())
                group.create_task(self._tell())
                group.create_task(self._sweep())
        finally:
            self.retained.unsent(list(self._sending.values()))
            self._sending.clear()
            self._feed.unsubscribe(consumer)

    async def _farewell(self) -> None:
        """A connection that ends in order takes its will along: say it ourselves."""
        if self._outlet.connected:
            with suppress(LinkError, TimeoutError):
                async with asyncio.timeout(FAREWELL_S):
                    await self._outlet.publish(self._where.status, self._offline(), retain=True)

    # --- in

    def _begin(self) -> Consumer:
        """Follow from where the last connection ended: no urgent record is passed over."""
        self._stated.clear()
        self.retained.stamp(self._feed.epoch)
        self.retained.again()
        return self._feed.subscribe(self._cursor)

    async def _follow(self, consumer: Consumer) -> None:
        resumed = self._cursor is not None
        if resumed:
            await self._take(consumer.take() or b"")
            self._check()
            await self._all(self.retained.whole(self._feed.snapshot()))
            self._stated.set()
        async for chunk in consumer:
            await self._take(chunk)
            self._check()
            self._stated.set()
        raise LinkError(f"the feed has closed us: {consumer.ended or LEFT}")

    async def _take(self, chunk: bytes) -> None:
        for block in sse.blocks(chunk):
            await self._all(self.retained.take(block))
            self._cursor = block.id or self._cursor

    async def _all(self, parts: Iterator[None]) -> None:
        for _ in parts:
            self._wake.set()
            await asyncio.sleep(0)
        self._wake.set()

    def _check(self) -> None:
        """What is urgent is never merged: a broker that takes none of so many is as good as gone."""
        if len(self.retained.urgent) > URGENT_MAX:
            self.counters["behind"] += len(self.retained.urgent)
            self.retained.urgent.clear()
            self._cursor = None
            raise LinkError(f"the broker has not taken {URGENT_MAX} urgent messages: all state is said anew")

    # --- out

    async def _pump(self) -> None:
        """Send in order, so many at a time; what one topic was told last is what it keeps."""
        window = asyncio.Semaphore(IN_FLIGHT)
        async with asyncio.TaskGroup() as group:
            while True:
                await window.acquire()
                group.create_task(self._send(await self._next(), window))

    async def _next(self) -> Message:
        while (message := self.retained.next()) is None:
            self._wake.clear()
            await self._wake.wait()
        return message

    async def _send(self, message: Message, window: asyncio.Semaphore) -> None:
        self._sent += 1
        number = self._sent
        self._sending[number] = message
        try:
            async with asyncio.timeout(CONFIRMED_WITHIN_S):
                await self._outlet.publish(message.topic, message.payload, retain=message.retain)
        except TimeoutError:
            raise LinkError(f"{message.topic} was not acknowledged within {CONFIRMED_WITHIN_S:.0f} s") from None
        del self._sending[number]
        window.release()
        self._last = self._clock.now().utc
        self.counters["published"] += 1
        self.counters["urgent"] += message.lane == "urgent"
        self.counters["cleared"] += message.lane == "clear"

    async def _sweep(self) -> None:
        """Empty what an earlier run left. Beside everything else: no emergency waits for this."""
        try:
            found = await self._outlet.found(f"{self._where.root}/#")
        except LinkError as problem:
            self.counters["sweeps_failed"] += 1
            _log.warning("feed_topics_not_looked_through", problem=str(problem))
            return
        await self._stated.wait()
        cleared = self.retained.stale(found)
        self.counters["stale_cleared"] += cleared
        self._wake.set()
        if cleared:
            _log.info("stale_feed_topics_cleared", topics=cleared)

    async def _tell(self) -> None:
        """The gateway's status: every heartbeat, and at once when a state changes."""
        said: Condition | None = None
        due_s = 0.0
        while True:
            told, now = self._told(), self._clock.now()
            if now.mono_s >= due_s or not told.same(said):
                said, due_s = told, now.mono_s + self._feed.settings.heartbeat_s
                status = online(self.retained.instance, self._feed.epoch, self._feed.seq, now.utc, told)
                await self._outlet.publish(self._where.status, status, retain=True)
            await asyncio.sleep(LOOK_S)

    def _offline(self) -> bytes:
        return offline(self.retained.instance, self._feed.epoch)
