"""Footage for a load, made as it is read: nothing on disk, no two recordings alike, any span at any time."""

import hashlib
import random
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from firmware_stubs.footage import Footage, rfc3339
from firmware_stubs.receipt import Recording

SCENE = 1024 * 1024
STAMP = 32


@cache
def _scenery() -> bytes:
    """What all recordings of a process share: nothing that would compress."""
    return random.Random(20261121).randbytes(SCENE)


class Reel(Footage):
    """A recording of so many bytes: every megabyte begins with a stamp of its own."""

    @classmethod
    def shot(cls, device: str, name: str, size: int, started: datetime, take: str = "") -> "Reel":
        """Measure it: its SHA-256 is what the camera will state. Another take of a name is another recording."""
        lasts = timedelta(seconds=max(1, round(size / 1e6)))
        blank = Recording(device, name, size, "", rfc3339(started), rfc3339(started + lasts))
        reel = cls(blank, Path(device + take))
        digest = hashlib.sha256()
        for start in range(0, size, SCENE):
            digest.update(reel.read((start, min(size, start + SCENE))))
        reel.recording = Recording(device, name, size, digest.hexdigest(), blank.started_at, blank.ended_at)
        return reel

    def read(self, span: tuple[int, int]) -> bytes:
        """The bytes of a span."""
        start, end = span
        parts = []
        while start < end:
            number, skip = divmod(start, SCENE)
            stop = min(end, (number + 1) * SCENE)
            parts += self._scene(number, skip, skip + stop - start)
            start = stop
        return b"".join(parts)

    def _scene(self, number: int, skip: int, stop: int) -> list[bytes | memoryview]:
        stamp = hashlib.sha256(f"{self.path}/{self.recording.name}/{number}".encode()).digest()
        return [stamp[skip:stop], memoryview(_scenery())[max(skip, STAMP) : max(stop, STAMP)]]
