"""Random rosters, agreements and shifts: nobody is told of a unit, in any byte, who may not see it as things stand."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from pathlib import Path

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.feed import sse
from gateway.feed.agreement import Agreement
from gateway.feed.feed import Feed
from gateway.feed.filters import Filters
from gateway.feed.globe import haversine_m
from gateway.feed.seen import Seen
from gateway.feed.settings import FeedSettings
from gateway.feed.wanted import Wanted
from tests.feed.shift import MemoryFiles, Reader, Roster, SetClock, at, press, status, who

AGENCIES, ROLES, POWERS = ("AAA", "BBB", "CCC"), ("PC", "CSO"), ("pcn", "alcohol")
UNITS, FIRST = 5, 70_011
SETTINGS = FeedSettings(urgent_kept=100_000, consumers_max=100)
numbers = st.integers(0, UNITS - 1)
people = st.tuples(
    st.sampled_from(AGENCIES),
    st.sampled_from(ROLES),
    st.sets(st.sampled_from(POWERS)),
    st.booleans(),
    st.sampled_from([52.57, 53.57]),
)
agreements = st.builds(
    lambda pair, role, power, without, near, of: Agreement(
        consumer=pair[0],
        owner=pair[1],
        role=tuple(role),
        power=tuple(power),
        without=tuple(without),
        when="emergency" if near else "always",
        within_m=2_000.0 if near else None,
        of=tuple(of) if near else (),
    ),
    st.permutations(AGENCIES),
    st.sets(st.sampled_from(ROLES), max_size=1),
    st.sets(st.sampled_from(POWERS), max_size=1),
    st.sets(st.sampled_from(["issi", "members", "collar", "callsign"])),
    st.booleans(),
    st.sets(st.sampled_from(AGENCIES), max_size=1),
)
steps = st.one_of(
    st.tuples(st.sampled_from(["move", "press", "say", "mask", "mask"]), numbers),
    st.tuples(st.just("duty"), numbers, st.sampled_from([2, 5, 11])),
    st.tuples(st.just("clear"), st.integers(0, 5)),
    st.tuples(st.sampled_from(["cut", "restart", "away"])),
)


class Story:
    """A feed, and one consumer for each pair of eyes."""

    def __init__(self, staff, agreed) -> None:
        self.roster, self.clock, self.files, self.agreed = Roster(), SetClock(), MemoryFiles(), agreed
        self.spots, self.units = [], []
        for number, (agency, role, powers, masked, spot) in enumerate(staff):
            name = self.roster.enlist(FIRST + number, agency=agency, role=role, powers=tuple(sorted(powers)))
            self.units.append(name)
            self.spots.append(spot)
            if masked:
                self.set_masked(number, True)
        self.eyes = [(agency, masked) for agency in (None, *AGENCIES) for masked in (False, True)]
        self.readers = [Reader() for _ in self.eyes]
        self.narrow = [Reader() for _ in self.eyes]

    def set_masked(self, number, masked) -> None:
        unit = self.roster.by_unit[self.units[number]]
        self.roster.by_unit[unit.id] = msgspec.structs.replace(unit, masked=masked or msgspec.UNSET)

    async def begin(self) -> None:
        self.feed = Feed(SETTINGS, self.roster, self.clock, Path("nowhere"), files=self.files)
        self.feed.sharing.take_up(self.agreed)
        await self.feed.open()
        self.tick()
        self.subscribe()
        self.drain("begin", [set()] * len(self.eyes))

    def view(self, eyes):
        return self.feed.sharing.view(eyes[0], masked=eyes[1])

    def subscribe(self) -> None:
        self.consumers = []
        for eyes, reader, other in zip(self.eyes, self.readers, self.narrow, strict=True):
            wide, only = Filters(view=self.view(eyes)), Filters(view=self.view(eyes), duty=("available",))
            self.consumers += [
                (eyes, reader, self.feed.subscribe(reader.cursor, wide)),
                (eyes, other, self.feed.subscribe(other.cursor, only)),
            ]

    def tick(self) -> None:
        self.feed.tick(self.clock.on(1.1))

    # --- what should be seen, worked out by hand

    def opened(self, rule, unit) -> bool:
        """Whether an open emergency shows this unit by this rule."""
        standing = self.feed.board.units[unit]
        if standing.live is None or not standing.on_feed:
            return False
        for one in self.feed._alarm.emergencies.open():
            of = self.roster.by_unit[one.unit].agency
            live = self.feed.board.units[one.unit].live
            place = live.fix if live is not None else one.place
            if place is None or (rule.of and of not in rule.of):
                continue
            here = standing.live.fix
            if haversine_m(place.latitude, place.longitude, here.latitude, here.longitude) < rule.within_m:
                return True
        return False

    def sees(self, eyes, unit) -> bool:
        """The law in other words."""
        agency, masked = eyes
        known = self.roster.by_unit[unit]
        if known.masked:
            return masked and agency in (None, known.agency)
        if agency in (None, known.agency):
            return True
        person = self.roster.people[known.members[0]]
        held = {power.id for power in person.powers}
        for rule in self.agreed:
            meant = (rule.consumer, rule.owner) == (agency, known.agency)
            meant = meant and (not rule.role or person.role in rule.role) and set(rule.power) <= held
            if meant and (rule.when == "always" or self.opened(rule, unit)):
                return True
        return False

    def visible(self, eyes) -> set[str]:
        return {unit for unit in self.units if self.sees(eyes, unit)}

    def secrets(self, unit) -> tuple[bytes, bytes]:
        """Its number is in its id, callsign, collar, person and devices; its ISSI is another."""
        number = FIRST + self.units.index(unit)
        return str(number).encode(), str(2_340_000 + number).encode()

    # --- what happens

    async def step(self, what, *more) -> None:
        before = [self.visible(eyes) for eyes in self.eyes]
        await getattr(self, f"do_{what}")(*more)
        self.tick()
        self.drain(what, before)
        self.ask()

    def drain(self, what, before) -> None:
        """Take all that waits: only of whom they see, or saw before the step (nobody masked by it)."""
        for number, (eyes, reader, consumer) in enumerate(self.consumers):
            allowed = self.visible(eyes) | (set() if what == "mask" else before[number // 2])
            while (chunk := consumer.take()) is not None:
                self.check(chunk, allowed | reader.units.keys(), allowed)
                reader.read(chunk)
            assert consumer.ended is None

    def check(self, chunk, may_go, allowed) -> None:
        for block in sse.blocks(chunk):
            known = may_go if block.event == "removed" else allowed
            for unit in self.units:
                if unit not in known:
                    assert not any(secret in block.payload for secret in self.secrets(unit)), (unit, block)

    def ask(self) -> None:
        """Every query, by all eyes."""
        for eyes in self.eyes:
            seen, visible = Seen(self.feed, self.view(eyes)), self.visible(eyes)
            ranking = seen.nearest(Wanted(lat=52.57, lon=-0.24, limit=500, duty=("emergency", "2", "5", "unknown")))
            on_feed = {unit for unit in visible if self.feed.board.units[unit].on_feed}
            assert ranking.considered == len(on_feed)
            assert {each.unit for each in ranking.results} <= on_feed
            assert len(ranking.results) + sum(ranking.rejected.values()) == len(on_feed)
            told = [seen.snapshot(), *(seen.unit(unit) or b"" for unit in self.units)]
            told += [msgspec.json.encode(each) for each in (seen.emergencies(), seen.messages(), seen.handsets())]
            for unit in set(self.units) - visible:
                assert not any(secret in each for secret in self.secrets(unit) for each in told)
            shown = {each["id"]: each for each in json.loads(told[0])["features"]}
            assert shown.keys() == on_feed
            self.fields(eyes, shown)
            assert len(seen.emergencies()) == len(self.feed.emergencies())

    def fields(self, eyes, shown) -> None:
        """What every agreement that holds leaves out is left out; of one's own nothing is."""
        for unit, feature in shown.items():
            own = eyes[0] in (None, self.roster.by_unit[unit].agency)
            properties = feature["properties"]
            assert not own or (properties["issi"] is not None and properties["members"][0]["person"])
            assert own or properties.get("masked") is None
            person = self.roster.people[self.roster.by_unit[unit].members[0]]
            rules = [
                rule
                for rule in self.agreed
                if not own
                and (rule.consumer, rule.owner) == (eyes[0], person.agency)
                and (not rule.role or person.role in rule.role)
                and set(rule.power) <= {power.id for power in person.powers}
                and (rule.when == "always" or self.opened(rule, unit))
            ]
            for name, empty in (("issi", None), ("collar", None), ("members", []), ("callsign", unit)):
                if rules and all(name in rule.without for rule in rules):
                    assert properties[name] == empty
            if rules and all(rule.when == "emergency" for rule in rules):
                assert properties["shared_by"].startswith("emergency EM-")

    def resolved(self, number):
        return who(self.units[number], f"P-{FIRST + number}", f"bcn-{FIRST + number}", 2_340_000 + FIRST + number)

    async def do_move(self, number) -> None:
        report = at(self.clock.on(1), self.spots[number], device=f"bcn-{FIRST + number}")
        self.feed.position(report, self.resolved(number))

    async def do_press(self, number) -> None:
        self.feed.emergency(press(self.clock.on(1), issi=None), self.resolved(number), journalled=True)

    async def do_say(self, number) -> None:
        self.feed.status(status(self.clock.on(1), 13, 2_340_000 + FIRST + number), self.resolved(number))

    async def do_duty(self, number, code) -> None:
        self.feed.status(status(self.clock.on(1), code, 2_340_000 + FIRST + number), self.resolved(number))

    async def do_mask(self, number) -> None:
        self.set_masked(number, not self.roster.by_unit[self.units[number]].masked)
        self.feed.refresh()

    async def do_clear(self, number) -> None:
        known = self.feed.emergencies()
        if number < len(known):
            self.feed.clear(known[number].id, "Inspector", "assisted")

    async def do_cut(self) -> None:
        for _, _, consumer in self.consumers:
            self.feed.unsubscribe(consumer)
        self.subscribe()

    async def do_away(self) -> None:
        """Nobody follows while somebody moves and somebody is masked, or no longer."""
        for _, _, consumer in self.consumers:
            self.feed.unsubscribe(consumer)
        await self.do_mask(0)
        for number in range(UNITS):
            await self.do_move(number)
        self.tick()
        self.subscribe()

    async def do_restart(self) -> None:
        await self.feed.close()
        await self.begin()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(people, min_size=UNITS, max_size=UNITS),
    st.lists(agreements, max_size=4),
    st.lists(steps, min_size=1, max_size=12),
)
def test_nobody_is_told_of_whom_they_may_not_see(staff, agreed, wanted) -> None:
    """In no stream, snapshot, ranking, count, message, radio or emergency; at the end each knows just what it may."""

    async def run() -> None:
        story = Story(staff, agreed)
        try:
            await through(story)
        finally:
            await story.feed.close()

    async def through(story: Story) -> None:
        await story.begin()
        for step in wanted:
            await story.step(*step)
        for number in range(UNITS):
            await story.step("move", number)
        for eyes, reader in zip(story.eyes, story.readers, strict=True):
            on_feed = {unit for unit in story.visible(eyes) if story.feed.board.units[unit].on_feed}
            assert reader.units.keys() == on_feed, eyes
            rising = [number for number in reader.ids if number]
            assert all(a <= b for a, b in pairwise(rising))

    asyncio.run(run())
