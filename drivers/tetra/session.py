"""The conversation with one radio: set it up, hear it, notice when it has forgotten us (EN 300 392-5).

Sans-IO: `receive` bytes, take `events`, send `to_send`, come back at `deadline` with `tick`. One command
is in flight at a time; whatever arrives between it and its result is heard at once.
"""

from __future__ import annotations

from collections import deque

import msgspec

from drivers.tetra import dialects, pei
from drivers.tetra.dialects import Command, Dialect
from gateway.domain.time import Instant

SdsIndication = pei.SdsIndication
Unreadable = pei.Unreadable


class Timing(msgspec.Struct, frozen=True):
    """How patient the session is, in seconds."""

    reply_s: float = 5.0
    keepalive_s: float = 30.0
    probe_s: float = 3.0
    renew_s: float = 300.0
    retry_s: float = 20.0


class Ready(msgspec.Struct, frozen=True):
    """The radio is set up: its make and model, its own number where it told."""

    make: str = ""
    model: str = ""
    number: pei.Address | None = None


class Silent(msgspec.Struct, frozen=True):
    """The radio does not answer; it is asked again and again."""

    command: str


class Refused(msgspec.Struct, frozen=True):
    """A needed command was refused; it is tried again later. Code as in dialects.CME."""

    command: str
    code: int


class Call(msgspec.Struct, frozen=True):
    """A group or individual call at emergency priority (+CTICN)."""

    calling: pei.Address | None
    priority: int
    raw: bytes


class Heard(msgspec.Struct, frozen=True):
    """A line of the radio's own accord that means nothing to us; kept because it was sent."""

    channel: str
    raw: bytes


SessionEvent = SdsIndication | Unreadable | Ready | Silent | Refused | Call | Heard

_AT = Command("AT")
NO_ANSWER = -2
"""Code of a Refused for a needed command that got no result at all, twice."""
_ESCAPE = b"\x1b"
_HASTY_TRIES = 3
_CALL_FIELDS = 13


