"""TAK servers as consumers of the feed, put together from the configuration; one's trouble is its own."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from importlib.metadata import version

import msgspec
import structlog

from gateway.domain.time import Instant, from_rfc3339
from gateway.errors import LinkError, RefusedError
from gateway.feed import sse
from gateway.feed.consumer import GOING_AWAY
from gateway.feed.feed import Feed
from gateway.feed.filters import Filters
from gateway.feed.seen import Seen
from gateway.outlets.cot import Look
from gateway.outlets.cot_link import CotLink
from gateway.outlets.cot_settings import CotSettings
from gateway.outlets.cot_waiting import Waiting
from gateway.ports import Clock, InputHealth
from gateway.settings import Settings
from gateway.supervisor import Supervisor

AGAIN_AFTER_S = 2.0
CLEARED_WITHIN = timedelta(hours=12)


class TakServer:
    """One server: what it may see of the feed goes into what waits for it, and from there out."""

    def __init__(self, settings: CotSettings, feed: Feed, clock: Clock) -> None:
        self._settings, self._feed, self._clock = settings, feed, clock
        self._seen = Seen(feed, feed.sharing.view(settings.consumer, masked=settings.masked))
        look = Look(settings.type, settings.types, settings.team, settings.exercise, version("lapel"))
        self.waiting = Waiting(look, settings.repeat_s)
        self.link = CotLink(settings, self.waiting, clock)

    async def run(self) -> None:
        """Follow and send until cancelled."""
        self._remember(self._clock.now())
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self.link.run())

    def _remember(self, now: Instant) -> None:
        """What was cleared of late may have been cleared while nobody could tell the server."""
        for record in self._seen.emergencies():
            if record.state == "cleared" and now.utc - from_rfc3339(record.raised_at) < CLEARED_WITHIN:
                self.waiting.take("emergency", msgspec.json.encode(record))

    async def _follow(self) -> None:
        """The feed as any consumer has it; begun anew, with a snapshot, where it was closed."""
        chosen = self._settings
        filters = Filters(agency=chosen.agency, role=chosen.role, power=chosen.power)
        while True:
            try:
                consumer = self._seen.subscribe(None, filters)
            except RefusedError as full:
                structlog.get_logger().warning("cot_not_subscribed", server=chosen.name, problem=str(full))
                await asyncio.sleep(AGAIN_AFTER_S)
                continue
            try:
                async for chunk in consumer:
                    for block in sse.blocks(chunk):
                        self.waiting.take(block.event, block.payload)
                    self.link.nudge()
            finally:
                self._feed.unsubscribe(consumer)
            if consumer.ended == GOING_AWAY:
                raise LinkError("the feed has closed")
            await asyncio.sleep(AGAIN_AFTER_S)

    def health(self) -> InputHealth:
        """How it is, as an input says it."""
        link, waiting = self.link, self.waiting
        counters = {
            **waiting.counts,
            "pending": waiting.pending,
            "emergencies_untold": waiting.untold,
            "connections": link.connections,
            "failures": link.failures,
            "up": int(link.up),
        }
        return InputHealth("up" if link.up else "down", None, link.problem, counters)


class TakHalf:
    """Every [[cot]], each in a task of its own that ends nothing but itself."""

    def __init__(self, servers: list[CotSettings], feed: Feed, clock: Clock) -> None:
        self._supervisor = Supervisor({one.name: TakServer(one, feed, clock) for one in servers})

    @classmethod
    def of(cls, settings: Settings, feed: Feed, clock: Clock) -> TakHalf | None:
        """None where no server is configured."""
        return cls(settings.cot, feed, clock) if settings.cot else None

    async def run(self) -> None:
        """Tell them until cancelled."""
        await self._supervisor.run()

    def condition(self) -> str:
        """`degraded` while any of them is not connected."""
        return "ok" if all(health.state == "up" for health in self._supervisor.health().values()) else "degraded"

    def counts(self) -> dict[str, int]:
        """Each server's counters under its name."""
        known = self._supervisor.health().items()
        return {f"{name}_{key}": number for name, health in known for key, number in health.counters.items()}
