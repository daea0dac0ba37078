"""What a log showed against itself, kept: `alarms/<log>/<kind>-<hash>.json`, replaced whole and synced."""

from __future__ import annotations

import hashlib
from pathlib import Path

from gateway.crypto.canonical import canonical
from gateway.evidence.log.disk import Disk
from gateway.evidence.monitor.look import FORK, Alarm, Memory

KEPT_MAX = 256


class Proofs:
    """The kept alarms of one monitor; they stand until somebody takes their files away."""

    def __init__(self, state: Path, disk: Disk) -> None:
        self._folder, self._disk = state / "alarms", disk

    def keep(self, name: str, alarm: Alarm, memory: Memory, shown: str, at: str) -> bool:
        """Keep an alarm with both signed checkpoints; whether it is a new one. Forks are kept without limit."""
        folder = self._folder / name
        mark = hashlib.sha256(f"{alarm.problem}\n{shown}".encode()).hexdigest()[:32]
        path = folder / f"{alarm.kind}-{mark}.json"
        others = len(list(folder.glob(f"{alarm.kind}-*.json"))) if folder.is_dir() else 0
        if path.exists() or (others >= KEPT_MAX and alarm.kind != FORK):
            return False
        peaks = [peak.hex() for peak in memory.frontier.peaks]
        known = {"known": memory.note, "size": memory.frontier.size, "peaks": peaks}
        told = {"v": 1, "kind": alarm.kind, "at": at, "problem": alarm.problem, "shown": shown, **known}
        self._disk.replace(path, canonical(told) + b"\n")
        return True

    def count(self, name: str) -> int:
        """How many stand against a log."""
        return len(list((self._folder / name).glob("*.json")))