class Session:
    """One radio's conversation. Its first `tick` begins it."""

    def __init__(self, dialect: Dialect, timing: Timing | None = None) -> None:
        self._dialect, self._timing = dialect, timing or Timing()
        self._lines = pei.LineReader()
        self._events: deque[SessionEvent] = deque()
        self._out = bytearray()
        self._waiting: deque[Command] = deque()
        self._current: Command | None = None
        self._again: Command | None = None
        self._reply_by = 0.0
        self._quiet_until = 0.0
        self._renew_at = float("inf")
        self._hasty = 0
        self._setting_up = False
        self._answers = self._silent = self._started = False
        self._registered: bool | None = None
        self._make = self._model = ""
        self._number: pei.Address | None = None

    @property
    def answers(self) -> bool:
        """Whether the radio answered the last time it was asked."""
        return self._answers

    def receive(self, data: bytes, now: Instant) -> None:
        """Take bytes as the port gave them."""
        for item in self._lines.feed(data):
            self._take(item, now)
        self._quiet_until = now.mono_s + self._timing.keepalive_s

    def hang_up(self, now: Instant) -> None:
        """The port is gone: what it left unfinished is read as far as it goes, or kept as unreadable."""
        for item in self._lines.finish():
            self._take(item, now)

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
        return self._reply_by if self._current is not None else min(self._quiet_until, self._renew_at)

    def tick(self, now: Instant) -> None:
        """Time has passed: begin, give up waiting, or ask whether the radio is still there."""
        if not self._started:
            self._started = True
            self._set_up(now)
        elif self._current is not None:
            if now.mono_s >= self._reply_by:
                self._unanswered(self._current, now)
        elif now.mono_s >= self._renew_at:
            self._set_up(now)
        elif now.mono_s >= self._quiet_until:
            self._send(self._dialect.keepalive, now)

    def _set_up(self, now: Instant) -> None:
        """Queue the whole set-up: harmless to repeat, since a PID that is known already is no fault."""
        self._waiting = deque(self._dialect.setup)
        self._setting_up, self._again, self._registered, self._number = True, None, None, None
        self._renew_at = now.mono_s + self._timing.renew_s
        if self._current is None:
            self._next(now)

    def _send(self, command: Command, now: Instant) -> None:
        self._current = command
        self._out += dialects.permitted(command.text).encode("ascii") + b"\r\n"
        patience_s = self._timing.probe_s if command is _AT else self._timing.reply_s
        self._reply_by = now.mono_s + patience_s

    def _next(self, now: Instant) -> None:
        self._current = None
        if self._waiting:
            self._send(self._waiting.popleft(), now)
            return
        self._quiet_until = now.mono_s + self._timing.keepalive_s
        if self._setting_up:
            self._setting_up = False
            self._events.append(Ready(self._make, self._model, self._number))

    def _unanswered(self, command: Command, now: Instant) -> None:
        """No result in time: resynchronise by AT, as often as it takes."""
        self._answers = False
        if command is _AT:
            if not self._silent:
                self._silent = True
                self._events.append(Silent(command.text))
            # A lost ^Z leaves a radio taking our commands for a message's digits: leave that state.
            self._out += _ESCAPE
        elif command != self._again:
            self._again = command
            self._waiting.appendleft(command)
        elif command.needed:
            self._refused(command, NO_ANSWER, now)
        self._send(_AT, now)

    def _take(self, item: pei.Item, now: Instant) -> None:
        if isinstance(item, pei.SdsIndication | pei.Unreadable):
            self._events.append(item)
        elif isinstance(item, pei.Result):
            self._result(item, now)
        elif isinstance(item, pei.Unsolicited):
            self._named(item, now)
        else:
            self._line(item, now)

    def _result(self, item: pei.Result, now: Instant) -> None:
        command = self._current
        if command is None:
            self._events.append(Heard("result", item.raw))
            return
        self._answers = True
        if item.code in dialects.IN_DATA_ENTRY:
            self._out_of_step(now, _ESCAPE)
        elif command is not _AT:
            if item.code not in {None, dialects.ALREADY_REGISTERED}:
                self._refused(command, -1 if item.code is None else item.code, now)
            self._next(now)
        elif item.code == dialects.SYNTAX:
            self._out_of_step(now, b"")
        else:
            self._synchronised(now)

    def _out_of_step(self, now: Instant, first: bytes) -> None:
        """The radio takes our commands for something else: AT again, at once at first, later at its time-out."""
        self._hasty += 1
        if self._hasty < _HASTY_TRIES:
            self._out += first
            self._send(_AT, now)

    def _synchronised(self, now: Instant) -> None:
        """AT was answered; a radio that had been silent may have restarted and forgotten everything."""
        self._hasty = 0
        if self._silent:
            self._silent = False
            self._current = None
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
        if item.name == "+CTICN":
            self._call(item)
        elif item.name == "+CREG":
            self._registration(item.text, now)
        elif item.name == "+CTOM" and not (asked or self._setting_up):
            self._set_up(now)  # registrations do not survive a change of mode
        elif item.name == "+GMI":
            self._make = item.text
        elif item.name == "+GMM":
            self._model = item.text
        elif item.name == "+CNUMF":
            self._own_number(item.text)
        if not asked and item.name != "+CTICN":
            self._events.append(Heard(item.name, item.raw))

    def _line(self, item: pei.Line, now: Instant) -> None:
        """An echo of what we sent says that ATE0 was forgotten: the radio has restarted."""
        if self._current is not None and item.text == self._current.text:
            if not self._setting_up:
                self._set_up(now)
        elif self._current is None:
            self._events.append(Unreadable(item.raw, "a line that nothing asked for"))
        else:
            if self._current.text == "AT+CNUMF?":
                self._own_number(item.text)
            self._events.append(Heard("line", item.raw))

    def _registration(self, text: str, now: Instant) -> None:
        """Coming back into service may follow a restart; registrations do not survive one."""
        there = text.split(",", maxsplit=1)[0].strip() in {"1", "5"}
        returned, self._registered = self._registered is False and there, there
        if returned and not self._setting_up:
            self._set_up(now)

    def _own_number(self, text: str) -> None:
        """`number type,identity`, one a line; the first identity that is an SSI or a TSI is ours."""
        _, _, digits = text.partition(",")
        address = pei.address(digits.split(",")[0].strip())
        if self._number is None and address is not None and address.ssi is not None:
            self._number = address

    def _call(self, item: pei.Unsolicited) -> None:
        """+CTICN of 13 fields: the fifth is the calling identity, the last the priority."""
        fields = [field.strip() for field in item.text.split(",")]
        priority = fields[-1]
        if len(fields) == _CALL_FIELDS and priority == str(self._dialect.emergency_priority):
            self._events.append(Call(pei.address(fields[4]), int(priority), item.raw))
        else:
            self._events.append(Heard(item.name, item.raw))
