"""A radio reduced to its line: a pseudo-terminal that says OK to every command, and on which bytes are written."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import threading
import time
import tty
from collections.abc import Iterator
from typing import Self

LATITUDE, LONGITUDE = 52.57, -0.24
EMERGENCY = 2


def status(issi: int, value: int = 0) -> bytes:
    """A pre-coded status as a radio prints it (EN 300 392-5 clause 6.13.3); 0 is the emergency button."""
    return b"\r\n+CTSDSR: 13,%d,0,9999,0,16\r\n%04X\r\n" % (issi, value)


def text(issi: int, words: str) -> bytes:
    """A simple text (PID 02, coding 01)."""
    body = b"\x02\x01" + words.encode("latin-1")
    return b"\r\n+CTSDSR: 12,%d,0,9999,0,%d\r\n%s\r\n" % (issi, len(body) * 8, body.hex().upper().encode())


def position(issi: int, number: int = 0, reason: int = 4) -> bytes:
    """A short location report (TS 100 392-18-1), 84 bits in 21 digits as some makes print it."""
    longitude = int((LONGITUDE + number % 1000 * 1e-5) * 2**25 / 360) & (1 << 25) - 1
    latitude = int(LATITUDE * 2**24 / 180) & (1 << 24) - 1
    bits = f"{10:08b}0000{longitude:025b}{latitude:024b}{1:03b}{4:07b}{3:04b}0{reason:08b}"
    digits = f"{int(bits, 2):021X}".encode()
    return b"\r\n+CTSDSR: 12,%d,0,9999,0,84\r\n%s\r\n" % (issi, digits)


def call(issi: int, priority: int = 15) -> bytes:
    """A group call's indication; the last field is its priority."""
    return b"\r\n+CTICN: 1,0,0,0,%d,1,1,0,1,1,0,4037009,%d\r\n" % (issi, priority)


class RadioLine:
    """Open while it is entered; a thread answers commands, `say` writes whole."""

    def __init__(self) -> None:
        self._ends = threading.Event()
        self._writing = threading.Lock()
        self._threads: list[threading.Thread] = []
        self.flooded = 0

    def __enter__(self) -> Self:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._begin(self._answer)
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()
        os.close(self._master)
        os.close(self._slave)

    def _begin(self, run: object, *words: object) -> None:
        thread = threading.Thread(target=run, args=words, daemon=True)  # type: ignore[arg-type]
        thread.start()
        self._threads.append(thread)

    def _answer(self) -> None:
        heard = b""
        while not self._ends.is_set():
            if not select.select([self._master], [], [], 0.02)[0]:
                continue
            heard += os.read(self._master, 4096)  # the slave stays open here, so that a restart is no unplugging
            *commands, heard = heard.split(b"\r")
            for _ in commands:
                self.say(b"\r\nOK\r\n")

    def say(self, line: bytes) -> float:
        """Write it all, between other lines; the moment before its last byte could be read."""
        with self._writing:
            before = time.monotonic()
            left = memoryview(line)
            while left and not self._ends.is_set():
                if select.select([], [self._master], [], 0.05)[1]:
                    before = time.monotonic()
                    left = left[os.write(self._master, left[:512]) :]
            return before

    def flood(self, issis: list[int], count: int) -> None:
        """Positions without end, `count` of them made beforehand, as fast as the gateway takes them."""
        lines = [position(issis[number % len(issis)], number) for number in range(count)]
        self._begin(self._flood, [b"".join(lines[start : start + 50]) for start in range(0, count, 50)])

    def _flood(self, blocks: list[bytes]) -> None:
        while not self._ends.is_set():
            for block in blocks:
                self.say(block)
                self.flooded += 50
                if self._ends.is_set():
                    return


@contextlib.contextmanager
def lines(number: int) -> Iterator[list[RadioLine]]:
    """So many of them."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(RadioLine()) for _ in range(number)]
