"""The one read loop between a sans-IO session and a byte link."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from gateway.domain.time import Instant
from gateway.ports import Clock

Happened = TypeVar("Happened")
Told_co = TypeVar("Told_co", covariant=True)


class Conversation(Protocol[Told_co]):
    """The shape of every device's session: bytes in, events out, time as an argument."""

    def receive(self, data: bytes, now: Instant) -> None:
        """Take bytes."""
        ...

    def events(self) -> Sequence[Told_co]:
        """What has happened since the last call."""
        ...

    def to_send(self) -> bytes:
        """Bytes for the peer since the last call."""
        ...

    def deadline(self) -> float:
        """When to tick at the latest (monotonic seconds; infinity: never)."""
        ...

    def tick(self, now: Instant) -> None:
        """Time has passed."""
        ...


class ByteLink(Protocol):
    """Bytes both ways. Errors: LinkError when it is gone."""

    async def read(self) -> bytes:
        """Wait for bytes; cancelling a read loses none."""
        ...

    def send(self, data: bytes) -> None:
        """Queue bytes; never blocks."""
        ...


class Bell:
    """Wakes a pump whose session was given something from outside: its deadline may have moved."""

    def __init__(self) -> None:
        self._waiting: asyncio.Timeout | None = None

    def ring(self) -> None:
        """End the pump's wait now; nothing where it does not wait."""
        if self._waiting is not None and not self._waiting.expired():
            self._waiting.reschedule(asyncio.get_running_loop().time())

    def waits(self, limit: asyncio.Timeout | None) -> None:
        """The pump's own: what it waits by, None when it has stopped waiting."""
        self._waiting = limit


async def pump(
    session: Conversation[Happened],
    link: ByteLink,
    clock: Clock,
    tell: Callable[[Happened, Instant], None],
    bell: Bell | None = None,
) -> None:
    """Run a session over a link until the link fails or we are cancelled.

    `tell` is called in the same turn of the loop as the byte that completed the event.
    """
    bell = bell or Bell()
    while True:
        now = clock.now()
        if now.mono_s >= session.deadline():
            session.tick(now)
        _drain(session, link, tell, now)
        data = await _read_until(link, session.deadline() - clock.now().mono_s, bell)
        if data:
            now = clock.now()
            session.receive(data, now)
            _drain(session, link, tell, now)


def _drain(
    session: Conversation[Happened], link: ByteLink, tell: Callable[[Happened, Instant], None], now: Instant
) -> None:
    for event in session.events():
        tell(event, now)
    out = session.to_send()
    if out:
        link.send(out)


async def _read_until(link: ByteLink, left_s: float, bell: Bell) -> bytes:
    """Bytes, or nothing when the time is over or the bell rings."""
    try:
        async with asyncio.timeout(None if left_s == float("inf") else max(0.0, left_s)) as limit:
            bell.waits(limit)
            try:
                return await link.read()
            finally:
                bell.waits(None)
    except TimeoutError:
        return b""
