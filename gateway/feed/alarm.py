"""The path of an emergency: to every consumer first, whatever else fails; shown and written down after.

Synchronous from end to end. Only numbering and a dictionary stand before the publication; all that looks
something up or draws something stands aside (`_aside`), so that its failure costs a detail and not the alarm.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from types import TracebackType

import msgspec
import structlog

from gateway.domain.events import EmergencyReport, PositionReport
from gateway.domain.ids import PersonId, UnitId
from gateway.domain.position import Fix
from gateway.domain.time import Instant
from gateway.feed import encode
from gateway.feed.annals import Annals
from gateway.feed.board import Board
from gateway.feed.emergencies import Emergencies, Emergency, EmergencyPlace, EmergencyRecord, Outcome
from gateway.feed.escalation import Escalation
from gateway.feed.hub import Hub
from gateway.feed.reported import usable
from gateway.feed.standing import EmergencyMark
from gateway.feed.urgent_lines import UrgentRecord
from gateway.feed.urgent_log import Keys, UrgentLog
from gateway.feed.wording import time_text
from gateway.ports import Directory, Resolved

_log = structlog.get_logger()
LAST_RESORT = 9000
PLACE_EVERY_S = 1.0
HIDDEN_EVERY_S = 5.0


def what_failed(error: Exception) -> str:
    """Which error, and where; no traceback is drawn while an alarm waits."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "?"
    return f"{type(error).__name__} at {where}"


class Aside:
    """Whatever goes wrong in here is counted and logged, and the alarm goes on."""

    def __init__(self, counts: Counter[str], what: str) -> None:
        self._counts, self._what = counts, what

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        """Only what ends the process passes."""
        if not isinstance(error, Exception):
            return False
        self._counts[f"emergency_faults_{self._what}"] += 1
        _log.error("a part of an emergency failed", part=self._what, problem=what_failed(error))
        return True


class Siren:
    """Whoever makes a noise in the control room: told of each emergency that nobody acknowledges, and when it is over.

    `heard` gets the word `raised`, `lasts` or `over` and the emergency as it stands.
    """

    def __init__(self) -> None:
        self.heard: Callable[[str, EmergencyRecord], None] = lambda _word, _record: None


