"""Who waits until the urgent log is on disk: everybody who asked before a turn is answered by its one fsync."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Literal

PATIENCE_S = 5.0
Word = Literal["kept", "refused", "late"]
"""On disk; the disk would not, and is asked again; the disk has not said yet. What was told stays told."""


class Written:
    """Counts what was added and what of that is on disk."""

    def __init__(self) -> None:
        self.added = self.kept = 0
        self._waiting: deque[tuple[int, asyncio.Future[Word]]] = deque()

    def add(self) -> None:
        """One more record is to be written."""
        self.added += 1

    def reach(self, number: int) -> None:
        """Everything up to that one is on disk."""
        self.kept = max(self.kept, number)
        while self._waiting and self._waiting[0][0] <= self.kept:
            _say(self._waiting.popleft()[1], "kept")

    def refuse(self) -> None:
        """The disk would not: nobody is kept waiting for the day when it does."""
        while self._waiting:
            _say(self._waiting.popleft()[1], "refused")

    async def wait(self, patience_s: float = PATIENCE_S) -> Word:
        """Return when all that was added until now is on disk, or was refused, or after that long."""
        if self.kept >= self.added:
            return "kept"
        # A repeated act adds nothing of its own; what it repeats may still be waiting, so it waits for that too.
        answer: asyncio.Future[Word] = asyncio.get_running_loop().create_future()
        self._waiting.append((self.added, answer))
        try:
            async with asyncio.timeout(patience_s):
                return await answer
        except TimeoutError:
            return "late"


def _say(answer: asyncio.Future[Word], word: Word) -> None:
    if not answer.done():
        answer.set_result(word)
