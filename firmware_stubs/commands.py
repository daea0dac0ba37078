"""What a radio remembers and what its commands do with it (EN 300 392-5, clause 6)."""

import re
from collections.abc import Callable, Mapping

from firmware_stubs.cell import Cell
from firmware_stubs.dialects import Dialect
from firmware_stubs.sds import AI_SDS4, AI_STATUS, Downlink, Frame

DATA_PATIENCE_S = 30.0
AIR_TIME_S = 0.3

NOT_ALLOWED, NOT_SUPPORTED, WRONG_TYPE, OUT_OF_RANGE, SYNTAX = 3, 4, 33, 34, 35
STRAY_DATA, DATA_TIMEOUT, ALREADY_REGISTERED, TABLE_FULL, NOT_IN_DMO, BUSY = 36, 37, 38, 39, 40, 42
SENT_OK, SEND_FAILED = 4, 5
TMO, DMO = 0, 1
MODES = {"0", "1", "2", "3", "5", "6"}
NO_SIGNAL = 99
LAST_SCANNED = 7
SILENTLY_TAKEN = {"CSCS", "CTGS", "CTDGR", "IFC", "CTSDC", "CTGL", "CMEE"}
CALLS, STATUSES, GROUPS = "0,0", "2,20", "1,11"


class AtError(Exception):
    """A command that ends in +CME ERROR; `code` is its number (EN 300 392-5, clause 6.17)."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Memory:
    """One radio's state and its commands; `put` prints one line on the port."""

    def __init__(self, dialect: Dialect, cell: Cell, heard: frozenset[int], put: Callable[[str], None]) -> None:
        self.dialect, self.cell, self.heard = dialect, cell, heard
        self.downlinks: list[Downlink] = []
        self.unreachable: set[int] = set()
        self.mode = TMO
        self.in_call = False
        self._put = put
        self._reference = 0
        self.forget()

    def forget(self) -> None:
        """What a restart of the radio takes with it; its mode and its message counter stay."""
        self.echo = True
        self.registered: set[str] = set()
        self.tells_registration = False
        self.called: tuple[int, int] | None = None
        self.data_until = 0.0
        self.on_air: list[tuple[float, int, bool]] = []
        self._sending: tuple[int, int] | None = None
        self._last_sent: float | None = None

    def change_mode(self, mode: int) -> None:
        """Another mode: registrations are gone, and whoever asked for it hears of the network."""
        if mode != self.mode:
            self.mode = mode
            self.registered.clear()
            if self.tells_registration:
                self._put(f"+CREG: {self._registration()}")

    def wants(self, frame: Frame) -> bool:
        """Whether the equipment has registered for this kind of short data (clause 6.14.13)."""
        if frame.service == AI_STATUS:
            return STATUSES in self.registered
        protocol = frame.protocol or 0
        return bool(self.registered & {f"3,{protocol}", "3,24" if protocol < 0x80 else "3,25"})

    def tick(self, now: float) -> None:
        """Short data on the air arrives or fails."""
        for due, reference, reached in [one for one in self.on_air if one[0] <= now]:
            self.on_air.remove((due, reference, reached))
            self._put(f"+CMGS: 0,{SENT_OK if reached else SEND_FAILED},{reference}")

    def basic(self, word: str) -> bool:
        """ATE, ATI and bare AT."""
        if word.startswith("E"):
            self.echo = word == "E1"
        elif word.startswith("I"):
            if "I" in self.dialect.refused:
                raise AtError(self.dialect.refused["I"])
            self._put(self.dialect.identity["GMI"])
        return True

    def extended(self, name: str, mode: str, argument: str | None, now: float) -> bool:
        """A + command; False where its result comes later."""
        if name in self.dialect.refused:
            raise AtError(self.dialect.refused[name])
        if argument is None:
            return self._query(name, mode)
        values = [value.strip().strip('"') for value in argument.split(",")]
        actions: Mapping[str, Callable[[list[str]], bool]] = {
            "CTSP": self._register,
            "CTSDS": self._choose_service,
            "CTOM": self._set_mode,
            "CREG": self._tell_registration,
            "CMGS": lambda called: self._open_data(called, now),
        }
        if name in actions:
            return actions[name](values)
        if name not in SILENTLY_TAKEN:
            raise AtError(NOT_SUPPORTED)
        return True

    def _query(self, name: str, mode: str) -> bool:
        if (name, mode) == ("CMGS", "=?"):
            self._put(f"+CMGS: (0-16777214,00000001-10231638316777214),(8-{self.dialect.data_bits})")
            return True
        if (name, mode) == ("CTSP", "?"):
            for entry in sorted(self.registered):
                self._put(f"+CTSP: 1,{entry}")
            return True
        cell, trunked = self.cell, self.mode == TMO
        if (name, mode) == ("CTGS", "?"):
            for kind, group in enumerate((cell.group, *cell.scanned), 1):
                self._put(f"+CTGS: {min(kind, LAST_SCANNED)},{cell.network}{group:08d}")
            return True
        answers = {
            "CNUMF": f"6,{cell.network}{cell.issi:08d}",
            "CREG": self._registration(),
            "CTOM": str(self.mode),
            "CSQ": f"{cell.signal if trunked else NO_SIGNAL},99",
            "CBC": "0,88",
            "CSCS": "8859-1",
            **self.dialect.identity,
        }
        if mode != "?" or name not in answers:
            raise AtError(NOT_SUPPORTED)
        self._put(f"+{name}: {answers[name]}")
        return True

    def _registration(self) -> str:
        home = 1 if self.mode == TMO else 0
        return f"{home},{self.cell.area},{self.cell.network}"

    def _register(self, values: list[str]) -> bool:
        """+CTSP: profile, layer 1, layer 2 (clause 6.14.13)."""
        if len(values) < 2 or not all(value.isdecimal() for value in values):
            raise AtError(SYNTAX)
        if values[0] not in {"0", "1", "2"} or values[1] not in {"0", "1", "2", "3"}:
            raise AtError(OUT_OF_RANGE)
        entry = ",".join(values[1:3])
        if values[0] == "0":
            self.registered.discard(entry)
        elif entry in self.registered:
            raise AtError(ALREADY_REGISTERED)
        elif len(self.registered) >= self.dialect.table:
            raise AtError(TABLE_FULL)
        else:
            self.registered.add(entry)
        return True

    def _set_mode(self, values: list[str]) -> bool:
        """+CTOM (clause 6.14.7): a change makes the radio forget its registrations."""
        if len(values) != 1 or values[0] not in MODES:
            raise AtError(OUT_OF_RANGE)
        self.change_mode(int(values[0]))
        return True

    def _tell_registration(self, values: list[str]) -> bool:
        self.tells_registration = values[0] == "2"
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
        self._must_be_free(now)
        if self._sending is not None and self._sending[0] == AI_STATUS and values[1] != "16":
            raise AtError(WRONG_TYPE)
        if int(values[1]) > self.dialect.data_bits:
            raise AtError(OUT_OF_RANGE)
        self.called = (int(values[0][-8:]), int(values[1]))
        self.data_until = now + DATA_PATIENCE_S
        return False

    def _must_be_free(self, now: float) -> None:
        """Not before +CTSDS, not in direct mode, not during a call, one at a time, and with a gap between two."""
        if self._sending is None:
            raise AtError(NOT_ALLOWED)
        if self.mode == DMO:
            raise AtError(NOT_IN_DMO)
        if self.in_call:
            raise AtError(self.dialect.in_call)
        if self.on_air or (self._last_sent is not None and now - self._last_sent < self.dialect.gap_s):
            raise AtError(BUSY)

    def send(self, digits: str, now: float) -> bool:
        """The data behind +CMGS: an instance and a reference at once, the outcome when it is off the air."""
        called, bits = self.called or (0, 0)
        self.called = None
        service = self._sending[0] if self._sending else AI_SDS4
        if re.fullmatch(r"(?i)[0-9a-f]+", digits) is None:
            raise AtError(STRAY_DATA)
        if bits > 4 * len(digits) or 4 * len(digits) - bits >= 8:
            raise AtError(OUT_OF_RANGE)
        self._reference = self._reference % 255 + 1
        reached = called == self.cell.group or (called in self.heard and called not in self.unreachable)
        self.on_air.append((now + AIR_TIME_S, self._reference, reached))
        self._last_sent = now
        self._put(f"+CMGS: 0,0,{self._reference}")
        if reached:
            self.downlinks.append(Downlink(called, service, digits.upper(), bits))
        return True
