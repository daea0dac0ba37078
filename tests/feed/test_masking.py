"""A unit is masked in the middle of a shift, and unmasked: streams, those who come back, topics, maps, emergencies."""

from __future__ import annotations

import json

import msgspec
import pytest

from gateway.feed import sse
from gateway.feed.filters import ALL, Filters
from gateway.feed.retained import Retained, emergency_topic, unit_topic
from gateway.feed.seen import Seen
from gateway.feed.view import EVERYTHING, ORDINARY
from gateway.feed.wanted import Wanted
from gateway.feed.zone_cover import CoverRule
from gateway.outlets.cot import Look
from gateway.outlets.cot_waiting import Waiting
from tests.feed.shift import Reader, at, status, who
from tests.feed.squares import square, zone
from tests.feed.test_feed import Scene

WIDE = Filters(view=EVERYTHING)


class Covert(Scene):
    """The two officers, an ordinary desk, one that may see masked units, one with a filter."""

    def follow(self) -> None:
        self.desks = {filters: Reader() for filters in (ALL, WIDE, Filters(role=("CSO",)))}
        self.consumers = {filters: self.feed.subscribe(None, filters) for filters in self.desks}
        self.drain()

    def drain(self) -> None:
        self.feed.tick(self.clock.on(1.1))
        for filters, consumer in self.consumers.items():
            self.desks[filters].drain(consumer)

    def mask(self, masked=True, unit=None) -> None:
        name = unit or self.one
        self.roster.by_unit[name] = msgspec.structs.replace(self.roster.by_unit[name], masked=masked)
        self.feed.refresh()
        self.drain()

    def back(self, cursor, filters=ALL) -> tuple[Reader, bytes]:
        """Somebody who comes back with a cursor, and all that they are told."""
        reader, chunk = Reader(), self.feed.subscribe(cursor, filters).take() or b""
        reader.read(chunk)
        return reader, chunk


@pytest.fixture
async def scene(tmp_path):
    """Both have been somewhere."""
    made = Covert()
    await made.begin(tmp_path)
    made.move()
    made.move(unit=made.two, device="bcn-2")
    made.follow()
    yield made
    await made.feed.close()


async def test_it_is_removed_from_those_who_may_not_see_it_and_from_nobody_else(scene):
    """In the tick of the word; afterwards nothing of it but its first removal, whose reason gives nothing away."""
    scene.mask()
    assert scene.one not in scene.desks[ALL].units
    assert scene.one not in scene.desks[Filters(role=("CSO",))].units
    assert scene.desks[WIDE].units[scene.one]["properties"]["masked"] is True
    scene.move()
    scene.duty(5)
    scene.feed.tick(scene.clock.on(1))
    for filters, consumer in scene.consumers.items():
        chunk = consumer.take() or b""
        assert (scene.one.encode() in chunk) is (filters == WIDE)


async def test_a_unit_that_came_after_the_desk_did_is_removed_too(scene):
    """What a desk without filters was shown is not noted one by one; it is known all the same."""
    three = scene.roster.enlist(3)
    scene.feed.refresh()
    scene.drain()
    assert scene.desks[ALL].units.keys() == {scene.one, scene.two, three}
    scene.mask(unit=three)
    assert scene.desks[ALL].units.keys() == {scene.one, scene.two}


async def test_removal_says_filter(scene):
    """As of a unit that a filter no longer lets pass."""
    scene.roster.by_unit[scene.one] = msgspec.structs.replace(scene.roster.by_unit[scene.one], masked=True)
    scene.feed.refresh()
    blocks = sse.blocks(scene.consumers[ALL].take())
    assert [(block.event, json.loads(block.payload).get("reason")) for block in blocks] == [("removed", "filter")]


async def test_it_comes_back_when_it_is_unmasked(scene):
    """With its position, to everybody."""
    scene.mask()
    scene.mask(False)
    for reader in scene.desks.values():
        assert scene.one in reader.units
        assert "masked" not in reader.units[scene.one]["properties"]


