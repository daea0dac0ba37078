"""What officers say besides their duty: messages and texts, and test statuses. Told to everybody, kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from gateway.domain.events import StatusReport, TextReport
from gateway.feed import encode
from gateway.feed.annals import Annals
from gateway.feed.messages import Message, Messages
from gateway.feed.proofs import Proofs
from gateway.feed.urgent_lines import UrgentEvent
from gateway.ports import Resolved


class Tell(Protocol):
    """Sends an urgent record to everybody whom it concerns, then to disk."""

    def __call__(self, event: UrgentEvent, key: str, unit: str | None, make: Callable[[int], bytes]) -> None:
        """Now."""
        ...


class Letters:
    """Messages and proofs, and the word of each."""

    def __init__(self, kept: int, annals: Annals, tell: Tell) -> None:
        self.messages, self.proofs = Messages(kept), Proofs()
        self._kept, self._annals, self._tell = kept, annals, tell

    def message(self, report: StatusReport | TextReport, who: Resolved) -> None:
        """A status 12 to 16, one that no table knows, or a text."""
        message = self.messages.add(report, who)
        self._annals.drop(f"message {message.id - self._kept}")
        self._told(message)

    def _told(self, message: Message) -> None:
        self._tell("message", f"message {message.id}", message.unit, lambda seq: encode.message(message, seq))

    def deal(self, number: int, by: str, at_s: float) -> Message | None:
        """A named person has dealt with it; told once. None for one unknown."""
        found, news = self.messages.deal(number, by, at_s)
        if found is not None and news:
            self._told(found)
        return found

    def prove(self, report: StatusReport, who: Resolved) -> None:
        """A test status has come the way that an emergency would."""
        proof, gone = self.proofs.prove(report, who)
        self._annals.drop(f"proven {gone}")
        if proof is not None:
            self._tell("proven", f"proven {proof.issi}", proof.unit, lambda seq: encode.proven(proof, seq))
