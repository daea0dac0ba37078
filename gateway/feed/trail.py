"""The trail: past fixes on their way to disk. Taken in memory, written in batches; the feed never waits."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Protocol

import structlog

from gateway.domain.events import PositionReport
from gateway.errors import GatewayError
from gateway.feed.board import Board, Outcome
from gateway.feed.past import MARKS, PastFix, past_of, theirs
from gateway.ports import Clock, Directory, Resolved

BATCH_S = 1.0
"""A process that is killed loses what came within this, and what was being written."""
BACKLOG = 200_000
"""So many wait at most where the disk refuses; the oldest go first, counted."""
EXPIRE_S = 3600.0
_log = structlog.get_logger()


class Kept(Protocol):
    """Where past fixes are kept. Blocks; GatewayError or OSError where the disk refuses."""

    def add(self, fixes: Sequence[PastFix]) -> None:
        """Keep them, all or (another time) again."""
        ...

    def expire(self, before: date) -> int:
        """Forget every day before this one; say how many."""
        ...


class Trail:
    """Notes what the board took; write() and run() bring it to disk."""

    def __init__(self, board: Board, directory: Directory, store: Kept, days: int, clock: Clock) -> None:
        self._board, self._directory, self._store, self._clock = board, directory, store, clock
        self._days = days
        self._waiting: list[PastFix] = []
        self._writing = asyncio.Lock()
        self.masked: Callable[[str], bool] = lambda _unit: False
        """Of a masked (covert) unit nothing is kept, and nothing is told."""
        self.counts: Counter[str] = Counter()
        self._refusing = False

    def note(self, report: PositionReport, who: Resolved, outcome: Outcome, quality: tuple[str, ...]) -> None:
        """Take what the board has just taken; never raises."""
        if outcome not in MARKS:
            return
        try:
            self._note(report, who, outcome, quality)
        except Exception as error:  # noqa: BLE001 - what history can't take costs history alone, never the live position
            self.counts["faults"] += 1
            _log.error("a position can't be noted", problem=f"{type(error).__name__}: {error}")

    def _note(self, report: PositionReport, who: Resolved, outcome: Outcome, quality: tuple[str, ...]) -> None:
        past = past_of(self._board, report, who, outcome, quality)
        if past is None or self.masked(past.unit):
            return
        if past.arrived_ms - past.fix_ms > self._days * 86_400_000:
            self.counts["too_old"] += 1
        elif past.mark == "late" and past.fix_ms < self._since_s(past) * 1000:
            self.counts["before_duty"] += 1
        elif past.mark == "late" and not theirs(self._directory, who, past.fix_ms):
            self.counts["other_holder"] += 1
        else:
            self._waiting.append(past)
            self._bound()

    def _since_s(self, past: PastFix) -> float:
        """Since when its officer has been on duty."""
        return self._board.units[past.unit].at_work_since_s(past.person)  # type: ignore[index]

    def _bound(self) -> None:
        if (over := len(self._waiting) - BACKLOG) > 0:
            del self._waiting[: over + BACKLOG // 100]
            self.counts["dropped"] += over + BACKLOG // 100

    @property
    def waiting(self) -> int:
        """Fixes that are not on disk yet."""
        return len(self._waiting)

    def stats(self) -> dict[str, int]:
        """Plain counters."""
        return {"waiting": self.waiting, "failing": int(self._refusing), **self.counts}

    async def run(self) -> None:
        """Write and forget, until cancelled."""
        expired_s = float("-inf")
        while True:
            now = self._clock.now()
            if now.mono_s - expired_s >= EXPIRE_S:
                expired_s = now.mono_s
                await self._expire(now.utc.date())
            await asyncio.sleep(BATCH_S)
            await self.write()

    async def write(self) -> None:
        """Bring what waits to disk; what the disk refuses waits on."""
        async with self._writing:
            fixes, self._waiting = self._waiting, []
            if not fixes:
                return
            try:
                await asyncio.to_thread(self._store.add, fixes)
            except (GatewayError, OSError) as problem:
                self.counts["refusals"] += 1
                self._waiting = fixes + self._waiting
                self._bound()
                self._say(str(problem))
            else:
                self.counts["written"] += len(fixes)
                self._say(None)

    def _say(self, problem: str | None) -> None:
        """Once when it begins, once when it is over."""
        if problem is not None and not self._refusing:
            _log.error("position history can't be written", problem=problem)
        elif problem is None and self._refusing:
            _log.info("position history is written again")
        self._refusing = problem is not None

    async def _expire(self, today: date) -> None:
        try:
            self.counts["days_forgotten"] += await asyncio.to_thread(
                self._store.expire, today - timedelta(days=self._days)
            )
        except (GatewayError, OSError) as problem:
            _log.error("old position history can't be removed", problem=str(problem))
