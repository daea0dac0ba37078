"""The few file operations the log lives by, so that a double can fail each of them in turn."""

from __future__ import annotations

import os
from pathlib import Path

FILE_MODE = 0o600
FOLDER_MODE = 0o700


class Disk:
    """Durability is explicit: nothing is kept until fsync has returned, a name until its folder's has."""

    def __init__(self) -> None:
        self._lasting: set[Path] = set()

    def write(self, path: Path, content: bytes) -> None:
        """Make the file hold exactly this; not durable."""
        self._put(path, os.O_TRUNC, 0, content)

    def write_at(self, path: Path, offset: int, content: bytes) -> None:
        """Put bytes at an offset, creating the file where it is missing; not durable."""
        self._put(path, 0, offset, content)

    def fsync(self, path: Path) -> None:
        """Return when the file's bytes, or the folder's names, are on the medium."""
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Put source in target's place, whole; durable after fsync of the folder."""
        source.rename(target)

    def unlink(self, path: Path) -> None:
        """Remove a name that may be missing; durable after fsync of the folder."""
        path.unlink(missing_ok=True)

    def truncate(self, path: Path, size: int) -> None:
        """Cut the file to this size; not durable."""
        os.truncate(path, size)

    def mkdir(self, path: Path) -> None:
        """Make one folder whose parent exists; durable after fsync of the parent."""
        path.mkdir(mode=FOLDER_MODE, exist_ok=True)

    def rmdir(self, path: Path) -> None:
        """Remove an empty folder."""
        self._lasting.discard(path)
        path.rmdir()

    def ensure(self, path: Path) -> None:
        """Make a folder and what is missing above it, durable.

        One that is there already may be the trace of a crash before its fsync, so each
        is made durable once by every process that writes into it.
        """
        if path in self._lasting and path.is_dir():
            return
        if not path.is_dir():
            self.ensure(path.parent)
            self.mkdir(path)
        self.fsync(path.parent)
        self._lasting.add(path)

    def replace(self, path: Path, content: bytes) -> None:
        """Replace a file whole and durably: after a crash it is the old or the new one."""
        self.prepare(path, content)
        self.rename(fresh(path), path)
        self.fsync(path.parent)

    def prepare(self, path: Path, content: bytes) -> None:
        """Write the file that is to take this one's place, durable but for its name."""
        self.ensure(path.parent)
        self.write(fresh(path), content)
        self.fsync(fresh(path))

    def replace_all(self, files: dict[Path, bytes]) -> None:
        """Replace many files, all durable on return; each by itself is old or new after a crash."""
        for path, content in files.items():
            self.prepare(path, content)
        for path in files:
            self.rename(fresh(path), path)
        for folder in sorted({path.parent for path in files}):
            self.fsync(folder)

    def _put(self, path: Path, flags: int, offset: int, content: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | flags, FILE_MODE)
        try:
            view = memoryview(content)
            while view:
                written = os.pwrite(descriptor, view, offset)
                view, offset = view[written:], offset + written
        finally:
            os.close(descriptor)


def fresh(path: Path) -> Path:
    """Where the next content of a file waits for its rename."""
    return path.with_name(path.name + ".tmp")
