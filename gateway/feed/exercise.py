"""A feed for exercises: whatever it says is marked, so that nobody takes a replay for what is happening."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.feed.consumer import Consumer, Kind
from gateway.feed.feed import Feed
from gateway.feed.filters import ALL, Filters
from gateway.feed.settings import FeedSettings


class ExerciseFeed(Feed):
    """A feed whose every frame, collection and feature says `exercise: true`."""

    def subscribe(self, cursor: str | None = None, filters: Filters = ALL, kind: Kind = Consumer) -> Consumer:
        """Follow the exercise."""

        def marking(wanted: Filters, settings: FeedSettings) -> Consumer:
            consumer = kind(wanted, settings)
            consumer.mark = marked_stream
            return consumer

        return super().subscribe(cursor, filters, marking)

    def collection(self, filters: Filters = ALL) -> Iterator[bytes]:
        """Every unit of the exercise."""
        yield marked(b"".join(super().collection(filters)))

    def unit(self, name: str) -> bytes | None:
        """One unit's Feature."""
        feature = super().unit(name)
        return None if feature is None else marked(feature)


def marked(payload: bytes) -> bytes:
    """A JSON object that says so, itself and in each of its features."""
    return msgspec.json.encode(_marked(msgspec.json.decode(payload)))


def _marked(said: dict[str, Any]) -> dict[str, Any]:
    said = {**said, "exercise": True}
    if isinstance(said.get("properties"), dict):
        said["properties"] = {**said["properties"], "exercise": True}
    if isinstance(said.get("features"), list):
        said["features"] = [_marked(each) for each in said["features"]]
    return said


def marked_stream(chunk: bytes) -> bytes:
    """Whole server-sent events, each marked; the comments of heartbeats too."""
    return b"\n".join([_marked_line(line) for line in chunk.split(b"\n")])


def _marked_line(line: bytes) -> bytes:
    if line.startswith(b"data: "):
        return b"data: " + marked(line.removeprefix(b"data: "))
    return line.replace(b": heartbeat ", b": exercise heartbeat ", 1) if line.startswith(b": ") else line
