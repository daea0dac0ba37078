"""The conversation with one radio: set it up, hear it, send for it, notice when it has forgotten us (EN 300 392-5).

Sans-IO: `receive` bytes, take `events`, send `to_send`, come back at `deadline` with `tick`. One command
is in flight at a time (flight.py says which result is whose); whatever arrives between it and its result is heard
at once. A set-up counts when a question behind it has its own answer: no result in it can have been another's.
"""

from __future__ import annotations

from collections import deque

from drivers.tetra import pei
from drivers.tetra.burst import Burst
from drivers.tetra.dialects import Command, Dialect
from drivers.tetra.flight import Answered, Flight, InStep, Mute, Outcome
from drivers.tetra.heard import Call, Heard, Ready, Refused, SdsIndication, SessionEvent, Silent, Timing, call
from drivers.tetra.outbox import NO_ANSWER, Outbox, Parcel
from drivers.tetra.radio_state import RadioState
from gateway.domain.time import Instant

__all__ = ("Call", "Heard", "Ready", "Refused", "SdsIndication", "Session", "SessionEvent", "Silent", "Timing")


_MOST_RESTARTS = 2
"""Set-ups in a row that are begun anew because a result in them was another's."""


class Session:
    """Bytes in, events and bytes out; the caller has the port and the clock."""

    def __init__(self, dialect: Dialect, timing: Timing | None = None, turn: int = 0) -> None:
        self._dialect, self._timing = dialect, timing or Timing()
        self._lines = pei.LineReader()
        self._events: deque[SessionEvent] = deque()
        self._waiting: deque[Command] = deque()
        self._again: Command | None = None
        self._flight = Flight(dialect, self._timing, turn)
        self._errors = Burst()
        self._started = self._ready = self._setting_up = self._closing = self._silent = self._garbled = False
        self._asked = self._restarts = 0
        self._quiet_until = self._renew_at = 0.0
        self.outbox = Outbox(dialect)
        self.state = RadioState(dialect.call_limit_s)

    @property
    def answers(self) -> bool:
        """Whether the radio answered the last time it was asked."""
        return self._flight.answers

    @property
    def condition(self) -> str:
        """The state it is in, by name: starting, up, out_of_step, silent, wrong_speed, direct, no_service."""
        if self._silent:
            return "wrong_speed" if self._garbled else "silent"
        if not self._ready:
            return "starting"
        if self._flight.finding_place:
            return "out_of_step"
        if self.state.direct:
            return "direct"
        return "no_service" if self.state.registered is False else "up"

    def sendable_at(self) -> float:
        """From when a message may go to the radio; infinity while it has no network, or none can be asked."""
        if self._silent or self.state.direct or self.state.registered is False:
            return float("inf")
        return self.state.busy_until()

    def post(self, parcel: Parcel, now: Instant) -> bool:
        """Queue a message; False where too many wait. Call `to_send` behind it."""
        taken = self.outbox.post(parcel, now.mono_s)
        if taken and self._started and self._flight.current is None:
            self._idle(now)
        return taken

    def receive(self, data: bytes, now: Instant) -> None:
        """Take bytes as the port gave them."""
        for item in self._lines.feed(data):
            self._take(item, now)
        self._quiet_until = now.mono_s + self._timing.keepalive_s

    def hang_up(self, now: Instant) -> None:
        """The port is gone: what it left unfinished is read as far as it goes, or kept as unreadable."""
        for item in self._lines.finish():
            self._take(item, now)
        self._events += self.outbox.give_up(now.mono_s)

    def events(self) -> list[SessionEvent]:
        """What has happened since the last call, in order."""
        happened = list(self._events)
        self._events.clear()
        return happened

    def to_send(self) -> bytes:
        """Bytes for the port since the last call."""
        return self._flight.to_send()

    def deadline(self) -> float:
        """When to call `tick` at the latest, on the monotonic clock."""
        if not self._started:
            return 0.0
        if self._flight.current is not None:
            return min(self._flight.reply_by, self.outbox.deadline())
        return min(self._quiet_until, self._renew_at, self.outbox.deadline(), self._parcel_at())

    def tick(self, now: Instant) -> None:
        """Time has passed: begin, give up waiting, send, or ask whether the radio is still there."""
        self._events += self.outbox.tick(now.mono_s)
        if not self._started:
            self._started = True
            self._set_up(now, in_step=False)
        elif self._flight.current is not None:
            if now.mono_s >= self._flight.reply_by:
                self._learn(self._flight.overdue(now), now)
        elif now.mono_s >= self._renew_at:
            self._set_up(now)
        else:
            self._idle(now)

    def _idle(self, now: Instant) -> None:
        """Nothing is in flight: the next message, or a question where it has been quiet for long."""
        if now.mono_s >= self._parcel_at():
            self._send(self.outbox.command(), now)
        elif now.mono_s >= self._quiet_until:
            questions = self._dialect.keepalives
            self._asked += 1
            self._send(questions[(self._asked - 1) % len(questions)], now)

    def _parcel_at(self) -> float:
        return max(self.outbox.due_at(), self.sendable_at())

    def _set_up(self, now: Instant, *, in_step: bool = True) -> None:
        """Queue the whole set-up: harmless to repeat, since a PID that is known already is no fault."""
        self._waiting = deque(self._dialect.setup)
        self._setting_up, self._closing, self._again = True, False, None
        self._errors.clear()
        self.outbox.forget_service()
        self._renew_at = now.mono_s + self._timing.renew_s
        if self._flight.current is None and in_step:
            self._next(now)
        elif self._flight.current is None:
            self._flight.mark(now)

    def _send(self, command: Command, now: Instant) -> None:
        self.state.asked(command.text)
        self._flight.send(command, now)

    def _next(self, now: Instant) -> None:
        if self._waiting:
            self._send(self._waiting.popleft(), now)
            return
        if self._setting_up and (question := self._last_question()) is not None:
            self._send(question, now)
            return
        self._quiet_until = now.mono_s + self._timing.keepalive_s
        if self._setting_up:
            self._setting_up, self._ready, self._restarts = False, True, 0
            self._events.append(Ready(self.state.make, self.state.model, self.state.number))
        self._idle(now)

    def _last_question(self) -> Command | None:
        """What proves that no result of the set-up was another's; None where that is proven, or can't be."""
        if self._flight.proven or self._closing:
            return None
        self._closing = True
        return self._flight.questions.check()

    def _learn(self, outcomes: list[Outcome], now: Instant) -> None:
        """What became of the command in flight."""
        for outcome in outcomes:
            if isinstance(outcome, Heard):
                self._events.append(outcome)
            elif isinstance(outcome, Answered):
                self._answered(outcome.command, outcome.code, now)
            elif isinstance(outcome, InStep):
                self._synchronised(now)
            elif isinstance(outcome, Mute):
                self._fallen_silent(outcome.command, now)
            else:
                self._lost(outcome.command, now, mixed=outcome.mixed)

    def _fallen_silent(self, command: Command, now: Instant) -> None:
        """Said once; another radio may send what waits here."""
        if command.text == "AT" and not self._silent:
            self._silent, self._ready = True, False
            self._events.append(Silent(command.text, self._garbled))
            self._events += self.outbox.give_up(now.mono_s)

    def _lost(self, command: Command, now: Instant, *, mixed: bool) -> None:
        """A command is tried once more, or its set-up is begun anew; a message never: it may have been sent.

        The outbox is told first: a set-up may have been queued while its command was in flight.
        """
        if command.sending:
            self._events += self.outbox.unanswered(command, now.mono_s)
        elif mixed and self._setting_up and self._restarts < _MOST_RESTARTS:
            self._restarts += 1
            self._set_up(now)
        elif command != self._again:
            self._again = command
            self._waiting.appendleft(command)
        elif command.needed:
            self._refused(command, NO_ANSWER, now)

    def _take(self, item: pei.Item, now: Instant) -> None:
        if isinstance(item, pei.SdsIndication | pei.Unreadable):
            self._garbled = isinstance(item, pei.Unreadable) and item.reason == pei.UNPRINTABLE
            self._events.append(item)
        elif isinstance(item, pei.Result):
            self._result(item, now)
        elif isinstance(item, pei.Unsolicited):
            self._named(item, now)
        else:
            self._line(item, now)

    def _result(self, item: pei.Result, now: Instant) -> None:
        self._garbled = False
        self._burst(item.code, now)
        self._learn(self._flight.result(item, now), now)

    def _answered(self, command: Command, code: int | None, now: Instant) -> None:
        if command.sending:
            self._events += self.outbox.answered(command, code, now.mono_s)
        elif code is not None:
            self._refused(command, code, now)
        self._next(now)

    def _burst(self, code: int | None, now: Instant) -> None:
        """Errors one upon another, outside the set-up: the radio has lost its registrations."""
        if not self._setting_up and self._errors.add(code, now.mono_s):
            self._set_up(now, in_step=False)

    def _synchronised(self, now: Instant) -> None:
        """In step; a radio that had been silent may have restarted and forgotten everything."""
        if self._silent:
            self._silent = False
            self.state.forget_calls()
            self._set_up(now)
        else:
            self._next(now)

    def _refused(self, command: Command, code: int, now: Instant) -> None:
        if command.instead is not None:
            self._waiting.appendleft(Command(command.instead, needed=command.needed))
        elif command.needed:
            self._events.append(Refused(command.text, code))
            self._renew_at = min(self._renew_at, now.mono_s + self._timing.retry_s)

    def _named(self, item: pei.Unsolicited, now: Instant) -> None:
        """A line with a name: of its own accord, or the answer to what was asked."""
        asked = self._flight.named(item.name)
        registered, mode = self.state.registered, self.state.mode
        self.state.take(item.name, item.text, now.mono_s)
        if item.name == "+CMGS":
            self._events += self.outbox.reported(item.text, now.mono_s)
        elif item.name == "+CTICN":
            self._events.append(call(item, self._dialect.emergency_priority))
        if not self._setting_up and self.state.forgot(item.name, registered, mode, asked=asked):
            self._set_up(now)
        if not asked and item.name != "+CTICN":
            self._events.append(Heard(item.name, item.raw))

    def _line(self, item: pei.Line, now: Instant) -> None:
        """An echo of what we sent says that ATE0 was forgotten: the radio has restarted."""
        current = self._flight.current
        if current is not None and item.text == current.text:
            if not self._setting_up:
                self._set_up(now)
        elif current is None:
            self._events.append(pei.Unreadable(item.raw, "a line that nothing asked for"))
        else:
            if current.text == "AT+CNUMF?":
                self.state.own_number(item.text)
            self._events.append(Heard("line", item.raw))
