"""Acknowledgements in the order of arrival (MQTT 3.1.1 clause 4.6), whatever order the work ends in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from gateway.ports import Receipt


class AckLine:
    """The messages of one connection that still wait for our PUBACK, oldest first.

    Brokers differ in what an early PUBACK does: one accepts it, one takes it for the oldest
    message and drops the connection, so that message is lost. In order, all of them agree.
    """

    def __init__(self) -> None:
        self._waiting: deque[list[int]] = deque()

    def __len__(self) -> int:
        """How many messages wait."""
        return len(self._waiting)

    def arrived(self, mid: int) -> list[int]:
        """Put a message at the end of the line; the ticket goes to `done`."""
        ticket = [mid, 0]
        self._waiting.append(ticket)
        return ticket

    def done(self, ticket: list[int]) -> list[int]:
        """Mark one message; return the mids that may be acknowledged now, in order (none for a second call)."""
        ticket[1] = 1
        ready: list[int] = []
        waiting = self._waiting
        while waiting and waiting[0][1]:
            ready.append(waiting.popleft()[0])
        return ready


class KeptAck:
    """Acknowledges one message once intake is done with every part of it."""

    __slots__ = ("_ack", "_counters", "_open")

    def __init__(
        self, futures: Sequence[asyncio.Future[Receipt]], ack: Callable[[], None], counters: dict[str, int]
    ) -> None:
        self._open, self._ack, self._counters = len(futures), ack, counters
        for future in futures:
            future.add_done_callback(self._done)

    def _done(self, future: asyncio.Future[Receipt]) -> None:
        if future.cancelled() or future.exception() is not None:
            return  # intake is closing: no PUBACK, the broker sends it again
        if not future.result().journalled:
            self._counters["unjournalled"] += 1
        self._open -= 1
        if self._open == 0:
            self._ack()
