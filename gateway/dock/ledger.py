"""What a dock remembers over restarts: one small file a recording, old or new and never half (docs/dock.md)."""

from __future__ import annotations

import fcntl
import hashlib
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from gateway.dock.files import Look, write_whole
from gateway.errors import ConfigError


class Entry(msgspec.Struct, kw_only=True):
    """One file that is a recording; path in the file system's own bytes."""

    v: int = 1
    path: bytes
    device: str
    recording: str
    was: Look
    receipt: dict[str, Any] | None = None
    exhibit: str | None = None
    keep_until: datetime | None = None

    @property
    def place(self) -> Path:
        """Where the file lies."""
        return Path(os.fsdecode(self.path))


class Ledger:
    """The folder of entries; one dock at a time holds it."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; nothing is read before `open`."""
        self.folder = folder
        self.unreadable: list[str] = []
        self._entries: dict[bytes, Entry] = {}
        self._lock: int | None = None

    def open(self) -> None:
        """Take the folder and read it; ConfigError where another dock holds it.

        An entry that can't be read is set
        aside and named: its file is hashed and offered again, and the gateway answers with the same receipt.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            self.close()
            raise ConfigError("dock.state", f"{self.folder} is in use by another dock") from held
        except OSError as wrong:
            raise ConfigError("dock.state", f"{self.folder}: {wrong.strerror}") from wrong
        self._entries.clear()
        for part in self.folder.glob(".*.part"):
            part.unlink(missing_ok=True)
        for file in sorted(self.folder.glob("*.json")):
            self._read(file)

    def close(self) -> None:
        """Give the folder back; again is no error."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def find(self, path: Path, device: str, sha256: str) -> Entry | None:
        """The entry of a file with this content; a name alone, a size and a time say nothing: sticks come and go."""
        entry = self._entries.get(os.fsencode(path))
        return entry if entry is not None and (entry.device, entry.was.sha256) == (device, sha256) else None

    def entries(self) -> list[Entry]:
        """Every entry."""
        return list(self._entries.values())

    def save(self, entry: Entry) -> None:
        """Write an entry, durable on return; OSError where the disk refuses, and the old one stands."""
        write_whole(self._file(entry.path), msgspec.json.encode(entry))
        self._entries[entry.path] = entry

    def drop(self, entry: Entry) -> None:
        """Forget an entry."""
        self._file(entry.path).unlink(missing_ok=True)
        self._entries.pop(entry.path, None)

    def _read(self, file: Path) -> None:
        try:
            entry = msgspec.json.decode(file.read_bytes(), type=Entry)
        except (msgspec.MsgspecError, UnicodeDecodeError, OSError) as wrong:
            self.unreadable.append(f"{file.name}: {wrong}")
            file.rename(file.with_suffix(".unreadable"))
            return
        self._entries[entry.path] = entry

    def _file(self, path: bytes) -> Path:
        return self.folder / f"{hashlib.sha256(path).hexdigest()[:32]}.json"
