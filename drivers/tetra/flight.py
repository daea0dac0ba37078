"""The command in flight, and whether a result is its own (EN 300 392-5: results carry no name). Sans-IO.

A result that comes late, or that answers nothing, must be taken for no command's. At the start, after a time-out
and after a burst of errors, questions whose answers name themselves are asked, and no result counts as long as
such an answer is owed. An error is believed only when the next such question has its answer and no second result
came between: a radio does one thing after another. A radio that answers none of them is believed after a quiet
time and an AT.
"""

from __future__ import annotations

import msgspec

from drivers.tetra import dialects, pei
from drivers.tetra.dialects import Command, Dialect
from drivers.tetra.heard import Heard, Timing
from drivers.tetra.questions import Questions
from gateway.domain.time import Instant

AT = Command("AT")
HUSH = Command("")
"""Not sent: the time in which no late result may come any more, for a radio that answers no question."""
LATE = Command("")
"""Not sent: the moment in which the result of what timed out may still come, before the next question is asked."""
DOUBT = Command("")
"""Not sent: the moment after an error in which a second result would say that it was one of a burst, and no answer."""
_HASTY_TRIES = 3
_MOST_PATIENCE = 4
_HUSH_REPLIES = 1.5
"""How long the quiet time is, in the longest that any result may take."""


class Answered(msgspec.Struct, frozen=True):
    """A command has its own result: code None for OK."""

    command: Command
    code: int | None


class Lost(msgspec.Struct, frozen=True):
    """Whose result came is not known, or none came; mixed: results were seen that belong to another."""

    command: Command
    mixed: bool = False


class InStep(msgspec.Struct, frozen=True):
    """From now on the next result is the next command's."""


class Mute(msgspec.Struct, frozen=True):
    """A question of the way back into step has no answer."""

    command: Command


Outcome = Answered | Lost | InStep | Mute | Heard


