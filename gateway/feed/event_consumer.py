"""A consumer behind server-sent events: each heartbeat says how the inputs are, in an event that moves no cursor.

It repeats the id of the last record: clients differ in what they make of an event without one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

import msgspec

from gateway.feed import sse
from gateway.feed.batches import Input
from gateway.feed.filters import Filters
from gateway.feed.piece_consumer import PieceConsumer
from gateway.feed.settings import FeedSettings
from gateway.feed.slices import Long, Part


class Status(msgspec.Struct, frozen=True):
    """The feed is alive: which gateway it is, its clock, where the stream stands, how its inputs are."""

    instance: str
    at: str
    epoch: str
    seq: int
    inputs: dict[str, Input]
    v: int = 1


class EventConsumer(PieceConsumer):
    """Iterate over it for chunks of server-sent events; with `clock` (RFC 3339) a status stands behind the first."""

    def __init__(
        self,
        filters: Filters,
        settings: FeedSettings,
        status: Callable[[str], Status],
        came_with: str | None,
        clock: Callable[[], str] | None = None,
    ) -> None:
        super().__init__(filters, settings)
        self._status, self._clock = status, clock
        self._told, self._chunk = came_with or "", b""

    def begin(self, parts: bytes | Iterable[Part]) -> None:
        """Behind it how the inputs are, so that this is known from the start."""
        if not isinstance(parts, bytes):
            super().begin(chain(parts, self._first()))
            return
        super().begin(parts)
        for status in self._first():
            self._add(status)

    def _first(self) -> Iterator[bytes]:
        if self._clock is not None:
            yield self.pulse(sse.heartbeat(self._clock()))

    def dress(self, chunk: bytes) -> bytes:
        """The last record of this chunk is where it stands."""
        self._chunk = chunk
        return super().dress(chunk)

    def dress_long(self, event: Long) -> Iterator[bytes]:
        """Behind it, it stands there."""
        self._told, self._chunk = f"{event.epoch}-{event.seq}", b""
        yield from super().dress_long(event)

    def pulse(self, comment: bytes) -> bytes:
        """The comment, and behind it the status."""
        status = self._status(sse.heartbeat_at(comment))
        self._told, self._chunk = sse.last_id(self._chunk) or self._told, b""
        return super().pulse(comment + sse.again(self._told, "status", msgspec.json.encode(status)))
