"""One consumer of the feed: what waits for it, bounded, and how it falls behind without holding up anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from collections.abc import Sequence as Ordered
from typing import NamedTuple, Self

from gateway.feed.filters import Filters
from gateway.feed.settings import FeedSettings
from gateway.feed.sse import RETRY

SLOW, STUCK, GOING_AWAY, LEFT = "slow consumer", "stuck consumer", "going away", "left"


class UnitFrame(NamedTuple):
    """A unit's newest record, framed."""

    unit: str
    seq: int
    frame: bytes


def _nothing() -> None:
    """Nothing to cut off."""


def _as_it_is(chunk: bytes) -> bytes:
    """The stream says of itself what it says."""
    return chunk


class Consumer:
    """Iterate over it for chunks of server-sent events; `ended` says why there are no more.

    Up to `buffer_high_bytes` chunks wait as they are. Above, only each unit's newest record is kept
    (conflating) beside every urgent one; once the consumer has taken what waited, these go out in order.
    """

    def __init__(self, filters: Filters, settings: FeedSettings) -> None:
        self.filters = filters
        self.ended: str | None = None
        self.gone = asyncio.Event()
        self.cut: Callable[[], None] = _nothing
        self.mark: Callable[[bytes], bytes] = _as_it_is
        self.conflated = 0
        self.conflating = False
        self._settings = settings
        self._chunks: list[bytes] = []
        self._bytes = 0
        self._urgent: list[tuple[int, bytes]] = []
        self._newest: dict[str, tuple[int, bytes]] = {}
        self._greeted = False
        self._waits_since_s: float | None = None
        self._wake = asyncio.Event()

    def begin(self, chunk: bytes) -> None:
        """The first chunk, however long: a snapshot or what was missed."""
        self._put(chunk)

    def offer(self, chunk: bytes, frames: Ordered[UnitFrame]) -> None:
        """The records of one tick, joined, and one by one in case that they must wait."""
        if self.ended is not None or not frames:
            return
        if not self._full():
            self._put(chunk)
            return
        for unit, seq, frame in frames:
            self.conflated += unit in self._newest
            self._newest[unit] = (seq, frame)

    def press(self, seq: int, frame: bytes) -> None:
        """An urgent record: never conflated; a consumer with too many unread is closed instead."""
        if self.ended is not None:
            return
        if not self._full():
            self._put(frame)
            return
        self._urgent.append((seq, frame))
        self._wake.set()
        if len(self._urgent) > self._settings.urgent_queue:
            self.end(SLOW)

    def note(self, comment: bytes) -> None:
        """A heartbeat, where there is room for one."""
        if self.ended is None and not self._full():
            self._add(self.pulse(comment))

    def pulse(self, comment: bytes) -> bytes:
        """A heartbeat as it goes over this consumer's wire."""
        return self.mark(comment)

    def _full(self) -> bool:
        self.conflating = self.conflating or self._bytes >= self._settings.buffer_high_bytes
        return self.conflating

    def dress(self, chunk: bytes) -> bytes:
        """A chunk as it goes over this consumer's wire."""
        chunk = self.mark(chunk)
        if not self._greeted:
            chunk, self._greeted = RETRY + chunk, True
        return chunk

    def _put(self, chunk: bytes) -> None:
        self._add(self.dress(chunk))

    def _add(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._bytes += len(chunk)
        self._wake.set()

    def look(self, now_mono_s: float) -> None:
        """Close it where something has waited for too long."""
        if not (self._chunks or self._urgent or self._newest):
            self._waits_since_s = None
        elif self._waits_since_s is None:
            self._waits_since_s = now_mono_s
        elif now_mono_s - self._waits_since_s > self._settings.stuck_s:
            self.end(STUCK)

    def end(self, reason: str) -> None:
        """No more; it comes back with its cursor."""
        if self.ended is None:
            self.ended = reason
            if reason in (SLOW, STUCK):
                self.cut()  # whoever serves it may hang in the very write that it does not take
            if reason != GOING_AWAY:
                self._chunks, self._urgent, self._newest, self._bytes = [], [], {}, 0
        self.gone.set()
        self._wake.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while True:
            if (chunk := self.take()) is not None:
                return chunk
            if self.ended is not None:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()

    def take(self) -> bytes | None:
        """What waits, at once; None for nothing."""
        self._waits_since_s = None
        if self._chunks:
            chunk = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
            self._chunks, self._bytes = [], 0
            return chunk
        self.conflating = False
        if not (self._urgent or self._newest):
            return None
        waiting = sorted([*self._urgent, *self._newest.values()])
        self._urgent, self._newest = [], {}
        return self.dress(b"".join(frame for _, frame in waiting))


Kind = Callable[[Filters, FeedSettings], Consumer]
"""What makes a consumer: each outlet has its own."""
