"""The pump with a session and a link that only remember."""

import asyncio
from datetime import UTC, datetime

import pytest

from drivers.links.pump import Bell, pump
from gateway.domain.time import Instant
from gateway.errors import LinkError


class LoopClock:
    """The loop's own clock."""

    def now(self):
        """This moment."""
        return Instant(asyncio.get_running_loop().time(), datetime(2026, 1, 1, tzinfo=UTC))


class Queue:
    """A link whose bytes are put in by the test; None is the end."""

    def __init__(self, *pieces):
        self._pieces, self.sent = asyncio.Queue(), []
        for piece in pieces:
            self._pieces.put_nowait(piece)

    def put(self, piece):
        """More bytes."""
        self._pieces.put_nowait(piece)

    async def read(self):
        """The next piece."""
        piece = await self._pieces.get()
        if piece is None:
            raise LinkError("gone")
        return piece

    def send(self, data):
        """Remember."""
        self.sent.append(data)


class Echo:
    """A session that tells and returns what it hears, and ticks at set times."""

    def __init__(self, deadline=float("inf")):
        self.told, self.out, self.at, self.ticks = [], b"", deadline, 0

    def receive(self, data, now):
        """Tell it, and send it back."""
        self.told.append(data)
        self.out += data

    def events(self):
        """What was told."""
        told, self.told = self.told, []
        return told

    def to_send(self):
        """What goes back."""
        out, self.out = self.out, b""
        return out

    def deadline(self):
        """When to tick."""
        return self.at

    def tick(self, now):
        """Count, and never again."""
        self.ticks += 1
        self.at = float("inf")
        self.told.append(b"tick")


async def test_bytes_in_events_and_bytes_out():
    """In order, until the link is gone."""
    link, heard = Queue(b"a", b"b", None), []
    with pytest.raises(LinkError):
        await pump(Echo(), link, LoopClock(), lambda event, now: heard.append(event))
    assert heard == [b"a", b"b"]
    assert link.sent == [b"a", b"b"]


async def test_a_deadline_in_the_past_ticks_at_once():
    """A session's first tick begins it."""
    link, heard, session = Queue(None), [], Echo(deadline=0.0)
    with pytest.raises(LinkError):
        await pump(session, link, LoopClock(), lambda event, now: heard.append(event))
    assert (heard, session.ticks) == ([b"tick"], 1)


async def test_a_deadline_ahead_ends_a_read():
    """Silence ticks too, and no byte is lost by it."""
    now_s = asyncio.get_running_loop().time()
    link, heard, session = Queue(), [], Echo(deadline=now_s + 0.05)

    def tell(event, now):
        heard.append(event)
        link.put(b"late" if event == b"tick" else None)

    with pytest.raises(LinkError):
        await pump(session, link, LoopClock(), tell)
    assert heard == [b"tick", b"late"]
    assert asyncio.get_running_loop().time() >= now_s + 0.05


async def test_steady_bytes_do_not_starve_the_tick():
    """A deadline is met though there is always something to read."""
    now_s = asyncio.get_running_loop().time()
    session = Echo(deadline=now_s + 0.02)

    class Steady(Queue):
        async def read(self):
            await asyncio.sleep(0)
            if session.ticks:
                raise LinkError("enough")
            return b"x"

    with pytest.raises(LinkError):
        async with asyncio.timeout(5):
            await pump(session, Steady(), LoopClock(), lambda event, now: None)
    assert session.ticks == 1


async def test_a_bell_ends_a_wait_without_end():
    """What was given to the session from outside goes out at once; a bell that nobody waits for is nothing."""
    link, heard, session, bell = Queue(), [], Echo(), Bell()
    bell.ring()

    def give():
        session.out += b"from outside"
        bell.ring()
        bell.ring()

    asyncio.get_running_loop().call_later(0.02, give)
    asyncio.get_running_loop().call_later(0.05, link.put, b"x")
    asyncio.get_running_loop().call_later(0.08, link.put, None)
    with pytest.raises(LinkError):
        async with asyncio.timeout(5):
            await pump(session, link, LoopClock(), lambda event, now: heard.append(event), bell)
    assert link.sent == [b"from outside", b"x"]
    assert heard == [b"x"]
