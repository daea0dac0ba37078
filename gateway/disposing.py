"""Disposals put together: the desk where they are asked for, the places that forget, and what carries them out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

import structlog

from gateway.evidence.custody import CustodyLog
from gateway.evidence.disposal.desk import Desk
from gateway.evidence.disposal.execution import Execution
from gateway.evidence.disposal.telling import DisposalTold, told
from gateway.evidence.disposal.working import Working
from gateway.evidence.purge import Place, StorePlace
from gateway.evidence.settings import RetentionSection
from gateway.evidence.vault.files import DiskFiles
from gateway.ports import Clock
from gateway.store.catalogue import Catalogue
from gateway.store.keyring import Keyring

TURN_EVERY_S = 60.0
LOOK_EVERY_S = 86_400.0


class Opened(Protocol):
    """The records of a store, open."""

    @property
    def custody(self) -> CustodyLog:
        """The log."""
        ...

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue."""
        ...

    @property
    def keyring(self) -> Keyring:
        """The wrapped keys."""
        ...


@dataclass
class Disposing:
    """Desk and execution of one store."""

    desk: Desk
    execution: Execution
    figures: dict[str, int] = field(default_factory=dict)
    """As counted at the last turn: a scrape never waits for the catalogue."""

    async def run(self) -> None:
        """Look daily at what is due or came back, and each minute go on with what is approved; until cancelled."""
        looked_s: float | None = None
        while True:
            try:
                if looked_s is None or time.monotonic() - looked_s >= LOOK_EVERY_S:
                    await asyncio.to_thread(self._look)
                    looked_s = time.monotonic()
                await asyncio.to_thread(self.turn)
            except Exception:  # noqa: BLE001 - a defect here must not take ingest along: loud, and tried again
                structlog.get_logger().exception("disposal_failed")
            await asyncio.sleep(TURN_EVERY_S)

    def turn(self, without: frozenset[str] = frozenset()) -> None:
        """Go on with everything that can go on now. Blocks."""
        self.execution.turn(without)
        self.figures = self.execution.figures()

    def all(self) -> list[DisposalTold]:
        """Every disposal, the newest first. Blocks."""
        return [told(one, self.desk.now, self.execution.progress) for one in reversed(self.desk.all())]

    def one(self, name: str) -> DisposalTold:
        """One disposal; NoSuchError. Blocks."""
        return told(self.desk.one(name), self.desk.now, self.execution.progress)

    def _look(self) -> None:
        """Nothing is destroyed for being due: it is only listed, and a person asks."""
        self.execution.sweep()
        structlog.get_logger().info("due_for_disposal", exhibits=self.desk.count_due())


def disposing(
    records: Opened,
    retention: RetentionSection,
    clock: Clock,
    copies: Callable[[], Sequence[Place]] = tuple,
    key_backups: Callable[[], Sequence[Place]] = tuple,
) -> Disposing:
    """The disposals of an open store; copies: its other places, key_backups: those of its wrapped keys."""
    desk = Desk(records.catalogue, records.custody, clock, timedelta(days=retention.grace_days))
    evidence, files = records.custody.directory, DiskFiles()
    store = StorePlace(evidence, records.keyring, files)
    return Disposing(desk, Execution(desk, store, records.keyring, copies, key_backups, Working(evidence, files)))
