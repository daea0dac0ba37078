"""However often a consumer is cut off: every urgent record, each unit's latest, numbers rising."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.domain.events import Origin, Reach, ReachReport
from gateway.domain.ids import Issi
from gateway.domain.time import Stamp
from gateway.feed.feed import Feed
from gateway.feed.filters import ALL, Filters
from gateway.feed.settings import FeedSettings
from tests.feed.shift import MemoryFiles, Reader, Roster, SetClock, at, press, status, who

UNITS = 2
TIGHT = FeedSettings(buffer_high_bytes=1500, urgent_queue=6, urgent_kept=100_000, test_status=0x80F0)
unit_numbers = st.integers(0, UNITS - 1)
steps = st.one_of(
    st.tuples(st.just("move"), unit_numbers),
    st.tuples(st.just("duty"), unit_numbers, st.sampled_from([2, 2, 5, 6, 11])),
    st.tuples(st.just("duty"), unit_numbers, st.sampled_from([2, 7])),
    st.tuples(st.just("press"), unit_numbers),
    st.tuples(st.just("clear"), st.integers(0, 20)),
    st.tuples(st.just("say"), unit_numbers, st.sampled_from([12, 14, None])),
    st.tuples(st.just("prove"), unit_numbers),
    st.tuples(st.just("deal"), st.integers(1, 5)),
    st.tuples(st.just("reach"), unit_numbers, st.sampled_from(["off", "dmo", "no_service", "low_battery", "ok"])),
    st.tuples(st.just("ack"), st.integers(0, 20)),
    st.tuples(st.just("tick"), st.floats(0.05, 45)),
    st.tuples(st.just("tick"), st.just(0.1)),
    st.tuples(st.just("read"), st.booleans()),
    st.tuples(st.just("cut")),
    st.tuples(st.just("disk"), st.booleans()),
    st.tuples(st.just("restart")),
)


class Story:
    """One run of the feed with one consumer of everything and one of those available."""

    def __init__(self) -> None:
        self.roster, self.clock, self.files = Roster(), SetClock(), MemoryFiles()
        self.units = [self.roster.enlist(number) for number in range(UNITS)]
        self.readers = {ALL: Reader(), Filters(duty=("available",)): Reader()}
        self.said: list[tuple[int, str]] = []
        self.restated: set[int] = set()
        self.epochs: list[str] = []

    async def begin(self) -> None:
        self.feed = Feed(TIGHT, self.roster, self.clock, Path("nowhere"), files=self.files)
        await self.feed.open()
        self.epochs.append(self.feed.epoch)
        publish = self.feed._hub.publish

        def listen(*what):
            record = publish(*what)
            self.said.append((record.seq, record.event))
            return record

        self.feed._hub.publish = listen
        again = self.feed._hub.again

        def restate(cursor):
            records = again(cursor)
            self.restated.update(record.seq for record in records)
            return records

        self.feed._hub.again = restate
        self.consumers = {filters: self.feed.subscribe(one.cursor, filters) for filters, one in self.readers.items()}
        if len(self.epochs) == 1:
            await self.do_read(True)

    async def step(self, what: str, *more) -> None:
        await getattr(self, f"do_{what}")(*more)
        for filters, consumer in self.consumers.items():
            if consumer.ended is not None:
                self.consumers[filters] = self.feed.subscribe(self.readers[filters].cursor, filters)

    async def do_move(self, number: int) -> None:
        report = at(self.clock.on(1), 52.5 + self.clock.mono_s / 1e5, device=f"bcn-{number}")
        self.feed.position(report, who(self.units[number], f"P-{number}", f"bcn-{number}"), quality=())

    async def do_duty(self, number: int, code: int) -> None:
        self.feed.status(status(self.clock.on(1), code), who(self.units[number], f"P-{number}"))

    async def do_press(self, number: int) -> None:
        report = press(self.clock.on(1), issi=2340000 + number)
        self.feed.emergency(report, who(self.units[number], f"P-{number}"), journalled=True)

    async def do_say(self, number: int, code: int | None) -> None:
        self.feed.status(status(self.clock.on(1), code, 2340000 + number), who(self.units[number], f"P-{number}"))

    async def do_prove(self, number: int) -> None:
        self.feed.status(status(self.clock.on(1), 0xF0, 2340000 + number), who(self.units[number], f"P-{number}"))

    async def do_deal(self, number: int) -> None:
        self.feed.deal(number, "P-9")

    async def do_reach(self, number: int, reach: Reach) -> None:
        report = ReachReport(Origin("radio", None, Issi(2340000 + number)), Stamp(self.clock.on(1)), reach)
        self.feed.reach_report(report, who(self.units[number], f"P-{number}"))

    def _some(self, number: int) -> str:
        known = self.feed.emergencies()
        return known[number % len(known)].id if known else "EM-none"

    async def do_clear(self, number: int) -> None:
        self.feed.clear(self._some(number), "P-9", "assisted")

    async def do_ack(self, number: int) -> None:
        self.feed.acknowledge(self._some(number), "P-9")

    async def do_tick(self, seconds: float) -> None:
        self.feed.tick(self.clock.on(seconds))
        if self.feed._log._has_work():
            await self.feed._log.write()

    async def do_read(self, everything: bool) -> None:
        for filters, consumer in self.consumers.items():
            self.readers[filters].read(consumer.take())
            if everything:
                self.readers[filters].drain(consumer)

    async def do_cut(self) -> None:
        for filters, consumer in list(self.consumers.items()):
            self.feed.unsubscribe(consumer)
            self.consumers[filters] = self.feed.subscribe(self.readers[filters].cursor, filters)

    async def do_disk(self, works: bool) -> None:
        self.files.refuse = not works

    async def do_restart(self) -> None:
        self.files.refuse = False
        await self.feed.close()
        await self.begin()

    async def end(self) -> None:
        for _ in range(3):
            await self.step("tick", 0.1)
            await self.step("read", True)


@settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(steps, min_size=15, max_size=60))
def test_no_urgent_record_and_no_latest_position_is_missed(story_steps) -> None:
    """Over cuts, slow reading, a refusing disk and restarts."""
    asyncio.run(_tell(story_steps))


async def _tell(story_steps) -> None:
    story = Story()
    await story.begin()
    for step in story_steps:
        await story.step(*step)
    await story.end()
    assert len(set(story.epochs)) == 1
    everything, available = story.readers.values()
    for reader in story.readers.values():
        assert reader.snapshots == 1
        assert reader.ids == sorted(set(reader.ids))
    assert [one for one in everything.urgent if one[0] not in story.restated] == story.said
    assert {seq for seq, what in story.said if what == "emergency"} <= {seq for seq, _ in available.urgent}
    _compare(story, everything, ALL)
    _compare(story, available, Filters(duty=("available",)))
    assert {one.id: one.dealt_with_by for one in story.feed.messages()} == {
        number: content["dealt_with_by"] for number, content in everything.messages.items()
    }
    for one in story.feed.emergencies():
        assert everything.emergencies[one.id]["state"] == one.state
        assert everything.emergencies[one.id]["presses"] == one.presses
    await story.feed.close()


def _compare(story: Story, reader: Reader, filters: Filters) -> None:
    """What the consumer shows is what the board shows."""
    since = story.feed._hub.boot_seq
    for unit in story.units:
        standing, mine = story.feed.board.units[unit], reader.units.get(unit)
        wanted = standing.on_feed and filters.match(standing, story.clock.mono_s)
        if len(story.epochs) == 1 or standing.seq > since:
            assert (mine is not None) == wanted
        if mine is not None and standing.seq > since:
            assert mine == json.loads(story.feed.unit(unit))
