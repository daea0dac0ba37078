"""Messages from officers: statuses 12 to 16, unknown ones, and texts; bounded, with who dealt with each. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from gateway.domain.events import StatusReport, TextReport
from gateway.feed.duty import MESSAGES
from gateway.feed.wording import time_text
from gateway.ports import Resolved


class Message(msgspec.Struct):
    """One message; code and value for a status, text for a text."""

    id: int
    at: str
    kind: Literal["status", "text"]
    code: int | None
    value: int | None
    meaning: str | None
    text: str | None
    unit: str | None
    person: str | None
    issi: int | None
    device: str | None
    dealt_with_by: str | None = None


class Messages:
    """The newest of them."""

    def __init__(self, kept: int) -> None:
        self._kept, self._next = kept, 1
        self._all: dict[int, Message] = {}

    def add(self, report: StatusReport | TextReport, who: Resolved) -> Message:
        """Take one up."""
        status = report if isinstance(report, StatusReport) else None
        message = Message(
            self._next,
            time_text(report.stamp.at.timestamp()),
            "status" if status else "text",
            status.code if status else None,
            status.value if status else None,
            MESSAGES.get(status.code, "unknown") if status and status.code is not None else None,
            report.text if isinstance(report, TextReport) else None,
            who.unit,
            who.person,
            who.issi if who.issi is not None else report.origin.issi,
            who.device or report.origin.device,
        )
        self._next += 1
        self._all[message.id] = message
        if len(self._all) > self._kept:
            del self._all[next(iter(self._all))]
        return message

    def all(self) -> tuple[Message, ...]:
        """Oldest first."""
        return tuple(self._all.values())

    def deal(self, number: int, by: str) -> Message | None:
        """Somebody has dealt with it; the first name stays. None for one unknown."""
        message = self._all.get(number)
        if message is not None and message.dealt_with_by is None:
            message.dealt_with_by = by
        return message
