"""Whose turn it is to have the next slice of something long made: one slice, then whatever else there is to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator


class Turn:
    """Shared by all who are sent something long, however many they are: what is urgent waits for one slice at most."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def next(self, pieces: Iterator[bytes]) -> bytes | None:
        """The next piece; None behind the last."""
        async with self._lock:
            piece = next(pieces, None)
            await asyncio.sleep(0)
        return piece

    async def each(self, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
        """One after the other."""
        while (piece := await self.next(pieces)) is not None:
            yield piece
