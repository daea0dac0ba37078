"""The radio's side of the PEI (EN 300 392-5): AT commands in, results and indications out, time as an argument."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from firmware_stubs.dialects import Dialect
from firmware_stubs.sds import AI_SDS4, AI_STATUS, Downlink, Frame

END_OF_DATA = 0x1A
ESCAPE = 0x1B
LINE_CAP = 4096
TABLE_CAP = 64
DATA_PATIENCE_S = 30.0
AIR_TIME_S = 0.3
REBOOT_S = 3.0

NOT_ALLOWED, NOT_SUPPORTED, WRONG_TYPE, OUT_OF_RANGE, SYNTAX = 3, 4, 33, 34, 35
STRAY_DATA, DATA_TIMEOUT, ALREADY_REGISTERED, TABLE_FULL, BUSY = 36, 37, 38, 39, 42
SENT_OK, SEND_FAILED = 4, 5


class AtError(Exception):
    """A command that ends in +CME ERROR; `code` is its number (EN 300 392-5, clause 6.17)."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Cell:
    """Where the terminal stands: who it is, its network, area and selected group."""

    issi: int = 2349001
    network: str = "023409999"
    area: int = 17
    group: int = 2340001
    signal: int = 24


class MobileTermination:
    """One radio as the equipment on its serial port sees it."""

    def __init__(self, dialect: Dialect, cell: Cell, heard: frozenset[int]) -> None:
        self.dialect, self.cell, self.heard = dialect, cell, heard
        self.violations: list[str] = []
        self.downlinks: list[Downlink] = []
        self._out = bytearray()
        self._line = bytearray()
        self._silent_until = 0.0
        self._reset()

    def _reset(self) -> None:
        self._echo = True
        self._registered: set[str] = set()
        self._sending: tuple[int, int] | None = None
        self._called: tuple[int, int] | None = None
        self._data_until = 0.0
        self._on_air: list[tuple[float, int, bool]] = []
        self._reference = 0

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the equipment, in any pieces; a rebooting radio hears nothing."""
        for octet in data:
            if now >= self._silent_until:
                self._octet(octet, now)

    def to_send(self) -> bytes:
        """What the radio has put on the line since the last call."""
        out = bytes(self._out)
        self._out.clear()
        return out

    def tick(self, now: float) -> None:
        """Let time pass: data entry runs out, short data on the air arrives or fails."""
        if self._called is not None and now >= self._data_until:
            self._called = None
            self._line.clear()
            self._error(DATA_TIMEOUT)
        for due, reference, reached in [one for one in self._on_air if one[0] <= now]:
            self._on_air.remove((due, reference, reached))
            self._text(f"+CMGS: 0,{SENT_OK if reached else SEND_FAILED},{reference}")

    def deadline(self) -> float | None:
        """When tick is next of use."""
        times = [one[0] for one in self._on_air]
        return min([*times, self._data_until] if self._called is not None else times, default=None)

    def wants(self, frame: Frame) -> bool:
        """Whether the equipment has registered for this kind of short data (clause 6.14.13)."""
        if frame.service == AI_STATUS:
            return "2,20" in self._registered
        protocol = frame.protocol or 0
        return bool(self._registered & {f"3,{protocol}", "3,24" if protocol < 0x80 else "3,25"})

    def indication(self, frame: Frame) -> bytes:
        """A +CTSDSR as this make prints it (clause 6.13.3)."""
        tail = ",0" if self.dialect.encryption_field else ""
        head = f"+CTSDSR: {frame.service},{frame.issi},0,{self.cell.issi},0,{frame.bits}{tail}"
        return f"\r\n{head}\r\n{frame.hexadecimal}\r\n".encode()

    def _octet(self, octet: int, now: float) -> None:
        if self._called is not None:
            self._data_octet(octet, now)
            return
        if self._echo:
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
            self._answer(lambda: self._send(digits, now))
        elif octet == ESCAPE:
            self._called = None
            self._line.clear()
            self._text("OK")
        elif len(self._line) < LINE_CAP:
            self._line.append(octet)

    def _command(self, line: str, now: float) -> None:
        found = re.fullmatch(r"(?i)AT(Z|E\d?|I\d?|\+(\w+)(=\?|\?|=(.*))?)?", line)
        if found is None:
            self._error(SYNTAX if line.upper().startswith("AT") else STRAY_DATA)
            return
        word = (found[1] or "").upper()
        if word == "Z":
            self._reboot(now)
        elif found[2] is None:
            self._answer(lambda: self._basic(word))
        else:
            self._answer(lambda: self._extended(found[2].upper(), found[3] or "", found[4], now))

    def _reboot(self, now: float) -> None:
        """ATZ restarts some radios without an OK (Sepura "reset to default configuration")."""
        self.violations.append("ATZ")
        self._out.clear()
        self._reset()
        self._silent_until = now + REBOOT_S

    def _basic(self, word: str) -> bool:
        if word.startswith("E"):
            self._echo = word == "E1"
        elif word.startswith("I"):
            if "I" in self.dialect.refused:
                raise AtError(self.dialect.refused["I"])
            self._text(self.dialect.identity["GMI"])
        return True

    def _extended(self, name: str, mode: str, argument: str | None, now: float) -> bool:
        if name in self.dialect.refused:
            raise AtError(self.dialect.refused[name])
        if argument is None:
            return self._query(name, mode)
        values = [value.strip().strip('"') for value in argument.split(",")]
        actions: Mapping[str, Callable[[list[str]], bool]] = {
            "CTSP": self._register,
            "CTSDS": self._choose_service,
            "CMGS": lambda called: self._open_data(called, now),
        }
        if name in actions:
            return actions[name](values)
        if name not in {"CSCS", "CREG", "CTOM", "CTGS", "CTDGR", "IFC", "CTSDC"}:
            raise AtError(NOT_SUPPORTED)
        return True

    def _query(self, name: str, mode: str) -> bool:
        cell = self.cell
        answers = {
            "CNUMF": f"6,{cell.network}{cell.issi:08d}",
            "CREG": f"1,{cell.area},{cell.network}",
            "CTOM": "0",
            "CTGS": f"1,{cell.network}{cell.group:08d}",
            "CSQ": f"{cell.signal},99",
            "CBC": "0,88",
            "CSCS": "8859-1",
            **self.dialect.identity,
        }
        if mode != "?" or name not in answers:
            raise AtError(NOT_SUPPORTED)
        self._text(f"+{name}: {answers[name]}")
        return True

    def _register(self, values: list[str]) -> bool:
        """+CTSP: profile, layer 1, layer 2 (clause 6.14.13)."""
        if len(values) < 2 or not all(value.isdecimal() for value in values):
            raise AtError(SYNTAX)
        if values[0] not in {"0", "1", "2"} or values[1] not in {"0", "1", "2", "3"}:
            raise AtError(OUT_OF_RANGE)
        entry = ",".join(values[1:3])
        if values[0] == "0":
            self._registered.discard(entry)
        elif entry in self._registered:
            raise AtError(ALREADY_REGISTERED)
        elif len(self._registered) >= TABLE_CAP:
            raise AtError(TABLE_FULL)
        else:
            self._registered.add(entry)
        return True

    def _choose_service(self, values: list[str]) -> bool:
        """+CTSDS is sticky: it holds until it is sent again (clause 6.14.6)."""
        if len(values) < 2 or not all(value.isdecimal() for value in values):
            raise AtError(SYNTAX)
        service, called_type = int(values[0]), int(values[1])
        if service not in {AI_SDS4, AI_STATUS}:
            raise AtError(OUT_OF_RANGE)
        self._sending = (service, called_type)
        return True

    def _open_data(self, values: list[str], now: float) -> bool:
        if len(values) != 2 or not all(value.isdecimal() for value in values):
            raise AtError(SYNTAX)
        if self._sending is None:
            raise AtError(NOT_ALLOWED)
        if self._on_air:
            raise AtError(BUSY)
        if self._sending[0] == AI_STATUS and values[1] != "16":
            raise AtError(WRONG_TYPE)
        self._called = (int(values[0][-8:]), int(values[1]))
        self._data_until = now + DATA_PATIENCE_S
        return False

    def _send(self, digits: str, now: float) -> bool:
        """The data behind +CMGS: an instance and a reference at once, the outcome when it is off the air."""
        called, bits = self._called or (0, 0)
        self._called = None
        service = self._sending[0] if self._sending else AI_SDS4
        if re.fullmatch(r"(?i)[0-9a-f]+", digits) is None:
            raise AtError(STRAY_DATA)
        if bits > 4 * len(digits) or 4 * len(digits) - bits >= 8:
            raise AtError(OUT_OF_RANGE)
        self._reference = self._reference % 255 + 1
        reached = called in self.heard or called == self.cell.group
        self._on_air.append((now + AIR_TIME_S, self._reference, reached))
        self._text(f"+CMGS: 0,0,{self._reference}")
        if reached:
            self.downlinks.append(Downlink(called, service, digits.upper()))
        return True

    def _answer(self, act: Callable[[], bool]) -> None:
        try:
            done = act()
        except AtError as error:
            self._error(error.code)
        else:
            if done:
                self._text("OK")

    def _error(self, code: int) -> None:
        self._text(f"+CME ERROR: {code}")

    def _text(self, text: str) -> None:
        self._out += self.dialect.lead + text.encode("ascii") + b"\r\n"
