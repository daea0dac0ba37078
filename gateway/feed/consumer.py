"""One consumer of the feed: what waits for it, bounded, and how it falls behind without holding up anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Sequence as Ordered
from typing import NamedTuple, Self

from gateway.feed.filters import Filters
from gateway.feed.settings import FeedSettings
from gateway.feed.slices import AT_ONCE, Long, Part, some
from gateway.feed.sse import RETRY
from gateway.feed.turn import Turn

SLOW, STUCK, GOING_AWAY, LEFT = "slow consumer", "stuck consumer", "going away", "left"


class UnitFrame(NamedTuple):
    """A unit's newest record, framed; key: what of the unit it is about, where that is not the unit itself."""

    unit: str
    seq: int
    frame: bytes
    key: str = ""


def _nothing() -> None:
    """Nothing to cut off."""


def _as_it_is(chunk: bytes) -> bytes:
    """The stream says of itself what it says."""
    return chunk


class Consumer:
    """Iterate over it for chunks of server-sent events; `ended` says why there are no more.

    What it begins with is made as it takes it, in turn with other consumers; what comes meanwhile waits behind.
    `push`, where there is one, is offered each chunk while nobody iterates: True where it has gone out that way.
    Up to `buffer_high_bytes` chunks wait as they are. Above, only each unit's newest record is kept
    (conflating) beside every urgent one; once the consumer has taken what waited, these go out in order.
    `replaced`: another is served on the same wire behind this one.
    """

    def __init__(self, filters: Filters, settings: FeedSettings) -> None:
        self.filters = filters
        self.ended: str | None = None
        self.gone = asyncio.Event()
        self.cut: Callable[[], None] = _nothing
        self.mark: Callable[[bytes], bytes] = _as_it_is
        self.push: Callable[[bytes], bool] | None = None
        self.turn = Turn()
        self.conflated = 0
        self.conflating = False
        self.replaced = False
        self._settings = settings
        self._parts: Iterator[bytes] | None = None
        self._idle = False
        self._chunks: list[bytes] = []
        self._bytes = 0
        self._urgent: list[tuple[int, bytes]] = []
        self._newest: dict[str, tuple[int, bytes]] = {}
        self._greeted = False
        self._waits_since_s: float | None = None
        self._wake = asyncio.Event()

    def begin(self, parts: bytes | Iterable[Part]) -> None:
        """What it begins with, however long: a snapshot or what was missed."""
        if isinstance(parts, bytes):
            self._put(parts)
            return
        self._parts = self._dressed(iter(parts))
        self._wake.set()

    def _dressed(self, parts: Iterator[Part]) -> Iterator[bytes]:
        for part in parts:
            if isinstance(part, Long):
                yield from self.dress_long(part)
            elif part:
                yield self.dress(part)

    def dress_long(self, event: Long) -> Iterator[bytes]:
        """A long event as it goes over this consumer's wire: whole, as those want it who read it at once."""
        made = []
        for piece in event.pieces:
            made.append(piece)
            yield b""
        yield self.dress(event._replace(pieces=iter(made)).whole())

    def offer(self, chunk: bytes, frames: Ordered[UnitFrame]) -> None:
        """The records of one tick, joined, and one by one in case that they must wait."""
        if self.ended is not None or not frames:
            return
        if not self._full():
            self._put(chunk)
            return
        for unit, seq, frame, key in frames:
            name = key or unit
            self.conflated += self._newest.pop(name, None) is not None  # by number, as they came
            self._newest[name] = (seq, frame)

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

    @property
    def plain(self) -> bool:
        """Whether the stream goes out as it is made."""
        return self.mark is _as_it_is

    def pulse(self, comment: bytes) -> bytes:
        """A heartbeat as it goes over this consumer's wire."""
        return self.mark(comment)

    def _full(self) -> bool:
        beginning = self._parts is not None
        self.conflating = self.conflating or beginning or self._bytes >= self._settings.buffer_high_bytes
        return self.conflating

    def dress(self, chunk: bytes) -> bytes:
        """A chunk as it goes over this consumer's wire."""
        return self.greet(self.mark(chunk))

    def greet(self, chunk: bytes) -> bytes:
        """The first chunk of all says when to come back."""
        if not self._greeted:
            chunk, self._greeted = RETRY + chunk, True
        return chunk

    def _put(self, chunk: bytes) -> None:
        self._add(self.dress(chunk))

    def _add(self, chunk: bytes) -> None:
        if self._idle and not self._chunks and self.push is not None and self.push(chunk):
            return
        self._chunks.append(chunk)
        self._bytes += len(chunk)
        self._wake.set()

    def look(self, now_mono_s: float) -> None:
        """Close it where something has waited for too long."""
        if self._parts is None and not self._waiting:
            self._waits_since_s = None
        elif self._waits_since_s is None:
            self._waits_since_s = now_mono_s
        elif now_mono_s - self._waits_since_s > self._settings.stuck_s:
            self.end(STUCK)

    def end(self, reason: str) -> None:
        """No more; it comes back with its cursor."""
        if self.ended is None:
            self.ended = reason
            beginning, self._parts = self._parts is not None, None
            if reason in (SLOW, STUCK):
                self.cut()  # whoever serves it may hang in the very write that it does not take
            # What waits belongs behind all of what it begins with: told now, its cursor would pass over the rest.
            if reason != GOING_AWAY or beginning:
                self._chunks, self._urgent, self._newest, self._bytes = [], [], {}, 0
        self.gone.set()
        self._wake.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while True:
            if (chunk := await self._part() if self._parts is not None else self.take(AT_ONCE)) is not None:
                return chunk
            if self._parts is not None or self._waiting:
                continue
            if self.ended is not None:
                raise StopAsyncIteration
            self._wake.clear()
            self._idle, self.conflating = True, False  # it has all there is: a heartbeat held back leaves nothing
            try:
                await self._wake.wait()
            finally:
                self._idle = False

    async def _part(self) -> bytes | None:
        """The next of what it begins with; whoever else has something to do comes in between."""
        chunk = None if self._parts is None else await self.turn.next(self._parts)
        self._waits_since_s = None
        if chunk is None:
            self._parts = None
        return chunk or None

    async def opening(self) -> bytes:
        """All of what it begins with."""
        made = []
        while self._parts is not None:
            made.append(await self._part() or b"")
        return b"".join(made)

    @property
    def _waiting(self) -> bool:
        return bool(self._chunks or self._urgent or self._newest)

    def take(self, most: int | None = None) -> bytes | None:
        """What waits, at once; None for nothing. Of more records than so many None too: they go out in slices."""
        self._waits_since_s = None
        if self._parts is not None:
            whole, self._parts = b"".join(self._parts), None
            if whole:
                return whole
        if self._chunks:
            chunk = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
            self._chunks, self._bytes = [], 0
            return chunk
        self.conflating = False
        if not (self._urgent or self._newest):
            return None
        waiting = sorted([*self._urgent, *self._newest.values()])
        self._urgent, self._newest = [], {}
        if most is not None and len(waiting) > most:
            self.begin(b"".join([frame for _, frame in each]) for each in some(waiting))
            return None
        return self.dress(b"".join([frame for _, frame in waiting]))


Kind = Callable[[Filters, FeedSettings], Consumer]
"""What makes a consumer: each outlet has its own."""
