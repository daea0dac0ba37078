"""The conversation with one radio: set it up, hear it, send for it, notice when it has forgotten us (EN 300 392-5).

Sans-IO: `receive` bytes, take `events`, send `to_send`, come back at `deadline` with `tick`. One command
is in flight at a time; whatever arrives between it and its result is heard at once.

After a time-out a result that comes late must answer nothing: the session asks AT until the radio
answers, then a question whose answer names itself, and counts no result as long as that is owed.
"""

from __future__ import annotations

from collections import deque

from drivers.tetra import dialects, pei
from drivers.tetra.dialects import Command, Dialect
from drivers.tetra.heard import Call, Heard, Ready, Refused, SdsIndication, SessionEvent, Silent, Timing
from drivers.tetra.outbox import NO_ANSWER, Outbox, Parcel
from drivers.tetra.radio_state import RadioState
from gateway.domain.time import Instant

__all__ = ("Call", "Heard", "Ready", "Refused", "SdsIndication", "Session", "SessionEvent", "Silent", "Timing")


_AT = Command("AT")
_HUSH = Command("")
"""Not sent: the time in which no late result may come any more, for a radio that answers no question."""
_LATE = Command("")
"""Not sent: the moment in which the result of what timed out may still come, before the next question is asked."""
_DOUBT = Command("")
"""Not sent: the moment after an error in which a second result would say that it was one of a burst, and no answer."""
_HASTY_TRIES = 3
_MOST_PATIENCE = 4
_CALL_FIELDS = 13
_BURST, _BURST_S = 3, 10.0
"""So many errors in so short a time say that the radio has forgotten its registrations."""


