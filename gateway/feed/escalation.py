"""What becomes of an emergency that nobody acknowledges: said again, then said loudly. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.feed.emergencies import Emergency


class Due(msgspec.Struct, frozen=True):
    """What is due now: to be sent again, to be said loudly, loud no longer; and how many have waited too long."""

    again: tuple[Emergency, ...] = ()
    loud: tuple[Emergency, ...] = ()
    unacknowledged: int = 0
    quiet: tuple[str, ...] = ()


class Escalation:
    """Counts from the first turn at which an emergency is seen to stand open; monotonic seconds.

    One from before a restart has waited since it was raised: nobody gets his time anew because we were away.
    """

    def __init__(self, again_s: float, loud_s: float) -> None:
        self._again_s, self._loud_s = again_s, loud_s
        self._since_s: dict[str, float] = {}
        self._sent: set[str] = set()
        self._said: dict[str, int] = {}

    def waits_since(self, number: str, since_s: float) -> None:
        """This one has stood open for longer than we have been here."""
        self._since_s[number] = since_s

    def due(self, opened: Sequence[Emergency], now_s: float) -> Due:
        """Look at all that are open. Sent again once; loud every `loud_s` until somebody acknowledges."""
        waiting = {one.id: one for one in opened if one.state == "active"}
        quiet = self._forget(waiting)
        waited_s = {number: now_s - self._since_s.setdefault(number, now_s) for number in waiting}
        again = [one for number, one in waiting.items() if waited_s[number] >= self._again_s and self._first(number)]
        loud = [one for number, one in waiting.items() if self._louder(number, waited_s[number])]
        over = sum(waited >= self._loud_s for waited in waited_s.values())
        return Due(tuple(again), tuple(loud), over, quiet)

    def _forget(self, waiting: dict[str, Emergency]) -> tuple[str, ...]:
        quiet = []
        for number in sorted(self._since_s.keys() - waiting.keys()):
            del self._since_s[number]
            self._sent.discard(number)
            if self._said.pop(number, 0):
                quiet.append(number)
        return tuple(quiet)

    def _first(self, number: str) -> bool:
        known = number in self._sent
        self._sent.add(number)
        return not known

    def _louder(self, number: str, waited_s: float) -> bool:
        times = int(waited_s // self._loud_s)
        before, self._said[number] = self._said.get(number, 0), times
        return times > before
