"""Statuses between the records of a stream: they repeat where it stands."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.feed import sse
from gateway.feed.batches import Input
from gateway.feed.consumer import UnitFrame
from gateway.feed.event_consumer import EventConsumer, Status
from gateway.feed.filters import ALL
from gateway.feed.settings import FeedSettings


def made(came_with: str | None = None, **how: int) -> EventConsumer:
    """A consumer of a gateway whose terminal is down."""
    inputs = {"terminal-1": Input("down", None)}
    return EventConsumer(ALL, FeedSettings(**how), lambda at: Status("pbo-1", at, "E", 9, inputs), came_with)


def frame(seq: int, event: str = "duty") -> bytes:
    """A record."""
    return sse.frame("E", seq, event, b'{"text":"id: E-99"}')


def test_a_status() -> None:
    """Behind its comment; who, when, where the stream stands, how the inputs are."""
    consumer = made()
    consumer.begin(frame(7, "snapshot"))
    said = consumer.take() or b""
    consumer.note(sse.heartbeat("2026-11-21T23:29:45Z"))
    said += consumer.take() or b""
    assert b"\n: heartbeat 2026-11-21T23:29:45Z\nid: E-7\nevent: status\n" in said
    status = json.loads(sse.blocks(said)[-1].payload)
    inputs = {"terminal-1": {"state": "down", "last": None}}
    assert status == {
        "instance": "pbo-1",
        "at": "2026-11-21T23:29:45Z",
        "epoch": "E",
        "seq": 9,
        "inputs": inputs,
        "v": 1,
    }


def test_who_comes_back_and_has_missed_nothing() -> None:
    """The first event repeats the cursor that it came with."""
    consumer = made("E-5")
    consumer.note(sse.heartbeat("now"))
    assert [block.id for block in sse.blocks(consumer.take() or b"")] == ["E-5"]


@given(st.lists(st.sampled_from(["press", "offer", "note", "take"]), max_size=40), st.integers(30, 400))
def test_never_another_cursor_than_the_last_records(steps: list[str], room: int) -> None:
    """However slow it is: each status repeats the id in front of it, and records rise."""
    consumer, got = made("E-0", buffer_high_bytes=room), b""
    for seq, step in enumerate(steps, 1):
        if step == "press":
            consumer.press(seq, frame(seq))
        elif step == "offer":
            consumer.offer(frame(seq, "position"), [UnitFrame("A", seq, frame(seq, "position"))])
        elif step == "note":
            consumer.note(sse.heartbeat("now"))
        else:
            got += consumer.take() or b""
    while chunk := consumer.take():
        got += chunk
    blocks = sse.blocks(got)
    stands = ["E-0"]
    for block in blocks:
        assert (block.id == stands[-1]) == (block.event == "status")
        stands.append(block.id)
    numbers = [int(block.id[2:]) for block in blocks if block.event != "status"]
    assert numbers == sorted(set(numbers))


def test_the_last_id_of_a_chunk() -> None:
    """Of records, never of what they say; none of what has none."""
    assert sse.last_id(sse.RETRY + frame(3) + frame(4)) == "E-4"
    assert sse.last_id(frame(3)) == "E-3"
    assert [sse.last_id(chunk) for chunk in (b"", sse.heartbeat("id: E-1"))] == ["", ""]
