"""The emulated shift that a demonstration talks to: a process of its own, heard over its standard output."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from gateway.errors import LinkError

READY_S = 60.0
LINE_BYTES = 1 << 20


class Shift:
    """The process: `ready`, then told to go, then stopped; `now` is its newest progress, `summary` its last word."""

    def __init__(self, command: list[str], log: Path) -> None:
        self._command, self._log = command, log
        self._process: asyncio.subprocess.Process | None = None
        self.now: dict[str, Any] = {}
        self.summary: dict[str, Any] | None = None

    async def open(self) -> dict[str, Any]:
        """Start it; return its `ready` line. LinkError when there is none."""
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "firmware_stubs.shift",
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                limit=LINE_BYTES,
                start_new_session=True,  # Ctrl-C is for us: the shift is stopped in order
            )
        try:
            async with asyncio.timeout(READY_S):
                async for said in self._lines():
                    if said.get("event") == "ready":
                        return said
        except TimeoutError as late:
            raise LinkError("the emulated shift did not become ready") from late
        raise LinkError(f"the emulated shift ended at once; see {self._log}")

    async def _lines(self) -> AsyncIterator[dict[str, Any]]:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            yield json.loads(line)

    def say(self, word: str) -> None:
        """Tell it `go` or `stop`."""
        assert self._process is not None
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(f"{word}\n".encode())

    async def listen(self) -> None:
        """Take up what it says until it ends."""
        async for said in self._lines():
            if said.get("event") == "progress":
                self.now = said
            elif said.get("event") == "summary":
                self.summary = said

    async def close(self) -> None:
        """End it, by force if need be."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(5):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
