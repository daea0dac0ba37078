"""The broker as an input: whether it keeps devices apart, and devices' requests for their next certificate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

import msgspec
import structlog

from drivers.broker.probe import PROBE, ROOT, VICTIM, Probe, Unproven
from drivers.links.mqtt_link import Ack, MqttLink
from gateway.domain.ids import DeviceId, device_id
from gateway.errors import GatewayError, LinkError
from gateway.ports import BrokerAddress, Clock, InputHealth, Renewals

RENEW = f"{ROOT}/+/renew"
CHECK_EVERY_S = 6 * 3600.0
WAITING_MAX = 256
OK, REFUSED = 0x00, 0x80
UNKNOWN, BROKEN, ENFORCED = -1, 0, 1


class Ends(msgspec.Struct, frozen=True):
    """How the gateway reaches the broker, and how a device with the probe's certificate does."""

    gateway: BrokerAddress
    probe: BrokerAddress


class BrokerWatch:
    """Checks rights at each connection and every few hours; answers renewals one after another."""

    def __init__(
        self, ends: Ends, client_id: str, renewals: Renewals, clock: Clock, remark: Callable[[], str | None]
    ) -> None:
        """remark: what else is to be said of certificates, for people to read."""
        self._link = MqttLink(ends.gateway, client_id, [RENEW], self.receive)
        self._probe = Probe(self._link, ends.probe)
        self._renewals, self._clock, self._remark = renewals, clock, remark
        self._waiting: asyncio.Queue[tuple[DeviceId, bytes]] = asyncio.Queue(WAITING_MAX)
        self._problem: str | None = None
        self._last: datetime | None = None
        self.counters = dict.fromkeys(("checks", "renewed", "renewals_refused", "renewals_dropped", "unreadable"), 0)
        self.enforced = UNKNOWN

    async def run(self) -> None:
        """Serve until cancelled; LinkError when the connection goes."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._link.run(), name="broker watch")
            group.create_task(self._check(), name="broker rights")
            group.create_task(self._answer(), name="renewals")

    def health(self) -> InputHealth:
        """Degraded where the broker does not keep devices apart, or where that is not known."""
        counters = {**self.counters, "rights_enforced": self.enforced}
        if not self._link.connected:
            return InputHealth("down", self._last, "no connection to the broker", counters)
        if self._problem is not None:
            return InputHealth("degraded", self._last, self._problem, counters)
        return InputHealth("up", self._last, self._remark(), counters)

    def receive(self, topic: str, payload: bytes, ack: Ack) -> None:
        """Take a request; a device whose request is dropped asks again."""
        ack()
        self._last = self._clock.now().utc
        levels = topic.split("/")
        name = levels[3] if len(levels) == 5 else ""
        if name in (PROBE, VICTIM):
            self._probe.heard(name, payload)
            return
        try:
            device = device_id(name)
        except ValueError:
            self.counters["unreadable"] += 1
            return
        try:
            self._waiting.put_nowait((device, payload))
        except asyncio.QueueFull:
            self.counters["renewals_dropped"] += 1

    async def _check(self) -> None:
        await self._link.ready()
        while True:
            await self.check()
            await asyncio.sleep(CHECK_EVERY_S)

    async def check(self) -> None:
        """Try to break the broker's rights, and say what came of it."""
        log = structlog.get_logger()
        try:
            wrong = await self._probe.check()
        except (Unproven, LinkError) as problem:
            self.enforced, self._problem = UNKNOWN, f"whether the broker enforces rights is not known: {problem}"
            log.warning("broker_rights_unknown", problem=str(problem))
        else:
            self.enforced = BROKEN if wrong else ENFORCED
            self._problem = f"the broker does not enforce rights: {'; '.join(wrong)}" if wrong else None
            if wrong:
                log.critical("broker_rights_not_enforced", problems=wrong)
            else:
                log.info("broker_rights_enforced")
        self.counters["checks"] += 1

    async def _answer(self) -> None:
        await self._link.ready()
        while True:
            device, request = await self._waiting.get()
            reply = await self._renewed(device, request)
            await self._link.publish(f"{ROOT}/{device}/response", msgspec.json.encode(reply))

    async def _renewed(self, device: DeviceId, request: bytes) -> dict[str, object]:
        reply: dict[str, object] = {"v": 1, "topic": "…/renew"}
        try:
            given = await self._renewals.renew(device, request)
        except GatewayError as problem:
            self.counters["renewals_refused"] += 1
            structlog.get_logger().warning("renewal_refused", device=device, problem=str(problem))
            return {**reply, "reason_code": REFUSED, "reason_description": str(problem)}
        self.counters["renewed"] += 1
        told = {"reason_code": OK, "reason_description": "success"}
        return {**reply, **told, "certificate": given.certificate, "ca": given.ca}
