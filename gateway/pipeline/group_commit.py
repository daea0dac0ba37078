"""Group commit: take everything queued, write it in one thread, one sync, then say so to all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

import structlog

from gateway.errors import StoreBusyError
from gateway.pipeline.channel import Channel, Overflow
from gateway.ports import Receipt

Item = TypeVar("Item")
GATHER_S = 0.01
FEW = 4


class Entry(Generic[Item]):
    """An item on its way to disk."""

    __slots__ = ("item", "urgent", "weight")

    def __init__(self, item: Item, weight: int, *, urgent: bool) -> None:
        self.item, self.weight, self.urgent = item, weight, urgent


class GroupCommit(Generic[Item]):
    """`write(items)` runs in a thread of its own and returns when they are durable.

    When it raises, whatever it is, the items stay in memory (bounded; urgent ones are never dropped)
    and are tried again every retry_s; whoever waits, or comes before a try succeeds, is told
    Receipt(journalled=False) at once: a broker hands on only so many messages that nobody acknowledges,
    and an emergency may be behind them. An item that can't be written while others of its batch can
    is given up, counted and said loudly. `recovered` is called once it takes them again.
    """

    def __init__(
        self, name: str, write: Callable[[list[Item]], None], *, backlog_bytes: int, retry_s: float = 1.0
    ) -> None:
        self._name, self._write, self._retry_s = name, write, retry_s
        self._channel: Channel[Entry[Item]] = Channel(
            backlog_bytes,
            overflow=Overflow.DROP_OLDEST,
            weigh=lambda entry: entry.weight,
            spare=lambda entry: entry.urgent,
        )
        self._waiting: asyncio.Future[Receipt] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._few = self._urgent = False
        self.healthy = True
        self.recovered: Callable[[], None] = lambda: None
        self.written = 0
        self.failures = 0
        self.unwritable = 0

    @property
    def dropped(self) -> int:
        """How many items the backlog's bound cost."""
        return self._channel.dropped

    @property
    def backlog(self) -> int:
        """Items not on disk yet."""
        return len(self._channel)

    def put(self, item: Item, weight: int, *, urgent: bool = False) -> asyncio.Future[Receipt]:
        """Queue an item; the future is the whole batch's, done when it is durable or the disk refuses."""
        self._urgent = self._urgent or urgent
        self._channel.put(Entry(item, weight, urgent=urgent))
        if not self.healthy:
            return _told(asyncio.get_running_loop().create_future(), kept=False)
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().create_future()
        return self._waiting

    async def run(self) -> None:
        """Write batches until cancelled."""
        while True:
            await self._channel.wait()
            if self._few and not self._urgent:
                # A sync for each of a few frames costs more than the frames: they wait a moment for company.
                # A busy link fills its batches by itself and never waits; nothing is said durable meanwhile.
                await asyncio.sleep(GATHER_S)
            if not await self._batch():
                await asyncio.sleep(self._retry_s)

    async def drain(self, patience_s: float) -> bool:
        """Write what is left, for at most patience_s; True when nothing is."""
        try:
            async with asyncio.timeout(patience_s):
                while len(self._channel):
                    if not await self._batch():
                        await asyncio.sleep(0.05)
        except TimeoutError:
            return False
        return True

    async def _batch(self) -> bool:
        entries, waiting = self._channel.take_all(), self._waiting
        self._few, self._urgent = len(entries) <= FEW, False
        self._waiting = None
        kept = False
        try:
            await asyncio.get_running_loop().run_in_executor(
                self._thread, self._write, [entry.item for entry in entries]
            )
            kept = True
            self.written += len(entries)
        except (OSError, StoreBusyError) as full:
            self._not_kept(entries, full)
        except asyncio.CancelledError:
            self._channel.put_back(entries)
            raise
        except Exception as defect:  # noqa: BLE001 - ending here would end the gateway for one frame or one damaged file
            await self._one_by_one(entries, defect)
        finally:
            if waiting is not None:
                _told(waiting, kept=kept)
        if kept and not self.healthy:
            self.healthy = True
            structlog.get_logger().warning("disk_recovered", part=self._name)
            self.recovered()
        return kept

    async def _one_by_one(self, entries: list[Entry[Item]], defect: Exception) -> None:
        """Find the item that can't be written; where none can, it is no item's fault and all of them wait."""
        loop = asyncio.get_running_loop()
        refused: list[Entry[Item]] = []
        for place, entry in enumerate(entries):
            try:
                await loop.run_in_executor(self._thread, self._write, [entry.item])
            except asyncio.CancelledError:
                self._channel.put_back([*refused, *entries[place:]])
                raise
            except (OSError, StoreBusyError) as full:
                self._not_kept([*refused, *entries[place:]], full)
                return
            except Exception as problem:  # noqa: BLE001 - as above
                refused.append(entry)
                defect = problem
        self.written += len(entries) - len(refused)
        if len(refused) == len(entries):
            self._not_kept(refused, defect)
        elif refused:
            self.unwritable += len(refused)
            structlog.get_logger().error("not_writable", part=self._name, items=len(refused), exc_info=defect)

    def _not_kept(self, entries: list[Entry[Item]], full: Exception) -> None:
        self.failures += 1
        self._channel.put_back(entries)
        waiting, self._waiting = self._waiting, None
        if waiting is not None:  # came while the disk was making up its mind
            _told(waiting, kept=False)
        if self.healthy:
            self.healthy = False
            structlog.get_logger().error("disk_refused", part=self._name, problem=str(full), held=len(entries))

    def close(self) -> None:
        """Let the thread go; drain first."""
        self._thread.shutdown(wait=True)


def _told(waiting: asyncio.Future[Receipt], *, kept: bool) -> asyncio.Future[Receipt]:
    """Say what became of a batch to those who still want to know."""
    if not waiting.done():
        waiting.set_result(Receipt(journalled=kept))
    return waiting