class Flight:
    """One command at a time; after each call `current` is None where the next may be sent."""

    def __init__(self, dialect: Dialect, timing: Timing, turn: int) -> None:
        self._leave_entry, self._timing = dialect.leave_entry, timing
        self._out = bytearray()
        self.current: Command | None = None
        self.reply_by = 0.0
        self.questions = Questions(turn)
        self.marking: Command | None = None
        self._check: Command | None = None
        self._doubted: tuple[Command, int] | None = None
        self._named_itself = self._nameless = self._last_word = self._waited = self._no_data = False
        self._owed = self._hasty = 0
        self._names: set[str] = set()
        self.answers = self.proven = False

    @property
    def finding_place(self) -> bool:
        """Whether this is part of the way back into step."""
        command = self.current
        return command is not None and any(command is one for one in (AT, LATE, HUSH, self.marking))

    def to_send(self) -> bytes:
        """Bytes for the port since the last call."""
        out = bytes(self._out)
        self._out.clear()
        return out

    def send(self, command: Command, now: Instant) -> None:
        """This is in flight from now on."""
        self.current, self._named_itself, self._nameless = command, False, False
        self._owed += 1
        self.questions.note(command.text)
        self._out += dialects.permitted(command.text).encode("ascii") + b"\r\n"
        if command.body:
            self._out += command.body.encode("ascii") + b"\x1a"
        self.reply_by = now.mono_s + self._patience_s(command)

    def _patience_s(self, command: Command) -> float:
        """On the way back into step it grows with each round: a radio may be slower than the first one allowed."""
        if command is AT or command is self.marking:
            return self._timing.probe_s * min(_MOST_PATIENCE, 1 + self.questions.rounds)
        return self._timing.reply_s

    def named(self, name: str) -> bool:
        """A line of that name came; whether it was asked for."""
        asked = self.current is not None and self.current.text.startswith("AT" + name)
        self._named_itself = self._named_itself or asked
        return asked

    # --- results

    def result(self, item: pei.Result, now: Instant) -> list[Outcome]:
        """Whose is this OK, ERROR or +CME ERROR, and what follows from it."""
        command, self._owed = self.current, max(0, self._owed - 1)
        if command is None:
            return [Heard("result", item.raw)]
        if self._doubted is not None and (command is DOUBT or command is self._check):
            return self._second(*self._doubted, item, now)
        self.answers = True
        if item.code in dialects.IN_DATA_ENTRY:
            lost: list[Outcome] = [] if self.finding_place else [Lost(command)]
            self._out_of_step(now, self._leave_entry)
            return lost
        if self.finding_place:
            return self._way_back(command, item, now)
        return self._first(command, item.code, now)

    def _first(self, command: Command, code: int | None, now: Instant) -> list[Outcome]:
        """Success is believed, unless the answer should have named itself and did not; an error is to be proven."""
        if not dialects.success(command.text, code):
            self._doubted, self._waited, self._no_data = (command, -1 if code is None else code), False, False
            self._hold(DOUBT, now, self._timing.doubt_s)
            return []
        if command.text in self._names and not self._named_itself:
            self._names.discard(command.text)
            self.send(AT, now)
            return [Lost(command, mixed=True)]
        self.proven = self._named_itself and command.text in dialects.MARKERS
        if self.proven:
            self._owed = 0
            self.questions.settle()
            self.questions.learn(Command(command.text))
        if self._named_itself and command.text in dialects.NAMED:
            self._names.add(command.text)
        self.current = None
        return [Answered(command, None)]

    def _second(self, asked: Command, code: int, item: pei.Result, now: Instant) -> list[Outcome]:
        """A result behind an error: the named answer proves the error; any other says that one of them is a stranger.

        Only the refusal of a message's data may follow that of its command.
        """
        if self.current is self._check and self._named_itself and item.code is None:
            return self._believed(asked, code)
        if asked.body and item.code in dialects.IN_DATA_ENTRY and not self._no_data:
            self._no_data = True
            return []
        self._doubted = self._check = None
        self.send(AT, now)
        return [Lost(asked, mixed=True)]

    def _believed(self, asked: Command, code: int) -> list[Outcome]:
        self._doubted = self._check = self.current = None
        self._owed, self.proven = 0, False
        self.questions.settle()
        return [Answered(asked, code)]

    def _doubt_over(self, asked: Command, code: int, now: Instant) -> list[Outcome]:
        """No second result so far: ask what names itself, or wait as long as any result may take."""
        self._check = self.questions.check()
        if self._check is not None:
            self.send(self._check, now)
        elif self.questions.known:
            self._doubted = None
            self.send(AT, now)
            return [Lost(asked)]
        elif not self._waited:
            self._waited = True
            self._hold(DOUBT, now, self._timing.reply_s)
        else:
            return self._believed(asked, code)
        return []

    # --- no result in time

    def overdue(self, now: Instant) -> list[Outcome]:
        """What is in flight has waited long enough: resynchronise by AT, as often as it takes."""
        command = self.current
        if command is None:
            return []
        if command is HUSH:
            self._last_word = True
            self.send(AT, now)
        elif command is LATE:
            self.mark(now)
        elif command is DOUBT and self._doubted is not None:
            return self._doubt_over(*self._doubted, now)
        elif command is self.marking and self._nameless:
            self.questions.refused(command)
            self.mark(now)
        else:
            return self._unanswered(command, now)
        return []

    def _unanswered(self, command: Command, now: Instant) -> list[Outcome]:
        self.answers = self._last_word = False
        if command is AT or command is self.marking:
            # A lost ^Z leaves a radio taking our commands for a message's digits: leave that state.
            self._out += self._leave_entry
            self.send(AT, now)
            return [Mute(command)]
        if self._doubted is not None:
            command, self._doubted, self._check = self._doubted[0], None, None
        if command.body:
            self._out += self._leave_entry
        self.send(AT, now)
        return [Lost(command)]

    # --- back into step

    def _way_back(self, command: Command, item: pei.Result, now: Instant) -> list[Outcome]:
        """A result on the way back into step: it may be a late one, so only a question that named itself counts."""
        if command is AT and item.code == dialects.SYNTAX:
            self._out_of_step(now, b"")
        elif command is AT and self._last_word and item.code is None:
            return self._synchronised()
        elif command is LATE or command is AT:
            self._answers_again(now)
        elif command is HUSH:
            self.reply_by = max(self.reply_by, now.mono_s + self._timing.settle_s)
            return [Heard("result", item.raw)]
        elif item.code is None and self._named_itself:
            return self._marked(command, now)
        else:
            if not self.questions.is_known(command):
                self._nameless = True  # its own refusal, or a late result and its answer is about to come
                self.reply_by = min(self.reply_by, now.mono_s + self._timing.doubt_s)
            return [Heard("result", item.raw)]
        return []

    def _marked(self, question: Command, now: Instant) -> list[Outcome]:
        """A question has an answer that names it."""
        in_step = self.questions.named(question)
        self._names.add(question.text)
        if in_step:
            return self._synchronised()
        if in_step is None:
            self._hush(now)  # the same question was asked twice: whose answer is this?
        else:
            self.mark(now)
        return []

    def _answers_again(self, now: Instant) -> None:
        """The radio answers again; while results are still owed, give them a moment to come."""
        if self._owed and self.questions.known:
            self._hold(LATE, now, self._timing.settle_s)
        else:
            self.mark(now)

    def mark(self, now: Instant) -> None:
        """The radio answers again, or has just been met: ask what names itself, another question each time."""
        self.marking = self.questions.ask()
        self._hush(now) if self.marking is None else self.send(self.marking, now)

    def _hush(self, now: Instant) -> None:
        self._hold(HUSH, now, _HUSH_REPLIES * self._timing.reply_s)

    def _hold(self, pause: Command, now: Instant, pause_s: float) -> None:
        self.current, self.reply_by = pause, now.mono_s + pause_s

    def _out_of_step(self, now: Instant, first: bytes) -> None:
        """The radio takes our commands for something else: AT again, at once at first, later at its time-out."""
        self._hasty += 1
        if self._hasty < _HASTY_TRIES:
            self._out += first
            self.send(AT, now)
        else:
            self.current = AT

    def _synchronised(self) -> list[Outcome]:
        self._hasty, self._owed, self.marking, self._last_word = 0, 0, None, False
        self.questions.settle()
        self.current = None
        return [InStep()]
