"""What a restart needs of the urgent records: the latest state of each unit and emergency, and how to take it up."""

from __future__ import annotations

import msgspec

from gateway.domain.ids import UnitId
from gateway.domain.time import from_rfc3339
from gateway.feed import urgent_lines
from gateway.feed.board import Board
from gateway.feed.duty import STATES, DutyRecord
from gateway.feed.emergencies import Emergencies, EmergencyRecord
from gateway.feed.hub import Hub
from gateway.feed.urgent_lines import Restored, UrgentRecord


class Annals:
    """Follows every urgent record; `image` is a log that says all that is still of use."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._latest: dict[str, UrgentRecord] = {}
        self._last_emergency: UrgentRecord | None = None
        self.epoch = ""
        self.unreadable = 0

    def note(self, record: UrgentRecord, *, over: bool = False) -> None:
        """This is the latest of its key; what is over needs no remembering."""
        if record.event == "emergency":
            self._last_emergency = record
        if over or record.event == "removed":
            self._latest.pop(record.key, None)
        else:
            self._latest[record.key] = record

    def forget(self, unit: str) -> None:
        """The roster no longer has this unit."""
        self._latest.pop(f"duty {unit}", None)

    def image(self) -> bytes:
        """The whole log anew: states up to the horizon, every record behind it."""
        hub, states = self._hub, list(self._latest.values())
        if self._last_emergency is not None:
            states.append(self._last_emergency)
        before = {record.seq: record for record in states if record.seq <= hub.horizon}
        self.epoch = hub.sequence.epoch
        return urgent_lines.image(self.epoch, hub.horizon, [*(before[seq] for seq in sorted(before)), *hub.kept])

    def restore(self, restored: Restored, board: Board, emergencies: Emergencies) -> None:
        """Take up duty states and emergencies; where the log is whole, its records for those who resume."""
        for record in restored.records:
            try:
                self._take_up(record, board, emergencies)
            except (msgspec.DecodeError, ValueError):
                self.unreadable += 1
                continue
            if restored.whole and record.seq > restored.horizon:
                self._hub.keep(record)
        self._hub.horizon = max(self._hub.horizon, restored.horizon)

    def _take_up(self, record: UrgentRecord, board: Board, emergencies: Emergencies) -> None:
        if record.event == "emergency":
            content = msgspec.json.decode(record.payload, type=EmergencyRecord)
            raised = emergencies.restore(content, from_rfc3339(content.raised_at).timestamp())
            self.note(record, over=raised.state == "cleared")
        elif record.event == "duty":
            duty = msgspec.json.decode(record.payload, type=DutyRecord)
            if 0 < duty.code < len(STATES):
                since_s = from_rfc3339(duty.since).timestamp()
                board.set_duty(UnitId(duty.unit), duty.code, since_s, duty.source, duty.incident)
            self.note(record)
