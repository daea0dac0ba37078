"""A TAK server as it reads its stream: it can stall, reset its connections, go away and come back on its port."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import time
from collections.abc import Callable
from xml.etree import ElementTree as ET

END = b"</event>"


class TakServer:
    """Keeps what it read; `reading` cleared, it leaves everything in the socket."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self.reading = asyncio.Event()
        self.reading.set()
        self.events: list[bytes] = []
        self.arrived_s: list[float] = []
        self.connections = 0
        self.port = 0
        self.says = b""

    async def start(self) -> None:
        """Listen; on the port of before, where there was one. Little fits into its sockets."""
        own = socket.socket()
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        own.bind(("127.0.0.1", self.port))
        self.port = own.getsockname()[1]
        self._server = await asyncio.start_server(self._serve, sock=own, ssl=self._tls, limit=4096)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        writer.write(self.says)
        rest = b""
        with contextlib.suppress(OSError):
            while True:
                await self.reading.wait()
                part = await reader.read(4096)
                if not part:
                    break
                *whole, rest = (rest + part).split(END)
                self.events += [one + END for one in whole]
                self.arrived_s += [time.monotonic()] * len(whole)
        writer.close()

    def reset(self) -> None:
        """RST on every connection: what was not read is lost."""
        for writer in self._writers:
            own = writer.get_extra_info("socket")
            with contextlib.suppress(OSError, AttributeError):  # AttributeError: gone already
                own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        self._writers.clear()

    async def stop(self) -> None:
        """Away."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.reset()
        self.reading.set()
        await asyncio.sleep(0)

    def told(self, kind: str, since: int = 0) -> list[str]:
        """The uids of the events of a type, in the order of their coming."""
        read = [ET.fromstring(event) for event in self.events[since:]]
        return [one.get("uid") for one in read if one.get("type") == kind]


async def until(condition: Callable[[], object], patience_s: float = 8.0) -> None:
    """Wait for it; a failure where it does not come."""
    ends_s = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < ends_s, "it does not come"
        await asyncio.sleep(0.01)
