"""Cut off, closed, replaced or left in peace in the middle of what a consumer begins with: nothing is lost by it."""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.feed import hub, slices, sse
from gateway.feed.batch_consumer import BatchConsumer, Batches
from gateway.feed.changes import collected
from gateway.feed.consumer import GOING_AWAY, LEFT, Consumer, UnitFrame
from gateway.feed.filters import ALL, Filters
from gateway.feed.piece_consumer import PieceConsumer
from gateway.feed.settings import FeedSettings
from gateway.feed.sse import blocks
from gateway.feed.view import View
from tests.feed.shift import MemoryFiles, status, who
from tests.feed.test_slices import Scene, defragmented, taken


@pytest.fixture
async def scene(tmp_path, monkeypatch):
    """Ten officers, three at once."""
    for module in (hub, slices):
        monkeypatch.setattr(module, "AT_ONCE", 3)
    made = Scene(tmp_path)
    await made.feed.open()
    yield made
    await made.feed.close()


async def a_little(turns: int = 3) -> None:
    """Whoever has something to do does it."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def test_a_heartbeat_held_back_holds_up_nothing_behind_it(scene) -> None:
    """Left in peace since, the consumer has the next heartbeat and the next position at once."""
    consumer, got = scene.feed.subscribe(kind=PieceConsumer), []

    async def reading() -> None:
        async for chunk in consumer:
            got.append(chunk)
            if len(got) == 2:
                consumer.note(sse.heartbeat("x"))

    async with asyncio.TaskGroup() as group:
        group.create_task(reading())
        while not b"".join(got).endswith(sse.END):
            await asyncio.sleep(0)
        for happens in (lambda: consumer.note(sse.heartbeat("y")), lambda: scene.move(1)):
            await a_little()
            before = len(got)
            happens()
            await a_little()
            assert len(got) == before + 1
        consumer.end(LEFT)


async def test_a_stop_in_the_middle_of_a_snapshot_puts_nothing_inside_it(scene) -> None:
    """An alarm that came meanwhile is told to whoever comes back; the event stays unfinished, so no cursor moves."""
    consumer = scene.feed.subscribe(kind=PieceConsumer)
    said = [await anext(consumer), await anext(consumer)]
    scene.feed.raise_manual(unit=scene.units[0])
    consumer.end(GOING_AWAY)
    said += [chunk async for chunk in consumer]
    assert not b"".join(said).endswith(sse.END)
    assert blocks(b"".join(said)) == []


async def test_a_stop_in_the_middle_of_what_was_missed_passes_over_nothing(scene) -> None:
    """Whoever comes back has every record."""
    cursor = f"{scene.feed.epoch}-{scene.feed.seq}"
    for number in range(9):
        scene.feed.set_duty(scene.units[number], 2)
    consumer = scene.feed.subscribe(cursor, kind=PieceConsumer)
    got = [await anext(consumer)]
    scene.feed.raise_manual(unit=scene.units[0])
    consumer.end(GOING_AWAY)
    got += [chunk async for chunk in consumer]
    first = blocks(b"".join(got))
    again = blocks(scene.feed.subscribe(first[-1].id, kind=PieceConsumer).take())
    duties = [json.loads(one.payload)["unit"] for one in [*first, *again] if one.event == "duty"]
    assert duties == scene.units[:9]
    assert "emergency" in {one.event for one in again}


async def test_who_leaves_the_roster_before_their_slice_is_not_in_the_snapshot(scene) -> None:
    """One agency's consumer would not be told that they had gone: it never had them."""
    view = View("PCC", masked=False)
    consumer = scene.feed.subscribe(None, Filters(view=view), PieceConsumer)
    gone = scene.units[9]

    def leaves(number: int) -> None:
        if number == 2:
            del scene.roster.by_unit[gone]
            scene.feed.refresh()

    said = blocks(b"".join(await taken(consumer, leaves)))
    shown = {one["id"] for one in json.loads(said[0].payload)["features"]}
    assert shown == {unit for unit in scene.units if unit.startswith("PCC")} - {gone}


async def test_cut_off_before_the_snapshot_it_begins_anew_again(scene) -> None:
    """A unit that was masked meanwhile does not stay with one who had the urgent records and no more."""
    cursor = f"{scene.feed.epoch}-{scene.feed.seq}"
    hidden = scene.units[1]
    scene.roster.by_unit[hidden] = msgspec.structs.replace(scene.roster.by_unit[hidden], masked=True)
    scene.feed.refresh()
    scene.move(3)
    scene.feed.set_duty(scene.units[2], 2)
    consumer = scene.feed.subscribe(cursor, kind=PieceConsumer)
    had = []
    while "duty" not in had:
        (*_, last) = blocks(await anext(consumer))
        had.append(last.event)
    assert "snapshot" not in had
    scene.feed.unsubscribe(consumer)
    again = blocks(scene.feed.subscribe(last.id, kind=PieceConsumer).take())
    assert "snapshot" in {one.event for one in again}


async def test_a_message_begun_is_ended_before_another_subscription_says_anything(scene) -> None:
    """Every fragment of it; nothing behind. Whoever leaves altogether gets no more."""
    kind = lambda wanted, chosen: BatchConsumer(wanted, chosen, Batches("one"), lambda _at: b"")  # noqa: E731
    for replaced in (True, False):
        consumer = scene.feed.subscribe(kind=kind)
        got = [await anext(consumer), await anext(consumer)]
        scene.move(1)
        consumer.replaced = replaced
        scene.feed.unsubscribe(consumer)
        got += [chunk async for chunk in consumer]
        if replaced:
            message, rest = defragmented(b"".join(got))
            assert (len(message["features"]), rest) == (len(scene.units), [])
        else:
            assert len(got) == 2


