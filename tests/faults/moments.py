"""Moments of an upload at which something is to happen: seeded, and some of them within a seal."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.camera_process import CameraProcess
from tests.scenarios.gateway_process import GatewayProcess

SEAL_STAGES = ("everything durable", "rewritten blob begun", "blob in its place", "seal on its way into the log")
PATIENCE_S = 30.0


class Moments:
    """Waits for a moment that chance picks; `hit` counts what was going on."""

    def __init__(self, seed: int, evidence: Path) -> None:
        """Name the store that is watched."""
        self.chance = random.Random(seed)
        self.hit: dict[str, int] = {}
        self._evidence = evidence
        self._reached: dict[str, Callable[[], bool]] = {
            "rewritten blob begun": lambda: any((evidence / "staging").glob("*/sealed.age")),
            "blob in its place": lambda: self._blobs() > self._blobs_before,
            "seal on its way into the log": (evidence / "log" / "pending").exists,
        }
        self._blobs_before = 0

    def _blobs(self) -> int:
        return sum(1 for _ in (self._evidence / "blobs").glob("*/*/*.age"))

    def begin(self) -> None:
        """A new recording begins."""
        self._blobs_before = self._blobs()

    def in_upload(self, longest_s: float) -> None:
        """Some time after the gateway serves."""
        self.count("uploading")
        time.sleep(self.chance.uniform(0, longest_s))

    def in_start(self, longest_s: float = 1.3) -> None:
        """Some time after the process began: recovery included."""
        self.count("starting")
        time.sleep(self.chance.uniform(0, longest_s))

    def in_seal(self, camera: CameraProcess, gateway: GatewayProcess) -> None:
        """Once everything is durable: at some stage of the seal, or with the receipt where that stage was over."""
        stage = self.chance.choice(SEAL_STAGES)
        camera.waits_for(lambda: camera.durable_bytes >= camera.size, PATIENCE_S, "everything is durable")
        reached = self._reached.get(stage, lambda: True)
        ends_s = time.monotonic() + PATIENCE_S
        while not reached():
            if camera.receipted or not gateway.running or time.monotonic() > ends_s:
                stage = "receipt given"
                break
            time.sleep(0.0005)
        self.count(stage)
        time.sleep(self.chance.uniform(0, 0.04))

    def count(self, stage: str) -> None:
        """One more of these."""
        self.hit[stage] = self.hit.get(stage, 0) + 1
