"""Who booked off and is booked on again is on duty, from that booking on: a card, a code or a desk says so. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.domain.time import Instant
from gateway.feed.board import Board
from gateway.feed.duties import Duties
from gateway.feed.duty import ON_DUTY
from gateway.feed.standing import Standing


class BookedOn:
    """Looks whenever the roster is looked at. `since`: when each holder (person or unit) was last booked on."""

    def __init__(self, board: Board, duties: Duties) -> None:
        self._board, self._duties = board, duties
        self.since: Callable[[], Mapping[str, float]] = dict

    def look(self, now: Instant) -> None:
        """Bring back whoever was booked on after they booked off."""
        since = self.since()
        if not since:
            return
        now_s = now.utc.timestamp()
        for standing in list(self._board.units.values()):
            if standing.hidden or standing.off:
                self._look(standing, since, now_s)

    def _look(self, standing: Standing, since: Mapping[str, float], now_s: float) -> None:
        unit = standing.roll.unit
        if standing.hidden:
            latest_s = max(since.get(holder, float("-inf")) for holder in (unit.id, *unit.members))
            if standing.duty_s < latest_s <= now_s:
                self._duties.set(unit.id, ON_DUTY, latest_s, "derived")
            return
        for person, off_s in list(standing.off.items()):
            if off_s < (at_s := since.get(person, float("-inf"))) <= now_s:
                self._duties.back(standing, person, at_s)
