"""What a restart needs of the urgent records: the latest state of each unit and emergency, and how to take it up."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from gateway.domain.ids import UnitId
from gateway.domain.time import from_rfc3339
from gateway.feed import urgent_lines
from gateway.feed.board import Board
from gateway.feed.duty import STATES, DutyRecord
from gateway.feed.emergencies import CLEARED_KEPT, Emergencies, EmergencyRecord
from gateway.feed.hub import Hub
from gateway.feed.messages import Message, Messages
from gateway.feed.proofs import Proof, Proofs
from gateway.feed.reach import Contacts, ReachRecord
from gateway.feed.restated import Restated
from gateway.feed.urgent_lines import Restored, UrgentRecord


class Known(NamedTuple):
    """Those who take up again what they knew."""

    board: Board
    emergencies: Emergencies
    messages: Messages
    proofs: Proofs
    contacts: Contacts


class Annals:
    """Follows every urgent record; `image` is a log that says all that is still of use."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._latest: dict[str, UrgentRecord] = {}
        self._last_emergency: UrgentRecord | None = None
        self._over: dict[str, UrgentRecord] = {}
        self.epoch = ""
        self.unreadable = 0

    def note(self, record: UrgentRecord, *, over: bool = False) -> None:
        """This is the latest of its key; of emergencies that are over the newest are remembered."""
        if record.event == "emergency":
            self._last_emergency = record
        if record.event == "removed":
            self._latest.pop(record.key, None)
        elif over:
            self._latest.pop(record.key, None)
            self._over[record.key] = record
            if len(self._over) > CLEARED_KEPT:
                del self._over[next(iter(self._over))]
        else:
            self._latest[record.key] = record

    def forget(self, unit: str) -> None:
        """The roster no longer has this unit."""
        self.drop(f"duty {unit}")

    def drop(self, key: str) -> None:
        """What this key names is no longer known."""
        self._latest.pop(key, None)

    def image(self) -> bytes:
        """The whole log anew: states up to the horizon, every record behind it."""
        hub, states = self._hub, [*self._latest.values(), *self._over.values()]
        if self._last_emergency is not None:
            states.append(self._last_emergency)
        quiet = [record for record in states if record.seq <= hub.horizon or record.event == "reach"]
        every = {record.seq: record for record in (*quiet, *hub.kept)}
        self.epoch = hub.sequence.epoch
        return urgent_lines.image(self.epoch, hub.horizon, [every[seq] for seq in sorted(every)])

    def restore(self, restored: Restored, known: Known) -> None:
        """Take up what is known; where the log is whole, also its records for those who resume."""
        for record in restored.records:
            try:
                self._take_up(record, known)
            except (msgspec.DecodeError, ValueError):
                self.unreadable += 1
                continue
            if restored.whole and record.seq > restored.horizon and record.event != "reach":
                self._hub.keep(record)
        self._hub.horizon = max(self._hub.horizon, restored.horizon)
        on_disk = [record.seq for record in restored.records]
        self._hub.again = Restated(on_disk, self._hub.sequence, known.board, known.emergencies).behind

    def _take_up(self, record: UrgentRecord, known: Known) -> None:
        if record.event == "emergency":
            content = msgspec.json.decode(record.payload, type=EmergencyRecord)
            raised = known.emergencies.restore(content, from_rfc3339(content.raised_at).timestamp())
            self.note(record, over=raised.state == "cleared")
        elif record.event == "duty":
            duty = msgspec.json.decode(record.payload, type=DutyRecord)
            if 0 < duty.code < len(STATES):
                _on_duty(known.board, duty)
            self.note(record)
        elif record.event == "message":
            known.messages.restore(msgspec.json.decode(record.payload, type=Message))
            self.note(record)
        elif record.event == "proven":
            known.proofs.restore(msgspec.json.decode(record.payload, type=Proof))
            self.note(record)
        elif record.event == "reach":
            known.contacts.restore(msgspec.json.decode(record.payload, type=ReachRecord))
            self.note(record)


def _on_duty(board: Board, duty: DutyRecord) -> None:
    since_s = from_rfc3339(duty.since).timestamp()
    standing = board.set_duty(UnitId(duty.unit), duty.code, since_s, duty.source, duty.incident)
    if standing is not None:
        standing.duty_seq, standing.overtime = duty.seq, duty.overtime
        if isinstance(duty.booked_on, str):
            standing.on_since_s = from_rfc3339(duty.booked_on).timestamp()
        for person, at in (duty.booked_off or {}).items():
            board.members.book_off(standing, person, from_rfc3339(at).timestamp())
