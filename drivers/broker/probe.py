"""Does the broker keep devices apart? It is tried, under a device's name that is nobody's.

MQTT 3.1.1 acknowledges a publish that is denied, and Mosquitto 2.0 grants a subscription that it then
does not serve: so what counts is what arrives, and each attempt is followed by one that must arrive.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable

import msgspec

from drivers.links.mqtt_link import Ack, MqttLink, SubscriptionRefusedError
from gateway.errors import LinkError
from gateway.ports import BrokerAddress

PROBE, VICTIM = "lapel-probe", "lapel-probe-victim"
ROOT = "lapel/v1/camera"
PATIENCE_S = 5.0
DOOR_PATIENCE_S = 3.0


class Unproven(Exception):  # noqa: N818 - a finding, not a fault
    """The check itself could not be made."""


class Probe:
    """One check after another; `heard` is to be told what arrives at the gateway on `…/renew` of these two names."""

    def __init__(self, gateway: MqttLink, address: BrokerAddress) -> None:
        """Name the gateway's own link, and how a device reaches the broker with the probe's certificate."""
        self._gateway, self._address = gateway, address
        self._arrived: set[tuple[str, bytes]] = set()
        self._news = asyncio.Event()

    def heard(self, device: str, payload: bytes) -> None:
        """Note what arrived."""
        self._arrived.add((device, payload))
        self._news.set()

    async def check(self) -> list[str]:
        """What the broker lets a device do that it must not; empty: it keeps devices apart. Unproven: not known."""
        self._arrived.clear()
        wrong = []
        if await self._publishes_as_another():
            wrong.append("a device can publish under another device's name")
        if await self._hears_another():
            wrong.append("a device can read what is sent to another")
        bare = msgspec.structs.replace(self._address, cert=None, key=None)
        if await self._lets_in(bare):
            wrong.append("it lets clients in without a certificate")
        if await self._lets_in(msgspec.structs.replace(bare, ca=None)):
            wrong.append("it lets clients in without TLS")
        return wrong

    async def _publishes_as_another(self) -> bool:
        tried = secrets.token_bytes(8)
        attempts = 0

        async def speak(link: MqttLink) -> None:
            nonlocal attempts
            attempts += 1
            await link.publish(f"{ROOT}/{VICTIM}/renew", tried)

        await self._say("its own topic")
        await self._within(self._link(), speak)
        if not attempts:
            raise Unproven(f"{PROBE} could not connect again")
        # A denied publish may cost the connection: what must arrive behind it goes over another.
        await self._say("its own topic again")
        return (VICTIM, tried) in self._arrived

    async def _hears_another(self) -> bool:
        tried, last = secrets.token_bytes(8), secrets.token_bytes(8)

        async def speak(_link: MqttLink) -> None:
            await self._gateway.publish(f"{ROOT}/{VICTIM}/response", tried)
            await self._gateway.publish(f"{ROOT}/{PROBE}/response", last)
            await self._comes(last, "an answer to the probe")

        topics = [f"{ROOT}/{VICTIM}/response", f"{ROOT}/{PROBE}/response"]
        ended = await self._within(MqttLink(self._address, PROBE, topics, self._read), speak)
        if ended is not None and not isinstance(ended, SubscriptionRefusedError):
            raise Unproven(f"{PROBE} could not listen: {ended}")
        return (VICTIM, tried) in self._arrived

    async def _lets_in(self, address: BrokerAddress) -> bool:
        async def nothing(_link: MqttLink) -> None:
            return

        return await self._within(MqttLink(address, f"{PROBE}-nobody"), nothing, DOOR_PATIENCE_S) is None

    def _link(self) -> MqttLink:
        return MqttLink(self._address, PROBE)

    async def _say(self, what: str) -> None:
        """Publish what must arrive."""
        word = secrets.token_bytes(8)
        ended = await self._within(self._link(), lambda link: link.publish(f"{ROOT}/{PROBE}/renew", word))
        if ended is not None:
            raise Unproven(f"{PROBE} cannot connect and publish: {ended}")
        await self._comes(word, what)

    async def _comes(self, word: bytes, what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while (PROBE, word) not in self._arrived:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise Unproven(f"{what} did not arrive within {PATIENCE_S:.0f} s") from None

    async def _within(
        self, link: MqttLink, work: Callable[[MqttLink], Awaitable[None]], patience_s: float = 2 * PATIENCE_S
    ) -> Exception | None:
        """Work on a connection of its own; why it could not, or ended early."""
        trouble: list[Exception] = []

        async def serve() -> None:
            try:
                await link.run()
            except LinkError as gone:
                trouble.append(gone)
                over.set()

        async def speak() -> None:
            try:
                await link.ready()
                await work(link)
            except (LinkError, Unproven) as problem:
                trouble.append(problem)
            over.set()

        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(serve()), group.create_task(speak())]
            try:
                async with asyncio.timeout(patience_s):
                    await over.wait()
            except TimeoutError:
                trouble.append(LinkError(f"no end within {patience_s:.0f} s"))
            for task in tasks:
                task.cancel()
        return _first(trouble)

    def _read(self, topic: str, payload: bytes, ack: Ack) -> None:
        self.heard(topic.split("/")[3] if topic.count("/") > 3 else "", payload)
        ack()


def _first(trouble: list[Exception]) -> Exception | None:
    """What ended it; what makes the whole check worthless is raised."""
    for each in trouble:
        if isinstance(each, Unproven):
            raise each
    return trouble[0] if trouble else None
