"""A disk that loses what was not synced: the harshest reading of POSIX, applied at the moment of a power cut."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.evidence.log.lab import FaultyDisk


def left_alone(name: str) -> bool:
    """A database, which has a journal of its own, or a lock, in which there is nothing."""
    return ".db" in name or name.startswith("lock")


class PowerCutDisk(FaultyDisk):
    """Remembers what was made durable; `cut` leaves exactly that on disk.

    A file's bytes last from fsync of the file, a name from fsync of its folder. SQLite's own files are left alone.
    """

    def __init__(self, root: Path, at: int = -1, *, honest: bool = True) -> None:
        super().__init__(at)
        self.root, self.honest = root, honest
        self.names: dict[Path, int | None] = {}
        self.bytes: dict[int, bytes] = {}
        self.held: dict[int, int] = {}
        for path in self._ours():
            self.names[path] = None if path.is_dir() else self._hold(path)
            if path.is_file():
                self.bytes[path.stat().st_ino] = path.read_bytes()

    def fsync(self, path: Path) -> None:
        """As Disk, and remembered."""
        super().fsync(path)
        if not self.honest:
            return
        if path.is_dir():
            for name in [name for name in self.names if name.parent == path and not name.exists()]:
                del self.names[name]
            for name in path.iterdir():
                if not left_alone(name.name):
                    self.names[name] = None if name.is_dir() else self._hold(name)
        else:
            self.bytes[self._hold(path)] = path.read_bytes()

    def cut(self, *, removals_last: bool = False) -> None:
        """The power goes and comes back; a removal that was not synced may have reached the disk or not."""
        if removals_last:
            self.names = {path: number for path, number in self.names.items() if path.exists()}
        for path in sorted(self._ours(), reverse=True):
            if path.is_dir():
                if self.names.get(path, 0) is not None:
                    shutil.rmtree(path)
            else:
                path.unlink()
        for path, number in sorted(self.names.items()):
            if path.parent.is_dir():
                if number is None:
                    path.mkdir(exist_ok=True)
                else:
                    path.write_bytes(self.bytes.get(number, b""))
                    path.chmod(0o600)
        self.let_go()

    def let_go(self) -> None:
        """Nothing is cut any more: inodes may be given to others."""
        for descriptor in self.held.values():
            os.close(descriptor)
        self.held.clear()

    def _ours(self) -> list[Path]:
        return [path for path in self.root.rglob("*") if not left_alone(path.name)]

    def _hold(self, path: Path) -> int:
        """The file's inode, kept open so that its number is never given to another."""
        number = path.stat().st_ino
        if number not in self.held:
            self.held[number] = os.open(path, os.O_RDONLY)
        return number