class Alarm:
    """Raises, shows, acknowledges and ends emergencies."""

    def __init__(self, directory: Directory, board: Board, hub: Hub, log: UrgentLog, annals: Annals) -> None:
        self.emergencies = Emergencies()
        self.counts: Counter[str] = Counter()
        self._directory, self._board, self._hub = directory, board, hub
        self._log, self._annals = log, annals
        self._escalation = Escalation(board.settings.emergency_repeat_s, board.settings.emergency_alarm_s)
        self.unacknowledged = 0
        self.siren = Siren()
        self._sounding: set[str] = set()
        self._placed_s: dict[str, float] = {}
        self.left: Callable[[str, str], None] = lambda _unit, _reason: None

    def _aside(self, what: str) -> Aside:
        return Aside(self.counts, what)

    def raised(self, report: EmergencyReport, who: Resolved, *, journalled: bool) -> None:
        """Somebody pressed the button."""
        with self._aside("repetition"):
            if self.emergencies.redelivered(report, who):
                self.counts["emergencies_redelivered"] += 1
                return
        self.counts["emergencies"] += 1
        pressed: Emergency | None = None
        with self._aside("register"):
            pressed = self.emergencies.press(report, who, journalled=journalled)
        if pressed is None:
            self._last_resort(report, journalled=journalled)
            return
        # While the log refuses nothing is said to be kept; what waits for it is said to be when it is.
        pressed.kept = pressed.kept and not self._log.refusing
        with self._aside("unit"):
            pressed.unit = pressed.unit or self._unit_of(pressed.person)
        with self._aside("place"):
            pressed.place = self._place(report, who, pressed) or pressed.place
        self.announce(pressed)

    def _unit_of(self, person: str | None) -> str | None:
        unit = self._directory.unit_of(PersonId(person)) if person is not None else None
        return None if unit is None else unit.id

    def _place(self, report: EmergencyReport, who: Resolved, pressed: Emergency) -> EmergencyPlace | None:
        if report.fix is not None and usable(report.fix):
            return _placed(report.fix, report.stamp.at.timestamp())
        device = who.device or report.origin.device
        last = self._board.last_fix(pressed.unit, device)  # type: ignore[arg-type]
        return None if last is None else _placed(last.fix, last.fix_s)

    def announce(self, emergency: Emergency) -> None:
        """Out to everybody; then on its unit, then to disk."""
        record: UrgentRecord | None = None
        key = f"emergency {emergency.id}"
        with self._aside("encode"):
            make = lambda seq: encode.emergency(emergency, seq)  # noqa: E731
            record = self._hub.publish("emergency", key, emergency.unit, make)
        if record is None:
            with self._aside("plain"):
                record = self._hub.publish("emergency", key, None, lambda seq: _plain(emergency, seq))
        with self._aside("keep"):
            if record is not None:
                emergency.seq = record.seq
                self._annals.note(record, over=emergency.state == "cleared")
                self._log.add(record)
        with self._aside("show"):
            self._show(emergency.unit)

    def _show(self, unit: str | None) -> None:
        one = self.emergencies.of_unit(unit)
        mark = None if one is None else mark_of(one)
        standing = self._board.units.get(unit) if unit is not None else None  # type: ignore[call-overload]
        if standing is None:
            return
        was_shown = standing.on_feed
        self._board.set_emergency(standing.id, mark)
        if was_shown and not standing.on_feed:
            self.left(standing.id, "off_duty")

    def again(self, units: AbstractSet[str]) -> None:
        """Who may know whose it is has changed: tell each open emergency of these units once more."""
        for one in self.emergencies.open():
            if one.unit in units:
                self.announce(one)

    def show_all(self, now: Instant) -> None:
        """After a restart: put what is open back on its units; it has waited since it was raised."""
        for one in self.emergencies.open():
            self._escalation.waits_since(one.id, now.mono_s - max(0.0, now.utc.timestamp() - one.raised_s))
            self._show(one.unit)

    def _last_resort(self, report: EmergencyReport, *, journalled: bool) -> None:
        """Not even a number could be had: say that somebody pressed, and on what."""
        self.counts["emergency_last_resort"] += 1
        number = LAST_RESORT + self.counts["emergency_last_resort"]
        arrived = report.stamp.arrived.utc
        content = {
            "id": f"EM-{arrived:%Y%m%d}-{number:04d}",
            "state": "active",
            "raised_at": time_text(arrived.timestamp()),
            "person": None,
            "unit": None,
            "issi": report.origin.issi,
            "device": report.origin.device,
            "holder": "unknown",
            "triggers": [report.trigger],
            "presses": 1,
            "delivered": False,
            "acknowledged_by": None,
            "position": None,
            "journalled": journalled,
        }
        key = f"emergency {content['id']}"
        record = self._hub.publish("emergency", key, None, lambda seq: _json({"v": 1, "seq": seq, **content}))
        with self._aside("keep"):
            self._annals.note(record)
            self._log.add(record)
        with self._aside("siren"):
            # What is in no register can't be acknowledged: the control room is told at once, and by what is nearest.
            _log.critical("emergency_unregistered", emergency=content["id"], issi=report.origin.issi)
            told = {"v": 1, "seq": record.seq, **content}
            self.siren.heard("raised", msgspec.convert(told, EmergencyRecord))

    # --- afterwards

    def moved(self, report: PositionReport, who: Resolved) -> None:
        """Somebody in an emergency whom no unit shows (to everybody), or whose place was not known, is here."""
        found = self.emergencies.at(who.person, report.origin, who)
        fix, arrived_s = report.fix, report.stamp.arrived.mono_s
        if found is None or fix is None or not usable(fix) or report.late:
            return
        every_s = self._told_every_s(found)
        if found.place is not None and every_s is None:
            return
        if found.place is not None and arrived_s - self._placed_s.get(found.id, arrived_s) < (every_s or 0.0):
            self._placed_s.setdefault(found.id, arrived_s)
            return
        self._placed_s[found.id] = arrived_s
        found.place = _placed(fix, report.stamp.at.timestamp())
        self.announce(found)

    def _told_every_s(self, emergency: Emergency) -> float | None:
        """How often its place is told anew; None where its unit shows it, to everybody."""
        if emergency.unit is None:
            return PLACE_EVERY_S
        standing = self._board.units.get(UnitId(emergency.unit))
        away = standing is not None and not standing.roll.shows(emergency.person)
        return HIDDEN_EVERY_S if away or self._hub.sharing.hides(emergency.unit) else None

    def escalate(self, now: Instant) -> None:
        """What nobody acknowledges is sent again, and then said loudly for as long as that lasts."""
        due = self._escalation.due(self.emergencies.open(), now.mono_s)
        self.unacknowledged = due.unacknowledged
        for one in due.again:
            self.counts["emergencies_sent_again"] += 1
            self.announce(one)
        for one in due.loud:
            self.counts["emergency_alarms"] += 1
            _log.critical("emergency_unacknowledged", emergency=one.id, unit=one.unit, issi=one.issi)
            self._sound("lasts" if one.id in self._sounding else "raised", one.id)
        for number in due.quiet:
            self._sound("over", number)

    def _sound(self, word: str, number: str) -> None:
        with self._aside("siren"):
            (self._sounding.discard if word == "over" else self._sounding.add)(number)
            if (found := self.emergencies.known.get(number)) is not None:
                self.siren.heard(word, encode.emergency_record(found))

    def acknowledge(self, number: str, by: str) -> Emergency | None:
        """A named person has it in hand; None for one unknown or over."""
        return self._after(self.emergencies.acknowledge(number, by))

    def clear(self, number: str, by: str, outcome: Outcome) -> Emergency | None:
        """It is over; None for one unknown or over already."""
        self._placed_s.pop(number, None)
        return self._after(self.emergencies.clear(number, by, outcome))

    def delivered(self, number: str) -> Emergency | None:
        """A consumer's machine has it; said once."""
        found = self.emergencies.known.get(number)
        if found is None or found.delivered:
            return found
        found.delivered = True
        return self._after(found)

    def _after(self, emergency: Emergency | None) -> Emergency | None:
        if emergency is not None:
            self.announce(emergency)
        return emergency

    def journal_recovered(self) -> None:
        """The journal has the frames that it had refused: say so of those of which the contrary was said."""
        for one in list(self.emergencies.known.values()):
            if not one.journalled:
                one.journalled = True
                self.announce(one)

    def on_disk(self, keys: Keys) -> None:
        """The log has these now: say so of those of which the contrary was said."""
        self._mark_kept(keys, kept=True)

    def refused(self, keys: Keys) -> None:
        """The log could not take these: say so, once."""
        self._mark_kept(keys, kept=False)

    def _mark_kept(self, keys: Keys, *, kept: bool) -> None:
        for one in list(self.emergencies.known.values()):
            over = one.state == "cleared" and keys is None
            if one.kept != kept and not over and (keys is None or f"emergency {one.id}" in keys):
                one.kept = kept
                self.announce(one)