async def test_replaced_before_its_first_fragment_or_behind_its_last() -> None:
    """Nothing is owed."""
    for taken_before in (0, 1):
        consumer = BatchConsumer(ALL, FeedSettings(), Batches("one"), lambda _at: b"")
        consumer.begin(sse.frame("E", 1, "duty", b"{}"))
        got = [await anext(consumer) for _ in range(taken_before)]
        consumer.replaced = True
        consumer.end(LEFT)
        assert len(got) == taken_before
        assert [chunk async for chunk in consumer] == []


def test_a_snapshot_voids_what_was_removed_before_it() -> None:
    """A unit that went and came back is there."""
    stream = [
        sse.frame("E", 4, "removed", b'{"seq":4,"unit":"A","reason":"off_duty"}'),
        sse.frame("E", 5, "snapshot", b'{"features":[{"id":"A"}],"emergencies":[]}'),
    ]
    found = json.loads(collected(b"".join(stream), "E-3", "2026-11-22T12:00:00Z"))
    assert (found["lapel:removed"], [one["id"] for one in found["features"]]) == ([], ["A"])


whiles = st.lists(st.sampled_from(["offer", "press", "note", "read", "read", "pause", "shut"]), max_size=40)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(whiles, st.integers(0, 3), st.integers(30, 300))
def test_pushed_or_queued_it_is_one_stream(steps: list[str], parts: int, room: int) -> None:
    """Beginning, idle, behind, or with a wire that takes nothing: each number once, rising, every urgent one there."""
    asyncio.run(_one_stream(steps, parts, room))


class Wire:
    """One consumer, whoever serves it, and a line that may be full or take nothing at once."""

    def __init__(self, parts: int, room: int) -> None:
        self.consumer = Consumer(ALL, FeedSettings(buffer_high_bytes=room, urgent_queue=1_000))
        self.sent: list[bytes] = []
        self.shut, self.free, self.seq = False, asyncio.Event(), parts
        self.free.set()
        self.consumer.push = lambda chunk: not self.shut and self.free.is_set() and not self.sent.append(chunk)
        self.consumer.begin(iter([sse.frame("E", 1 + part, "duty", b"{}") for part in range(parts)]))
        self.urgent, self.newest = set(range(1, parts + 1)), set()

    async def serve(self) -> None:
        async for chunk in self.consumer:
            await self.free.wait()
            self.sent.append(chunk)

    async def step(self, what: str) -> None:
        self.seq += 1
        if what == "press":
            self.consumer.press(self.seq, sse.frame("E", self.seq, "duty", b"{}"))
            self.urgent.add(self.seq)
        elif what == "offer":
            frame = sse.frame("E", self.seq, "position", b"{}")
            self.consumer.offer(frame, [UnitFrame("U", self.seq, frame)])
            self.newest = {self.seq}
        elif what == "note":
            self.consumer.note(sse.heartbeat("x"))
        elif what == "pause":
            (self.free.clear if self.free.is_set() else self.free.set)()
        elif what == "shut":
            self.shut = not self.shut
        else:
            await asyncio.sleep(0)


async def _one_stream(steps: list[str], parts: int, room: int) -> None:
    wire = Wire(parts, room)
    async with asyncio.TaskGroup() as group:
        group.create_task(wire.serve())
        for step in steps:
            await wire.step(step)
        wire.free.set()
        await a_little(60)
        told = [int(one.id[2:]) for one in blocks(b"".join(wire.sent))]
        assert told == sorted(set(told))
        assert wire.urgent | wire.newest <= set(told)
        before = len(wire.sent)
        wire.consumer.note(sse.heartbeat("y"))
        await a_little()
        assert len(wire.sent) > before
        wire.consumer.end(LEFT)


async def test_who_is_cut_off_amid_what_is_said_anew_has_the_rest(tmp_path) -> None:
    """Behind a kill: duties one by one, and each time the line is cut."""
    made, files = Scene(tmp_path), MemoryFiles()
    made.feed = type(made.feed)(FeedSettings(), made.roster, made.clock, tmp_path, files=files)
    await made.feed.open()
    consumer = made.feed.subscribe()
    consumer.take()
    made.feed.status(status(made.clock.on(1), 2, 2340009), who(made.units[9], "P-9"))
    lost = blocks(consumer.take())[-1].id
    made.feed = type(made.feed)(FeedSettings(), made.roster, made.clock, tmp_path, files=files)
    await made.feed.open()
    told = blocks(made.feed.subscribe(lost).take())
    duties = [one for one in told if one.event == "duty"]
    assert len(duties) == len(made.units)
    again = blocks(made.feed.subscribe(duties[4].id).take())
    assert [one.id for one in again if one.event == "duty"] == [one.id for one in duties[5:]]
    await made.feed.close()


async def test_who_is_to_be_taken_away_is_even_where_they_move_on_meanwhile(scene) -> None:
    """A unit that a filter no longer lets pass, told of slice by slice: it moves before its turn comes."""
    available = Filters(duty=("available",))
    for unit in scene.units:
        scene.feed.set_duty(unit, 2)
    first = blocks(scene.feed.subscribe(None, available, PieceConsumer).take())
    for unit in scene.units:
        scene.feed.set_duty(unit, 5)
    consumer = scene.feed.subscribe(first[-1].id, available, PieceConsumer)
    said = blocks(b"".join(await taken(consumer, lambda number: scene.move(9) if number == 1 else None)))
    gone = [json.loads(one.payload)["unit"] for one in said if one.event == "removed"]
    assert sorted(gone) == sorted(scene.units)
