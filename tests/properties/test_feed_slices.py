"""The same bad line, and all that is long said in slices of one: whatever happens between two of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.feed import consumer as queue
from gateway.feed import hub, slices
from gateway.feed.consumer import Consumer
from gateway.feed.feed import Feed
from gateway.feed.filters import ALL, Filters
from gateway.feed.piece_consumer import PieceConsumer
from tests.properties.test_feed_stream import Story, _compare, steps


async def piece(consumer: Consumer) -> bytes | None:
    """The next piece, as whoever serves it gets it; None where it would wait."""
    while consumer._parts is not None or consumer._waiting:
        chunk = await consumer._part() if consumer._parts is not None else consumer.take(1)
        if chunk is not None:
            return chunk
    consumer.conflating = False
    return None


class Sliced(Story):
    """Each consumer reads a piece at a time; what is not a whole event when it is cut off never was one."""

    def __init__(self) -> None:
        super().__init__()
        self.halves: dict[Consumer, bytes] = {}

    async def do_read(self, everything: bool) -> None:
        for filters, consumer in self.consumers.items():
            while (chunk := await piece(consumer)) is not None:
                told = self.halves.pop(consumer, b"") + chunk
                end = told.rfind(b"\n\n") + 2 if b"\n\n" in told else 0
                self.readers[filters].read(told[:end])
                self.halves[consumer] = told[end:]
                if not everything:
                    break

    async def do_restart(self) -> None:
        """What the feed says in going is read to its end."""
        self.files.refuse = False
        await self.feed.close()
        await self.do_read(True)
        await self.begin()


def in_slices(patch: pytest.MonkeyPatch) -> None:
    """Slices of one, for consumers that take pieces."""
    for module in (hub, slices, queue):
        patch.setattr(module, "AT_ONCE", 1)
    subscribe: Callable[..., Consumer] = Feed.subscribe
    patch.setattr(Feed, "subscribe", lambda feed, cursor, filters: subscribe(feed, cursor, filters, PieceConsumer))


@settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(steps, min_size=15, max_size=60))
def test_in_slices_no_urgent_record_and_no_latest_position_is_missed(story_steps) -> None:
    """Over cuts between two slices, slow reading, a refusing disk and restarts."""
    with pytest.MonkeyPatch.context() as patch:
        in_slices(patch)
        asyncio.run(_tell(story_steps))


async def _tell(story_steps) -> None:
    story = Sliced()
    await story.begin()
    for step in story_steps:
        await story.step(*step)
    await story.end()
    everything, available = story.readers.values()
    for reader in story.readers.values():
        assert reader.ids == sorted(set(reader.ids))
    assert [one for one in everything.urgent if one[0] not in story.restated] == story.said
    assert {seq for seq, what in story.said if what == "emergency"} <= {seq for seq, _ in available.urgent}
    _compare(story, everything, ALL)
    _compare(story, available, Filters(duty=("available",)))
    await story.feed.close()
