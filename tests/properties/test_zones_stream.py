"""Zones over a bad line: however often it is cut, however slowly it reads, a consumer has the right zones."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.feed.feed import Feed
from gateway.feed.filters import ALL, Filters
from gateway.feed.settings import FeedSettings
from gateway.feed.zone_cover import CoverRule
from tests.feed.shift import MemoryFiles, Reader, Roster, SetClock, at, status, who
from tests.feed.squares import METRE, square, zone

EDGE = 52.57
ZONES = (zone("south", square(-0.3, 52.5, -0.2, EDGE)), zone("north", square(-0.3, EDGE, -0.2, 52.6)))
TIGHT = FeedSettings(buffer_high_bytes=900, urgent_queue=50, urgent_kept=100_000)
UNITS = 3
units = st.integers(0, UNITS - 1)
steps = st.one_of(
    st.tuples(st.just("move"), units, st.sampled_from([-3000, -200, -10, 10, 200, 3000, 9000])),
    st.tuples(st.just("move"), units, st.sampled_from([-200, 200])),
    st.tuples(st.just("duty"), units, st.sampled_from([2, 2, 11])),
    st.tuples(st.just("tick"), st.sampled_from([0.1, 1.1, 70.0])),
    st.tuples(st.just("read"), st.booleans()),
    st.tuples(st.just("cut")),
    st.tuples(st.just("restart")),
)
FOLLOWED = (ALL, Filters(zone=("north",)))


class Desk(Reader):
    """A consumer that also keeps count of who is where by the `zone` records alone."""

    def __init__(self) -> None:
        super().__init__()
        self.by_records: dict[str, set[str]] = {}
        self.covered: list[bool] = []

    def _zone(self, content: dict) -> None:
        assert content["seq"] == self.ids[-1]
        mine = self.by_records.setdefault(content["unit"], set())
        (mine.add if content["what"] == "enter" else mine.discard)(content["zone"])

    def _coverage(self, content: dict) -> None:
        self.urgent.append((content["seq"], "coverage"))
        self.covered.append(content["covered"])


class Story:
    """A feed with zones, one desk of everything, and one that follows a zone."""

    def __init__(self) -> None:
        self.roster, self.clock, self.files = Roster(), SetClock(), MemoryFiles()
        self.units = [self.roster.enlist(number, kind="vehicle") for number in range(UNITS)]
        self.desks = {filters: Desk() for filters in FOLLOWED}
        self.coverage: list[int] = []

    async def begin(self) -> None:
        """Open, or open again."""
        self.feed = Feed(TIGHT, self.roster, self.clock, Path("nowhere"), files=self.files)
        self.feed.zoning.take_up(ZONES, [CoverRule("north", "pcn", after_s=5)])
        await self.feed.open()
        publish = self.feed._hub.publish

        def listen(*what):
            record = publish(*what)
            self.coverage += [record.seq] if record.event == "coverage" else []
            return record

        self.feed._hub.publish = listen
        self.consumers = {each: self.feed.subscribe(desk.cursor, each) for each, desk in self.desks.items()}
        await self.read(everything=True)

    async def step(self, what: str, *more) -> None:
        """One of the things that happen."""
        await getattr(self, what)(*more)
        for filters, consumer in self.consumers.items():
            if consumer.ended is not None:
                self.consumers[filters] = self.feed.subscribe(self.desks[filters].cursor, filters)

    async def move(self, number: int, north_m: float) -> None:
        """To so many metres from the edge."""
        report = at(self.clock.on(60), EDGE + north_m * METRE, device=f"bcn-{number}")
        self.feed.position(report, who(self.units[number], f"P-{number}", f"bcn-{number}"), quality=())

    async def duty(self, number: int, code: int) -> None:
        """Off, and on again."""
        self.feed.status(status(self.clock.on(1), code), who(self.units[number], f"P-{number}"))

    async def tick(self, seconds: float) -> None:
        """Time goes by."""
        self.feed.tick(self.clock.on(seconds))
        if self.feed._log._has_work():
            await self.feed._log.write()

    async def read(self, everything: bool) -> None:
        """What waits, or one chunk of it."""
        for filters, consumer in self.consumers.items():
            self.desks[filters].read(consumer.take())
            if everything:
                self.desks[filters].drain(consumer)

    async def cut(self) -> None:
        """And come back."""
        for filters, consumer in list(self.consumers.items()):
            self.feed.unsubscribe(consumer)
            self.consumers[filters] = self.feed.subscribe(self.desks[filters].cursor, filters)

    async def restart(self) -> None:
        """The gateway."""
        await self.feed.close()
        await self.begin()


@settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(steps, min_size=10, max_size=60))
def test_the_zones_that_a_consumer_has_are_right(story) -> None:
    """Over cuts, slow reading and restarts; every record of coverage since the last start."""
    asyncio.run(_tell(story))


async def _tell(story_steps) -> None:
    story = Story()
    await story.begin()
    for step in story_steps:
        await story.step(*step)
    for _ in range(3):
        await story.step("tick", 0.1)
        await story.step("read", True)
    everything, northern = story.desks.values()
    for unit in story.units:
        standing = story.feed.board.units[unit]
        if standing.live is None:
            continue
        mine = json.loads(story.feed.unit(unit))
        assert everything.units[unit] == mine
        assert everything.units[unit]["properties"]["zones"] == list(standing.zones)
        assert (unit in northern.units) == ("north" in standing.zones)
        if unit in northern.units:
            assert northern.units[unit] == mine
    for desk in (everything, northern):
        assert desk.ids == sorted(set(desk.ids))
        heard = [seq for seq, what in desk.urgent if what == "coverage"]
        assert set(heard) >= {seq for seq in story.coverage if seq > story.feed._hub.boot_seq}
        if (known := story.feed.zoning.coverage()[0].covered) is not None:
            assert desk.covered[-1] == known
    await story.feed.close()


@settings(derandomize=True, deadline=None)
@given(st.lists(st.tuples(units, st.sampled_from([-3000, -200, 200, 3000])), min_size=1, max_size=30))
def test_a_desk_that_keeps_up_has_them_by_the_records_alone(moves) -> None:
    """Nothing cut, nothing late: enter and exit add up to what the features say, from the first position on."""
    asyncio.run(_walk(moves))


async def _walk(moves) -> None:
    story = Story()
    await story.begin()
    desk = story.desks[ALL]
    for number, north_m in moves:
        await story.step("move", number, north_m)
        await story.step("tick", 0.1)
        await story.step("read", True)
        unit = story.units[number]
        shown = set(desk.units[unit]["properties"]["zones"])
        assert desk.by_records.setdefault(unit, set(shown)) == shown
    await story.feed.close()
