"""One consumer, quick, slow and stuck."""

from __future__ import annotations

import asyncio

import pytest

from gateway.feed import sse
from gateway.feed.consumer import GOING_AWAY, SLOW, STUCK, Consumer, UnitFrame
from gateway.feed.filters import ALL
from gateway.feed.settings import FeedSettings

TIGHT = FeedSettings(buffer_high_bytes=100, urgent_queue=3)


def frame(seq: int, unit: str = "PCC.A") -> UnitFrame:
    """A record of forty-odd bytes."""
    return UnitFrame(unit, seq, sse.frame("E", seq, "position", b"{}"))


def offer(consumer: Consumer, *frames: UnitFrame) -> None:
    """As a tick does."""
    consumer.offer(b"".join(one.frame for one in frames), frames)


def ids(chunk: bytes | None) -> list[str]:
    """The records of a chunk."""
    return [block.id for block in sse.blocks(chunk or b"")]


@pytest.fixture
def consumer():
    """With little room."""
    return Consumer(ALL, TIGHT)


def test_retry_comes_with_the_first_record_and_never_alone(consumer) -> None:
    """Nor with a comment."""
    consumer.note(sse.heartbeat("now"))
    offer(consumer, frame(1))
    offer(consumer, frame(2))
    chunk = consumer.take()
    assert chunk == sse.heartbeat("now") + sse.RETRY + frame(1).frame + frame(2).frame
    assert consumer.take() is None


def test_a_quick_one_gets_everything(consumer) -> None:
    """In order."""
    seen = []
    for seq in range(1, 20):
        offer(consumer, frame(seq))
        seen += ids(consumer.take())
    assert seen == [f"E-{seq}" for seq in range(1, 20)]
    assert consumer.conflated == 0


def test_a_slow_one_gets_each_units_newest_and_every_urgent_record(consumer) -> None:
    """In order of their numbers, and then follows again."""
    offer(consumer, frame(1), frame(2), frame(3))
    offer(consumer, frame(4), frame(5, "PCC.B"))
    consumer.press(6, sse.frame("E", 6, "emergency", b"{}"))
    offer(consumer, frame(7))
    consumer.press(8, sse.frame("E", 8, "duty", b"{}"))
    assert consumer.conflating
    assert consumer.conflated == 1
    assert ids(consumer.take()) == ["E-1", "E-2", "E-3"]
    offer(consumer, frame(9))
    assert ids(consumer.take()) == ["E-5", "E-6", "E-8", "E-9"]
    assert not consumer.conflating
    offer(consumer, frame(10))
    assert ids(consumer.take()) == ["E-10"]


def test_too_many_unread_urgent_records_close_it(consumer) -> None:
    """With a reason; nothing more is taken in."""
    offer(consumer, frame(1), frame(2), frame(3))
    for seq in range(4, 8):
        assert consumer.ended is None
        consumer.press(seq, sse.frame("E", seq, "duty", b"{}"))
    assert consumer.ended == SLOW
    assert consumer.gone.is_set()
    offer(consumer, frame(9))
    consumer.press(10, b"")
    consumer.note(b"")
    assert consumer.take() is None


def test_stuck_for_half_a_minute_is_closed(consumer) -> None:
    """Only where something waits, and only without any sign of life."""
    consumer.look(0)
    consumer.look(100)
    offer(consumer, frame(1))
    consumer.look(100)
    consumer.look(129)
    consumer.take()
    offer(consumer, frame(2))
    consumer.look(131)
    consumer.look(160)
    assert consumer.ended is None
    consumer.look(162)
    assert consumer.ended == STUCK


def test_memory_is_bounded(consumer) -> None:
    """However long it reads nothing."""
    for seq in range(1, 10_000):
        offer(consumer, frame(seq, f"PCC.{seq % 7}"))
        consumer.note(sse.heartbeat("now"))
    assert consumer._bytes < 300
    assert len(consumer._newest) == 7


async def test_iterating_waits_and_ends() -> None:
    """It wakes for a record, and ends when it is closed, after what was waiting."""
    consumer, seen = Consumer(ALL, TIGHT), []

    async def read() -> None:
        async for chunk in consumer:
            seen.extend(ids(chunk))

    async with asyncio.timeout(2), asyncio.TaskGroup() as group:
        group.create_task(read())
        await asyncio.sleep(0.01)
        offer(consumer, frame(1))
        await asyncio.sleep(0.01)
        assert seen == ["E-1"]
        offer(consumer, frame(2))
        consumer.end(GOING_AWAY)
        consumer.end(STUCK)
    assert seen == ["E-1", "E-2"]
    assert consumer.ended == GOING_AWAY
