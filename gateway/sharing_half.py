"""Sharing between agencies put together: agreements, masked units' tracks, what emergencies show goes on record."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Sequence

import msgspec
import structlog

from gateway.domain.evidence import Act
from gateway.errors import GatewayError
from gateway.feed.agreement import Agreement
from gateway.feed.feed import Feed
from gateway.feed.opening import Shown
from gateway.ports import Custody
from gateway.tracks_half import TracksHalf

WAITING_MAX = 10_000
AGAIN_S = 5.0
ACTOR = "gateway"
_log = structlog.get_logger()


class SharingHalf:
    """Says of each emergency that shows units to another agency when it did: in the log, and on record."""

    def __init__(
        self,
        feed: Feed,
        agreements: Sequence[Agreement],
        tracks: TracksHalf | None = None,
        custody: Custody | None = None,
    ) -> None:
        self._feed, self._custody = feed, custody
        self.counts: Counter[str] = Counter(dict.fromkeys(("begun", "ended", "recorded", "dropped"), 0))
        self._waiting: deque[Act] = deque()
        self._wake = asyncio.Event()
        feed.sharing.take_up(agreements)
        feed.opening.told = self.note
        if tracks is not None:
            tracks.masked = lambda unit: unit in feed.board.masked

    def stats(self) -> dict[str, int]:
        """Plain counters, and how many units emergencies show now."""
        return {**self.counts, "shown": len(self._feed.sharing.opened), "waiting": len(self._waiting)}

    def note(self, shown: Shown) -> None:
        """It begins, shows more units, or is over."""
        said = msgspec.structs.asdict(shown)
        _log.warning("emergency_sharing", **said)
        self.counts["begun"] += shown.what == "begin"
        self.counts["ended"] += shown.what == "end"
        if self._custody is None:
            return
        self._waiting.append(Act("view", ACTOR, detail={"purpose": f"sharing in emergency {shown.emergency}", **said}))
        if len(self._waiting) > WAITING_MAX:
            self._waiting.popleft()
            self.counts["dropped"] += 1
        self._wake.set()

    async def run(self) -> None:
        """Put on record what waits; a log that will not now is asked again."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not await self._written():
                await asyncio.sleep(AGAIN_S)
                self._wake.set()

    async def _written(self) -> bool:
        while self._waiting and self._custody is not None:
            act = self._waiting[0]
            try:
                await self._custody.record(act)
            except GatewayError as problem:
                _log.error("sharing_not_recorded", problem=str(problem))
                return False
            self.counts["recorded"] += 1
            if self._waiting and self._waiting[0] is act:
                self._waiting.popleft()
        return True
