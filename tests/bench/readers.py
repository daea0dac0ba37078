"""Consumers over real sockets, many in one process, that read and count and do next to nothing else."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Literal

import msgspec

Kind = Literal["sse", "ws", "peer"]
ROOM = 1 << 20
UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
FOLLOW = "GET /v1/feed HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer x\r\n\r\n"
COUNTED = {"sse": b"event: position", "ws": b'"event":"position"', "peer": b'"event":"position"'}
ALIVE_S, PONG = 5.0, b"\x8a\x80" + bytes(4)
STAMP = b'"received_at":"'


def masked(message: bytes) -> bytes:
    """A client's text frame (RFC 6455 section 5.2), its mask all zeros; up to 125 octets."""
    return bytes((0x81, 0x80 | len(message))) + bytes(4) + message


class Reader:
    """One connection; count: positions read. late_ms: how old the first position of a chunk was."""

    def __init__(self, port: int, kind: Kind, *, timed: bool = False) -> None:
        self.count, self.octets, self.late_ms = 0, 0, []
        self._word, self._timed, self._rest = COUNTED[kind], timed, b""
        self._alive_s = time.monotonic() if kind == "ws" else float("inf")
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        if kind == "sse":
            self.socket.sendall(FOLLOW.encode())
        else:
            self.socket.sendall(UPGRADE.format(path="/v1/feed/ws" if kind == "ws" else "/").encode())
            if kind == "ws":
                self.socket.sendall(masked(b'{"type":"subscribe"}'))
        self.socket.setblocking(False)

    def read(self) -> None:
        """What there is; now and then the server is told that somebody is there, as a browser does when it is asked."""
        if time.monotonic() - self._alive_s > ALIVE_S:
            self._alive_s = time.monotonic()
            self.socket.sendall(PONG)
        told = self.socket.recv(ROOM)
        if not told:
            raise ConnectionError("the server has closed a reader")
        self.octets += len(told)
        whole = self._rest + told
        self.count += whole.count(self._word)
        self._rest = whole[-len(self._word) + 1 :]
        if self._timed and (found := whole.rfind(STAMP)) >= 0 and (end := whole.find(b'"', found + 15)) > 0:
            at = datetime.fromisoformat(whole[found + 15 : end].decode())
            self.late_ms.append(time.time() * 1000 - at.timestamp() * 1000)


def drain(readers: list[Reader], seconds: float) -> float:
    """Read for so long; seconds of CPU that this cost."""
    began_s, ends_s = time.process_time(), time.monotonic() + seconds
    with selectors.DefaultSelector() as ready:
        for reader in readers:
            ready.register(reader.socket, selectors.EVENT_READ, reader)
        while (left_s := ends_s - time.monotonic()) > 0:
            for key, _ in ready.select(left_s):
                key.data.read()
    return time.process_time() - began_s


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process has used, all its threads."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Child:
    """A server under measurement."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process, self.pid, self.port = process, process.pid, port
        self.last: dict[str, Any] = {}

    def asked(self) -> dict[str, Any]:
        """What it says now of itself, since it was last asked."""
        assert self.process.stdout is not None
        self.process.send_signal(signal.SIGUSR1)
        return self._said()

    def _said(self) -> dict[str, Any]:
        """Its next line that is not its log's."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(b"{"):
                return msgspec.json.decode(line, type=dict)
        return {}

    def stopped(self) -> None:
        """Ask it to end."""
        self.process.terminate()
        self.last = self._said()
        self.process.wait(10)


@contextmanager
def child(*command: str, environment: dict[str, str] | None = None) -> Iterator[Child]:
    """Run it; `last` is what it said at its end."""
    made = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **(environment or {})})
    assert made.stdout is not None
    try:
        found = Child(made, msgspec.json.decode(made.stdout.readline())["port"])
        yield found
        found.stopped()
    finally:
        made.kill()
        made.wait()


def feed_server(units: int, rate: int, tick_ms: int, *more: str) -> Any:
    """Ours."""
    return child(sys.executable, "-m", "tests.bench.feed_server", str(units), str(rate), str(tick_ms), *more)
