"""A serial port on the event loop: the only importer of pyserial."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import termios
from pathlib import Path
from typing import Literal, NamedTuple, Self

import serial
import structlog

from gateway.errors import LinkError

Flow = Literal["none", "rtscts"]
READ_SIZE = 4096
MAX_QUEUED = 65_536
"""Security limit: bytes that may wait for a port that does not take them."""
STALL_S = 30.0
_PSEUDO_MASTERS = frozenset({"/dev/ptmx", "/dev/pts/ptmx"})
_HELD = frozenset({errno.EBUSY, errno.EAGAIN, errno.EACCES})
_NO_LINES = frozenset({errno.ENOTTY, errno.EINVAL})

log = structlog.get_logger()


class _Port(serial.Serial):  # type: ignore[misc]  # pyserial has no types
    def _reset_input_buffer(self) -> None:
        """Keep what had arrived before the port was opened: it may be an emergency."""


class HeldError(LinkError):
    """Another program has the port."""


class Holder(NamedTuple):
    """Another process that has a port open."""

    pid: int
    name: str


def holders(port: str, proc: Path = Path("/proc")) -> list[Holder]:
    """Who else has this port open, as far as we may see; blocks for some milliseconds.

    The other end of a pseudo-terminal may keep its port open: that is the radio, not a rival.
    """
    device = os.path.realpath(port)
    exempt = _PSEUDO_MASTERS if device.startswith("/dev/pts/") else frozenset()
    found = []
    for process in proc.iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            opened = _opened_by(process)
            if device in opened and not opened & exempt:
                found.append(Holder(int(process.name), _name_of(process)))
    return sorted(found)


def _opened_by(process: Path) -> set[str]:
    """What a process has open; nothing for one that is gone or not ours to look at."""
    opened = set()
    try:
        for link in os.scandir(process / "fd"):
            opened.add(str(Path(link.path).readlink()))
    except OSError:
        pass  # each of these files may vanish while we look
    return opened


def _name_of(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "?"


def held_by(found: list[Holder]) -> str:
    """In words: who holds the port."""
    names = ", ".join(f"pid {holder.pid} ({holder.name})" for holder in found)
    return f"port held by {names or 'another program that we may not see'}"


class SerialLink:
    """One port, opened for us alone; bytes both ways without a thread.

    Name it as it stays named: /dev/serial/by-id/… or a udev rule's own link. /dev/ttyUSB0 is whichever came first.
    A pseudo-terminal has neither speed nor RTS/CTS and refuses the latter: it is then opened without.
    """

    def __init__(self, port: str, baud: int = 38_400, flow: Flow = "none") -> None:
        self._name, self._baud, self._flow = port, baud, flow
        self._port: _Port | None = None
        self._fd = -1
        self._queued = bytearray()
        self._writing = False
        self._sent_at = 0.0

    def open(self) -> None:
        """Open and lock the port; LinkError where that fails. Open already: nothing happens."""
        if self._port is not None:
            return
        try:
            self._port = self._opened(self._flow == "rtscts")
        except (OSError, ValueError) as fault:  # SerialException is an OSError; ValueError: a speed it does not know
            raise self._not_opened(fault) from fault
        self._fd = self._port.fileno()
        if not self._pseudo:
            # Keeps programs out that ask for no lock; the kernel forgets it with the last close.
            fcntl.ioctl(self._fd, termios.TIOCEXCL)

    @property
    def _pseudo(self) -> bool:
        return os.path.realpath(self._name).startswith("/dev/pts/")

    def _not_opened(self, fault: OSError | ValueError) -> LinkError:
        locked = isinstance(fault, OSError) and (fault.errno in _HELD or "lock" in str(fault))
        if locked and os.access(self._name, os.R_OK | os.W_OK):
            return HeldError(f"{self._name}: {held_by(holders(self._name))}")
        return LinkError(f"{self._name}: {fault}")

    def set_speed(self, baud: int, flow: Flow) -> None:
        """Another speed and flow control for an open port; LinkError where it cannot have them."""
        if self._port is None:
            raise LinkError(f"{self._name}: not open")
        try:
            self._port.baudrate = baud
            self._port.rtscts = flow == "rtscts"
        except (OSError, ValueError, termios.error) as fault:
            raise LinkError(f"{self._name}: {baud} baud, flow {flow}: {fault}") from fault
        self._queued.clear()  # what a wrong speed could not send is for nobody
        self._sent_at = asyncio.get_running_loop().time()

    def _opened(self, rtscts: bool) -> _Port:  # noqa: FBT001 - pyserial's own word
        port = _Port(self._name, self._baud, timeout=0, rtscts=rtscts, exclusive=True)
        try:
            if rtscts:
                port.cts  # noqa: B018 - asking is how a port without modem lines is found
        except OSError as fault:
            if fault.errno not in _NO_LINES:
                port.close()
                raise
            log.warning("port has no RTS/CTS, used without flow control", port=self._name)
            port.rtscts = False
        return port

    def close(self) -> None:
        """Close the port; closed already: nothing happens."""
        if self._port is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._fd)
        loop.remove_writer(self._fd)
        self._port.close()
        self._port, self._fd, self._writing = None, -1, False
        self._queued.clear()

    async def __aenter__(self) -> Self:
        self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def read(self) -> bytes:
        """Wait for bytes; LinkError when the port is gone. Bytes leave the kernel only to be returned."""
        if self._port is None:
            raise LinkError(f"{self._name}: not open")
        while True:
            await self._readable()
            try:
                data = os.read(self._fd, READ_SIZE)
            except BlockingIOError:
                continue
            except OSError as fault:  # EIO: unplugged, or the other side of a pseudo-terminal closed
                raise LinkError(f"{self._name}: {fault.strerror}") from fault
            if not data:
                raise LinkError(f"{self._name}: end of file, the device is gone")
            return data

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        loop.add_reader(self._fd, _set, ready)
        try:
            await ready
        finally:
            loop.remove_reader(self._fd)

    def send(self, data: bytes) -> None:
        """Queue bytes; LinkError when the port has taken none for a long time."""
        if self._port is None:
            raise LinkError(f"{self._name}: not open")
        now = asyncio.get_running_loop().time()
        if not self._queued:
            self._sent_at = now
        if len(self._queued) + len(data) > MAX_QUEUED or now - self._sent_at > STALL_S:
            raise LinkError(f"{self._name}: takes no bytes (flow control without a CTS line?)")
        self._queued += data
        self._write()

    def _write(self) -> None:
        """Write what the port takes; be called again when it takes more."""
        try:
            written = os.write(self._fd, self._queued)
        except BlockingIOError:
            written = 0
        except OSError:
            # The reader meets the same fault and says so; a callback has nobody to say it to.
            self._queued.clear()
            written = 0
        del self._queued[:written]
        loop = asyncio.get_running_loop()
        if written:
            self._sent_at = loop.time()
        if self._queued and not self._writing:
            loop.add_writer(self._fd, self._write)
        elif not self._queued and self._writing:
            loop.remove_writer(self._fd)
        self._writing = bool(self._queued)


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
