"""A proxy between a client and the gateway that resets connections at random moments; it hastens reconnecting."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import struct
import threading
import time

SLOW, SOON = b"retry: 2000\n", b"retry: 0020\n"
"""The gateway asks for two seconds; a test that is cut off fifty times can't wait for them. Nothing else is changed."""


class CuttingProxy:
    """Listens on a port of its own; `cuts` counts the connections that it reset."""

    def __init__(self, to_port: int, most: int, seed: int) -> None:
        self._to, self._most, self._draw = to_port, most, random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.cuts = 0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """No more."""
        self._ends.set()
        self._thread.join(5)
        self._listener.close()

    def _serve(self) -> None:
        while not self._ends.is_set():
            if select.select([self._listener], [], [], 0.05)[0]:
                client, _ = self._listener.accept()
                with contextlib.suppress(OSError), client:
                    self._carry(client)

    def _carry(self, client: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._to), 1) as gateway:
            until_s = time.monotonic() + self._draw.uniform(0.005, 0.15)
            while not self._ends.is_set():
                if self.cuts < self._most and time.monotonic() > until_s:
                    self.cuts += 1
                    # RST: whatever is on its way, whole events or halves, is lost.
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                for end in select.select([client, gateway], [], [], 0.01)[0]:
                    part = end.recv(self._draw.choice((7, 500, 65_536)))
                    if not part:
                        return
                    (gateway if end is client else client).sendall(part.replace(SLOW, SOON))
