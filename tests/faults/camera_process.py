"""One emulated camera as a process of its own: what it was told, and whether any of it was taken back."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from tests.scenarios.gateway_process import ROOT, until

DEVICE = "cam-0001"


def footage(path: Path, octets: int, seed: int) -> Path:
    """A recording whose bytes nobody can guess; the same seed makes the same ones."""
    path.write_bytes(random.Random(seed).randbytes(octets))
    os.utime(path, (1_795_000_000 + seed, 1_795_000_000 + seed))
    return path


class CameraProcess:
    """`python -m firmware_stubs.camera` with one recording; `said` is all it has printed."""

    def __init__(self, recording: Path, broker_port: int, vkey: Path, *, pace_kib: float = 3072, more=()) -> None:
        """Start it."""
        self.recording, self.size = recording, recording.stat().st_size
        self.said: list[dict[str, Any]] = []
        options = {
            "--mqtt": f"127.0.0.1:{broker_port}",
            "--device": DEVICE,
            "--recording": recording,
            "--state": recording.with_suffix(".state"),
            "--vkey": vkey,
            "--pace-kib": pace_kib,
            "--patience": 0.4,
        }
        words = [str(word) for pair in options.items() for word in pair]
        self._words = [sys.executable, "-m", "firmware_stubs.camera", *words, *more]
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(self._words, cwd=ROOT, stdout=subprocess.PIPE)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith(b"\n"):  # a killed camera may end in the middle of a word
                self.said.append(json.loads(line))

    def kill(self) -> None:
        """SIGKILL, and start it again: it knows what its state file knows."""
        self.close()
        self._start()

    @property
    def kept_receipt(self) -> dict[str, Any]:
        """The receipt in its state file, which outlives it."""
        kept: dict[str, Any] = json.loads(self.recording.with_suffix(".state").read_text())["receipt"]
        return kept

    def of(self, event: str) -> list[dict[str, Any]]:
        """All it said of one kind."""
        return [each for each in self.said if each["event"] == event]

    @property
    def durable_bytes(self) -> int:
        """How much it has been told is durable."""
        return max((each["bytes"] for each in self.of("durable")), default=0)

    @property
    def receipted(self) -> bool:
        """Whether it has its receipt, verified."""
        return bool(self.of("receipt"))

    def waits_for(self, condition, patience_s: float, what: str) -> None:
        """Wait for something that this camera is to be told."""
        until(lambda: condition() or self._process.poll() is not None, patience_s, f"{what}; it said {self.said[-5:]}")

    def summary(self, patience_s: float = 60.0) -> dict[str, Any]:
        """Its last word, once it has ended by itself."""
        self.waits_for(lambda: self._process.poll() is not None, patience_s, "the camera has its receipt and ends")
        self.close()
        if not self.of("summary") and self.receipted:  # killed between receipt and summary: it found its receipt kept
            return {"state": "receipted", "violations": [each["violation"] for each in self.of("violation")]}
        return self.of("summary")[-1]

    def give_up(self) -> dict[str, Any]:
        """End it; its last word."""
        self._process.terminate()
        return self.summary(15)

    def close(self) -> None:
        """End it by force if need be; again is no error."""
        self._process.kill()
        self._process.wait()
        self._reader.join(5)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def taken_back(self) -> list[str]:
        """Every range that it was told is durable, and was then asked for again: what no gateway may ever do."""
        return taken_back(self.said)


def taken_back(said: list[dict[str, Any]]) -> list[str]:
    """Where a later `missing` names what an earlier `durable` had."""
    durable: set[tuple[int, int]] = set()
    breaches = []
    for each in said:
        if each["event"] == "durable":
            durable |= {(start, end) for start, end in each["durable"]}
        for start, end in each.get("missing", ()) if each["event"] == "missing" else ():
            breaches += [f"[{start}, {end}) of [{a}, {b})" for a, b in sorted(durable) if a < end and start < b]
    return breaches
