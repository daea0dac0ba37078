"""A witness that listens in a thread of its own, and can be away."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Self

from gateway.api.witness import WitnessServer
from gateway.crypto.cosignatures import WitnessKey
from gateway.crypto.notes import Signer, VerifierKey
from gateway.evidence.log.disk import Disk
from gateway.evidence.log.witness import Witness
from gateway.observe import SystemClock
from gateway.ports import WitnessAnswer

NAME = "witness.test/w1"


class Serving:
    """The server; `know` says which log it cosigns, `away` has it answer 503."""

    def __init__(self, state: Path, signer: Signer) -> None:
        self._state, self._signer = state, signer
        self._witness: Witness | None = None
        self.vkey = str(WitnessKey(NAME, signer.public))
        self.away = False
        self.url = ""

    def know(self, key: VerifierKey) -> None:
        """Pin a log."""
        self._witness = Witness((NAME, self._signer), {key.name: (key,)}, self._state, SystemClock(), Disk())
        self._witness.open()

    def add(self, raw: bytes) -> WitnessAnswer:
        """As Witness."""
        if self.away or self._witness is None:
            return WitnessAnswer(503, b"away\n")
        return self._witness.add(raw)

    def latest(self, name: str) -> str | None:
        """As Witness."""
        return None if self._witness is None else self._witness.latest(name)

    def __enter__(self) -> Self:
        ready = threading.Event()

        async def main() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            server = WitnessServer(self)  # type: ignore[arg-type]  # it has all that the routes ask
            self.url = f"http://127.0.0.1:{await server.open('127.0.0.1', 0)}"
            ready.set()
            await self._stop.wait()
            await server.close()

        self._thread = threading.Thread(target=lambda: asyncio.run(main()), name="witness")
        self._thread.start()
        assert ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
