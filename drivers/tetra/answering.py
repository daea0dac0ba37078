"""Answers to officers' messages: each goes out only when what it answers is on disk."""

from __future__ import annotations

import asyncio
from collections import Counter, deque

from drivers.tetra.sending import RadioDownlink
from gateway.errors import LinkError, RefusedError
from gateway.ports import Outgoing, Receipt

MOST = 256
"""Security limit: answers that may wait; who gets none asks again."""


class Answering:
    """A queue, and the loop that empties it while there is a radio. Counts what became of each."""

    def __init__(self, downlink: RadioDownlink, counters: Counter[str]) -> None:
        self._downlink, self._counters = downlink, counters
        self._waiting: deque[tuple[asyncio.Future[Receipt], Outgoing]] = deque()
        self._more = asyncio.Event()

    def owe(self, durable: asyncio.Future[Receipt], answer: Outgoing) -> None:
        """Send it behind the receipt; the newest is dropped where too many wait."""
        if len(self._waiting) >= MOST:
            self._counters["answers_dropped"] += 1
            return
        self._waiting.append((durable, answer))
        self._more.set()

    async def run(self) -> None:
        """Until cancelled; what waits then goes out by the next session."""
        while True:
            while self._waiting:
                await self._answer(*self._waiting[0])
                self._waiting.popleft()
            self._more.clear()
            await self._more.wait()

    async def _answer(self, durable: asyncio.Future[Receipt], answer: Outgoing) -> None:
        """Nothing says "received" of a message that a power cut would take."""
        if not (await asyncio.shield(durable)).journalled:
            self._counters["answers_withheld"] += 1
            return
        try:
            await self._downlink.send(answer)
        except (LinkError, RefusedError):
            self._counters["answers_failed"] += 1
        else:
            self._counters["answers"] += 1
