"""The alarm's clock against a model: 15 s after the press, whatever restarts lie between, until a person answers."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.feed.feed import Feed
from gateway.feed.settings import FeedSettings
from tests.feed.shift import MemoryFiles, Roster, SetClock, press, who

UNITS, LOUD_S = 3, 15
units = st.integers(0, UNITS - 1)
steps = st.one_of(
    st.tuples(st.just("press"), units),
    st.tuples(st.just("deliver"), units),
    st.tuples(st.just("ack"), units),
    st.tuples(st.just("wait"), st.integers(1, 25)),
    st.tuples(st.just("restart"), st.integers(0, 40)),
)


class Story:
    """A feed that is killed and comes back, its siren, and when each emergency was pressed and answered."""

    def __init__(self) -> None:
        self.roster, self.clock, self.files = Roster(), SetClock(), MemoryFiles()
        self.units = [self.roster.enlist(number) for number in range(UNITS)]
        self.pressed: dict[int, float] = {}
        self.calls: list[tuple[str, str, float]] = []
        self.sounding: set[str] = set()

    async def begin(self) -> None:
        """Open, or open again."""
        self.feed = Feed(FeedSettings(), self.roster, self.clock, Path("nowhere"), files=self.files)
        await self.feed.open()
        self.feed.siren.heard = self.heard
        self.sounding = set()
        await self.turn()

    def heard(self, word: str, one) -> None:
        """A call of the siren: of an emergency that waits, not before its time; over only what sounded."""
        assert (word == "over") == (one.state != "active")
        assert (word == "raised") == (one.id not in self.sounding)
        if word == "over":
            self.sounding.discard(one.id)
            return
        self.sounding.add(one.id)
        assert self.clock.mono_s - self.pressed[self.units.index(one.unit)] >= LOUD_S

    async def turn(self) -> None:
        """One turn of the feed; then exactly those sound that have waited for too long."""
        self.feed.tick(self.clock.now())
        await self.feed._log.write()
        late = {unit for unit, at_s in self.pressed.items() if self.clock.mono_s - at_s >= LOUD_S}
        known = {one.id: self.units.index(one.unit) for one in self.feed.emergencies() if one.state == "active"}
        assert {known[number] for number in self.sounding} == late
        assert self.feed.stats()["emergencies_unacknowledged"] == len(late)

    async def press(self, unit: int) -> None:
        """Again is no new one."""
        open_before = self._number(unit)
        self.feed.emergency(press(self.clock.now(), issi=1 + unit), who(self.units[unit], f"P-{unit}"), journalled=True)
        if open_before is None:
            self.pressed[unit] = self.clock.mono_s

    def _number(self, unit: int) -> str | None:
        known = [one.id for one in self.feed.emergencies() if one.unit == self.units[unit] and one.state != "cleared"]
        return known[0] if known else None

    async def deliver(self, unit: int) -> None:
        """A machine has it: nothing changes."""
        if (number := self._number(unit)) is not None:
            self.feed.delivered(number)

    async def ack(self, unit: int) -> None:
        """A person has it in hand."""
        if (number := self._number(unit)) is not None:
            self.feed.acknowledge(number, "Inspector 3")
            self.pressed.pop(unit, None)

    async def wait(self, seconds: int) -> None:
        """A turn each second."""
        for _ in range(seconds):
            self.clock.on(1)
            await self.turn()

    async def restart(self, away_s: int) -> None:
        """Killed, once what was told is on disk, and away for a while."""
        await self.turn()
        await self.feed._log.close()
        self.clock.on(away_s)
        self.clock.mono_s -= 500.0 * (away_s % 2)  # a reboot begins the monotonic clock anew
        self.pressed = {unit: at_s - 500.0 * (away_s % 2) for unit, at_s in self.pressed.items()}
        await self.begin()


@settings(derandomize=True, deadline=None)
@given(st.lists(steps, min_size=1, max_size=25))
def test_loud_in_time_whatever_happens(story_steps) -> None:
    """Never early, never late, never for what a person has in hand; a machine's word counts for nothing."""
    asyncio.run(_tell(story_steps))


async def _tell(story_steps) -> None:
    story = Story()
    await story.begin()
    for what, *more in story_steps:
        await getattr(story, what)(*more)
        await story.turn()
    await story.feed.close()
