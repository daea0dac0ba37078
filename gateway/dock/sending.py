"""The conversation about one recording as its sender leads it: what to say next, what an answer means.

Sans-IO: answers and times in, commands out. Whatever is lost on the way (a command, an answer, a connection, the
gateway), asking again is always right; nothing but a receipt ends it, and whether that holds is not judged here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from gateway.domain.evidence import Range

MIB = 1024 * 1024
OK, RESEND, NOT_NOW = 0x00, 0x10, 0x97
PATIENCE_S = 6.0
SHORT_REST_S, LONG_REST_S = 1.0, 60.0
BURST_PIECES = 16
LISTED_MAX = 1000
"""An answer lists so many missing ranges at most; with as many, there may be more."""

Step = Literal["init", "pieces", "status", "fin", "abort", "done"]


class Words(msgspec.Struct, frozen=True):
    """A command to publish: the levels behind the recording's, and its payload."""

    suffix: str
    payload: bytes = b""


class Piece(msgspec.Struct, frozen=True):
    """A part of the file to publish."""

    start: int
    end: int


Command = Words | Piece


class Answer(msgspec.Struct, frozen=True):
    """What the gateway says on the response topic; unknown keys are ignored."""

    recording: str
    topic: str | None = None
    reason_code: int = 0
    reason_description: str = ""
    window_bytes: int | None = None
    durable: list[Range] | None = None
    missing: list[Range] | None = None
    retry_after_s: float | None = None
    receipt: dict[str, Any] | None = None


_answers = msgspec.json.Decoder(Answer)


def read_answer(payload: bytes) -> Answer | None:
    """Read an answer; None for what is none."""
    try:
        return _answers.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


