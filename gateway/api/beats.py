"""Heartbeats over server-sent events: a comment, or for who asks an event that says how the inputs are."""

from __future__ import annotations

from functools import partial

import msgspec

from gateway.api.rooms import Rooms
from gateway.feed.batches import Heartbeat, Input
from gateway.feed.consumer import Kind
from gateway.feed.filters import Filters
from gateway.feed.piece_consumer import PieceConsumer
from gateway.feed.settings import FeedSettings


class Beaten(PieceConsumer):
    """A consumer whose heartbeats are events. They have no id: whoever resumes does so behind the last record."""

    def __init__(self, filters: Filters, settings: FeedSettings, rooms: Rooms) -> None:
        super().__init__(filters, settings)
        self._rooms = rooms

    def pulse(self, comment: bytes) -> bytes:
        """The comment's time, where the stream stands, and how the inputs are."""
        rooms, at = self._rooms, comment.decode().removeprefix(": heartbeat ").strip()
        inputs = {name: Input(health.state, health.last) for name, health in rooms.inputs().items()}
        exercise = True if rooms.exercise else msgspec.UNSET
        said = Heartbeat(at, rooms.feed.epoch, rooms.feed.seq, inputs, exercise=exercise)
        return b"event: heartbeat\ndata: %b\n\n" % msgspec.json.encode(said)


def kind_of(heartbeat: str, rooms: Rooms) -> Kind:
    """What makes the consumer that is asked for."""
    return partial(Beaten, rooms=rooms) if heartbeat == "event" else PieceConsumer
