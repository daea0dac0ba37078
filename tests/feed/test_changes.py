"""What has changed, collected from the stream."""

from __future__ import annotations

import json
import time

from gateway.feed import sse
from gateway.feed.changes import awaited, collected
from gateway.feed.consumer import STUCK, Consumer
from gateway.feed.filters import ALL
from gateway.feed.settings import FeedSettings


def event(seq: int, kind: str, **record: object) -> bytes:
    """One event of the stream."""
    return sse.frame("E-P", seq, kind, json.dumps({"v": 1, "seq": seq, **record}).encode())


def gathered(*events: bytes) -> dict:
    """As a client reads it."""
    return json.loads(collected(sse.RETRY + b"".join(events), "E-P-3", "2026-11-21T21:00:00Z"))


def test_each_units_latest_and_every_urgent_record() -> None:
    """Where it stands is the last record's number."""
    found = gathered(
        event(4, "position", id="A", at=1),
        event(5, "duty", unit="A", code=3),
        event(6, "position", id="A", at=2),
        event(7, "emergency", id="EM-1"),
        event(8, "position", id="B", at=1),
    )
    assert found["lapel:stream"] == {"epoch": "E-P", "seq": 8, "generated_at": "2026-11-21T21:00:00Z"}
    assert [(one["id"], one["at"]) for one in found["features"]] == [("A", 2), ("B", 1)]
    assert [(one["seq"], one["event"]) for one in found["lapel:records"]] == [(5, "duty"), (7, "emergency")]
    assert (found["lapel:whole"], found["lapel:removed"]) == (False, [])


def test_removed_and_back() -> None:
    """The last word counts."""
    gone = gathered(event(4, "position", id="A"), event(5, "removed", unit="A", reason="off_duty"))
    assert (gone["features"], gone["lapel:removed"]) == ([], ["A"])
    back = gathered(event(4, "removed", unit="A", reason="filter"), event(5, "position", id="A"))
    assert ([one["id"] for one in back["features"]], back["lapel:removed"]) == (["A"], [])


def test_a_snapshot_is_the_whole() -> None:
    """And what came behind it is in it."""
    found = gathered(
        event(9, "snapshot", features=[{"id": "A", "at": 1}, {"id": "B"}], emergencies=[]),
        event(10, "emergency", id="EM-1"),
        event(11, "position", id="A", at=2),
    )
    assert found["lapel:whole"] is True
    assert [(one["id"], one.get("at")) for one in found["features"]] == [("A", 2), ("B", None)]
    assert found["lapel:stream"]["seq"] == 11


def test_nothing_leaves_the_cursor_where_it_was() -> None:
    """An answer all the same."""
    found = json.loads(collected(b"", "E-P-3", "now"))
    assert (found["lapel:stream"]["seq"], found["features"]) == (3, [])


async def test_a_heartbeat_is_no_answer() -> None:
    """It waits on, for as long as it may, or until the feed ends it."""
    consumer = Consumer(ALL, FeedSettings())
    consumer.note(sse.heartbeat("now"))
    began = time.monotonic()
    assert await awaited(consumer, 0.05) == b""
    assert time.monotonic() - began >= 0.05
    consumer.press(1, event(1, "duty"))
    assert sse.blocks(await awaited(consumer, 5.0))[0].event == "duty"
    consumer.end(STUCK)
    assert await awaited(consumer, 5.0) == b""
