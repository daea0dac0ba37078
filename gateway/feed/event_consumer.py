"""A consumer behind server-sent events: each heartbeat says how the inputs are, in an event that moves no cursor.

It repeats the id of the last record: clients differ in what they make of an event without one.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gateway.feed import sse
from gateway.feed.batches import Input
from gateway.feed.consumer import Consumer
from gateway.feed.filters import Filters
from gateway.feed.settings import FeedSettings


class Status(msgspec.Struct, frozen=True):
    """The feed is alive: which gateway it is, its clock, where the stream stands, how its inputs are."""

    instance: str
    at: str
    epoch: str
    seq: int
    inputs: dict[str, Input]
    v: int = 1


class EventConsumer(Consumer):
    """Iterate over it for chunks of server-sent events."""

    def __init__(
        self, filters: Filters, settings: FeedSettings, status: Callable[[str], Status], came_with: str | None
    ) -> None:
        super().__init__(filters, settings)
        self._status, self._told, self._chunk = status, came_with or "", b""

    def dress(self, chunk: bytes) -> bytes:
        """The last record of this chunk is where it stands."""
        self._chunk = chunk
        return super().dress(chunk)

    def pulse(self, comment: bytes) -> bytes:
        """The comment, and behind it the status."""
        status = self._status(sse.heartbeat_at(comment))
        self._told, self._chunk = sse.last_id(self._chunk) or self._told, b""
        return super().pulse(comment + sse.again(self._told, "status", msgspec.json.encode(status)))
