"""The few file operations that evidence rests on, behind a port, so that tests can fail each one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

_MODE = 0o600
_DIRECTORY_MODE = 0o700


class Files(Protocol):
    """File operations; each raises OSError, and nothing is durable before its sync returned."""

    def create(self, path: Path) -> int:
        """Open a new file for reading and writing; FileExistsError when it is there."""
        ...

    def open(self, path: Path, *, write: bool) -> int:
        """Open a file that is there."""
        ...

    def write(self, fd: int, content: bytes, at: int) -> None:
        """Write all of content at an offset."""
        ...

    def datasync(self, fd: int) -> None:
        """Return once the file's content is on disk."""
        ...

    def sync_directory(self, path: Path) -> None:
        """Return once the directory's entries are on disk."""
        ...

    def rename(self, source: Path, target: Path) -> None:
        """Rename within the file system."""
        ...

    def make_directory(self, path: Path) -> None:
        """Make a directory unless it is there."""
        ...

    def remove_tree(self, path: Path) -> None:
        """Remove a file or a directory with all in it; nothing there is no error."""
        ...

    def free_bytes(self, path: Path) -> int:
        """Free space where path lies."""
        ...


class DiskFiles:
    """The operations of the operating system."""

    def create(self, path: Path) -> int:
        """Open a new file for reading and writing; FileExistsError when it is there."""
        return os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, _MODE)

    def open(self, path: Path, *, write: bool) -> int:
        """Open a file that is there."""
        return os.open(path, (os.O_RDWR if write else os.O_RDONLY) | os.O_CLOEXEC)

    def write(self, fd: int, content: bytes, at: int) -> None:
        """Write all of content at an offset."""
        view = memoryview(content)
        while view:
            written = os.pwrite(fd, view, at)
            view, at = view[written:], at + written

    def datasync(self, fd: int) -> None:
        """Return once the file's content is on disk."""
        os.fdatasync(fd)

    def sync_directory(self, path: Path) -> None:
        """Return once the directory's entries are on disk."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def rename(self, source: Path, target: Path) -> None:
        """Rename within the file system."""
        source.rename(target)

    def make_directory(self, path: Path) -> None:
        """Make a directory unless it is there."""
        path.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)

    def remove_tree(self, path: Path) -> None:
        """Remove a file or a directory with all in it; nothing there is no error."""
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def free_bytes(self, path: Path) -> int:
        """Free space where path lies."""
        return shutil.disk_usage(path).free


class Handle:
    """One file, opened when first needed, closed between batches: a thousand uploads are not a thousand descriptors."""

    def __init__(self, files: Files, path: Path, *, write: bool = False) -> None:
        """Name the file; nothing is opened yet."""
        self._files, self.path, self._writable = files, path, write
        self._fd: int | None = None
        self._dirty = False

    @classmethod
    def create(cls, files: Files, path: Path) -> Handle:
        """Make a new file; its directory entry is durable once its directory is synced."""
        handle = cls(files, path, write=True)
        handle._fd = files.create(path)
        return handle

    @contextmanager
    def closed_on_failure(self) -> Iterator[None]:
        """Give the descriptor back where what is done within fails."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def read(self, octets: int, at: int) -> bytes:
        """Up to that many bytes from an offset; fewer at the file's end."""
        parts: list[bytes] = []
        while octets and (part := os.pread(self._open(), octets, at)):
            parts.append(part)
            octets, at = octets - len(part), at + len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def write(self, content: bytes, at: int) -> None:
        """Write all of content at an offset; durable after datasync."""
        self._dirty = True
        self._files.write(self._open(), content, at)

    def datasync(self, *, always: bool = False) -> None:
        """Make what was written durable."""
        if self._dirty or always:
            self._files.datasync(self._open())
            self._dirty = False

    @property
    def octets(self) -> int:
        """The file's length."""
        return os.fstat(self._open()).st_size

    def close(self) -> None:
        """Give the descriptor back; the next operation opens it again."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self) -> int:
        if self._fd is None:
            self._fd = self._files.open(self.path, write=self._writable)
        return self._fd
