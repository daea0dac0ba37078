"""An officer's radio out on the network: its screen, its location reporting and what the officer does; no clock."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from firmware_stubs import lip
from firmware_stubs.dialects import Dialect
from firmware_stubs.lip_orders import Ask, Order, Trigger, answer_hex, distance_m, interval_s, read_order
from firmware_stubs.replies import CONSUMED_AFTER_S, RECEIVED_AFTER_S, TASK_ANSWERS
from firmware_stubs.sds import (
    AI_SDS4,
    CONSUMED,
    RECEIVED,
    Downlink,
    Frame,
    delivery_report,
    emergency,
    short_delivery_report,
    status,
)
from firmware_stubs.texts import Inbox
from firmware_stubs.walk import EARTH_M_PER_DEG, Place

REPORTING, BACKLOG = 0x80, 0x40
LIP_ANSWER_S = 1.0
DONE, NO_SUCH_TRIGGER, NOT_SUPPORTED = 0, 21, 11
LEAST_INTERVAL_STEP_S = 10
MAX_INTERVAL, MAX_DISTANCE = 129, 130
SUPPORTED = {int(lip.Reason.EMERGENCY), MAX_INTERVAL, MAX_DISTANCE}
OUT_OF_REACH = {lip.Reason.OFF, lip.Reason.DMO_ON, lip.Reason.SERVICE_LOSS}


@dataclass(frozen=True)
class Habits:
    """What the officer does: seconds until read, statuses to a task as (seconds, code), base value of the codes."""

    answers: Sequence[tuple[float, int]] = TASK_ANSWERS
    status_base: int = 0x8000
    received_after_s: float = RECEIVED_AFTER_S
    consumed_after_s: float = CONSUMED_AFTER_S
    outcome: int = RECEIVED
    wants_acks: bool = False
    """Whether the radio asks for an acknowledgement of its delivery reports and long location reports."""


def lip_frame(issi: int, report: lip.ShortReport, dialect: Dialect, kind: str = "lip") -> Frame:
    """A location report as a terminal of this make hands it on."""
    return Frame(kind, issi, AI_SDS4, lip.short_report_hex(report, dialect.lip_digits), dialect.stated_lip_bits)


class Handset:
    """One radio with memory. `receive`, `move` and the presses put what it sends on its schedule; `due` gives it."""

    def __init__(self, issi: int, dialect: Dialect, habits: Habits, triggers: Sequence[Trigger] = ()) -> None:
        self.issi, self._dialect, self.habits = issi, dialect, habits
        self.screen: list[str] = []
        self.on_screen: Callable[[str, int | None], None] = lambda _text, _reference: None
        self.reports: list[tuple[int, int]] = []
        self.acknowledged: list[tuple[int, int] | None] = []
        self.on_acknowledged: Callable[[int | None, int | None], None] = lambda _reference, _outcome: None
        self.on_report: Callable[[int, int], None] = lambda _reference, _outcome: None
        self.triggers = {trigger.kind: trigger for trigger in triggers}
        self.reporting = True
        self.reachable = True
        self.report_type = lip.SHORT_TYPE
        self.least_interval = 0
        self._inbox = Inbox()
        self._place: Place | None = None
        self._reported_at: float | None = None
        self._reported_from: Place | None = None
        self._schedule: list[tuple[float, Frame | Callable[[datetime], Frame]]] = []
        self._plan = 0

    def receive(self, down: Downlink, now: float) -> None:
        """Short data for this radio: a text for the screen, an order for its location reporting."""
        if not self.reachable:
            return
        order = read_order(down.octets, down.bits) if down.protocol == lip.PID_LIP else None
        if order is not None:
            self._obey(order, now)
            return
        if down.acknowledgement is not None:
            self._acknowledged(down.acknowledgement)
            return
        if down.report is not None:
            self.reports.append(down.report)
            self.on_report(*down.report)
            return
        text = self._inbox.read(down) if self.habits.outcome in {RECEIVED, CONSUMED} else None
        self._acknowledge(down, now)
        if text is not None:
            self.screen.append(text)
            self.on_screen(text, down.reference)
            if down.reference is not None:
                self._answer_task(now)

    def move(self, place: Place, now: float) -> None:
        """The officer is somewhere else now; triggers fire by time and by distance."""
        self._place = place
        if self._reported_at is None:
            self._reported_at, self._reported_from = now, place
        if not (self.reporting and self.reachable):
            return
        waited_s = now - self._reported_at
        if waited_s < self.least_interval * LEAST_INTERVAL_STEP_S:
            return
        interval, distance = self.triggers.get(MAX_INTERVAL), self.triggers.get(MAX_DISTANCE)
        if interval is not None and waited_s >= interval_s(interval.parameter):
            self._fire(interval, now)
        elif distance is not None and self._moved_m(place) >= distance_m(distance.parameter):
            self._fire(distance, now)

    def report_place(self, now: float) -> None:
        """A long report without anybody's asking."""
        self._later(now, lambda moment: self._report(lip.Reason.STATUS, moment, style=lip.DATED_TYPE))

    def press_emergency(self, now: float) -> None:
        """The orange button: the emergency status, and a report where that trigger is set."""
        self._later(now, emergency(self.issi))
        trigger = self.triggers.get(lip.Reason.EMERGENCY)
        if trigger is not None and self.reporting:
            self._fire(trigger, now, "lip_emergency")

    def press_status(self, code: int, now: float) -> None:
        """One of the force's numbered statuses."""
        self._later(now, status(self.issi, self.habits.status_base + code))

    def change_reach(self, reason: lip.Reason, now: float) -> None:
        """Switched off or on, out of service or back, in direct mode: a last or first report says so."""
        self.reachable = reason not in OUT_OF_REACH
        self._later(now, lambda _moment: self._report(reason))

    def due(self, now: float, moment: datetime) -> list[Frame]:
        """What this radio sends by now, in the order in which it fell due."""
        ripe = sorted((each for each in self._schedule if each[0] <= now), key=lambda each: each[0])
        self._schedule = [each for each in self._schedule if each[0] > now]
        return [what if isinstance(what, Frame) else what(moment) for _, what in ripe]

    def _later(self, due: float, what: Frame | Callable[[datetime], Frame]) -> None:
        self._schedule.append((due, what))

    def _acknowledge(self, down: Downlink, now: float) -> None:
        """Delivery reports as the sender asked for them, standard or short (clause 29.4.2)."""
        reference, habits = down.reference, self.habits
        if reference is None:
            return

        def report(outcome: int) -> Frame:
            if down.short_form and not habits.wants_acks and outcome in {RECEIVED, CONSUMED}:
                return short_delivery_report(self.issi, reference, outcome)
            return delivery_report(self.issi, reference, outcome, down.octets[0], wants_ack=habits.wants_acks)

        if habits.outcome not in {RECEIVED, CONSUMED}:
            if down.report_request:
                self._later(now + habits.received_after_s, report(habits.outcome))
            return
        if down.report_request & 1:
            self._later(now + habits.received_after_s, report(RECEIVED))
        if down.report_request & 2:
            self._later(now + habits.consumed_after_s, report(CONSUMED))

    def _acknowledged(self, of: tuple[int, int] | None) -> None:
        """Reference and outcome of a delivery report; None is of a location report, which has no number."""
        self.acknowledged.append(of)
        self.on_acknowledged(*(of or (None, None)))

    def _answer_task(self, now: float) -> None:
        for delay_s, code in self.habits.answers:
            self._later(now + delay_s, status(self.issi, self.habits.status_base + code))

    def _moved_m(self, place: Place) -> float:
        if self._reported_from is None:
            return 0.0
        north = (place.latitude - self._reported_from.latitude) * EARTH_M_PER_DEG
        east = (place.longitude - self._reported_from.longitude) * EARTH_M_PER_DEG
        return math.hypot(north, east * math.cos(math.radians(place.latitude)))

    def _fire(self, trigger: Trigger, now: float, kind: str = "lip") -> None:
        """A report for a trigger; one that is not recurring has done its work."""
        self._reported_at, self._reported_from = now, self._place
        if not trigger.recurring:
            del self.triggers[trigger.kind]
        self._later(now, lambda moment: self._report(trigger.kind, moment, kind))

    def _report(
        self, reason: int, moment: datetime | None = None, kind: str = "lip", style: int | None = None
    ) -> Frame:
        style, place = self.report_type if style is None else style, self._place
        if place is None:
            return lip_frame(self.issi, lip.no_fix(reason), self._dialect, "lip_no_fix")
        report = lip.ShortReport(
            place.latitude,
            place.longitude,
            lip.speed_code(place.speed_mps),
            lip.direction_code(place.heading_deg),
            reason=reason,
        )
        if style == lip.SHORT_TYPE:
            return lip_frame(self.issi, report, self._dialect, kind)
        dated = moment if style == lip.DATED_TYPE else None
        digits, bits = lip.long_report_hex(
            report, dated, elapsed=style == lip.ELAPSED_TYPE, wants_ack=self.habits.wants_acks
        )
        return Frame(kind, self.issi, AI_SDS4, digits, bits)

    def _obey(self, order: Order, now: float) -> None:
        """Requests of clause 6.2: what they change, and the answer where one is wanted."""
        if order.ask is Ask.ACKNOWLEDGEMENT:
            self._acknowledged(None)
            return
        if order.ask is Ask.IMMEDIATE:
            style = order.report_type
            response = lip.Reason.IMMEDIATE_RESPONSE
            self._later(now + LIP_ANSWER_S, lambda moment: self._report(response, moment, style=style))
            return
        result = self._change(order, now)
        if order.wants_answer:
            digits, bits = self._answer(order.ask, result)
            self._later(now + LIP_ANSWER_S, Frame("lip_answer", self.issi, AI_SDS4, digits, bits))

    def _change(self, order: Order, now: float) -> int:
        if order.ask is Ask.ADD_TRIGGER:
            return self._add(order, now)
        if order.ask is Ask.REMOVE_TRIGGER:
            return self._remove(order)
        if order.ask is Ask.BASIC_PARAMETERS:
            self.least_interval, self.report_type = order.least_interval, order.report_type
        elif order.ask is Ask.ENABLE:
            self.reporting = bool(order.flags & REPORTING)
        return DONE if order.ask is not Ask.TEMPORARY else NOT_SUPPORTED

    def _add(self, order: Order, now: float) -> int:
        self.report_type = order.report_type
        known = [trigger for trigger in order.triggers if trigger.kind in SUPPORTED]
        for trigger in known:
            self.triggers[trigger.kind] = replace(trigger)
            self._reported_at = now if self._place is not None else None
        return DONE if len(known) == len(order.triggers) else NOT_SUPPORTED

    def _remove(self, order: Order) -> int:
        """Specific ones by their kind, all where none is named."""
        if None in order.removals:
            self.triggers.clear()
            return DONE
        missing = [kind for kind in order.removals if kind is not None and self.triggers.pop(kind, None) is None]
        return NO_SUCH_TRIGGER if missing else DONE

    def _answer(self, ask: Ask, result: int) -> tuple[str, int]:
        flags, style = (REPORTING if self.reporting else 0), self.report_type
        told = tuple(self.triggers[kind] for kind in sorted(self.triggers))
        if ask in {Ask.BASIC_PARAMETERS, Ask.TELL_BASIC}:
            return answer_hex(ask, ((result, 8), (flags, 8), (self.least_interval, 7), (style, 2)))
        if ask is Ask.TELL_TRIGGERS:
            return answer_hex(ask, ((result, 8), (flags, 8), (style, 2)), told)
        if ask is Ask.ADD_TRIGGER:
            return answer_hex(ask, ((result, 8), (style, 2)), told)
        if ask is Ask.ENABLE:
            return answer_hex(ask, ((flags, 8),))
        return answer_hex(ask, ((result, 8),))
