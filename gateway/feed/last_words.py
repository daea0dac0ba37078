"""What radios said last of their reach, for a restart. Never sent: off duty is private, to its radio too."""

from __future__ import annotations

from typing import Protocol

import msgspec

from gateway.feed.annals import Annals
from gateway.feed.hub import Hub
from gateway.feed.reach import Contact, ReachRecord
from gateway.feed.urgent_lines import UrgentRecord
from gateway.feed.wording import time_text


class Writes(Protocol):
    """What brings a record to disk."""

    def add(self, record: UrgentRecord) -> None:
        """As soon as the disk can."""
        ...


class LastWords:
    """One record a change; of a radio that is well again nothing stays but the word that it is."""

    def __init__(self, hub: Hub, annals: Annals, log: Writes) -> None:
        self._hub, self._annals, self._log = hub, annals, log

    def note(self, issi: int, contact: Contact | None) -> None:
        """How a radio is now; None for one that is forgotten."""
        key = f"reach {issi}"
        if contact is None:
            self._annals.drop(key)
            return
        seq = self._hub.sequence.next()
        content = ReachRecord(1, seq, issi, contact.unit, contact.reach, time_text(contact.heard_s))
        record = UrgentRecord(seq, "reach", key, contact.unit, msgspec.json.encode(content))
        self._annals.note(record)
        if contact.reach == "ok":
            self._annals.drop(key)
        self._log.add(record)
