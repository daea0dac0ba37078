"""However the gateway is killed: whoever follows knows in the end of each unit's duty what the gateway knows."""

from __future__ import annotations

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.feed.filters import ALL, Filters
from tests.feed.shift import Reader
from tests.properties.test_feed_stream import Story, unit_numbers

AVAILABLE = Filters(duty=("available",))
steps = st.one_of(
    st.tuples(st.just("move"), unit_numbers),
    st.tuples(st.just("duty"), unit_numbers, st.sampled_from([2, 5, 6, 11])),
    st.tuples(st.just("duty"), unit_numbers, st.sampled_from([2, 11])),
    st.tuples(st.just("press"), unit_numbers),
    st.tuples(st.just("ack"), st.integers(0, 20)),
    st.tuples(st.just("tick"), st.just(0.1)),
    st.tuples(st.just("read"), st.just(True)),
    st.tuples(st.just("flush")),
    st.tuples(st.just("kill")),
    st.tuples(st.just("restart")),
)


class Follower(Reader):
    """Knows the duty of each unit too, by its last record."""

    def __init__(self) -> None:
        super().__init__()
        self.duties: dict[str, int] = {}

    def _duty(self, content):
        super()._duty(content)
        self.duties[content["unit"]] = content["code"]


class Killed(Story):
    """A story in which what was told may not be on disk."""

    def __init__(self) -> None:
        super().__init__()
        self.readers = {ALL: Follower(), AVAILABLE: Follower()}

    async def do_flush(self) -> None:
        """Positions go out, nothing is written."""
        self.feed.tick(self.clock.on(0.1))

    async def do_kill(self) -> None:
        """Whatever was read was read; what waited for the disk is gone."""
        await self.begin()


@settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(steps, min_size=10, max_size=50))
def test_nobody_believes_what_a_kill_took_back(story_steps) -> None:
    """Numbers rise, one epoch; a unit off the feed is shown to nobody, nor one to whom its filter shuts it off."""
    asyncio.run(_tell(story_steps))


async def _tell(story_steps) -> None:
    story = Killed()
    await story.begin()
    for step in [*story_steps, ("read", True), ("tick", 0.1), ("read", True)]:
        await story.step(*step)
    assert len(set(story.epochs)) == 1
    for filters, reader in story.readers.items():
        assert (reader.snapshots, reader.ids) == (1, sorted(set(reader.ids)))
        for name in story.units:
            standing = story.feed.board.units[name]
            wanted = standing.on_feed and filters.match(standing, story.clock.mono_s)
            assert wanted or name not in reader.units
    everything = story.readers[ALL]
    assert everything.duties == {name: story.feed.duty(name).code for name in everything.duties}
    for one in story.feed.emergencies():
        assert everything.emergencies[one.id]["state"] == one.state
    await story.feed.close()
