"""A kill takes back what was told and not yet written: those who were told it are told what is so."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.feed.board import Board
from gateway.feed.emergencies import Emergencies
from gateway.feed.filters import ALL, Filters
from gateway.feed.restated import Restated
from gateway.feed.sequence import BLOCK, Sequence
from gateway.feed.settings import FeedSettings
from gateway.feed.sse import blocks
from tests.feed.shift import press, who
from tests.feed.test_feed_faults import Scene


class Lost(Scene):
    """A feed that is killed before its last words are on disk."""

    async def on_disk(self) -> None:
        """Everything said is written."""
        assert await self.feed._log.write()

    async def killed(self, tmp_path) -> None:
        """What was not written is gone."""
        await self.begin(tmp_path)

    def follower(self, cursor: str | None = None, filters: Filters = ALL):
        """Somebody who follows; and what they were told so far."""
        consumer = self.feed.subscribe(cursor, filters)
        return consumer, told(consumer)


def told(consumer) -> list[tuple[str, dict, str]]:
    """Event, content and cursor of what waits."""
    return [(one.event, json.loads(one.payload), one.id) for one in blocks(consumer.take() or b"")]


@pytest.fixture
async def scene(tmp_path):
    """Officer 1 is available, and that is on disk."""
    made = Lost()
    await made.begin(tmp_path)
    made.duty(2)
    await made.on_disk()
    yield made
    await made.feed.close()


def duties(heard) -> dict[str, int]:
    """The last code of each unit that a duty record named."""
    return {content["unit"]: content["code"] for event, content, _ in heard if event == "duty"}


async def test_a_duty_that_is_lost_is_taken_back(scene, tmp_path) -> None:
    """The consumer heard `at scene`; nobody has that any more, and it is told so, under a number that rises."""
    consumer, _ = scene.follower()
    scene.duty(6)
    before = told(consumer)
    assert duties(before) == {scene.one: 6}
    await scene.killed(tmp_path)
    _, after = scene.follower(before[-1][2])
    assert duties(after)[scene.one] == 2 == scene.feed.duty(scene.one).code
    numbers = [int(cursor.rpartition("-")[2]) for _, _, cursor in [*before, *after]]
    assert numbers == sorted(set(numbers))
    _, again = scene.follower(after[-1][2])
    assert again == []


async def test_off_duty_undone_and_done(scene, tmp_path) -> None:
    """A unit that is off the feed is said to be, to one who may think otherwise."""
    scene.duty(11)
    await scene.on_disk()
    consumer, _ = scene.follower()
    scene.duty(2)
    before = told(consumer)
    await scene.killed(tmp_path)
    _, after = scene.follower(before[-1][2])
    mine = [(event, content.get("reason")) for event, content, _ in after if content.get("unit") == scene.one]
    assert mine == [("duty", None), ("removed", "off_duty")]


async def test_an_acknowledgement_that_is_lost(scene, tmp_path) -> None:
    """The emergency is active again, and said to be."""
    scene.feed.emergency(press(scene.clock.on(1)), who(scene.one, "P-1"), journalled=True)
    await scene.on_disk()
    consumer, _ = scene.follower()
    number = scene.feed.emergencies()[-1].id
    scene.feed.acknowledge(number, "Inspector 3")
    before = told(consumer)
    assert [content["state"] for event, content, _ in before if event == "emergency"] == ["acknowledged"]
    await scene.killed(tmp_path)
    _, after = scene.follower(before[-1][2])
    assert [content["state"] for event, content, _ in after if event == "emergency"] == ["active"]


async def test_a_number_that_was_told_is_never_anothers(scene, tmp_path) -> None:
    """An emergency and a message that a kill took back stay what they were to those who heard of them."""
    lost = scene.press().id
    scene.duty(14)
    said = scene.feed.messages()[-1].id
    await scene.killed(tmp_path)
    assert (scene.feed.emergencies(), scene.feed.messages()) == ((), ())
    after = scene.press(who(scene.two, "P-2", "trm-2", 2340002)).id
    scene.duty(14)
    assert (lost, after) == ("EM-20261121-0001", "EM-20261121-0101")
    assert scene.feed.messages()[-1].id > said
    await scene.on_disk()
    await scene.feed.close()
    await scene.begin(tmp_path)
    assert scene.press(who(None, "P-3", "trm-3", 2340003)).id == "EM-20261121-0102"


async def test_who_knows_nothing_that_is_lost_hears_nothing_twice(scene, tmp_path) -> None:
    """A cursor that is on disk is followed by the records behind it, and by nothing else."""
    consumer, _ = scene.follower()
    scene.duty(6)
    (_, _, cursor), *_ = told(consumer)
    await scene.on_disk()
    await scene.killed(tmp_path)
    assert scene.follower(cursor)[1] == []


async def test_what_a_filter_no_longer_lets_pass(scene, tmp_path) -> None:
    """A unit that was only there by what is lost is taken away."""
    consumer, first = scene.follower(filters=Filters(duty=("at_scene",)))
    scene.duty(6)
    before = [*first, *told(consumer)]
    assert [content["id"] for event, content, _ in before if event == "position"] == [scene.one]
    await scene.killed(tmp_path)
    _, after = scene.follower(before[-1][2], Filters(duty=("at_scene",)))
    gone = {content["unit"] for event, content, _ in after if event == "removed" and content["reason"] == "filter"}
    assert scene.one in gone
    assert duties(after) == {}


async def test_it_is_made_once(scene, tmp_path) -> None:
    """A hundred who come back share one set; a later duty stands behind it."""
    consumer, _ = scene.follower()
    scene.duty(6)
    cursor = told(consumer)[-1][2]
    await scene.killed(tmp_path)
    first = scene.follower(cursor)[1]
    scene.duty(7)
    seq = scene.feed.seq
    second = scene.follower(cursor)[1]
    assert duties(first)[scene.one] == 2
    assert duties(second)[scene.one] == 7
    assert [one for one in second if one in first] == first
    assert scene.feed.seq == seq


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, BLOCK)), max_size=8), st.integers(0, 3), st.integers(1, BLOCK)
)
def test_in_doubt_is_who_stands_behind_its_blocks_last(written, block: int, offset: int) -> None:
    """Of every earlier process, also of one before the last; of this one only in the middle; never one on disk."""
    first = 4 * BLOCK + 1
    numbers = [of * BLOCK + at for of, at in written]
    scene = Scene()
    board = Board(FeedSettings())
    board.refresh(scene.roster, scene.clock.now())
    restated = Restated(numbers, Sequence("E", first, first + BLOCK, on_disk=True), board, Emergencies())
    cursor = block * BLOCK + offset
    doubtful = not any(cursor <= number <= (block + 1) * BLOCK for number in numbers)
    assert bool(restated.behind(cursor)) == doubtful
    made = restated.behind(cursor)
    for number, record in enumerate(made, 1):
        assert restated.behind(record.seq) == made[number:]
    assert restated.behind(first + 1_000) == []
