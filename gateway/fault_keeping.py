"""What goes wrong with the gateway itself, kept while it runs: losses by day and reason, jumps of the host's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog

from gateway.domain.evidence import Act
from gateway.domain.time import Instant, rfc3339
from gateway.errors import EvidenceError, StoreBusyError
from gateway.evidence_half import Records
from gateway.observe import Counts
from gateway.pipeline.tally import STEP_S, Steps, Tally, losses
from gateway.ports import Clock, InputHealth
from gateway.store.losses import LossStore

LOOK_S = 1.0
KEEP_EVERY_S = 5.0
APART_S = 60.0
"""A clock that will not stand still is one entry a minute, with how often it jumped."""
_log = structlog.get_logger()


class FaultKeeping:
    """Looks once a second; `run` until cancelled."""

    def __init__(
        self, folder: Path, counters: Callable[[], Mapping[str, int]], clock: Clock, records: Records | None
    ) -> None:
        """Name the journal's folder, what counts, the clock, and the log where there is one; nothing is opened yet."""
        self._records = records
        self._store, self._counters, self._clock = LossStore(folder / "losses.db"), counters, clock
        self._tally, self._steps = Tally(), Steps()
        self._jumps: list[float] = []
        self._told_s = float("-inf")
        self.counts: dict[str, float] = {"clock_steps": 0, "losses_kept": 0, "not_kept": 0}

    async def run(self) -> None:
        """Keep what is counted, and record jumps."""
        looks = 0
        try:
            while True:
                try:
                    await self._turn(looks)
                except Exception:  # noqa: BLE001 - a defect here must not take the feed along: the next look tries again
                    self.counts["not_kept"] += 1
                    _log.exception("faults_not_kept")
                looks += 1
                await asyncio.sleep(LOOK_S)
        finally:
            self._keep(self._clock.now())
            self._store.close()

    async def _turn(self, looks: int) -> None:
        now = self._clock.now()
        if looks == 0 and self._records is not None:
            await self._since_the_last_entry(self._records)
        await self._look(now)
        if looks % int(KEEP_EVERY_S / LOOK_S) == 0:
            await asyncio.to_thread(self._keep, now)

    def _keep(self, now: Instant) -> None:
        counters = self._counters()
        more = self._tally.grown(counters)
        try:
            self._store.add(now.utc.date(), more)
        except (StoreBusyError, OSError) as refused:
            self.counts["not_kept"] += 1
            _log.error("losses_not_kept", problem=str(refused), losses=more)
            return
        self._tally.keep(counters)
        self.counts["losses_kept"] += sum(more.values())

    async def _look(self, now: Instant) -> None:
        jump_s = self._steps.look(now.mono_s, now.utc.timestamp())
        if jump_s is not None:
            self.counts["clock_steps"] += 1
            self._jumps.append(jump_s)
            _log.warning("clock_jumped", seconds=jump_s)
        if not self._jumps or now.mono_s - self._told_s < APART_S:
            return
        jumps, self._jumps, self._told_s = self._jumps, [], now.mono_s
        facts: dict[str, Any] = {"step_ms": round(sum(jumps) * 1000), "steps": len(jumps)}
        await self._record(facts, {"largest_s": max(jumps, key=abs)})

    async def _since_the_last_entry(self, records: Records) -> None:
        """A clock that stands before the log's newest entry was set back while nobody looked."""
        newest = await asyncio.to_thread(records.catalogue.entry, records.custody.size - 1)
        now = self._clock.now().utc
        if newest is not None and newest.at - now > timedelta(seconds=STEP_S):
            facts = {"step_ms": -round((newest.at - now).total_seconds() * 1000), "steps": 1, "at_start": True}
            await self._record(facts, {"newest_entry_at": rfc3339(newest.at)})

    async def _record(self, facts: dict[str, Any], detail: dict[str, Any]) -> None:
        if self._records is None:
            return
        try:
            await self._records.custody.record(Act("clock_step", "system", None, facts, detail))
        except EvidenceError as problem:
            self.counts["not_kept"] += 1
            _log.error("clock_step_not_recorded", problem=str(problem), **facts)


def counters_of(intake: Counts, inputs: Mapping[str, InputHealth]) -> dict[str, int]:
    """What intake and inputs count as lost."""
    found = losses("intake", intake)
    for name, health in inputs.items():
        found |= losses(name, health.counters)
    return found
