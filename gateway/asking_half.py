"""The record of questions for the nearest unit, put together: noted as they are answered, on disk within moments."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from gateway.errors import StoreBusyError
from gateway.feed.questions import Question
from gateway.observe import Gauges
from gateway.pipeline.group_commit import GroupCommit
from gateway.ports import Clock
from gateway.settings import Settings
from gateway.store.questions import QuestionStore

FOLDER = "asked"
BACKLOG_BYTES = 16 << 20
"""What waits at most where the disk refuses; the oldest go first, counted."""
EXPIRE_S = 3600.0
DRAIN_S = 5.0


def question_store(data: Path) -> QuestionStore:
    """Where the record lies."""
    return QuestionStore(data / FOLDER)


class Asking:
    """Questions on their way to disk, and back. No answer waits for it: who is needed is said first."""

    def __init__(self, store: QuestionStore, days: int, clock: Clock) -> None:
        self._store, self._days, self._clock = store, days, clock
        self._commit: GroupCommit[Question] = GroupCommit("asked", store.add, backlog_bytes=BACKLOG_BYTES)
        self._expired = 0

    def note(self, question: Question) -> None:
        """Take one; never waits."""
        self._commit.put(question, 400 + 200 * len(question.offered))

    def between(self, since: datetime, until: datetime) -> list[Question]:
        """Those of a span. Blocks."""
        return list(self._store.between(since, until))

    def counts(self) -> Mapping[str, float]:
        """Plain counters."""
        commit = self._commit
        return {
            "written": commit.written,
            "waiting": commit.backlog,
            "dropped": commit.dropped + commit.unwritable,
            "failing": int(not commit.healthy),
            "days_forgotten": self._expired,
        }

    async def run(self) -> None:
        """Write and forget until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._commit.run())
            group.create_task(self._forget())

    async def _forget(self) -> None:
        while True:
            before = self._clock.now().utc.date() - timedelta(days=self._days)
            try:
                self._expired += await asyncio.to_thread(self._store.expire, before)
            except (OSError, StoreBusyError) as problem:
                structlog.get_logger().error("old questions can't be removed", problem=str(problem))
            await asyncio.sleep(EXPIRE_S)

    async def close(self) -> None:
        """What waits goes to disk, for at most DRAIN_S."""
        await self._commit.drain(DRAIN_S)
        self._commit.close()


def asking_half(stack: contextlib.AsyncExitStack, settings: Settings, clock: Clock, gauges: Gauges) -> Asking | None:
    """None where `[feed] asked_days` is 0."""
    if not settings.feed.asked_days:
        return None
    asking = Asking(question_store(settings.data), settings.feed.asked_days, clock)
    stack.push_async_callback(asking.close)
    gauges.add("asked", asking.counts)
    return asking
