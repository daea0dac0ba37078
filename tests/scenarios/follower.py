"""A control room's program: follows the feed over a plain socket and notes when each event came."""

from __future__ import annotations

import http.client
import json
import threading
import time
from typing import Any, Self
from urllib.parse import urlsplit

from tests.scenarios.gateway_process import until


class Follower:
    """`heard` is every event but positions: when it was read, its name, its content."""

    def __init__(self, address: str, token: str) -> None:
        self._line = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
        self._token = token
        self.heard: list[tuple[float, str, dict[str, Any]]] = []
        self.positions = 0
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._line.request("GET", "/v1/feed", headers={"Authorization": f"Bearer {self._token}"})
        self._answer = self._line.getresponse()
        assert self._answer.status == 200
        self._thread.start()
        until(lambda: self.heard, 10, "the snapshot")
        return self

    def __exit__(self, *_: object) -> None:
        if self._line.sock is not None:
            self._line.sock.shutdown(2)
        self._thread.join(5)
        self._line.close()

    def _read(self) -> None:
        name = b""
        try:
            while line := self._answer.readline():
                at_s = time.monotonic()
                if line.startswith(b"event: "):
                    name = line[7:].strip()
                elif line.startswith(b"data: ") and name == b"position":
                    self.positions += 1
                elif line.startswith(b"data: "):
                    self.heard.append((at_s, name.decode(), json.loads(line[6:])))
        except (OSError, ValueError, AttributeError):  # the gateway was killed, or we are leaving
            return

    def events(self, name: str, **wanted: Any) -> list[tuple[float, dict[str, Any]]]:
        """Those of one name whose content has what is wanted."""
        return [
            (at_s, content)
            for at_s, event, content in list(self.heard)
            if event == name and all(content.get(key) == value for key, value in wanted.items())
        ]

    def first(self, name: str, patience_s: float = 10.0, **wanted: Any) -> tuple[float, dict[str, Any]]:
        """The first such event, waited for."""
        until(lambda: self.events(name, **wanted), patience_s, f"{name} {wanted}", 0.002)
        return self.events(name, **wanted)[0]
