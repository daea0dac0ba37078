"""The conversation with one radio: set it up, hear it, send for it, notice when it has forgotten us (EN 300 392-5).

Sans-IO: `receive` bytes, take `events`, send `to_send`, come back at `deadline` with `tick`. One command
is in flight at a time; whatever arrives between it and its result is heard at once.

A result that comes late must answer nothing. At the start, after a time-out and after a burst of errors the
session asks questions whose answers name themselves, and counts no result as long as such an answer is owed.
A radio that answers none of them is believed after a quiet time and an AT.
"""

from __future__ import annotations

from collections import deque

from drivers.tetra import dialects, pei
from drivers.tetra.burst import Burst
from drivers.tetra.dialects import Command, Dialect
from drivers.tetra.heard import Call, Heard, Ready, Refused, SdsIndication, SessionEvent, Silent, Timing, call
from drivers.tetra.outbox import NO_ANSWER, Outbox, Parcel
from drivers.tetra.questions import Questions
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
_HUSH_REPLIES = 1.5
"""How long the quiet time is, in the longest that any result may take."""


class Session:
    """Bytes in, events and bytes out; the caller has the port and the clock."""

    def __init__(self, dialect: Dialect, timing: Timing | None = None, turn: int = 0) -> None:
        self._dialect, self._timing = dialect, timing or Timing()
        self._lines = pei.LineReader()
        self._events: deque[SessionEvent] = deque()
        self._out = bytearray()
        self._waiting: deque[Command] = deque()
        self._current: Command | None = None
        self._again: Command | None = None
        self._questions = Questions(turn)
        self._marking: Command | None = None
        self._named_itself = self._nameless = self._last_word = False
        self._owed = 0
        self._doubted: tuple[Command, int] | None = None
        self._errors = Burst()
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
        """The state it is in, by name: starting, up, out_of_step, silent, wrong_speed, direct, no_service."""
        if self._silent:
            return "wrong_speed" if self._garbled else "silent"
        if not self._ready:
            return "starting"
        if self._finding_place(self._current):
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
            self._set_up(now, in_step=False)
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

    def _set_up(self, now: Instant, *, in_step: bool = True) -> None:
        """Queue the whole set-up: harmless to repeat, since a PID that is known already is no fault."""
        self._waiting = deque(self._dialect.setup)
        self._setting_up, self._again = True, None
        self._errors.clear()
        self.outbox.forget_service()
        self._renew_at = now.mono_s + self._timing.renew_s
        if self._current is None and in_step:
            self._next(now)
        elif self._current is None:
            self._mark(now)

    def _finding_place(self, command: Command | None) -> bool:
        """Whether this is part of the way back into step."""
        return any(command is one for one in (_AT, _LATE, _HUSH, self._marking)) and command is not None

    def _send(self, command: Command, now: Instant) -> None:
        self._current, self._named_itself, self._nameless = command, False, False
        self._owed += 1
        self._questions.note(command.text)
        self.state.asked(command.text)
        self._out += dialects.permitted(command.text).encode("ascii") + b"\r\n"
        if command.body:
            self._out += command.body.encode("ascii") + b"\x1a"
        self._reply_by = now.mono_s + self._patience_s(command)

    def _patience_s(self, command: Command) -> float:
        """On the way back into step it grows with each round: a radio may be slower than the first one allowed."""
        if command is _AT or command is self._marking:
            return self._timing.probe_s * min(_MOST_PATIENCE, 1 + self._questions.rounds)
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
            self._last_word = True
            self._send(_AT, now)
        elif command is _LATE:
            self._mark(now)
        elif command is _DOUBT and self._doubted is not None:
            self._answered(*self._doubted, now)
        elif command is self._marking and self._nameless:
            self._questions.refused(command)
            self._mark(now)
        else:
            self._lost(command, now)

    def _lost(self, command: Command, now: Instant) -> None:
        self._answers = self._last_word = False
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
            if not self._finding_place(command):
                self._put_back(command, now)
            self._out_of_step(now, self._dialect.leave_entry)
        elif self._finding_place(command):
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
            self._questions.settle()
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
            self._questions.learn(Command(command.text))
        self._next(now)

    def _burst(self, code: int | None, now: Instant) -> None:
        """Errors one upon another, outside the set-up: the radio has lost its registrations."""
        if not self._setting_up and self._errors.add(code, now.mono_s):
            self._set_up(now, in_step=False)

    def _resynchronise(self, command: Command, item: pei.Result, now: Instant) -> None:
        """A result on the way back into step: it may be a late one, so only a question that named itself counts."""
        if command is _AT and item.code == dialects.SYNTAX:
            self._out_of_step(now, b"")
        elif command is _AT and self._last_word and item.code is None:
            self._synchronised(now)
        elif command is _LATE or command is _AT:
            self._overdue(now)
        elif command is _HUSH:
            self._events.append(Heard("result", item.raw))
            self._reply_by = max(self._reply_by, now.mono_s + self._timing.settle_s)
        elif item.code is None and self._named_itself:
            self._marked(command, now)
        else:
            self._events.append(Heard("result", item.raw))
            if not self._questions.is_known(command):
                self._nameless = True  # its own refusal, or a late result and its answer is about to come
                self._reply_by = min(self._reply_by, now.mono_s + self._timing.doubt_s)

    def _marked(self, question: Command, now: Instant) -> None:
        """A question has an answer that names it."""
        in_step = self._questions.named(question)
        if in_step is None:
            self._hush(now)  # the same question was asked twice: whose answer is this?
        elif in_step:
            self._synchronised(now)
        else:
            self._mark(now)

    def _overdue(self, now: Instant) -> None:
        """The radio answers again; while results are still owed, give them a moment to come."""
        if self._owed and self._questions.known:
            self._current, self._reply_by = _LATE, now.mono_s + self._timing.settle_s
        else:
            self._mark(now)

    def _mark(self, now: Instant) -> None:
        """The radio answers again, or has just been met: ask what names itself, another question each time."""
        self._marking = self._questions.ask()
        self._hush(now) if self._marking is None else self._send(self._marking, now)

    def _hush(self, now: Instant) -> None:
        self._current, self._reply_by = _HUSH, now.mono_s + _HUSH_REPLIES * self._timing.reply_s

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
        self._hasty, self._owed, self._marking, self._last_word = 0, 0, None, False
        self._questions.settle()
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
            self._events.append(call(item, self._dialect.emergency_priority))
        if not self._setting_up and self.state.forgot(item.name, registered, mode, asked=asked):
            self._set_up(now)
        if not asked and item.name != "+CTICN":
            self._events.append(Heard(item.name, item.raw))

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
