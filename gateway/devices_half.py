"""The device authority inside a running gateway: what it has said, in memory; its own certificates, kept fresh."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from gateway.crypto.authority import OURS, PROBE, AuthorityFiles
from gateway.domain.devices import Credential
from gateway.domain.evidence import Act
from gateway.domain.ids import DeviceId
from gateway.domain.time import rfc3339
from gateway.enrolment import Enrolment
from gateway.errors import GatewayError
from gateway.ports import BrokerAddress, Clock, Renewed
from gateway.roster.rights import Rights
from gateway.settings import Settings
from gateway.store.credentials import CredentialStore, RightsWatch

ACTOR = "system"
UPKEEP_EVERY_S = 3600.0
NAMED_MAX = 10


@dataclass
class DevicesHalf:
    """What the gateway knows of devices' certificates; `office` None: there is no authority, or it can't be read."""

    settings: Settings
    store: CredentialStore
    rights: Rights
    watch: RightsWatch
    clock: Clock
    log: Callable[[Act], object] | None = None
    office: Enrolment | None = None

    def recall(self) -> None:
        """Read what was issued and revoked: before anything is sealed that an earlier process left. Blocks."""
        self.rights.become(self.store.rights())

    def open(self) -> None:
        """Read the authority where there is one; what can't be read is said loudly, and stops nothing. Blocks."""
        self.recall()
        files = AuthorityFiles(self.settings.authority)
        if not files.exists:
            return
        office = Enrolment(files, self.store, self.clock, self._record, self.settings.devices.certificate_days)
        try:
            office.open(ACTOR)
        except (GatewayError, OSError, ValueError) as wrong:
            structlog.get_logger().error("authority_unreadable", problem=str(wrong))
            return
        self.office = office
        self.recall()

    async def run(self) -> None:
        """Follow what commands issue and revoke, and keep our own certificates fresh, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.watch.run())
            group.create_task(self._keep_fresh())

    async def renew(self, device: DeviceId, request: bytes) -> Renewed:
        """A device's next certificate (gateway.ports.Renewals)."""
        if self.office is None:
            raise GatewayError("there is no device authority here")
        given = await asyncio.to_thread(self.office.renew, device, request, f"device:{device}")
        await self.watch.look()
        return Renewed(given.certificate.decode(), given.trust.decode())

    def probe(self) -> BrokerAddress | None:
        """How a device reaches the broker, with the certificate of the probe; None where there is none to try with."""
        broker, devices = self.settings.broker, self.settings.devices
        if self.office is None or broker.embedded or not broker.cert:
            return None
        ours = self.office.directory
        named = {"ca": broker.ca, "cert": str(ours / f"{PROBE}.crt"), "key": str(ours / f"{PROBE}.key")}
        return BrokerAddress(broker.host, devices.broker_port or broker.port, **named)

    def lapsing(self) -> list[Credential]:
        """Certificates that end soon."""
        return self.rights.lapsing(self.clock.now().utc, self.settings.devices.warn_days)

    def remark(self) -> str | None:
        """Which certificates end soon, for people to read."""
        return remark(self.lapsing(), self.settings.devices.warn_days)

    def counts(self) -> dict[str, float]:
        """For the metrics."""
        have = self.rights.everything()
        names = {each.device for each in have} - OURS
        gone = sum(self.rights.revoked(name) for name in names)
        return {"enrolled": len(names) - gone, "revoked": gone, "certificates_lapsing": len(self.lapsing())}

    async def _keep_fresh(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self.freshen)
            except Exception:  # noqa: BLE001 - it has weeks left, and tries again: nothing else may suffer
                structlog.get_logger().exception("own_certificate_not_renewed")
            await asyncio.sleep(UPKEEP_EVERY_S)

    def freshen(self) -> None:
        """Renew our own certificates where it is time; the next connection uses them. Blocks."""
        if self.office is None:
            return
        for name in self.office.renew_own(ACTOR):
            structlog.get_logger().info("certificate_renewed", name=name)
        named = self.settings.broker.cert
        if named is not None and self.office.renew_copy(Path(named)):
            structlog.get_logger().info("certificate_renewed", file=named)

    def _record(self, act: Act) -> None:
        if self.log is not None:
            self.log(act)


def remark(lapsing: list[Credential], days: int) -> str | None:
    """Which certificates end within so many days."""
    if not lapsing:
        return None
    named = ", ".join(f"{each.device} ({rfc3339(each.not_after)[:10]})" for each in lapsing[:NAMED_MAX])
    more = f" and {len(lapsing) - NAMED_MAX} more" if len(lapsing) > NAMED_MAX else ""
    return f"certificates that lapse within {days} days: {named}{more}"


def devices_half(settings: Settings, store: CredentialStore, clock: Clock) -> DevicesHalf:
    """Put the parts together; nothing is read before `open`."""
    rights = Rights()
    return DevicesHalf(settings, store, rights, RightsWatch(store, rights), clock)
