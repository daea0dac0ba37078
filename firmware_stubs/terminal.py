"""A terminal on a real pseudo-terminal: the radio of `pei` with a line, a clock and other radios to hear."""

import argparse
import fcntl
import os
import queue
import random
import select
import signal
import sys
import termios
import threading
import time
import tty
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from firmware_stubs.dialects import DIALECTS, Dialect
from firmware_stubs.jsonline import say
from firmware_stubs.lip import ShortReport, short_report_hex
from firmware_stubs.pei import Cell, MobileTermination
from firmware_stubs.sds import AI_SDS4, Downlink, Frame, emergency, simple_text, status

IDLE_S = 0.02
READ_CAP = 4096
LINGER_S = 2.0


def lip_frame(issi: int, report: ShortReport, dialect: Dialect, kind: str = "lip") -> Frame:
    """A location report as a terminal of this make hands it on."""
    return Frame(kind, issi, AI_SDS4, short_report_hex(report, dialect.lip_digits), dialect.stated_lip_bits)


class Terminal(threading.Thread):
    """One radio on one pseudo-terminal, under a stable path; `hear` is what arrives on its air interface."""

    def __init__(self, link: Path, radio: MobileTermination, seed: int | None = None) -> None:
        super().__init__(name=f"terminal {link.name}", daemon=True)
        self.link, self.radio = link, radio
        self.sent: Counter[str] = Counter()
        self.unheard: Counter[str] = Counter()
        self.on_downlink: Callable[[Downlink], None] | None = None
        self._chance = random.Random(seed) if seed is not None else None
        self._frames: queue.SimpleQueue[tuple[str, bytes | Frame]] = queue.SimpleQueue()
        self._given = 0
        self._done = 0
        self._awake = False
        self._ended = threading.Event()
        self._master = -1
        self._path = ""
        self._poll = select.poll()

    def open(self) -> None:
        """Make the pseudo-terminal and its link. Nobody holds the far end, so that unplugging shows."""
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self._path = os.ttyname(slave)
        os.close(slave)
        os.set_blocking(self._master, False)
        self._poll.register(self._master, select.POLLIN)
        self.link.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.link.with_name(f".{self.link.name}.{os.getpid()}")
        fresh.symlink_to(self._path)
        fresh.replace(self.link)

    def hear(self, frame: Frame) -> None:
        """Short data from another radio; handed on only where the equipment registered for it."""
        self._given += 1
        self._frames.put((frame.kind, frame))

    def garble(self, kind: str, octets: bytes) -> None:
        """Bytes on the line that are no frame: notices and rubbish, sent once equipment is there."""
        self._given += 1
        self._frames.put((kind, octets))

    @property
    def ready(self) -> bool:
        """Whether equipment is attached and has registered for location reports and statuses."""
        probe = (Frame("", 0, AI_SDS4, "0A", 8), status(0, 1))
        return self._awake and all(self.radio.wants(frame) for frame in probe)

    def drained(self) -> bool:
        """Whether everything heard so far has been written or let go."""
        return self._given == self._done

    def close(self) -> None:
        """Stop, remove the link, close the line once the other end has read it out."""
        if self._awake and not self._ended.is_set():
            self._let_read()
        self._ended.set()
        if self.is_alive():
            self.join(5)
        self.link.unlink(missing_ok=True)
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def _let_read(self) -> None:
        """Closing this end throws away what the other has not read, which was already counted as sent."""
        ends = time.monotonic() + LINGER_S
        far = os.open(self._path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        while time.monotonic() < ends:
            time.sleep(IDLE_S)
            if not int.from_bytes(fcntl.ioctl(far, termios.FIONREAD, bytes(4)), sys.byteorder):
                break
        os.close(far)

    def run(self) -> None:
        """Serve the line until closed."""
        while not self._ended.is_set():
            self._listen()
            self._hand_over()
            self.radio.tick(time.monotonic())
            self._write(self.radio.to_send())
            self._take_frame()

    def _listen(self) -> None:
        for _, mask in self._poll.poll(IDLE_S * 1000 if self.drained() else 0):
            if mask & select.POLLIN:
                data = self._read()
                self._awake = self._awake or (bool(data) and not mask & select.POLLHUP)
                self.radio.receive(data, time.monotonic())
            elif mask & select.POLLHUP:
                self._awake = False
                self._ended.wait(IDLE_S)

    def _read(self) -> bytes:
        try:
            return os.read(self._master, READ_CAP)
        except (BlockingIOError, OSError):
            return b""

    def _hand_over(self) -> None:
        while self.radio.downlinks:
            downlink = self.radio.downlinks.pop(0)
            if self.on_downlink is not None:
                self.on_downlink(downlink)

    def _take_frame(self) -> None:
        try:
            kind, what = self._frames.get_nowait()
        except queue.Empty:
            return
        heard = self._awake and (not isinstance(what, Frame) or self.radio.wants(what))
        octets = self.radio.indication(what) if isinstance(what, Frame) else what
        if heard and self._write(octets):
            self.sent[kind] += 1
        else:
            self.unheard[kind] += 1
        self._done += 1

    def _write(self, octets: bytes) -> bool:
        """Write it all, in pieces where a seed was given; False when the line went first."""
        rest = memoryview(octets)
        while rest:
            size = len(rest) if self._chance is None else self._chance.randint(1, min(24, len(rest)))
            if not self._writable():
                return False
            try:
                rest = rest[os.write(self._master, rest[:size]) :]
            except BlockingIOError:
                self._ended.wait(IDLE_S)
            except OSError:
                return False
            if self._chance is not None and self._chance.random() < 0.2:
                self._ended.wait(0.001)
        return True

    def _writable(self) -> bool:
        """Wait for room on the line; False when it is unplugged or the terminal ends."""
        while not self._ended.is_set():
            _, ready, _ = select.select([], [self._master], [], 0.2)
            hung_up = any(mask & select.POLLHUP for _, mask in self._poll.poll(0))
            if hung_up:
                self._awake = False
                return False
            if ready:
                return True
        return False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one terminal by hand: a report of each radio every few seconds."""
    given = _parser().parse_args(arguments)
    dialect, issis = DIALECTS[given.dialect], [given.first_issi + n for n in range(given.issis)]
    radio = MobileTermination(dialect, Cell(issi=given.issi), frozenset(issis))
    terminal = Terminal(given.link, radio, given.seed if given.fragment else None)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    terminal.open()
    terminal.on_downlink = lambda down: say({"event": "downlink", "called": down.called, "hex": down.hexadecimal})
    terminal.start()
    say({"event": "ready", "terminal": str(given.link), "issis": issis})
    ends = time.monotonic() + given.duration if given.duration else float("inf")
    turn = 0
    while not stop.wait(given.every) and time.monotonic() < ends:
        if terminal.ready:
            _round(terminal, issis, turn)
            turn += 1
        say({"event": "progress", "sent": terminal.sent, "ready": terminal.ready})
    terminal.close()
    say({"event": "summary", "sent": terminal.sent, "unheard": terminal.unheard, "violations": radio.violations})
    return 0


def _round(terminal: Terminal, issis: Sequence[int], turn: int) -> None:
    for place, issi in enumerate(issis):
        report = ShortReport(52.57 + 0.0001 * turn, -0.24 + 0.001 * place, speed_code=5, direction_code=0)
        terminal.hear(lip_frame(issi, report, terminal.radio.dialect))
        if turn % 7 == 1:
            terminal.hear(status(issi, 0x8000 + 2))
        if turn % 11 == 3:
            terminal.hear(simple_text(issi, "At the bandstand"))
    if turn == 20:
        terminal.hear(emergency(issis[0]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m firmware_stubs.terminal", description=__doc__)
    parser.add_argument("--link", type=Path, required=True, help="path of the link to the pseudo-terminal")
    parser.add_argument("--dialect", choices=sorted(DIALECTS), default="motorola")
    parser.add_argument("--issi", type=int, default=Cell.issi, help="the terminal's own identity")
    parser.add_argument("--issis", type=int, default=3, help="how many radios it hears")
    parser.add_argument("--first-issi", type=int, default=2341001)
    parser.add_argument("--every", type=float, default=2.0, help="seconds between rounds of reports")
    parser.add_argument("--duration", type=float, default=0.0, help="seconds; 0 is until SIGTERM")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fragment", action="store_true", help="write in arbitrary pieces")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
