"""Messages from officers: statuses 12 to 16, unknown ones, and texts; bounded, with who dealt with each. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from gateway.domain.events import ReadReceipt, StatusReport, TextReport
from gateway.feed.duty import MESSAGES
from gateway.feed.wording import time_text
from gateway.ports import Resolved


class Message(msgspec.Struct):
    """One message; code and value for a status, text for a text; receipt where its sender waits for our word."""

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
    dealt_at: str | None = None
    receipt: ReadReceipt | msgspec.UnsetType = msgspec.UNSET


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
            receipt=report.receipt or msgspec.UNSET if isinstance(report, TextReport) else msgspec.UNSET,
        )
        self._keep(message)
        return message

    def _keep(self, message: Message) -> None:
        self._all[message.id] = message
        self._next = max(self._next, message.id + 1)
        if len(self._all) > self._kept:
            del self._all[min(self._all)]

    def restore(self, message: Message) -> None:
        """Take up one that was recorded before; later records of the same one replace it."""
        self._keep(message)

    def skip_to_next(self, step: int) -> None:
        """After a kill or a damaged log go on at the next so many: a number must never name two messages."""
        self._next = (self._next // step + 1) * step

    def all(self) -> tuple[Message, ...]:
        """Oldest first."""
        return tuple(self._all[number] for number in sorted(self._all))

    def deal(self, number: int, by: str, at_s: float) -> tuple[Message | None, bool]:
        """Somebody has dealt with it; the first name stays. None for one unknown; True where that is news."""
        message = self._all.get(number)
        if message is None or message.dealt_with_by is not None:
            return message, False
        message.dealt_with_by, message.dealt_at = by, time_text(at_s)
        return message, True
