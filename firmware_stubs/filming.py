"""Footage made by child processes at low priority, so that filming never delays a position."""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from firmware_stubs.footage import rfc3339

AT_ONCE = 2
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Assignment:
    """What to film: which camera, from when, how long and how large."""

    device: str
    name: str
    started_at: datetime
    seconds: float
    megabytes: float
    seed: int


class Studio:
    """Films a few shots at a time; `done` is told the file, or None where filming failed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="studio")
        self._rolling: set[subprocess.Popen[bytes]] = set()

    def film(self, shot: Assignment, done: Callable[[Path | None], None]) -> None:
        """Begin to film; `done` is called from a thread of the studio."""
        self._pool.submit(self._film, shot, done)

    def close(self) -> None:
        """Start nothing more, and cut what is being filmed."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for child in tuple(self._rolling):
            child.terminate()

    def _film(self, shot: Assignment, done: Callable[[Path | None], None]) -> None:
        path = self.folder / f"{shot.device}-{shot.name}.mp4"
        root = str(Path(__file__).resolve().parent.parent)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join((root, os.environ.get("PYTHONPATH", "")))}
        command = ["nice", "-n", "10", sys.executable, "-m", "firmware_stubs.video", "--out", str(path)]
        command += ["--device", shot.device, "--started-at", rfc3339(shot.started_at), "--seed", str(shot.seed)]
        command += ["--seconds", str(shot.seconds), "--mb", str(shot.megabytes)]
        done(path if self._run(command, environment) == 0 else None)

    def _run(self, command: list[str], environment: dict[str, str]) -> int:
        child = subprocess.Popen(  # noqa: S603 - our own module and our own arguments
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        self._rolling.add(child)
        try:
            return child.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            return child.wait()
        finally:
            self._rolling.discard(child)