class Session:
    """Bytes in, events and bytes out; the caller has the port and the clock."""

    def __init__(self, dialect: Dialect, timing: Timing | None = None) -> None:
        self._dialect, self._timing = dialect, timing or Timing()
        self._lines = pei.LineReader()
        self._events: deque[SessionEvent] = deque()
        self._out = bytearray()
        self._waiting: deque[Command] = deque()
        self._current: Command | None = None
        self._again: Command | None = None
        self._markers: list[Command] = []
        self._marking: Command | None = None
        self._named_itself, self._rounds = False, 0
        self._owed = 0
        self._doubted: tuple[Command, int] | None = None
        self._errors: deque[float] = deque(maxlen=_BURST)
        self._started = self._ready = self._setting_up = self._silent = self._answers = self._garbled = False
        self._hasty = self._asked = 0
        self._reply_by = self._quiet_until = self._renew_at = 0.0
        self.outbox = Outbox(dialect)
        self.state = RadioState(dialect.call_limit_s)

    @property
    def answers(self) -> bool:
        """Whether the radio answered the last time it was asked."""
        return self._answers

    @property
    def condition(self) -> str:
        """The state it is in, by name: starting, up, silent, wrong_speed, direct, no_service."""
        if self._silent:
            return "wrong_speed" if self._garbled else "silent"
        if not self._ready:
            return "starting"
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
        if taken and self._started and self._current is None:
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
        out = bytes(self._out)
        self._out.clear()
        return out

    def deadline(self) -> float:
        """When to call `tick` at the latest, on the monotonic clock."""
        if not self._started:
            return 0.0
        if self._current is not None:
            return min(self._reply_by, self.outbox.deadline())
        return min(self._quiet_until, self._renew_at, self.outbox.deadline(), self._parcel_at())

    def tick(self, now: Instant) -> None:
        """Time has passed: begin, give up waiting, send, or ask whether the radio is still there."""
        self._events += self.outbox.tick(now.mono_s)
        if not self._started:
            self._started = True
            self._set_up(now)
        elif self._current is not None:
            if now.mono_s >= self._reply_by:
                self._unanswered(self._current, now)
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

    def _set_up(self, now: Instant) -> None:
        """Queue the whole set-up: harmless to repeat, since a PID that is known already is no fault."""
        self._waiting = deque(self._dialect.setup)
        self._setting_up, self._again = True, None
        self._errors.clear()
        self.outbox.forget_service()
        self._renew_at = now.mono_s + self._timing.renew_s
        if self._current is None:
            self._next(now)

    def _send(self, command: Command, now: Instant) -> None:
        self._current, self._named_itself = command, False
        self._owed += 1
        self._out += dialects.permitted(command.text).encode("ascii") + b"\r\n"
        if command.body:
            self._out += command.body.encode("ascii") + b"\x1a"
        self._reply_by = now.mono_s + self._patience_s(command)

    def _patience_s(self, command: Command) -> float:
        """On the way back into step it grows with each round: a radio may be slower than the first one allowed."""
        if command is _AT or command is self._marking:
            return self._timing.probe_s * min(_MOST_PATIENCE, 1 + self._rounds)
        return self._timing.reply_s

    def _next(self, now: Instant) -> None:
        self._current = None
        if self._waiting:
            self._send(self._waiting.popleft(), now)
            return
        self._quiet_until = now.mono_s + self._timing.keepalive_s
        if self._setting_up:
            self._setting_up, self._ready = False, True
            self._events.append(Ready(self.state.make, self.state.model, self.state.number))
        self._idle(now)

    def _unanswered(self, command: Command, now: Instant) -> None:
        """No result in time: resynchronise by AT, as often as it takes."""
        if command is _HUSH:
            self._synchronised(now)
            return
        if command is _LATE:
            self._mark(now)
            return
        if command is _DOUBT and self._doubted is not None:
            self._answered(*self._doubted, now)
            return
        self._answers = False
        if command is _AT or command is self._marking:
            self._fallen_silent(command, now)
            # A lost ^Z leaves a radio taking our commands for a message's digits: leave that state.
            self._out += self._dialect.leave_entry
        else:
            self._put_back(command, now)
            if command.body:
                self._out += self._dialect.leave_entry
        self._send(_AT, now)

    def _fallen_silent(self, command: Command, now: Instant) -> None:
        """Said once; another radio may send what waits here."""
        if command is _AT and not self._silent:
            self._silent, self._ready = True, False
            self._events.append(Silent(command.text, self._garbled))
            self._events += self.outbox.give_up(now.mono_s)

    def _put_back(self, command: Command, now: Instant) -> None:
        """A command whose result is lost is tried once more; a message never: it may have been sent."""
        if command.sending:
            self._events += self.outbox.unanswered(command, now.mono_s)
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
        command, self._owed = self._current, max(0, self._owed - 1)
        self._garbled = False
        self._burst(item.code, now)
        if command is None:
            self._events.append(Heard("result", item.raw))
        elif command is _DOUBT and self._doubted is not None:
            self._doubtful(*self._doubted, item, now)
        elif item.code in dialects.IN_DATA_ENTRY:
            self._answers = True
            if command not in (_AT, _HUSH) and command is not self._marking:
                self._put_back(command, now)
            self._out_of_step(now, self._dialect.leave_entry)
        elif command in (_AT, _HUSH) or command is self._marking:
            self._answers = True
            self._resynchronise(command, item, now)
        else:
            self._answers = True
            self._result_of(command, item.code, now)

    def _doubtful(self, asked: Command, code: int, item: pei.Result, now: Instant) -> None:
        """A second result: the refusal of a message's data, its command being refused; or else a burst."""
        if asked.body and item.code in dialects.IN_DATA_ENTRY:
            self._answered(asked, code, now)
        else:
            self._put_back(asked, now)
            self._send(_AT, now)

    def _result_of(self, command: Command, code: int | None, now: Instant) -> None:
        """Success is believed at once; an error may be one of a burst that answers nothing."""
        if code in {None, dialects.ALREADY_REGISTERED}:
            self._owed = 0
            self._answered(command, code, now)
        else:
            self._doubted = (command, -1 if code is None else code)
            self._current = _DOUBT
            self._reply_by = now.mono_s + self._timing.doubt_s

    def _answered(self, command: Command, code: int | None, now: Instant) -> None:
        if command.sending:
            self._events += self.outbox.answered(command, code, now.mono_s)
        elif code not in {None, dialects.ALREADY_REGISTERED}:
            self._refused(command, -1 if code is None else code, now)
        elif self._named_itself and command.text in dialects.MARKERS:
            self._learn(Command(command.text))
        self._next(now)

    def _learn(self, marker: Command) -> None:
        """The radio answers this question with its name."""
        if marker not in self._markers:
            self._markers.append(marker)

    def _burst(self, code: int | None, now: Instant) -> None:
        """Errors one upon another, outside the set-up: the radio has lost its registrations."""
        if code is None or self._setting_up or code == dialects.SYNTAX or code in dialects.IN_DATA_ENTRY:
            return
        self._errors.append(now.mono_s)
        if len(self._errors) == _BURST and now.mono_s - self._errors[0] <= _BURST_S:
            self._set_up(now)

    def _resynchronise(self, command: Command, item: pei.Result, now: Instant) -> None:
        """A result on the way back into step: it may be a late one, so only a question that named itself counts."""
        if command is _AT and item.code == dialects.SYNTAX:
            self._out_of_step(now, b"")
        elif command is _LATE or command is _AT:
            self._overdue(now)
        elif command is _HUSH:
            self._events.append(Heard("result", item.raw))
            self._reply_by = now.mono_s + self._timing.settle_s
        elif not self._named_itself:
            self._events.append(Heard("result", item.raw))
        elif self._rounds > len(self._markers):
            self._hush(now, self._timing.reply_s)  # the same question was asked twice: whose answer is this?
        else:
            self._synchronised(now)

    def _overdue(self, now: Instant) -> None:
        """The radio answers again; while results are still owed, give them a moment to come."""
        if self._owed and self._markers:
            self._current = _LATE
            self._reply_by = now.mono_s + self._timing.settle_s
        else:
            self._mark(now)

    def _mark(self, now: Instant) -> None:
        """The radio answers again: ask what names itself, another question each time.

        A radio does one thing after another: once the last question is answered, nothing older is owed.
        """
        if self._rounds >= 2 * len(self._markers):
            self._hush(now, self._timing.reply_s if self._markers else self._timing.settle_s)
        else:
            self._marking = self._markers[self._rounds % len(self._markers)]
            self._rounds += 1
            self._send(self._marking, now)

    def _hush(self, now: Instant, patience_s: float) -> None:
        self._current = _HUSH
        self._reply_by = now.mono_s + patience_s

    def _out_of_step(self, now: Instant, first: bytes) -> None:
        """The radio takes our commands for something else: AT again, at once at first, later at its time-out."""
        self._hasty += 1
        if self._hasty < _HASTY_TRIES:
            self._out += first
            self._send(_AT, now)
        else:
            self._current = _AT

    def _synchronised(self, now: Instant) -> None:
        """In step; a radio that had been silent may have restarted and forgotten everything."""
        self._hasty, self._rounds, self._owed, self._marking = 0, 0, 0, None
        if self._silent:
            self._silent = False
            self._current = None
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
        asked = self._current is not None and self._current.text.startswith("AT" + item.name)
        self._named_itself = self._named_itself or asked
        registered, mode = self.state.registered, self.state.mode
        self.state.take(item.name, item.text, now.mono_s)
        if item.name == "+CMGS":
            self._events += self.outbox.reported(item.text, now.mono_s)
        elif item.name == "+CTICN":
            self._call(item)
        if not self._setting_up and self._forgotten(item.name, registered, mode, asked=asked):
            self._set_up(now)
        if not asked and item.name != "+CTICN":
            self._events.append(Heard(item.name, item.raw))

    def _forgotten(self, name: str, registered: bool | None, mode: int | None, *, asked: bool) -> bool:  # noqa: FBT001 - what was so before is no flag
        """Registrations survive neither a change of mode nor a restart, which a return into service may be."""
        if name == "+CREG":
            return registered is False and self.state.registered is True
        return name == "+CTOM" and (self.state.mode != mode or not asked)

    def _line(self, item: pei.Line, now: Instant) -> None:
        """An echo of what we sent says that ATE0 was forgotten: the radio has restarted."""
        if self._current is not None and item.text == self._current.text:
            if not self._setting_up:
                self._set_up(now)
        elif self._current is None:
            self._events.append(pei.Unreadable(item.raw, "a line that nothing asked for"))
        else:
            if self._current.text == "AT+CNUMF?":
                self.state.own_number(item.text)
            self._events.append(Heard("line", item.raw))

    def _call(self, item: pei.Unsolicited) -> None:
        """+CTICN of 13 fields: the fifth is the calling identity, the last the priority."""
        fields = [field.strip() for field in item.text.split(",")]
        priority = fields[-1]
        if len(fields) == _CALL_FIELDS and priority == str(self._dialect.emergency_priority):
            self._events.append(Call(pei.address(fields[4]), int(priority), item.raw))
        else:
            self._events.append(Heard(item.name, item.raw))