async def test_who_comes_back_is_not_told_even_that_it_went(scene):
    """Behind the word everything anew; after it nothing of the unit, however much it moves."""
    before = scene.desks[ALL].cursor
    scene.mask()
    after = scene.desks[ALL].cursor
    scene.move()
    scene.duty(5)
    for cursor in (before, after, None):
        reader, chunk = scene.back(cursor)
        assert scene.one.encode() not in chunk
        assert scene.two in reader.units or cursor == after
    assert scene.one in scene.back(before, WIDE)[0].units


async def test_urgent_records_of_others_are_not_lost_by_beginning_anew(scene):
    """They come before the snapshot, in order."""
    before = scene.desks[ALL].cursor
    scene.feed.set_duty(scene.two, 5)
    scene.mask()
    reader, _ = scene.back(before)
    assert [event for _, event in reader.urgent] == ["duty"]
    assert reader.snapshots == 1
    assert reader.ids == sorted(reader.ids)


async def test_after_a_restart_it_is_still_nowhere(scene, tmp_path):
    """The log has its records; nobody is told of them."""
    before = scene.desks[ALL].cursor
    scene.mask()
    scene.duty(5)
    scene.duty(11)
    await scene.feed.close()
    await scene.begin(tmp_path)
    for cursor in (before, scene.desks[ALL].cursor, None):
        assert scene.one.encode() not in scene.back(cursor)[1]


async def test_queries_counts_and_rankings_do_without_it(scene):
    """Considered and rejected too; zones; messages; radios; the number of units."""
    scene.consumers.clear()
    scene.feed.zoning.take_up([zone("north", square(-1, 52, 1, 53))], [CoverRule("north", "pcn", after_s=0)])
    scene.move()
    scene.feed.status(status(scene.clock.on(1), 13, 2340001), who(scene.one, "P-1", None, 2340001))
    seen, whole = Seen(scene.feed, ORDINARY), Seen(scene.feed, EVERYTHING)
    asked = Wanted(lat=52.57, lon=-0.24, power=("nobody",))
    assert seen.nearest(asked).considered == 2
    scene.mask()
    scene.move(unit=scene.two, device="bcn-2")
    ranking = seen.nearest(asked)
    assert (ranking.considered, ranking.rejected) == (1, {"power": 1})
    assert whole.nearest(asked).considered == 2
    assert seen.members() == {"north": [scene.two]}
    assert whole.members()["north"] == [scene.one, scene.two]
    assert [rule.covered for rule in seen.coverage()] == [False]
    assert seen.messages() == []
    assert [each.issi for each in seen.handsets()] == [2340002]
    assert seen.unit(scene.one) is None
    assert not seen.knows(scene.one)
    assert not seen.has_track(scene.one)
    assert scene.feed.stats()["units"] == 1


async def test_its_emergency_goes_out_and_names_nobody(scene):
    """Raised before or after the word; told again when it is masked, so that no topic keeps its name."""
    first = scene.press().id
    scene.drain()
    assert scene.desks[ALL].emergencies[first]["unit"] == scene.one
    scene.mask()
    told = scene.desks[ALL].emergencies[first]
    assert (told["unit"], told["person"], told["issi"], told["holder"]) == (None, None, None, "withheld")
    assert told["position"] is not None
    assert scene.desks[WIDE].emergencies[first]["unit"] == scene.one
    scene.feed.acknowledge(first, "Inspector 3")
    scene.drain()
    assert scene.desks[ALL].emergencies[first]["state"] == "acknowledged"
    assert scene.one.encode() not in scene.back(None)[1]
    scene.mask(False)
    assert scene.desks[ALL].emergencies[first]["unit"] == scene.one


