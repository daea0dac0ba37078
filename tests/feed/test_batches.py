"""The stream as WebSocket messages."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.feed import sse
from gateway.feed.batch_consumer import TOLD_KEPT, BatchConsumer, Batches
from gateway.feed.batches import POLICY, Heartbeat, Hello, Input, close, frame, frames, said, short
from gateway.feed.consumer import UnitFrame
from gateway.feed.filters import ALL
from gateway.feed.settings import FeedSettings

EVENTS = ("position", "duty", "removed", "message", "proven", "reach", "emergency", "zone", "coverage")


def messages(octets: bytes) -> list[dict]:
    """What a client reads (RFC 6455 section 5.2)."""
    found = []
    while octets:
        assert octets[0] == 0x81
        length, at = octets[1], 2
        if length == 126:
            length, at = int.from_bytes(octets[2:4], "big"), 4
        elif length == 127:
            length, at = int.from_bytes(octets[2:10], "big"), 10
        assert len(octets) >= at + length
        found.append(json.loads(octets[at : at + length]))
        octets = octets[at + length :]
    return found


def records(text: bytes) -> list[tuple[int, str]]:
    """Number and kind of each record, in the order in which a client has them."""
    found = []
    for one in messages(text):
        if one["type"] == "batch":
            assert one["seq"] == one["records"][-1]["seq"]
            found += [(each["seq"], each["event"]) for each in one["records"]]
        else:
            found.append((one["seq"], one["type"]))
    return found


def event(seq: int, kind: str) -> bytes:
    """One event of the stream."""
    return sse.frame("E-P", seq, kind, json.dumps({"v": 1, "seq": seq, "id": f"EM-{seq}"}).encode())


@pytest.mark.parametrize(("octets", "head"), [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)])
def test_the_three_forms_of_length(octets, head) -> None:
    """As short as may be; unmasked."""
    made = frame(b"x" * octets)
    assert len(made) == head + octets
    assert made[1] & 0x80 == 0


@settings(derandomize=True, max_examples=60)
@given(st.lists(st.sampled_from(EVENTS), max_size=40))
def test_nothing_is_lost_and_nothing_moves(kinds) -> None:
    """Every record once, in order; emergencies by themselves, between them as few batches as can be."""
    chunk = b"".join(event(seq, kind) for seq, kind in enumerate(kinds, 1))
    made, told = frames(chunk, "desk-1")
    assert records(made) == list(enumerate(kinds, 1))
    assert told == {f"E-P-{seq}": f"EM-{seq}" for seq, kind in enumerate(kinds, 1) if kind == "emergency"}
    types = [one["type"] for one in messages(made)]
    assert all(pair != ("batch", "batch") for pair in pairwise(types))
    assert all((one["instance"], one["epoch"]) == ("desk-1", "E-P") for one in messages(made))


def test_a_snapshot_is_a_message() -> None:
    """What it has, and its type."""
    made, _ = frames(sse.RETRY + sse.frame("E", 7, "snapshot", b'{"v":1,"epoch":"E","seq":7,"features":[]}'), "desk-1")
    assert messages(made) == [
        {"type": "snapshot", "instance": "desk-1", "v": 1, "epoch": "E", "seq": 7, "features": []}
    ]


def test_hello_and_heartbeat() -> None:
    """Each says where the stream stands."""
    (hello,) = messages(said(Hello("E", 9, 2, "desk-1", 10.0)))
    assert hello == {
        "type": "hello",
        "epoch": "E",
        "seq": 9,
        "oldest": 2,
        "instance": "desk-1",
        "heartbeat_s": 10.0,
        "v": 1,
    }
    (beat,) = messages(said(Heartbeat("now", "E", 9, {"lip": Input("down", None)}, "desk-1")))
    assert beat["inputs"] == {"lip": {"state": "down", "last": None}}


def test_a_close_frame_says_why() -> None:
    """Code and reason, cut where a control frame has no more room, between two characters."""
    assert close(POLICY, "no") == b"\x88\x04\x03\xf0no"
    assert len(close(POLICY, "é" * 100)) == 2 + 2 + 122
    assert short("é" * 100).decode() == "é" * 61


def consumer(batches: Batches, **how) -> BatchConsumer:
    """With a heartbeat that says its time."""
    return BatchConsumer(ALL, FeedSettings(**how), batches, lambda at: said(Heartbeat(at, "E", 1, {}, "desk-1")))


def test_made_once_for_everybody() -> None:
    """One chunk, one set of bytes: the same object behind two sockets."""
    batches = Batches("desk-1")
    one, other = consumer(batches), consumer(batches)
    chunk = event(1, "position")
    for each in (one, other):
        each.offer(chunk, [UnitFrame("A", 1, chunk)])
    first, second = one.take(), other.take()
    assert first is second
    assert records(first) == [(1, "position")]


def test_a_slow_one_has_each_units_newest_and_every_urgent_record() -> None:
    """The rules of any consumer; what had to wait comes in order."""
    slow = consumer(Batches("desk-1"), buffer_high_bytes=60)
    for seq, unit in enumerate("ABABAB", 1):
        chunk = event(seq, "position")
        slow.offer(chunk, [UnitFrame(unit, seq, chunk)])
    slow.press(7, event(7, "emergency"))
    assert records(slow.take()) == [(1, "position")]
    assert records(slow.take()) == [(5, "position"), (6, "position"), (7, "emergency")]
    assert slow.conflated == 3


def test_a_heartbeat_has_the_feeds_time() -> None:
    """And is a message, not a comment."""
    alive = consumer(Batches("desk-1"))
    alive.note(sse.heartbeat("2026-11-21T23:29:45Z"))
    (beat,) = messages(alive.take())
    assert (beat["type"], beat["at"]) == ("heartbeat", "2026-11-21T23:29:45Z")


def test_what_is_remembered_is_bounded() -> None:
    """The oldest go."""
    batches = Batches("desk-1")
    for seq in range(TOLD_KEPT + 5):
        batches.of(event(seq, "emergency"))
    assert len(batches.told) == TOLD_KEPT
    assert "E-P-4" not in batches.told
    assert batches.told["E-P-5"] == "EM-5"
