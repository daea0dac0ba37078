"""An exercise's feed: no frame, collection or feature that does not say so; a feed that is none never does."""

from __future__ import annotations

import json
from functools import partial

from gateway.feed import sse
from gateway.feed.batch_consumer import BatchConsumer, Batches
from gateway.feed.exercise import ExerciseFeed, marked, marked_stream
from gateway.feed.feed import Feed
from gateway.feed.settings import FeedSettings
from tests.feed.schema import check_feature
from tests.feed.shift import Roster, SetClock, at, who
from tests.feed.test_batches import messages


async def opened(kind, folder):
    """A feed with one unit that has been seen."""
    roster, clock = Roster(), SetClock()
    unit = roster.enlist(1)
    feed = kind(FeedSettings(), roster, clock, folder)
    await feed.open()
    feed.position(at(clock.now()), who(unit, "P-1", "bcn-1"), quality=())
    return feed, clock, unit


async def stream(kind, folder):
    """All that a consumer is sent in a turn with a snapshot, a position, a duty, an emergency and a heartbeat."""
    feed, clock, unit = await opened(kind, folder)
    consumer = feed.subscribe()
    feed.position(at(clock.on(5), 52.5701), who(unit, "P-1", "bcn-1"), quality=())
    feed.tick(clock.on(20))
    feed.set_duty(unit, 2)
    feed.raise_manual(unit=unit)
    said = b""
    while (chunk := consumer.take()) is not None:
        said += chunk
    await feed.close()
    return said


async def test_every_frame(tmp_path):
    """Snapshot, position, duty, emergency, and each feature in them; heartbeats."""
    said = await stream(ExerciseFeed, tmp_path)
    blocks = sse.blocks(said)
    assert {"snapshot", "position", "duty", "emergency"} <= {block.event for block in blocks}
    for block in blocks:
        body = json.loads(block.payload)
        assert body["exercise"] is True
        for feature in [body, *body.get("features", [])]:
            if feature.get("type") == "Feature":
                assert feature["properties"]["exercise"] is True
                check_feature(feature)
    assert b": exercise heartbeat " in said
    assert b"\n: heartbeat" not in said


async def test_over_a_websocket_too(tmp_path):
    """Every message of a feed or a unit, whatever it is in."""
    feed, clock, unit = await opened(ExerciseFeed, tmp_path)
    kind = partial(BatchConsumer, batches=Batches("desk-1"), pulse=lambda _at: b"")
    consumer = feed.subscribe(kind=kind)
    feed.position(at(clock.on(5), 52.5701), who(unit, "P-1", "bcn-1"), quality=())
    feed.tick(clock.on(6))
    feed.raise_manual(unit=unit)
    said = messages(consumer.take() or b"")
    await feed.close()
    assert [one["type"] for one in said] == ["snapshot", "batch", "emergency"]
    snapshot, batch, emergency = said
    assert all(one["exercise"] for one in (snapshot, *snapshot["features"], emergency))
    assert all(one["record"]["exercise"] for one in batch["records"])


async def test_a_true_feed_says_nothing_of_it(tmp_path):
    """Not a word, so that its absence means something."""
    assert b"exercise" not in await stream(Feed, tmp_path)


async def test_what_is_asked_for(tmp_path):
    """The snapshot and one unit's feature too."""
    feed, _, unit = await opened(ExerciseFeed, tmp_path)
    collection = json.loads(feed.snapshot())
    assert collection["exercise"] is True
    assert [each["properties"]["exercise"] for each in collection["features"]] == [True]
    assert json.loads(feed.unit(unit))["properties"]["exercise"] is True
    assert feed.unit("nobody") is None
    await feed.close()


def test_marks():
    """A mark changes nothing else; text that looks like a frame's beginning stays text."""
    assert json.loads(marked(b'{"a":1,"properties":null}')) == {"a": 1, "properties": None, "exercise": True}
    frame = sse.frame("e", 7, "text", b'{"text":": heartbeat "}')
    block = sse.blocks(marked_stream(frame))[0]
    assert (block.id, block.event) == ("e-7", "text")
    assert json.loads(block.payload) == {"text": ": heartbeat ", "exercise": True}