def mark_of(one: Emergency) -> EmergencyMark:
    """An emergency as its unit's feature shows it."""
    state = "active" if one.state == "active" else "acknowledged"
    raised_at = time_text(one.raised_s)
    return EmergencyMark(
        one.id, state, raised_at, one.acknowledged_by, one.person, tuple(one.triggers), one.presses, one.delivered
    )


def _placed(fix: Fix, at_s: float) -> EmergencyPlace:
    return EmergencyPlace(fix.latitude, fix.longitude, fix.accuracy_m, time_text(at_s))


def _plain(one: Emergency, seq: int) -> bytes:
    """An emergency whose record can't be made: what surely can be said of it."""
    content = {
        "v": 1,
        "seq": seq,
        "id": one.id,
        "state": one.state,
        "raised_at": time_text(one.raised_s),
        "person": one.person,
        "unit": one.unit,
        "issi": one.issi,
        "triggers": one.triggers,
        "presses": one.presses,
        "delivered": one.delivered,
        "acknowledged_by": one.acknowledged_by,
        "position": None,
        "journalled": one.journalled and one.kept,
    }
    return _json(content)


def _json(content: dict[str, object]) -> bytes:
    """Anything at all as one line of JSON."""
    return json.dumps(content, default=str, separators=(",", ":")).encode()
