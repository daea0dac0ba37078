"""A consumer whose wire takes an event in pieces: the same queue and the same rules, no event waited for."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.feed.consumer import Consumer
from gateway.feed.slices import Long


class PieceConsumer(Consumer):
    """Iterate over it for chunks of a stream of server-sent events; one may end anywhere within an event."""

    def dress_long(self, event: Long) -> Iterator[bytes]:
        """As it is made."""
        if not self.plain:
            yield from super().dress_long(event)
            return
        for number, piece in enumerate(event.framed()):
            yield piece if number else self.greet(piece)
