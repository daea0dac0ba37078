"""Work that runs to its end whoever goes away meanwhile: a seal half done under a lock given back would be worse."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

from gateway.errors import StoreBusyError

_log = structlog.get_logger()
_T = TypeVar("_T")


class Asked:
    """Runs what callers ask for in tasks of its own; a caller that is cancelled leaves its work running."""

    def __init__(self) -> None:
        self._tasks: asyncio.TaskGroup | None = None

    async def open(self) -> None:
        """Begin to take work."""
        if self._tasks is None:
            self._tasks = await asyncio.TaskGroup().__aenter__()

    async def close(self) -> None:
        """Take no more, and wait for what runs."""
        tasks, self._tasks = self._tasks, None
        if tasks is not None:
            await tasks.__aexit__(None, None, None)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run to its end with nobody waiting for it; it raises nothing."""
        if self._tasks is None:
            work.close()
        else:
            self._tasks.create_task(work)

    async def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run to its end; the answer, or what it raised."""
        if self._tasks is None:
            work.close()
            raise StoreBusyError("the vault is not open")
        done: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._tasks.create_task(_into(done, work))
        return await done


async def _into(done: asyncio.Future[_T], work: Coroutine[Any, Any, _T]) -> None:
    try:
        answer = await work
    except Exception as error:  # noqa: BLE001 - handed to whoever asked; the other recordings go on
        if done.cancelled():
            _log.warning("recording_left_by_caller", problem=str(error))
        else:
            done.set_exception(error)
    else:
        if not done.cancelled():
            done.set_result(answer)
