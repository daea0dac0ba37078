"""A serial port on the event loop: the only importer of pyserial."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import Literal, Self

import serial
import structlog

from gateway.errors import LinkError

Flow = Literal["none", "rtscts"]
READ_SIZE = 4096
MAX_QUEUED = 65_536
"""Security limit: bytes that may wait for a port that does not take them."""
STALL_S = 30.0
_NO_LINES = frozenset({errno.ENOTTY, errno.EINVAL})

log = structlog.get_logger()


class _Port(serial.Serial):  # type: ignore[misc]  # pyserial has no types
    def _reset_input_buffer(self) -> None:
        """Keep what had arrived before the port was opened: it may be an emergency."""


class SerialLink:
    """One port, opened for us alone; bytes both ways without a thread.

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
            raise LinkError(f"{self._name}: {fault}") from fault
        self._fd = self._port.fileno()

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
