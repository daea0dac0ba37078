"""A terminal's bad day: so many random faults from one seed, and an account of every short data that it completed."""

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from firmware_stubs.handset import lip_frame
from firmware_stubs.jsonline import say
from firmware_stubs.lip import ShortReport
from firmware_stubs.port import Terminal
from firmware_stubs.sds import Frame, simple_text, status, transfer_text

FIRST_ISSI = 2_500_000
READY_S = 15.0
SETTLE_S = 20.0
LATE_S = (0.05, 1.0)
STEP_S = 0.005
GARBAGE = b"\x00\x07\x7f\x80\xfe\xff#%&?+:,0A\r\n"
CODES = (0, 1, 2, 30, 31, 33, 35, 42, 44)
KINDS = ("cme_burst", "dropped_ok", "fragment", "garbage", "late_ok", "reboot", "unplug")


@dataclass
class Given:
    """One short data on the line: its number is its sender, so that nothing else can be taken for it."""

    frame: Frame
    ends: int
    written_s: float
    hangups: int


class Faults:
    """Puts short data on the line and faults between, before and into it. `step` is called while it waits."""

    def __init__(self, terminal: Terminal, seed: int, step: Callable[[], None], stop: threading.Event) -> None:
        self._terminal, self._step, self._stop = terminal, step, stop
        self._chance = random.Random(seed)
        self._serial = 0
        self._pending: deque[Given] = deque()
        self.suffered: Counter[str] = Counter()
        self.completed: Counter[str] = Counter()
        terminal.on_written = self._written
        radio = terminal.radio
        self._kinds: dict[str, Callable[[], None]] = {
            "fragment": lambda: self._pieces(slowly=True),
            "garbage": lambda: None,
            "dropped_ok": radio.drop_result,
            "late_ok": lambda: radio.delay_result(self._chance.uniform(*LATE_S)),
            "reboot": terminal.reboot,
            "unplug": self._unplug,
            "cme_burst": lambda: radio.burst(self._chance.choices(CODES, k=self._chance.randint(1, 6))),
        }

    def run(self, count: int, kinds: Sequence[str] = KINDS) -> None:
        """So many faults of these kinds, then quiet, and a last few that must all arrive."""
        deck: list[str] = []
        for number in range(count):
            self._await(lambda: self._terminal.ready, READY_S)
            if self._stop.is_set():
                break
            # Every kind in turn, in an order that changes: a short run has them all too.
            if number % len(kinds) == 0:
                deck = self._chance.sample(kinds, len(kinds))
            self._round(number, deck.pop())
        self._settle()

    def _round(self, number: int, kind: str) -> None:
        """Some short data, sometimes a torn one, and a fault on its heels or a moment later."""
        for _ in range(self._chance.randint(0, 3)):
            self._terminal.hear(self._next())
        if kind in {"reboot", "unplug", "garbage"} and self._chance.random() < 0.4:
            octets = self._terminal.radio.indication(self._next())
            self._terminal.garble("torn", octets[: self._chance.randint(1, len(octets) - 3)])
        if self._chance.random() < 0.5:
            self._pause(self._chance.uniform(0, 0.15))
        if kind == "garbage":
            self._terminal.garble("garbage", bytes(self._chance.choices(GARBAGE, k=self._chance.randint(1, 60))))
        self._terminal.suffer(lambda: self._suffer(number, kind))
        for _ in range(self._chance.randint(0, 2)):
            self._terminal.hear(self._next())
        if kind == "fragment":
            self._terminal.suffer(lambda: self._pieces(slowly=False))
        self._await(self._terminal.drained, READY_S)
        self._pause(self._chance.uniform(0, 0.3))

    def _suffer(self, number: int, kind: str) -> None:
        self._settle_account()
        self._kinds[kind]()
        self.suffered[kind] += 1
        say({"event": "fault", "n": number, "kind": kind, "at": time.monotonic()})

    def _settle(self) -> None:
        self._await(lambda: self._terminal.ready, SETTLE_S)
        self._pause(1.0)
        self._await(lambda: self._terminal.ready, SETTLE_S)
        for _ in range(10):
            self._terminal.hear(self._next())
        self._await(self._terminal.drained, READY_S)
        self._await(lambda: self._terminal.unread() == 0, 2.0)
        self._terminal.suffer(self._settle_account)
        self._await(self._terminal.drained, READY_S)

    def _next(self) -> Frame:
        """Each from a sender of its own, in turn a location, a status, a plain and a transferred text."""
        self._serial += 1
        issi, dialect = FIRST_ISSI + self._serial, self._terminal.radio.dialect
        return (
            lambda: lip_frame(issi, ShortReport(52.5 + self._serial * 1e-5, -0.24, 4, 2), dialect),
            lambda: status(issi, 0x8002),
            lambda: simple_text(issi, f"Number {self._serial}"),
            lambda: transfer_text(issi, f"Number {self._serial}", self._serial % 256),
        )[self._serial % 4]()

    def _written(self, frame: Frame, ends: int) -> None:
        if frame.issi >= FIRST_ISSI:
            self._pending.append(Given(frame, ends, time.monotonic(), self._terminal.hangups))

    def _settle_account(self, *, cut: bool = False) -> None:
        """Say of everything on the line whether it was read; what was not yet is said later, or at a cut."""
        unread = self._terminal.unread()
        read_to = -1 if unread is None else self._terminal.written - unread
        while self._pending and (cut or self._closed(self._pending[0]) or self._pending[0].ends <= read_to):
            given = self._pending.popleft()
            read = given.ends <= read_to and not self._closed(given)
            self.completed["read" if read else "unread"] += 1
            say(
                {
                    "event": "sds",
                    "issi": given.frame.issi,
                    "kind": given.frame.kind,
                    "hex": given.frame.hexadecimal,
                    "written_s": given.written_s,
                    "read": read,
                }
            )

    def _closed(self, given: Given) -> bool:
        """Whether the equipment closed the port since: nobody can say then whether it had read it."""
        return given.hangups != self._terminal.hangups

    def _unplug(self) -> None:
        self._settle_account(cut=True)
        self._terminal.replug(self._chance.uniform(0.02, 0.3))

    def _pieces(self, *, slowly: bool) -> None:
        self._terminal.slowly = slowly

    def _pause(self, seconds: float) -> None:
        self._await(lambda: False, seconds)

    def _await(self, done: Callable[[], bool], patience_s: float) -> None:
        ends = time.monotonic() + patience_s
        while not done() and not self._stop.is_set() and time.monotonic() < ends:
            self._step()
            self._stop.wait(STEP_S)
