"""What the tests of the TETRA driver share: vectors, an intake that remembers, a radio on a pseudo-terminal."""

import asyncio
import contextlib
import json
import os
import pty
import time
import tty
from datetime import UTC, datetime

import pytest

from gateway.domain.time import Instant
from gateway.ports import DriverContext, Receipt
from tests import peers


def _vector(name: str) -> str:
    return peers.shared(f"vectors/tetra/{name}").read_text()


@pytest.fixture(scope="session")
def short_vectors() -> list[dict[str, str]]:
    """The 95 recorded short reports with their decoding."""
    head, *lines = _vector("lip_short.tsv").splitlines()
    return [dict(zip(head.split("\t"), line.split("\t"), strict=True)) for line in lines]


@pytest.fixture(scope="session")
def other_vectors() -> list[dict]:
    """Long reports, requests and other makes with an independent decoding."""
    return [json.loads(line) for line in _vector("lip_other.jsonl").splitlines()]


@pytest.fixture(scope="session")
def fragments() -> list[bytes]:
    """563 pieces as a serial port delivered them."""
    return [piece.encode("latin-1") for piece in json.loads(_vector("chunked_stream.json"))]


class SystemClock:
    """Both clocks of this machine."""

    def now(self) -> Instant:
        """This moment."""
        return Instant(time.monotonic(), datetime.now(UTC))


class RememberingIntake:
    """Keeps what it is given and says so at once, as the port demands."""

    def __init__(self) -> None:
        self.accepted, self.quarantined = [], []
        self.heard = asyncio.Event()

    def accept(self, frame, events):
        """Keep frame and events."""
        self.accepted.append((frame, list(events)))
        return self._receipt()

    def quarantine(self, frame, reason):
        """Keep frame and reason."""
        self.quarantined.append((frame, reason))
        return self._receipt()

    def _receipt(self):
        self.heard.set()
        done = asyncio.get_running_loop().create_future()
        done.set_result(Receipt(journalled=True))
        return done

    @property
    def events(self):
        """All events in order."""
        return [event for _, events in self.accepted for event in events]

    async def until(self, met, patience_s=10.0):
        """Wait until `met()`; a test that waits in vain fails by its time-out."""
        async with asyncio.timeout(patience_s):
            while not met():
                self.heard.clear()
                await self.heard.wait()


class Radio:
    """The other side of a pseudo-terminal: a scripted mobile terminal.

    It answers OK to every command but those in `answers`, at first what it is asked of itself.
    `mute` lets it fall silent.
    """

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        tty.setraw(self.master)
        tty.setraw(slave)
        os.set_blocking(self.master, False)
        self.port = os.ttyname(slave)
        self._slave = slave
        self._line, self._waiting, self._unsent = bytearray(), bytearray(), bytearray()
        self._at_line_end = True
        self.commands: list[str] = []
        self.answers = {
            question: f"\r\n{question[2:-1]}: 1,2\r\n\r\nOK\r\n".encode()
            for question in ("AT+GMI?", "AT+GMM?", "AT+GMR?", "AT+CNUMF?")
        }
        self.mute = False
        self.listens = lambda: True
        self.listening = asyncio.get_running_loop()
        self.listening.add_reader(self.master, self._read)

    def _read(self) -> None:
        try:
            self._line += os.read(self.master, 4096)
        except OSError:
            self.listening.remove_reader(self.master)
            return
        while b"\n" in self._line:
            line, _, rest = bytes(self._line).partition(b"\n")
            self._line[:] = rest
            self._command(line.rpartition(b"\x1a")[2].strip().decode("latin-1"))

    def _command(self, text: str) -> None:
        self.commands.append(text)
        if self.mute or not self.listens():
            return
        self._waiting += self.answers.get(text, b"\r\nOK\r\n")
        if self._at_line_end:
            self.say(b"")

    def say(self, data: bytes) -> None:
        """Send bytes to the gateway; an answer never stands in the middle of another line."""
        self._at_line_end = data.endswith(b"\n") or not data
        if self._at_line_end:
            data += bytes(self._waiting)
            self._waiting.clear()
        self._unsent += data
        self._write()

    def _write(self) -> None:
        """What the port takes; the rest a little later, as a radio at its own speed would."""
        if self.master < 0 or not self._unsent:
            return
        with contextlib.suppress(BlockingIOError):
            del self._unsent[: os.write(self.master, self._unsent)]
        if self._unsent:
            self.listening.call_later(0.002, self._write)

    def unplug(self) -> None:
        """Pull the cable."""
        if self.master >= 0:
            self.listening.remove_reader(self.master)
            os.close(self.master)
            os.close(self._slave)
            self.master = -1


@pytest.fixture
async def radio():
    """A radio on a real pseudo-terminal."""
    plugged = Radio()
    yield plugged
    plugged.unplug()


@pytest.fixture
async def intake() -> RememberingIntake:
    """An intake that remembers."""
    return RememberingIntake()


@pytest.fixture
async def context(intake) -> DriverContext:
    """What a driver is given."""
    return DriverContext("radio-1", SystemClock(), intake)


@pytest.fixture
def arrived() -> Instant:
    """A moment of arrival."""
    return Instant(1000.0, datetime(2026, 11, 21, 23, 31, 0, tzinfo=UTC))
