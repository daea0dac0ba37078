"""A consumer behind server-sent events: each heartbeat says how the inputs are, in an event that moves no cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

import msgspec

from gateway.feed import sse
from gateway.feed.batches import Input
from gateway.feed.filters import Filters
from gateway.feed.piece_consumer import PieceConsumer
from gateway.feed.settings import FeedSettings
from gateway.feed.slices import Part


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
        clock: Callable[[], str] | None,
    ) -> None:
        super().__init__(filters, settings)
        self._status, self._clock = status, clock

    def begin(self, parts: bytes | Iterable[Part]) -> None:
        """Behind it how the inputs are, so that this is known from the start."""
        super().begin(chain([parts] if isinstance(parts, bytes) else parts, self._told()))

    def _told(self) -> Iterator[bytes]:
        if self._clock is not None:
            yield self.pulse(sse.heartbeat(self._clock()))

    def pulse(self, comment: bytes) -> bytes:
        """The comment, and behind it the status."""
        status = self._status(sse.heartbeat_at(comment))
        return super().pulse(comment + sse.unnumbered("status", msgspec.json.encode(status)))