async def test_those_who_may_not_see_it_are_told_where_its_officer_is_now(scene):
    """Every five seconds, by the emergency's own record; of a unit that everybody sees its feature says it."""
    number = scene.press().id

    def where():
        place = scene.desks[ALL].emergencies[number]["position"]
        return place["latitude"]

    scene.drain()
    scene.move(52.571)
    scene.drain()
    assert where() == 52.57
    scene.mask()
    for lat in (52.572, 52.573, 52.574, 52.575, 52.576, 52.577, 52.578):
        scene.clock.on(1)
        scene.move(lat)
        scene.drain()
    assert 52.574 < where() <= 52.578
    told = [seq for seq, event in scene.desks[ALL].urgent if event == "emergency"]
    assert len(told) < 12


async def test_its_topics_are_emptied(scene):
    """Position and duty; the emergency's topic has the record without a name."""
    number = scene.press().id
    kept, consumer, broker = Retained("i"), scene.feed.subscribe(), {}

    def pump():
        scene.feed.tick(scene.clock.on(1.1))
        for block in sse.blocks(consumer.take() or b""):
            list(kept.take(block))
        while (message := kept.next()) is not None:
            broker[message.topic] = message.payload

    pump()
    topics = [unit_topic("PCC", scene.one, leaf) for leaf in ("position", "duty")]
    assert all(broker[topic] for topic in topics)
    scene.mask()
    pump()
    assert [broker[topic] for topic in topics] == [b"", b""]
    assert broker[emergency_topic(number)]
    scene.move()
    pump()
    assert not any(scene.one.encode() in payload for payload in broker.values())


async def test_its_track_is_dropped_from_the_map(scene):
    """A TAK server is told to take it away; its alert is cancelled and told anew, without it."""
    scene.press()
    waiting = Waiting(Look("a-f-G-U-C", {}, "Cyan", False, "1"), 10.0)
    consumer = scene.feed.subscribe()

    def pump() -> bytes:
        scene.feed.tick(scene.clock.on(11))
        for block in sse.blocks(consumer.take() or b""):
            waiting.take(block.event, block.payload)
        return b"".join(iter(lambda: waiting.next(scene.clock.now()) or b"", b""))

    assert scene.one.encode() in pump()
    scene.mask()
    dropped = pump()
    assert b"b-a-o-can" in dropped
    assert b"EM-" in dropped
    for _ in range(4):
        pump()
    assert scene.one.encode() not in pump()


async def test_nothing_of_it_is_kept(scene):
    """The board takes its positions, for those who may see them; `masked` is what history asks."""
    scene.mask()
    report = at(scene.clock.on(3600), 52.58)
    scene.feed.position(report, who(scene.one, "P-1", "bcn-1"))
    assert scene.feed.board.units[scene.one].live.fix.latitude == 52.58
    assert scene.one in scene.feed.board.masked


async def test_masked_while_off_duty_it_comes_on_duty_without_a_word(scene):
    """Nobody shows it: there is nothing to take away, and that it is at work again is told to nobody."""
    scene.duty(11)
    scene.drain()
    scene.mask()
    scene.duty(2)
    scene.move()
    scene.feed.tick(scene.clock.on(1))
    for filters, consumer in scene.consumers.items():
        chunk = consumer.take() or b""
        assert (scene.one.encode() in chunk) is (filters == WIDE)


async def test_who_was_cut_off_before_the_removal_begins_anew(scene):
    """In the midst of the tick that it is told in: else it would show the unit for ever."""
    scene.roster.by_unit[scene.one] = msgspec.structs.replace(scene.roster.by_unit[scene.one], masked=True)
    scene.feed.board.touch(scene.feed.board.units[scene.two])
    scene.feed.refresh()
    first, *rest = sse.blocks(scene.consumers[ALL].take())
    assert (first.event, [block.event for block in rest]) == ("position", ["removed"])
    reader, _ = scene.back(first.id)
    assert reader.snapshots == 1
    assert scene.one not in reader.units
