"""What is long is said in slices, and whatever comes meanwhile behind it."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.feed import consumer as consumer_module
from gateway.feed import hub, slices, sse
from gateway.feed.batch_consumer import BatchConsumer, Batches
from gateway.feed.batches import fragments
from gateway.feed.changes import awaited, collected
from gateway.feed.consumer import Consumer, UnitFrame
from gateway.feed.feed import Feed
from gateway.feed.filters import ALL, Filters
from gateway.feed.piece_consumer import PieceConsumer
from gateway.feed.settings import FeedSettings
from gateway.feed.slices import Long, listed, some
from gateway.feed.sse import blocks
from tests.feed.shift import MemoryFiles, Roster, SetClock, at, who

MANY = 10


class Scene:
    """Ten officers and a feed that says three units at once."""

    def __init__(self, folder) -> None:
        self.roster, self.clock = Roster(), SetClock()
        self.units = [self.roster.enlist(n, agency="PCC" if n % 2 else "CAMBS") for n in range(MANY)]
        self.feed = Feed(FeedSettings(), self.roster, self.clock, folder, files=MemoryFiles())

    def move(self, number: int, lat: float = 52.57) -> None:
        """One officer, and a tick."""
        report = at(self.clock.on(1), lat, device=f"bcn-{number}")
        self.feed.position(report, who(self.units[number], f"P-{number}", f"bcn-{number}"), quality=())
        self.feed.tick(self.clock.now())


@pytest.fixture
async def scene(tmp_path, monkeypatch):
    """Opened."""
    for module in (hub, slices):
        monkeypatch.setattr(module, "AT_ONCE", 3)
    made = Scene(tmp_path)
    await made.feed.open()
    yield made
    await made.feed.close()


async def taken(consumer, meanwhile=lambda _number: None, last: int = 40) -> list[bytes]:
    """Its chunks as they come, until it says nothing more for a while; something done between each two."""
    chunks: list[bytes] = []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            async for chunk in consumer:
                chunks.append(chunk)
                meanwhile(len(chunks))
    return chunks


async def test_a_snapshot_comes_in_pieces_and_what_changes_meanwhile_behind_it(scene) -> None:
    """Numbers rising; whoever moves before its turn is in the snapshot as it is then, and told of again."""
    consumer = scene.feed.subscribe(kind=PieceConsumer)

    def meanwhile(number: int) -> None:
        if number == 2:
            scene.move(1, 52.1)
            scene.move(MANY - 1, 52.9)

    chunks = await taken(consumer, meanwhile)
    assert len(chunks) > 4
    (_, snapshot), *more = [(one.event, json.loads(one.payload)) for one in blocks(b"".join(chunks))]
    features = {one["id"]: one for one in snapshot["features"]}
    assert list(features) == scene.units
    assert features[scene.units[1]]["geometry"] is None
    assert features[scene.units[-1]]["geometry"]["coordinates"][1] == 52.9
    assert [one["geometry"]["coordinates"][1] for _, one in more] == [52.1, 52.9]
    numbers = [snapshot["seq"], *(one["properties"]["seq"] for _, one in more)]
    assert numbers == sorted(set(numbers))


async def test_an_emergency_and_a_removal_in_the_middle_are_told_behind(scene) -> None:
    """Neither lost nor inside."""
    consumer = scene.feed.subscribe(kind=PieceConsumer)
    scene.feed.raise_manual(unit=scene.units[0])
    scene.feed.set_duty(scene.units[-1], 11)
    said = blocks(b"".join(await taken(consumer)))
    assert said[0].event == "snapshot"
    assert {"emergency", "removed"} <= {one.event for one in said[1:]}
    assert scene.units[-1] not in [one["id"] for one in json.loads(said[0].payload)["features"]]


async def test_who_is_not_reached_yet_has_its_records_told_all_the_same(scene) -> None:
    """A filtered group learns slice by slice whom it shows; a duty record of the last is not lost in between."""
    consumer = scene.feed.subscribe(None, Filters(agency=("PCC",)), PieceConsumer)
    scene.feed.set_duty(scene.units[-1], 2)
    scene.feed.set_duty(scene.units[-2], 2)
    said = blocks(b"".join(await taken(consumer)))
    assert {one["properties"]["agency"] for one in json.loads(said[0].payload)["features"]} == {"PCC"}
    assert [json.loads(one.payload)["unit"] for one in said if one.event == "duty"] == [scene.units[-1]]


async def test_one_who_reads_whole_events_gets_them(scene) -> None:
    """Chunk by chunk, and at once."""
    for kind in (Consumer, PieceConsumer):
        assert [one.event for one in blocks(scene.feed.subscribe(kind=kind).take())] == ["snapshot"]
    chunks = await taken(scene.feed.subscribe())
    assert [[one.event for one in blocks(chunk)] for chunk in chunks] == [["snapshot"]]
    assert chunks[0].startswith(sse.RETRY)


async def test_what_was_missed_comes_in_slices_each_unit_once(scene) -> None:
    """By number; a unit that moves on meanwhile is told of once, behind."""
    cursor = f"{scene.feed.epoch}-{scene.feed.seq}"
    for number in range(MANY):
        scene.move(number)
    scene.feed.set_duty(scene.units[3], 2)
    consumer = scene.feed.subscribe(cursor, kind=PieceConsumer)
    chunks = await taken(consumer, lambda number: scene.move(9, 52.57003) if number == 1 else None)
    assert len(chunks) > 3
    said = [(one.event, int(one.id.rpartition("-")[2]), json.loads(one.payload)) for one in blocks(b"".join(chunks))]
    numbers = [seq for _, seq, _ in said]
    assert numbers == sorted(set(numbers))
    seen = [one["id"] for event, _, one in said if event == "position"]
    assert sorted(seen) == sorted(scene.units)
    assert said[-1][2]["geometry"]["coordinates"][1] == 52.57003


async def test_long_polling_has_all_of_it(scene) -> None:
    """Everything in one answer, whether it is the whole or what was missed."""
    cursor = f"{scene.feed.epoch}-{scene.feed.seq}"
    for number in range(MANY):
        scene.move(number)
    for after, whole in ((cursor, False), ("ELSE-1", True)):
        body = json.loads(collected(await awaited(scene.feed.subscribe(after), 0.1), after, "now"))
        assert (body["lapel:whole"], len(body["features"])) == (whole, MANY)


async def test_over_a_websocket_it_is_one_message_in_fragments(scene) -> None:
    """First text, then more, then the last; other messages behind."""
    kind = lambda wanted, settings: BatchConsumer(wanted, settings, Batches("one"), lambda _at: b"")  # noqa: E731
    consumer = scene.feed.subscribe(kind=kind)
    chunks = await taken(consumer, lambda number: scene.move(0) if number == 1 else None)
    message, rest = defragmented(b"".join(chunks))
    assert (message["type"], len(message["features"])) == ("snapshot", MANY)
    assert [one["type"] for one in rest] == ["batch"]


def defragmented(octets: bytes) -> tuple[dict, list[dict]]:
    """As RFC 6455 section 5.4 has it: the first message, in fragments, and those behind."""
    frames = []
    while octets:
        length, head = octets[1], 2
        if length == 126:
            length, head = int.from_bytes(octets[2:4], "big"), 4
        frames.append((octets[0], octets[head : head + length]))
        octets = octets[head + length :]
    last = [first for first, _ in frames].index(0x80)
    assert [first for first, _ in frames[: last + 1]] == [0x01, *[0x00] * (last - 1), 0x80]
    whole = b"".join(payload for _, payload in frames[: last + 1])
    return json.loads(whole), [json.loads(payload) for first, payload in frames[last + 1 :] if first == 0x81]


async def test_slices_of_many_take_turns(scene) -> None:
    """While twenty are sent a snapshot, another task never waits for more than one slice."""
    made, gaps = 0, []

    class Counting(PieceConsumer):
        def dress_long(self, event):
            nonlocal made
            for piece in super().dress_long(event):
                made += 1
                yield piece

    async def beside() -> None:
        nonlocal made
        while len(done) < 20:
            before = made
            await asyncio.sleep(0)
            gaps.append(made - before)

    async def read(consumer) -> None:
        await consumer.opening()
        done.append(consumer)

    done: list[Consumer] = []
    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(read(scene.feed.subscribe(kind=Counting)))
        group.create_task(beside())
    assert made > 20 * 4
    assert max(gaps) <= 1


async def test_a_flush_of_so_many_takes_those_that_wait_longest(scene) -> None:
    """The rest goes out the next time."""
    consumer = scene.feed.subscribe()
    consumer.take()
    for number in (4, 2, 7):
        report = at(scene.clock.on(1), device=f"bcn-{number}")
        scene.feed.position(report, who(scene.units[number], f"P-{number}", f"bcn-{number}"), quality=())
    for most, left in ((2, 1), (2, 0)):
        scene.feed._hub.flush(scene.clock.now(), most)
        assert len(scene.feed.board.dirty) == left
    said = [json.loads(one.payload)["id"] for one in blocks(consumer.take())]
    assert said == [scene.units[number] for number in (4, 2, 7)]


@given(st.lists(st.lists(st.integers(0, 99), max_size=4), max_size=6))
def test_a_list_in_pieces_is_the_list(parts) -> None:
    """Empty slices leave no comma."""
    made = (([str(one).encode() for one in part]) for part in parts)
    assert json.loads(b"".join(listed(b"[", made, b"]"))) == [one for part in parts for one in part]


@given(st.lists(st.integers(), max_size=2000))
def test_some_at_a_time_is_all(things) -> None:
    """In order, no slice too large."""
    found = list(some(things))
    assert [one for part in found for one in part] == things
    assert all(0 < len(part) <= slices.AT_ONCE for part in found)


def test_a_long_event_is_the_same_framed_whole_and_in_pieces() -> None:
    """Byte for byte."""
    made = [Long("E", 7, "snapshot", iter((b'{"a":[', b"1", b"]}"))) for _ in range(3)]
    assert made[0].whole() == b"".join(made[1].framed()) == sse.frame("E", 7, "snapshot", b'{"a":[1]}')
    assert b"".join(fragments(made[2], "one"))[2:].startswith(b'{"type":"snapshot","instance":"one","a":[')


async def test_what_is_pushed_is_not_queued_and_order_holds() -> None:
    """Only while nobody is busy with an earlier chunk; refused, it waits as ever."""
    consumer, sent, room = Consumer(ALL, FeedSettings()), [], [True]
    consumer.push = lambda chunk: room[0] and not sent.append(chunk)
    consumer.note(b": 1\n")
    assert sent == []
    read: list[bytes] = []

    async def reading() -> None:
        read.extend([chunk async for chunk in consumer])

    async with asyncio.TaskGroup() as group:
        group.create_task(reading())
        await asyncio.sleep(0)
        consumer.note(b": 2\n")
        room[0] = False
        consumer.note(b": 3\n")
        room[0] = True
        consumer.note(b": 4\n")
        await asyncio.sleep(0)
        consumer.note(b": 5\n")
        consumer.end("left")
    assert (sent, read) == ([b": 2\n", b": 5\n"], [b": 1\n", b": 3\n: 4\n"])


async def test_a_tick_of_very_many_is_in_slices(scene, monkeypatch) -> None:
    """Somebody else's turn comes in between."""
    monkeypatch.setattr(hub, "FLUSHED_AT_ONCE", 2)
    for number in range(7):
        report = at(scene.clock.on(1), device=f"bcn-{number}")
        scene.feed.position(report, who(scene.units[number], f"P-{number}", f"bcn-{number}"), quality=())
    seen = []

    async def beside() -> None:
        while scene.feed.board.dirty and len(seen) < 9:
            seen.append(len(scene.feed.board.dirty))
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        group.create_task(beside())
        group.create_task(scene.feed._hub.flush_many(scene.clock))
    assert {7, 5, 3, 1} <= set(seen)


async def test_a_long_queue_of_a_slow_one_goes_out_in_slices_too(monkeypatch) -> None:
    """In order, each unit once; what comes meanwhile behind it."""
    for module in (slices, consumer_module):
        monkeypatch.setattr(module, "AT_ONCE", 3)
    slow = PieceConsumer(ALL, FeedSettings(buffer_high_bytes=10))

    def offer(seq: int) -> None:
        unit = UnitFrame(f"U-{seq % 20}", seq, sse.frame("E", seq, "position", b"{}"))
        slow.offer(unit.frame, [unit])

    for seq in range(1, 50):
        offer(seq)
    chunks = await taken(slow, lambda number: offer(100) if number == 3 else None)
    assert len(chunks) > 5
    assert [int(one.id[2:]) for one in blocks(b"".join(chunks))] == [1, *range(30, 50), 100]
