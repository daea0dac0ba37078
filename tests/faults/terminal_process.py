"""One emulated terminal as a process of its own, and what it said; and an intake that keeps all it is given."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.domain.events import Event, Frame
from gateway.domain.time import Instant
from gateway.ports import Receipt
from tests.scenarios.gateway_process import ROOT, until


class TerminalProcess:
    """`python -m firmware_stubs.terminal`; `said` is all it has printed."""

    def __init__(self, link: Path, *more: str | float) -> None:
        """Start it and wait until its port is there."""
        self.said: list[dict[str, Any]] = []
        words = ["--link", str(link), *map(str, more)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "firmware_stubs.terminal", *words],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        until(lambda: self.of("ready") or not self.running, 10, "the terminal is there")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said.append(json.loads(line))

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process.poll() is None

    def of(self, event: str) -> list[dict[str, Any]]:
        """All it said of one kind."""
        return [each for each in list(self.said) if each["event"] == event]

    def cue(self, line: str) -> None:
        """Tell it what to do next (with --cues)."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def close(self) -> dict[str, Any]:
        """End it; its last word."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(5)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        return self.of("summary")[-1] if self.of("summary") else {}


class WallClock:
    """The machine's own clocks."""

    def now(self) -> Instant:
        """This moment."""
        return Instant(asyncio.get_running_loop().time(), datetime.now(UTC))


class KeepingIntake:
    """Keeps every frame and event; the disk never refuses."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.frames: list[Frame] = []
        self.quarantined: list[tuple[Frame, str]] = []

    def accept(self, frame: Frame, events: Sequence[Event]) -> asyncio.Future[Receipt]:
        """Journalled at once."""
        self.frames.append(frame)
        self.events += events
        return self._done()

    def quarantine(self, frame: Frame, reason: str) -> asyncio.Future[Receipt]:
        """Kept at once."""
        self.quarantined.append((frame, reason))
        return self._done()

    def senders(self, least: int) -> Counter[int]:
        """How many events came of each sender from that number on."""
        issis = (event.origin.issi for event in self.events)
        return Counter(issi for issi in issis if issi is not None and issi >= least)

    def _done(self) -> asyncio.Future[Receipt]:
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        future.set_result(Receipt(journalled=True))
        return future
