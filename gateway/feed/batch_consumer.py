"""A consumer behind a WebSocket: the same queue and the same rules, other bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gateway.feed.batches import fragments, frames
from gateway.feed.consumer import Consumer
from gateway.feed.filters import Filters
from gateway.feed.settings import FeedSettings
from gateway.feed.slices import Long
from gateway.feed.sse import heartbeat_at

TOLD_KEPT = 10_000


class Batches:
    """Frames made once for all who are sent the same chunk; which cursor told which emergency."""

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self.told: dict[str, str] = {}
        self._chunk, self._made = b"", b""

    def of(self, chunk: bytes) -> bytes:
        """The frames of a chunk: consumers with one subscription are offered one and the same, in turn."""
        if chunk is not self._chunk:
            made, told = frames(chunk, self._instance)
            self._chunk, self._made = chunk, made
            self._remember(told)
        return self._made

    def long(self, event: Long) -> Iterator[bytes]:
        """The frames of a long event."""
        return fragments(event, self._instance)

    def _remember(self, told: dict[str, str]) -> None:
        self.told.update(told)
        while len(self.told) > TOLD_KEPT:
            del self.told[next(iter(self.told))]


class BatchConsumer(Consumer):
    """Iterate over it for chunks of frames."""

    def __init__(
        self, filters: Filters, settings: FeedSettings, batches: Batches, pulse: Callable[[str], bytes]
    ) -> None:
        super().__init__(filters, settings)
        self._batches, self._pulse = batches, pulse
        self._message: Iterator[bytes] | None = None

    def dress(self, chunk: bytes) -> bytes:
        """As frames."""
        return self._batches.of(self.mark(chunk))

    def dress_long(self, event: Long) -> Iterator[bytes]:
        """As one message in fragments."""
        if not self.plain:
            yield self.dress(event.whole())
            return
        self._message = self._batches.long(event)
        for fragment in self._message:  # noqa: UP028 - dropped, this one must not close that one
            yield fragment
        self._message = None

    async def __anext__(self) -> bytes:
        try:
            return await super().__anext__()
        except StopAsyncIteration:
            if self._message is None or not self.replaced:
                raise
        # Its first fragment is out: no other message may begin before its last (RFC 6455 section 5.4).
        self._parts, self._message = self._message, None
        return await super().__anext__()

    def pulse(self, comment: bytes) -> bytes:
        """A heartbeat, with more in it than the comment has."""
        return self._pulse(heartbeat_at(comment))
