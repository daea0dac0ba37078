"""Tasks that are not over, in memory; every change is written, in order, by one writer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TypeVar

import structlog

from gateway.dispatch.ports import Ledger, Wanted
from gateway.dispatch.task import Task
from gateway.errors import StoreBusyError

AGAIN_S = 1.0
MOST_AT_ONCE = 500
Said = TypeVar("Said")


class Book:
    """What is so now; the ledger follows. A change that must be on disk before an act is awaited with `keep`."""

    def __init__(self, ledger: Ledger, counts: Counter[str]) -> None:
        self._ledger, self._counts = ledger, counts
        self._tasks: dict[str, Task] = {}
        self._dirty: dict[str, None] = {}
        self._writing = asyncio.Lock()
        self._wake = asyncio.Event()
        # One hand writes: a write whose waiter was cancelled ends before the next begins, and never overtakes it.
        self._hand = ThreadPoolExecutor(1, "tasks")
        self.refusing = False

    def close(self) -> None:
        """Let the writing thread go."""
        self._hand.shutdown(wait=False)

    async def _by_hand(self, act: Callable[..., Said], *asked: object) -> Said:
        return await asyncio.get_running_loop().run_in_executor(self._hand, act, *asked)

    async def load(self) -> None:
        """Take up what the ledger remembers."""
        self._tasks = {task.id: task for task in await self._by_hand(self._ledger.unfinished)}

    def get(self, name: str) -> Task | None:
        """One that is not over, or not yet written down as over."""
        return self._tasks.get(name)

    def open(self) -> list[Task]:
        """Those in memory, oldest first."""
        return list(self._tasks.values())

    def active(self, unit: str) -> list[Task]:
        """A unit's tasks that are not over, newest first."""
        return [task for task in reversed(self._tasks.values()) if task.unit == unit and not task.over]

    def put(self, task: Task) -> None:
        """It is so from now on; written as soon as may be."""
        if self._tasks.get(task.id) is not task:
            self._tasks[task.id] = task
            self._dirty[task.id] = None
            self._wake.set()

    async def add(self, task: Task, key: str | None, asked: str) -> Task:
        """Return when a new task is on disk, with its id."""
        async with self._writing:
            made = await self._by_hand(self._ledger.add, task, key, asked)
        self._tasks[made.id] = made
        return made

    async def keep(self) -> None:
        """Return when everything that is so is on disk. StoreBusyError when the disk refuses; it stays to be put."""
        async with self._writing:
            names = list(self._dirty)
            tasks = [self._tasks[name] for name in names]
            if not tasks:
                return
            try:
                await self._by_hand(self._ledger.keep, tasks)
            except StoreBusyError:
                self._counts["refused_writes"] += 1
                self.refusing = True
                raise
            self.refusing = False
            for task in tasks:
                self._written(task)

    def _written(self, task: Task) -> None:
        """One that changed while it was being written stays to be written; one that is over is let go."""
        if self._tasks.get(task.id) is task:
            self._dirty.pop(task.id, None)
            if task.over and task.notice != "due" and not task.handed:
                del self._tasks[task.id]

    async def run(self) -> None:
        """Write until cancelled; a disk that refuses is asked again."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self.keep()
            except StoreBusyError as wrong:
                structlog.get_logger().warning("tasks_not_written", problem=str(wrong))
                await asyncio.sleep(AGAIN_S)
                self._wake.set()

    async def forget(self, before: datetime) -> None:
        """Delete tasks that were over and of before; those still in memory stay until they are let go."""
        gone = MOST_AT_ONCE
        while gone == MOST_AT_ONCE:
            async with self._writing:
                gone = await self._by_hand(self._ledger.forget, before, MOST_AT_ONCE)
            self._counts["forgotten"] += gone

    async def find(self, name: str) -> Task | None:
        """Any task, as it is now."""
        return self._tasks.get(name) or await asyncio.to_thread(self._ledger.task, name)

    async def keyed(self, actor: str, key: str) -> tuple[Task, str] | None:
        """The task made by this key, as it is now, and what was asked."""
        found = await asyncio.to_thread(self._ledger.keyed, actor, key)
        return None if found is None else (self._tasks.get(found[0].id, found[0]), found[1])

    async def every(self, wanted: Wanted) -> list[Task]:
        """Tasks as they are now, oldest first; what is not yet on disk is put there first where it may be."""
        try:
            await self.keep()
        except StoreBusyError:
            self._counts["listed_unwritten"] += 1
        rows = await asyncio.to_thread(self._ledger.tasks, wanted)
        return [self._tasks.get(task.id, task) for task in rows]
