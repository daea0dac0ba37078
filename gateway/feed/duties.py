"""Who is on what duty: a status from a radio or the control room, taken once, told at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from gateway.domain.events import StatusReport
from gateway.domain.ids import UnitId
from gateway.errors import RefusedError
from gateway.feed import encode
from gateway.feed.board import Board
from gateway.feed.duty import BACK_ON_DUTY, OFF_DUTY, STATES, DutySource
from gateway.feed.hub import Hub
from gateway.feed.overtime import Overtime
from gateway.feed.standing import Standing
from gateway.feed.urgent_lines import UrgentEvent
from gateway.ports import Bookings, Clock, Resolved


class Tell(Protocol):
    """Send a record to everybody whom it concerns, and write it down."""

    def __call__(self, event: UrgentEvent, key: str, unit: str | None, make: Callable[[int], bytes]) -> None:
        """The record is made with the number that it gets."""


class Duties:
    """Changes of duty. `leave` tells consumers that a unit is no longer shown, and why."""

    def __init__(self, board: Board, hub: Hub, tell: Tell, leave: Callable[[str, str], None], clock: Clock) -> None:
        self._board, self._hub, self._tell, self._leave, self._clock = board, hub, tell, leave, clock
        self.counts: Counter[str] = Counter()
        self.bookings: Bookings | None = None
        self.overtime: Overtime | None = None

    def heard(self, report: StatusReport, code: int, who: Resolved) -> bool:
        """A status from a radio; False where no unit is known. Of a crew whoever sends 11 books off alone."""
        standing = self._board.units.get(who.unit) if who.unit is not None else None
        at_s = report.stamp.at.timestamp()
        late = standing is not None and not self._not_late(standing, at_s)
        if standing is not None and not self._one(standing, who.person if not late else None, code, at_s):
            self.set(standing.id, code, at_s, "sds_status")
        if self.bookings is not None and not late:
            self.bookings.heard(report, who)
        return standing is not None

    def _one(self, standing: Standing, person: str | None, code: int, at_s: float) -> bool:
        """Whether this was all about one of several: the last of them takes the unit along."""
        if person is not None and code in BACK_ON_DUTY:
            self.back(standing, person, at_s)
        if person is None or code != OFF_DUTY or not self._board.members.book_off(standing, person, at_s):
            return False
        self.counts["members_off"] += 1
        self._board.forget_person(standing, person, self._clock.now())
        self.tell(standing)
        return True

    def back(self, standing: Standing, person: str, at_s: float) -> None:
        """A member of those who had booked off is at work again."""
        if self._board.members.book_on(standing, person, at_s):
            self.counts["members_back"] += 1
            self.tell(standing)

    @staticmethod
    def _not_late(standing: Standing, at_s: float) -> bool:
        return not standing.known_duty or at_s >= standing.duty_s

    def set(
        self, unit: UnitId, code: int, at_s: float, source: DutySource, incident: str | None = None
    ) -> Standing | None:
        """Take a status of that time (seconds since 1970) unless a later one stands; None for no such unit."""
        standing = self._board.units.get(unit)
        if standing is None:
            return None
        if not self._not_late(standing, at_s):
            self.counts["status_late"] += 1
            return standing
        if standing.known_duty and (standing.duty.code, standing.duty.incident) == (code, incident):
            self.counts["status_repeated"] += 1
            return standing
        self.counts["statuses"] += 1
        was_shown, was_hidden = standing.on_feed, standing.hidden
        self._board.set_duty(unit, code, at_s, source, incident)
        self.tell(standing)
        if was_shown and not standing.on_feed:
            self._leave(unit, "off_duty")
        if was_hidden != standing.hidden and self.overtime is not None:
            self.overtime.soon()
        return standing

    def tell(self, standing: Standing) -> None:
        """Its record and its feature, in one flush."""
        self._tell("duty", f"duty {standing.id}", standing.id, lambda seq: encode.duty(standing, seq))
        standing.duty_seq = self._hub.sequence.last
        self._hub.show(standing, self._clock.now())

    def remark(self, standing: Standing) -> None:
        """Its duty is as it was, its mark is not: who has seen the duty has seen what counts (`duty_seq` stays)."""
        self._tell("duty", f"duty {standing.id}", standing.id, lambda seq: encode.duty(standing, seq))
        self._hub.show(standing, self._clock.now())

    def set_by_hand(self, unit: UnitId, code: int, incident: str | None, person: str | None = None) -> bool:
        """The control room's word; False for no such unit, RefusedError 422 for no such state or member."""
        if not 0 < code < len(STATES):
            raise RefusedError(422, f"{code} is no duty state (1..{len(STATES) - 1})")
        standing = self._board.units.get(unit)
        if standing is None:
            return False
        # The latest act wins: a radio's clock that is ahead of ours must not make ours the earlier one.
        at_s = max(self._clock.now().utc.timestamp(), standing.duty_s)
        if person is None or not self._one_by_hand(standing, person, code, at_s):
            self.set(unit, code, at_s, "api", incident)
        if code == OFF_DUTY and self.bookings is not None:
            self.bookings.booked_off(unit, person, "control room")
        return True

    def _one_by_hand(self, standing: Standing, person: str, code: int, at_s: float) -> bool:
        """Whether a word about one member was about them alone."""
        if person not in standing.roll.unit.members:
            raise RefusedError(422, f"{person!r} is no member of {standing.id}")
        if code != OFF_DUTY and code not in BACK_ON_DUTY:
            raise RefusedError(422, f"{code} is a state of the unit, not of one member")
        return self._one(standing, person, code, at_s) or code in BACK_ON_DUTY
