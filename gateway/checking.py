"""What checks the evidence all the time, put together: the daily reconciliation, and the scrub."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from gateway.errors import GatewayError
from gateway.evidence.custody import CustodyLog
from gateway.evidence.scrub import Needs, Pace, Repair, Scrub
from gateway.observe import Gauges
from gateway.ports import Clock
from gateway.reconciling import Reconciling, Where
from gateway.settings import Settings
from gateway.store.catalogue import Catalogue
from gateway.store.scrubs import Scrubs

FILE = "scrub.db"


@dataclass(frozen=True)
class Checks:
    """Both, and what the scrub remembers; scrub is None where it is off, scrubs where that can't be opened."""

    reconciling: Reconciling
    scrubs: Scrubs | None = None
    scrub: Scrub | None = None

    @property
    def condition(self) -> str:
        """`degraded` while something is missing, or is not what was sealed."""
        conditions = {self.reconciling.condition, "ok" if self.scrub is None else self.scrub.condition}
        return "degraded" if "degraded" in conditions else "ok"

    def add_gauges(self, gauges: Gauges) -> None:
        """Show what is counted here among the metrics."""
        gauges.add("reconciliation", self.reconciling.counts)
        if self.scrub is not None:
            scrub = self.scrub
            gauges.add("scrub", lambda: scrub.figures)

    async def run(self) -> None:
        """Check until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.reconciling.run())
            if self.scrub is not None:
                group.create_task(self.scrub.run())


@contextlib.contextmanager
def checks(
    settings: Settings, custody: CustodyLog, catalogue: Catalogue, clock: Clock, repair: Repair | None = None
) -> Iterator[Checks]:
    """What [evidence] wants checked, not yet running; repair puts a blob back from a copy."""
    evidence, section = settings.data / "evidence", settings.evidence
    beside = tuple(Path(place) / "evidence" for place in settings.store.copy_to)
    reconciling = Reconciling(Where(settings.data, settings.keys, section.reconcile_at, beside), custody, clock)
    memory = Scrubs(evidence / FILE)
    try:
        memory.open()
    except (GatewayError, OSError) as wrong:  # it is needed for nothing else: footage comes in all the same
        structlog.get_logger().critical("scrub_off", problem=str(wrong))
        yield Checks(reconciling)
        return
    try:
        needs = Needs(evidence, memory, catalogue, custody, clock, repair)
        scrub = Scrub(needs, Pace(mb_s=section.scrub_mb_s, days=section.scrub_days)) if section.scrub_mb_s else None
        yield Checks(reconciling, memory, scrub)
    finally:
        memory.close()
