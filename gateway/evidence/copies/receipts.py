"""Receipts that say more than those before: a camera that is connected hears at once that it need not keep its copy.

One that is not asks again, and is told the same: every receipt is made anew from the log.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import structlog

from gateway.domain.evidence import Sealed
from gateway.domain.ids import ExhibitId
from gateway.errors import GatewayError
from gateway.evidence.copies.ledger import Shelf
from gateway.evidence.rows import Exhibit
from gateway.evidence.speaking import NOT_ENTITLED

WAITING_MAX = 4096
PATIENCE_S = 5.0
Listener = Callable[[Sealed], Awaitable[None]]


class NewReceipts:
    """`gateway.ports.Receipts`."""

    def __init__(self, shelf: Shelf, sealed: Callable[[Exhibit], Awaitable[Sealed]]) -> None:
        """Say where exhibits are looked up, and who makes a receipt."""
        self._shelf, self._sealed = shelf, sealed
        self._waiting: deque[ExhibitId] = deque(maxlen=WAITING_MAX)
        self._news = asyncio.Event()
        self._listeners: list[Listener] = []
        self.counters = {"told": 0, "untold": 0}

    @contextmanager
    def heard_by(self, listener: Listener) -> Iterator[None]:
        """Tell a listener each new receipt, as long as this lasts."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def due(self, exhibit: ExhibitId) -> None:
        """An exhibit's receipt says more now; of too many at once the oldest go untold, and their cameras ask."""
        self.counters["untold"] += len(self._waiting) == WAITING_MAX
        self._waiting.append(exhibit)
        self._news.set()

    async def run(self) -> None:
        """Tell, one after the other, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                await self._tell(self._waiting.popleft())

    async def _tell(self, exhibit: ExhibitId) -> None:
        try:
            row = await asyncio.to_thread(self._shelf.exhibit, exhibit)
            if row is None or row.device is None or row.recording is None or NOT_ENTITLED in row.flags:
                return
            sealed = await self._sealed(row)
            for listener in tuple(self._listeners):
                async with asyncio.timeout(PATIENCE_S):
                    await listener(sealed)
            self.counters["told"] += 1
        except (GatewayError, OSError, TimeoutError) as wrong:
            self.counters["untold"] += 1
            structlog.get_logger().warning("receipt_untold", exhibit=exhibit, problem=str(wrong))
