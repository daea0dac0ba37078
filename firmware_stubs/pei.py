"""The radio's side of the PEI (EN 300 392-5): AT commands in, results and indications out, time as an argument."""

import re
from collections.abc import Callable, Sequence

from firmware_stubs.cell import Cell
from firmware_stubs.commands import CALLS, DATA_TIMEOUT, STRAY_DATA, SYNTAX, AtError, Memory
from firmware_stubs.dialects import Dialect
from firmware_stubs.sds import Downlink, Frame

END_OF_DATA = 0x1A
ESCAPE = 0x1B
LINE_CAP = 4096
INBOX_CAP = 16384
REBOOT_S = 3.0
# After a late result the next command's own result takes a moment: nobody may take one for the other.
RESULT_GAP_S = 0.03
EMERGENCY_PRIORITY = 15

__all__ = ["Cell", "MobileTermination"]


class MobileTermination:
    """One radio as the equipment on its serial port sees it. What it can suffer are the methods after `indication`."""

    def __init__(self, dialect: Dialect, cell: Cell, heard: frozenset[int], *, reboot_s: float = REBOOT_S) -> None:
        self.dialect, self.cell, self.heard = dialect, cell, heard
        self.violations: list[str] = []
        self.memory = Memory(dialect, cell, heard, self._text)
        self._reboot_s = reboot_s
        self._out = bytearray()
        self._silent_until = 0.0
        self._reset()

    def _reset(self) -> None:
        self.memory.forget()
        self._line = bytearray()
        self._inbox = bytearray()
        self._ahead = bytearray()
        self._late: tuple[float, str] | None = None
        self._resting_until = 0.0
        self._queued = False
        self._drop_next = False
        self._delay_next_s = 0.0
        self._confused = False

    @property
    def downlinks(self) -> list[Downlink]:
        """Short data that went on the air and was received; whoever delivers it takes it away."""
        return self.memory.downlinks

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the equipment, in any pieces; a rebooting radio hears nothing."""
        if now < self._silent_until:
            return
        self._note_overtaking(data)
        self._inbox += data[: INBOX_CAP - len(self._inbox)]
        self._work(now)

    def to_send(self) -> bytes:
        """What the radio has put on the line since the last call."""
        out = bytes(self._out)
        self._out.clear()
        return out

    def tick(self, now: float) -> None:
        """Let time pass: late results come, data entry runs out, short data on the air arrives or fails."""
        if self._late is not None and now >= self._late[0]:
            self._text(self._late[1])
            self._late, self._resting_until, self._queued = None, now + RESULT_GAP_S, True
        self._work(now)
        if self.memory.called is not None and now >= self.memory.data_until:
            self.memory.called = None
            self._line.clear()
            self._error(DATA_TIMEOUT)
        self.memory.tick(now)

    def deadline(self) -> float | None:
        """When tick is next of use."""
        times = [one[0] for one in self.memory.on_air]
        times += [self.memory.data_until] if self.memory.called is not None else []
        times += [self._late[0]] if self._late is not None else []
        times += [self._resting_until] if self._inbox else []
        return min(times, default=None)

    def wants(self, frame: Frame) -> bool:
        """Whether the equipment has registered for this kind of short data (clause 6.14.13)."""
        return self.memory.wants(frame)

    def indication(self, frame: Frame) -> bytes:
        """A +CTSDSR as this make prints it (clause 6.13.3)."""
        tail = ",0" if self.dialect.encryption_field else ""
        head = f"+CTSDSR: {frame.service},{frame.issi},0,{self.cell.issi},0,{frame.bits}{tail}"
        return f"\r\n{head}\r\n{frame.hexadecimal}\r\n".encode()

    def reboot(self, now: float) -> None:
        """Off and on again: registrations and all that was under way are gone, and nothing is heard for a while."""
        self._out.clear()
        self._reset()
        self._silent_until = now + self._reboot_s

    def drop_result(self) -> None:
        """The next command's final result never comes."""
        self._drop_next = True

    def delay_result(self, seconds: float) -> None:
        """The next command's final result comes so much later; what is sent meanwhile waits its turn."""
        self._delay_next_s = seconds

    def burst(self, codes: Sequence[int]) -> None:
        """Errors that answer nothing but what was under way; the radio has lost its registrations with them."""
        self.memory.registered.clear()
        self._late = None
        for code in codes:
            self._error(code)

    def confuse(self) -> None:
        """From here on every command is a syntax error until a bare AT."""
        self._confused = True

    def begin_call(self, caller: int, group: int, priority: int = 0) -> None:
        """A group call comes in and holds the radio (clause 6.15); told where the equipment registered for calls."""
        self.memory.in_call = True
        if CALLS in self.memory.registered:
            self._text(f"+CTICN: 1,0,0,0,{caller},1,1,0,1,1,0,{group},{priority}")
            self._text(f"+CTXG: 1,3,0,0,0,{caller}")

    def end_call(self) -> None:
        """The call is over, by the network's timer."""
        self.memory.in_call = False
        if CALLS in self.memory.registered:
            self._text("+CDTXC: 1,0")
            self._text("+CTCR: 1,13")

    def _holding(self, now: float) -> bool:
        """Whether what comes in waits its turn."""
        return self._late is not None or now < self._resting_until

    def _note_overtaking(self, data: bytes) -> None:
        """A command before the earlier one's result would get its answer.

        AT alone, a question (its answer names it), ESC and ^Z are ways back into step.
        """
        owing = self._late is not None or b"\r" in self._inbox
        self._ahead += data
        *lines, rest = re.split(rb"[\r\x1a\x1b]", bytes(self._ahead))
        self._ahead = bytearray(rest[-LINE_CAP:])
        for line in (each.strip() for each in lines):
            is_command = line.upper().startswith(b"AT")
            if owing and is_command and re.fullmatch(rb"(?i)AT(\+\w+\?)?", line) is None:
                self.violations.append(f"{line.decode('ascii', 'replace')} overtook a result")
            owing = owing or is_command

    def _work(self, now: float) -> None:
        while self._inbox and not self._holding(now):
            octet = self._inbox.pop(0)
            self._octet(octet, now)
            if self._queued and octet == 0x0D:
                self._resting_until = now + RESULT_GAP_S
        self._queued = self._queued and bool(self._inbox)

    def _octet(self, octet: int, now: float) -> None:
        if self.memory.called is not None:
            self._data_octet(octet, now)
            return
        if self.memory.echo:
            self._out.append(octet)
        if octet == 0x0D:
            line = self._line.decode("ascii", "replace").strip()
            self._line.clear()
            if line:
                self._command(line, now)
        elif octet == END_OF_DATA:
            self._line.clear()
            self._error(STRAY_DATA)
        elif octet == ESCAPE:
            self._line.clear()
        elif len(self._line) < LINE_CAP:
            self._line.append(octet)

    def _data_octet(self, octet: int, now: float) -> None:
        if octet == END_OF_DATA:
            digits = self._line.decode("ascii", "replace").strip()
            self._line.clear()
            self._answer(lambda: self.memory.send(digits, now), now)
        elif octet == ESCAPE:
            self.memory.called = None
            self._line.clear()
            self._text("OK")
        elif len(self._line) < LINE_CAP:
            self._line.append(octet)

    def _command(self, line: str, now: float) -> None:
        found = re.fullmatch(r"(?i)AT(Z|E\d?|I\d?|\+(\w+)(=\?|\?|=(.*))?)?", line)
        word = (found[1] or "").upper() if found else ""
        self._confused = self._confused and bool(word)
        if found is None or self._confused:
            self._error(SYNTAX if line.upper().startswith("AT") else STRAY_DATA)
        elif word == "Z":
            # ATZ restarts some radios without an OK (Sepura "reset to default configuration").
            self.violations.append("ATZ")
            self.reboot(now)
        elif found[2] is None:
            self._answer(lambda: self.memory.basic(word), now)
        else:
            self._answer(lambda: self.memory.extended(found[2].upper(), found[3] or "", found[4], now), now)

    def _answer(self, act: Callable[[], bool], now: float) -> None:
        try:
            done = act()
        except AtError as error:
            self._result(f"+CME ERROR: {error.code}", now)
        else:
            if done:
                self._result("OK", now)

    def _result(self, text: str, now: float) -> None:
        if self._drop_next:
            self._drop_next = False
        elif self._delay_next_s:
            self._late, self._delay_next_s = (now + self._delay_next_s, text), 0.0
        else:
            self._text(text)

    def _error(self, code: int) -> None:
        self._text(f"+CME ERROR: {code}")

    def _text(self, text: str) -> None:
        self._out += self.dialect.lead + text.encode("ascii") + b"\r\n"
