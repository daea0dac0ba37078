"""roster.db: every certificate ever issued and every revocation; nothing is overwritten, nothing removed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import structlog
from sqlalchemy import Column, Engine, Integer, LargeBinary, MetaData, Select, String, Table, Text, func, insert, select

from gateway.domain.devices import Credential
from gateway.domain.ids import DeviceId
from gateway.domain.time import from_rfc3339, rfc3339
from gateway.errors import GatewayError
from gateway.roster.rights import Rights
from gateway.store.sqlite import complete, storing

LOOK_EVERY_S = 0.5
CREDENTIAL_TABLES = MetaData()
CREDENTIALS = Table(
    "credential",
    CREDENTIAL_TABLES,
    Column("row", Integer, primary_key=True),
    Column("serial", String, nullable=False, unique=True),
    Column("device", String, nullable=False, index=True),
    Column("kind", String, nullable=False),
    Column("key_origin", String, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("not_before", String, nullable=False),
    Column("not_after", String, nullable=False),
    Column("cameras", Text, nullable=False),
    Column("certificate", Text, nullable=False),
    Column("issued_at", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("agency", String),
)
REVOCATIONS = Table(
    "revocation",
    CREDENTIAL_TABLES,
    Column("row", Integer, primary_key=True),
    Column("serial", String, nullable=False, unique=True),
    Column("at", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", String, nullable=False),
)


class CredentialStore:
    """Repository behind the device authority; synchronous."""

    def __init__(self, engine: Engine) -> None:
        """Stand on the engine of roster.db."""
        self._engine = engine
        complete(engine, CREDENTIAL_TABLES)

    def version(self) -> tuple[int, int]:
        """Changes whenever any process issues or revokes."""
        with self._engine.connect() as link:
            issued = link.execute(select(func.max(CREDENTIALS.c.row))).scalar_one() or 0
            revoked = link.execute(select(func.max(REVOCATIONS.c.row))).scalar_one() or 0
        return int(issued), int(revoked)

    def rights(self) -> Rights:
        """Everything as it stands now."""
        with self._engine.connect() as link:
            return Rights(_credential(row._asdict()) for row in link.execute(_all()))

    def certificate(self, serial: str) -> str | None:
        """The certificate of a serial number, PEM."""
        query = select(CREDENTIALS.c.certificate).where(CREDENTIALS.c.serial == serial)
        with self._engine.connect() as link:
            return link.execute(query).scalar_one_or_none()

    def add(
        self, credential: Credential, certificate: bytes, at: datetime, actor: str, upon: str | None = None
    ) -> None:
        """Enter a certificate; durable on return. upon: the serial that it renews, GatewayError where revoked."""
        facts = {
            "serial": credential.serial,
            "device": credential.device,
            "kind": credential.kind,
            "key_origin": credential.key_origin,
            "public_key": credential.public_key,
            "not_before": rfc3339(credential.not_before),
            "not_after": rfc3339(credential.not_after),
            "cameras": msgspec.json.encode(credential.cameras).decode(),
            "certificate": certificate.decode("ascii"),
            "issued_at": rfc3339(at),
            "actor": actor,
            "agency": credential.agency,
        }
        with storing(self._engine) as link:
            taken_back = select(REVOCATIONS.c.row).where(REVOCATIONS.c.serial == upon)
            if upon is not None and link.execute(taken_back).first() is not None:
                raise GatewayError(f"{credential.device} has no certificate that stands")
            link.execute(insert(CREDENTIALS).values(**facts))

    def revoke(self, device: DeviceId, at: datetime, reason: str, actor: str) -> Sequence[str]:
        """Take back every certificate of a device that still stands; their serial numbers."""
        with storing(self._engine) as link:
            rows = link.execute(_all().where(CREDENTIALS.c.device == device)).all()
            if not rows:
                raise GatewayError(f"{device} was never enrolled")
            standing = [str(row.serial) for row in rows if row.revoked_at is None]
            for serial in standing:
                words = {"serial": serial, "at": rfc3339(at), "reason": reason, "actor": actor}
                link.execute(insert(REVOCATIONS).values(**words))
        return standing


class RightsWatch:
    """Keeps rights in memory as the file has them, whoever wrote it."""

    def __init__(self, store: CredentialStore, rights: Rights) -> None:
        """State whose memory; nothing is read before `look`."""
        self._store, self._rights = store, rights
        self._version: tuple[int, int] | None = None
        self.problem: str | None = None

    async def run(self) -> None:
        """Look until cancelled; what cannot be read leaves the last answer standing, loudly."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Read again if the file changed."""
        try:
            version = await asyncio.to_thread(self._store.version)
            if version != self._version:
                self._rights.become(await asyncio.to_thread(self._store.rights))
        except Exception as wrong:  # noqa: BLE001 - whatever the database says: the last answer stands, the gateway goes on
            if self.problem is None:
                structlog.get_logger().error("credentials_unreadable", problem=str(wrong))
            self.problem = str(wrong) or type(wrong).__name__
            return
        self._version, self.problem = version, None


def _all() -> Select[Any]:
    joined = CREDENTIALS.outerjoin(REVOCATIONS, CREDENTIALS.c.serial == REVOCATIONS.c.serial)
    more = (REVOCATIONS.c.at.label("revoked_at"), REVOCATIONS.c.reason.label("reason"))
    return select(CREDENTIALS, *more).select_from(joined).order_by(CREDENTIALS.c.row)


def _credential(row: dict[str, Any]) -> Credential:
    return Credential(
        device=DeviceId(row["device"]),
        kind=row["kind"],
        serial=row["serial"],
        public_key=row["public_key"],
        key_origin=row["key_origin"],
        not_before=from_rfc3339(row["not_before"]),
        not_after=from_rfc3339(row["not_after"]),
        revoked_at=None if row["revoked_at"] is None else from_rfc3339(row["revoked_at"]),
        reason=row["reason"],
        cameras=tuple(DeviceId(each) for each in msgspec.json.decode(row["cameras"], type=list[str])),
        agency=row["agency"],
    )
