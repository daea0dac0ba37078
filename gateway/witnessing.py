"""The log's witnesses, put together from the configuration: clients, seats, quorum; asked first, then kept asking."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog

from gateway.crypto.cosignatures import parse_witness_vkey
from gateway.crypto.notes import parse_vkey
from gateway.evidence.custody import CustodyLog
from gateway.evidence.log.known_keys import KnownKeys
from gateway.evidence.settings import LogSection
from gateway.evidence.witness_seat import Seat
from gateway.evidence.witnesses import Quorum, Witnesses
from gateway.outlets.witness import WitnessClient
from gateway.ports import Clock

AGAIN_AFTER_S = 5.0


@contextlib.asynccontextmanager
async def witnessed(log: LogSection, custody: CustodyLog, clock: Clock) -> AsyncIterator[Witnesses | None]:
    """The witnesses, asked what they saw; None where there are none.

    IntegrityError where one saw a larger or another log than this one.
    """
    if not log.witness:
        yield None
        return
    async with contextlib.AsyncExitStack() as stack:
        seats = []
        for each in log.witness:
            client = WitnessClient(each.url)
            await client.open()
            stack.push_async_callback(client.close)
            seats.append(Seat(each.name, each.operator, parse_witness_vkey(each.vkey), client))
        quorum = Quorum(log.operator or "", log.quorum)
        folder, keys = custody.directory / "log", custody.keystore.log_keys
        known = KnownKeys(folder, parse_vkey(custody.vkey), keys.publics)
        await asyncio.to_thread(known.reload)
        witnesses = Witnesses(folder, known, seats, quorum, clock)
        await witnesses.open(log.witness_patience_s)
        yield witnesses


async def kept_running(witnesses: Witnesses | None) -> None:
    """Have each new checkpoint cosigned, until cancelled."""
    while witnesses is not None:
        try:
            await witnesses.run()
        except Exception:  # noqa: BLE001 - a defect here must not take ingest along: loud, and begun again
            structlog.get_logger().exception("witnessing_failed")
        await asyncio.sleep(AGAIN_AFTER_S)
