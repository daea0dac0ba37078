"""A recording's file and the small state file beside it that outlives the camera's process."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from firmware_stubs.phrases import pairs
from firmware_stubs.ranges import Ranges
from firmware_stubs.receipt import Recording
from firmware_stubs.upload import Memory

READ_SIZE = 1024 * 1024


def rfc3339(when: datetime) -> str:
    """A time as the wire writes it, whole seconds, UTC."""
    return when.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass
class Footage:
    """What the camera holds of one recording: the file, its state file, what it remembers."""

    recording: Recording
    path: Path
    state: Path | None = None
    memory: Memory = field(default_factory=Memory)

    @classmethod
    def of(cls, path: Path, device: str, name: str, state: Path | None = None) -> "Footage":
        """A file met with no more known of it: its times are the file's own, so that a restart finds the same."""
        ended = path.stat().st_mtime
        times = [rfc3339(datetime.fromtimestamp(when, UTC)) for when in (ended - 10, ended)]
        return cls.made(path, device, name, (times[0], times[1]), state)

    @classmethod
    def made(cls, path: Path, device: str, name: str, times: tuple[str, str], state: Path | None = None) -> "Footage":
        """Measure a file that was recorded between two times."""
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            while block := stream.read(READ_SIZE):
                digest.update(block)
        recording = Recording(device, name, path.stat().st_size, digest.hexdigest(), *times)
        footage = cls(recording, path, state)
        footage.recall()
        return footage

    def read(self, span: tuple[int, int]) -> bytes:
        """The file's bytes of a span."""
        with self.path.open("rb") as stream:
            stream.seek(span[0])
            return stream.read(span[1] - span[0])

    def recall(self) -> None:
        """Take up what an earlier process of this camera knew of the same recording."""
        if self.state is None or not self.state.exists():
            return
        kept = json.loads(self.state.read_text())
        if kept.get("recording") == asdict(self.recording):
            self.memory = Memory(pairs(kept["ever_durable"]), kept["exhibit"], kept["receipt"], kept.get("shown"))

    def keep(self) -> None:
        """Write the state file whole or not at all."""
        if self.state is None:
            return
        receipt = self.memory.receipt
        kept = {
            "v": 1,
            "recording": asdict(self.recording),
            "ever_durable": self.memory.ever.listed(),
            "exhibit": self.memory.exhibit,
            "receipt": receipt,
            "shown": self.memory.shown,
            "deletable_from": receipt["keep_until"] if receipt else None,
        }
        fresh = self.state.with_name(self.state.name + ".new")
        with fresh.open("w") as stream:
            json.dump(kept, stream)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(self.state)

    @property
    def ever(self) -> Ranges:
        """Every range that the gateway ever called durable."""
        return self.memory.ever