class Sending:
    """One recording on its way out; what is in flight never exceeds the window."""

    def __init__(self, size: int, sha256: str, init: bytes, segment_bytes: int = MIB) -> None:
        self.size, self.sha256 = size, sha256
        self.receipt: dict[str, Any] | None = None
        self.problem: str | None = None
        self.durable: list[Range] = []
        self._init, self._segment_bytes, self._window_bytes = init, segment_bytes, segment_bytes
        self._step: Step = "init"
        self._asked_s: float | None = None
        self._heard_s = self._rest_until_s = float("-inf")
        self._out: dict[int, int] = {}
        self._conflicts = 0

    @property
    def durable_bytes(self) -> int:
        """How much the gateway has called durable."""
        return sum(end - start for start, end in self.durable)

    # --- out --------------------------------------------------------------------------------------------------

    def to_send(self, now_s: float) -> list[Command]:
        """What to publish now; nothing while an answer is waited for."""
        if self._step == "done" or now_s < self._rest_until_s:
            return []
        if self._step == "pieces":
            if self._out and now_s - self._heard_s >= PATIENCE_S:
                self._turn("status")
            elif not self._gaps(self.durable):
                self._turn("fin")
            else:
                return self._pieces(now_s)
        if self._asked_s is not None and now_s - self._asked_s < PATIENCE_S:
            return []
        self._asked_s = now_s
        return [self._question()]

    def deadline(self, now_s: float) -> float:
        """When to look again although nothing was heard."""
        if now_s < self._rest_until_s:
            return self._rest_until_s
        since_s = self._heard_s if self._step == "pieces" else self._asked_s
        return now_s + PATIENCE_S if since_s is None else max(now_s, since_s + PATIENCE_S)

    def _question(self) -> Words:
        match self._step:
            case "init":
                return Words("init", self._init)
            case "fin":
                return Words(f"fin/{self.size}/{self.sha256}")
            case step:
                return Words(step)

    def _pieces(self, now_s: float) -> list[Command]:
        if not self._out:
            self._heard_s = now_s  # patience counts from the first of a burst
        found: list[Command] = []
        in_flight = sum(end - start for start, end in self._out.items())
        for part in self._cut(self._gaps([*self.durable, *self._out.items()])):
            octets = part.end - part.start
            if len(found) == BURST_PIECES or (in_flight and in_flight + octets > self._window_bytes):
                break
            found.append(part)
            self._out[part.start] = part.end
            in_flight += octets
        return found

    def _cut(self, gaps: list[Range]) -> Iterator[Piece]:
        for start, end in gaps:
            for at in range(start, end, self._segment_bytes):
                yield Piece(at, min(end, at + self._segment_bytes))

    # --- in ---------------------------------------------------------------------------------------------------

    def hear(self, answer: Answer, now_s: float) -> None:
        """Take an answer; one that is late, doubled or to nothing that was asked changes nothing for the worse."""
        if self._step == "done":
            return
        self._heard_s = now_s
        if answer.receipt is not None and answer.topic != "…/abort":
            self.receipt, self.problem = answer.receipt, None
            self._turn("done")
            return
        if answer.window_bytes:
            self._window_bytes = answer.window_bytes
        if answer.reason_code == NOT_NOW:
            self._not_now(answer, now_s)
        elif answer.reason_code in (OK, RESEND):
            self._went_well(answer, now_s)
        else:
            self._refused(answer, now_s)

    def lost(self) -> None:
        """The connection went: what was in flight may not have arrived; ask what did."""
        if self._step != "done":
            self._turn("init")
            self._out.clear()

    def reject_receipt(self, problem: str, now_s: float) -> None:
        """The receipt does not hold: ask for it again, but not at once."""
        self.receipt = None
        self._turn("fin")
        self._trouble(problem, now_s, LONG_REST_S)

    def _went_well(self, answer: Answer, now_s: float) -> None:
        if answer.topic == f"…/{self._step}" and self._step in ("init", "status"):
            self._learn(answer.durable or [])
        elif self._step == "abort" and answer.topic == "…/abort":
            self._turn("init")
        elif self._step == "fin" and answer.topic == f"…/fin/{self.size}":
            self._lacks(answer, now_s)
        elif answer.durable:
            self._add(answer.durable)

    def _lacks(self, answer: Answer, now_s: float) -> None:
        """A fin is answered without a receipt: what is missing is sent again."""
        missing = answer.missing or []
        if not missing:
            self._trouble(answer.reason_description or "fin answered without receipt", now_s, SHORT_REST_S)
            self._turn("init")
        elif len(missing) < LISTED_MAX:
            self._learn(self._gaps(missing))
        else:
            self._learn(answer.durable or [])

    def _not_now(self, answer: Answer, now_s: float) -> None:
        self._trouble(answer.reason_description, now_s, answer.retry_after_s or SHORT_REST_S)
        if self._drop(answer.topic) is None:
            self._asked_s = None

    def _refused(self, answer: Answer, now_s: float) -> None:
        reason = answer.reason_description or f"refused with code {answer.reason_code}"
        of_piece = self._drop(answer.topic) is not None
        if reason == "segment_conflict":
            # What is there is not of this file: seal it as it is, and begin anew behind it.
            self._conflicts += 1
            self._trouble(reason, now_s, SHORT_REST_S if self._conflicts == 1 else LONG_REST_S)
            self._turn("abort")
            self._out.clear()
        elif of_piece:
            self._trouble(reason, now_s, SHORT_REST_S)
        elif self._step != "pieces":
            self._trouble(reason, now_s, SHORT_REST_S if reason == "unknown_recording" else LONG_REST_S)
            self._turn("init")

    # --- small parts ------------------------------------------------------------------------------------------

    def _turn(self, step: Step) -> None:
        self._step, self._asked_s = step, None

    def _trouble(self, problem: str, now_s: float, rest_s: float) -> None:
        self.problem, self._rest_until_s = problem, now_s + rest_s

    def _drop(self, topic: str | None) -> int | None:
        """Take a piece out of flight that an answer names; None where it names none."""
        start = (topic or "").removeprefix("…/")
        return self._out.pop(int(start), None) if start.isascii() and start.isdigit() else None

    def _learn(self, durable: list[Range]) -> None:
        """The gateway's whole word on what is there."""
        self._turn("pieces")
        self._out.clear()
        self.durable = []
        self._add(durable)

    def _add(self, durable: list[Range]) -> None:
        self.problem = None
        whole = [(max(0, start), min(end, self.size)) for start, end in (*self.durable, *durable)]
        self.durable = _gaps(self._gaps(whole), self.size)
        self._out = {start: end for start, end in self._out.items() if _gaps(self.durable, end, start)}

    def _gaps(self, there: list[Range]) -> list[Range]:
        return _gaps(there, self.size)


def _gaps(there: list[Range], end: int, start: int = 0) -> list[Range]:
    """The parts of [start, end) that none of these ranges covers."""
    missing: list[Range] = []
    for low, high in sorted(there):
        if low >= end:
            break
        if low > start:
            missing.append((start, low))
        start = max(start, high)
    if start < end:
        missing.append((start, end))
    return missing
