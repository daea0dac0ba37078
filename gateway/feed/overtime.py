"""Planned ends of shifts: they take nobody off duty. Past its own a unit stays as it is, marked `overtime`. Pure.

A plan is known as spans (seconds since 1970). A unit is in overtime where it was on duty when a span of its ended,
is so still, and no other span of its has begun. A crew goes by the longest of its members' plans.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gateway.domain.ids import UnitId
from gateway.domain.time import Instant
from gateway.feed.board import Board
from gateway.feed.standing import Standing

Span = tuple[float, float]
LOOK_AGAIN_S = 60.0
"""Duty changes in between are seen after this at the latest, whatever is planned."""


class Overtime:
    """Marks units. `tell`: this unit's duty record has changed."""

    def __init__(self, board: Board, tell: Callable[[Standing], None]) -> None:
        self._board, self._tell = board, tell
        self._planned: Callable[[], Mapping[UnitId, Sequence[Span]]] = dict
        self._next_s = float("-inf")
        self.marked = 0

    def take_up(self, planned: Callable[[], Mapping[UnitId, Sequence[Span]]]) -> None:
        """Where the plans are known."""
        self._planned, self._next_s = planned, float("-inf")

    def tick(self, now: Instant) -> None:
        """Look where something planned begins or ends."""
        if now.utc.timestamp() >= self._next_s:
            self.look(now)

    def soon(self) -> None:
        """Somebody has come on duty, or gone: look at the next tick."""
        self._next_s = float("-inf")

    def look(self, now: Instant) -> None:
        """The plans may have changed, or the time has come."""
        now_s = now.utc.timestamp()
        plans = self._planned()
        self._next_s = min((edge for spans in plans.values() for edge in _edges(spans, now_s)), default=float("inf"))
        self._next_s = min(self._next_s, now_s + LOOK_AGAIN_S)
        units = self._board.units
        over = {
            name for name, spans in plans.items() if (one := units.get(name)) is not None and _over(one, spans, now_s)
        }
        for name in {*over, *(name for name, one in units.items() if one.overtime)}:
            self._mark(units[name], overtime=name in over)
        self.marked = len(over - self._board.masked)

    def _mark(self, standing: Standing, *, overtime: bool) -> None:
        if standing.overtime == overtime:
            return
        standing.overtime = overtime
        self._board.touch(standing)
        if standing.known_duty:
            self._tell(standing)


def _edges(spans: Sequence[Span], now_s: float) -> list[float]:
    return [edge for span in spans for edge in span if edge > now_s]


def _over(standing: Standing, spans: Sequence[Span], now_s: float) -> bool:
    """Whether it has been on duty since before its plan ended."""
    begun = [span for span in spans if span[0] <= now_s]
    if standing.hidden or not begun or any(end > now_s for _, end in begun):
        return False
    return max(end for _, end in begun) > standing.on_since_s
