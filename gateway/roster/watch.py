"""Keeps the roster in memory as the file has it, whoever wrote it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from gateway.roster.directory import Roster

LOOK_EVERY_S = 0.5


class Source(Protocol):
    """Where rosters come from; synchronous."""

    def version(self) -> int:
        """A number that changes with every commit."""
        ...

    def roster(self) -> Roster:
        """Everything as it stands."""
        ...


class Watch:
    """Looks for changes (a booking made by a command in another process) and at a nudge."""

    def __init__(self, source: Source, roster: Roster, changed: Callable[[], None]) -> None:
        self._source, self._roster, self._changed = source, roster, changed
        self._nudge = asyncio.Event()
        self._looking = asyncio.Lock()
        self._version = -1
        self.problem: str | None = None

    def nudge(self) -> None:
        """Look now."""
        self._nudge.set()

    async def run(self) -> None:
        """Look until cancelled; a roster that cannot be read leaves the last one standing, loudly."""
        while True:
            await self.look()
            self._nudge.clear()
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._nudge.wait()
            except TimeoutError:
                continue

    async def look(self) -> None:
        """Reload if the file changed; one at a time, so that an older roster never takes a newer one's place."""
        async with self._looking:
            await self._look()

    async def _look(self) -> None:
        try:
            version = await asyncio.to_thread(self._source.version)
            if version == self._version:
                self.problem = None
                return
            fresh = await asyncio.to_thread(self._source.roster)
        except Exception as wrong:  # noqa: BLE001 - whatever the database says: the last roster stands, the gateway goes on
            if self.problem is None:
                structlog.get_logger().error("roster_unreadable", problem=str(wrong))
            self.problem = str(wrong) or type(wrong).__name__
            return
        self._version, self.problem = version, None
        self._roster.become(fresh)
        self._changed()
