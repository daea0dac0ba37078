"""What the evidence half makes on demand, in the background: derivatives and exports, one at a time each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from gateway.deriving import deriver, kept_deriving
from gateway.errors import EvidenceError
from gateway.evidence.export.exporter import Exported
from gateway.evidence.export.jobs import ExportJobs, Store
from gateway.evidence.export.order import Order, Progress
from gateway.evidence.vault.files import DiskFiles
from gateway.evidence.vault.room import Room
from gateway.evidence_half import EvidenceHalf
from gateway.exporting import Terms, Wanted, exported
from gateway.observe import Gauges
from gateway.ports import Clock
from gateway.settings import Settings


class EvidenceWork:
    """Derivatives and exports of one store; `run` until cancelled."""

    def __init__(self, settings: Settings, half: EvidenceHalf, clock: Clock) -> None:
        """Put them together; nothing happens yet."""
        records, root, files = half.records, Path(half.records.custody.directory), DiskFiles()
        self._half, self._terms = half, Terms(settings.log, settings.timestamp, settings.evidence.known_defects)
        self._patience_s = settings.log.witness_patience_s
        self.deriver = deriver(records, settings.media, settings.store, clock)
        room = Room(files, root, settings.store.reserve_mb << 20)
        days = settings.evidence.exports_keep_days
        self.exports = ExportJobs(Store(root, files, room, records.catalogue, clock.now, self._export, days))

    def add_gauges(self, gauges: Gauges) -> None:
        """Show what is counted here among the metrics."""
        gauges.add("derivatives", lambda: self.deriver.counts)
        gauges.add("exports", lambda: self.exports.counts)

    async def run(self) -> None:
        """Make what was asked for, and go on with what a restart found."""
        async with asyncio.TaskGroup() as group:
            group.create_task(kept_deriving(self.deriver, self._made))
            group.create_task(self.exports.run())

    def _made(self) -> None:
        if self._half.examiner is not None:
            self._half.examiner.look_again()

    async def _export(self, order: Order, target: Path, name: str, told: Callable[[Progress], None]) -> Exported:
        wanted = Wanted(order, target, self._patience_s, name, told)

        async def cosigned(index: int) -> str:
            told(Progress("witness"))
            try:
                return await self._half.cosigned(index, self._patience_s)
            except TimeoutError as late:
                raise EvidenceError(f"entry {index} is not cosigned by the quorum yet") from late

        return await exported(self._half.records, self._terms, wanted, cosigned)
