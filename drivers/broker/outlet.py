"""The broker as a way out: messages that lie retained, a will, and a look at what lies there already."""

from __future__ import annotations

import asyncio
import secrets

from drivers.links.mqtt_link import Ack, MqttLink, Will
from gateway.errors import LinkError
from gateway.ports import BrokerAddress

LOOK_WITHIN_S = 30.0
QUIET_S = 0.3
FOUND_MAX = 1_000_000


class RetainedOutlet:
    """One connection to publish over, and another, for a moment, to look with."""

    def __init__(self, address: BrokerAddress, instance: str) -> None:
        self._address, self._instance = address, instance
        self._link = MqttLink(address, f"{instance}-feed")

    async def run(self, topic: str, will: bytes) -> None:
        """Serve until cancelled; LinkError when the broker can't be reached, or goes."""
        self._link.will = Will(topic, will)
        await self._link.run()

    async def ready(self) -> None:
        """Return once it is connected."""
        await self._link.ready()

    @property
    def connected(self) -> bool:
        """Whether the broker has let us in."""
        return self._link.connected

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Return once the broker has acknowledged it; LinkError when the link is gone."""
        await self._link.publish(topic, payload, retain=retain)

    async def found(self, below: str) -> dict[str, bytes]:
        """What lies retained below a topic now; LinkError where the broker does not show it."""
        look = _Look(self._address, self._instance, below)
        try:
            async with asyncio.timeout(LOOK_WITHIN_S):
                return await look.done()
        except TimeoutError:
            raise LinkError(f"the broker did not show what lies below {below} within {LOOK_WITHIN_S:.0f} s") from None
        except ExceptionGroup as problems:
            if problems.split(LinkError)[1] is not None:
                raise
            raise LinkError(str(problems.exceptions[0])) from problems


class _Look:
    """A session that leaves nothing behind: what is retained comes first, then a word of our own, then silence."""

    def __init__(self, address: BrokerAddress, instance: str, below: str) -> None:
        self._mark = f"lapel/v1/gateway/{instance}/looked"
        self._word = secrets.token_bytes(8)
        self._link = MqttLink(address, f"{instance}-feed-look", [below, self._mark], self._receive)
        self._link.clean = True
        self._found: dict[str, bytes] = {}
        self._seen, self._heard = asyncio.Event(), 0

    def _receive(self, topic: str, payload: bytes, ack: Ack) -> None:
        ack()
        if topic == self._mark:
            if payload == self._word:
                self._seen.set()
            return
        self._heard += 1
        if not payload:
            self._found.pop(topic, None)
        elif len(self._found) < FOUND_MAX:
            self._found[topic] = payload

    async def done(self) -> dict[str, bytes]:
        async with asyncio.TaskGroup() as group:
            link = group.create_task(self._link.run(), name="look")
            await self._link.ready()
            await self._link.publish(self._mark, self._word)
            await self._seen.wait()
            # Some brokers send what is retained behind the word; what is published meanwhile is no reason to wait.
            await asyncio.sleep(QUIET_S)
            link.cancel()
        return self._found
