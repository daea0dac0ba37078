"""Contents by their SHA-256: `objects/<aa>/<sha256>`, each written once, whole, and never changed."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from gateway.errors import StoreBusyError
from gateway.evidence.log.disk import Disk

BLOCK = 4 << 20
TRIES = 5
SETTLED_NS = 2_000_000_000
"""A write since then would show in a file's time, however coarse the file system counts it."""
UNFINISHED = ".part"


class Kept(msgspec.Struct, frozen=True):
    """A content that is in the backup."""

    sha256: str
    size: int


class Objects:
    """The contents of one backup directory. Names are durable after `settle`."""

    def __init__(self, root: Path, disk: Disk) -> None:
        self.folder, self._disk = root / "objects", disk
        self._touched: set[Path] = set()
        self.copied = 0

    def path(self, sha256: str) -> Path:
        """Where a content lies."""
        return self.folder / sha256[:2] / sha256

    def has(self, kept: Kept) -> bool:
        """Whether it lies there at its full length; that it is what it is called, `lapel backup --verify` says."""
        try:
            return self.path(kept.sha256).stat().st_size == kept.size
        except OSError:
            return False

    def keep(self, content: bytes) -> Kept:
        """Keep bytes."""
        kept = Kept(hashlib.sha256(content).hexdigest(), len(content))
        if not self.has(kept):
            part = self._part()
            self._disk.write(part, content)
            self._place(part, kept)
        return kept

    def keep_file(self, source: Path, octets: int | None = None) -> Kept:
        """Keep a file, or its beginning; one that somebody changes meanwhile is read until two readings agree.

        A file that is not changed but at its end costs one reading more, and nothing is kept half erased; one that
        is replaced meanwhile, by a shorter one perhaps, is taken as it is then.
        """
        part = self._part()
        for _ in range(TRIES):
            before = source.stat()
            length = before.st_size if octets is None else octets
            kept = self._copy(source, part, length)
            if _agrees(source, before, length, kept):
                break
        else:
            raise StoreBusyError(f"{source}: changes each time that it is read")
        if self.has(kept):
            self._disk.unlink(part)
        else:
            self._place(part, kept)
        return kept

    def keep_made(self, part: Path) -> Kept:
        """Keep a file that was written into `scratch`."""
        kept = digest(part)
        if self.has(kept):
            self._disk.unlink(part)
        else:
            self._place(part, kept)
        return kept

    def scratch(self) -> Path:
        """Where a file may be made that does not exist yet."""
        part = self._part()
        self._disk.unlink(part)
        return part

    def settle(self) -> None:
        """Make every name durable that was given since the last time."""
        for folder in sorted(self._touched):
            self._disk.fsync(folder)
        self._touched.clear()

    def names(self) -> Iterator[Path]:
        """Every file that lies among the objects."""
        for folder in sorted(self.folder.iterdir()) if self.folder.is_dir() else ():
            yield from sorted(folder.iterdir()) if folder.is_dir() else (folder,)

    def sweep(self, wanted: Collection[str]) -> int:
        """Remove every content that is not wanted any more; how many."""
        gone = 0
        for path in self.names():
            if path.name not in wanted:
                self._disk.unlink(path)
                self._touched.add(path.parent)
                gone += 1
        self.settle()
        return gone

    def _part(self) -> Path:
        self._disk.ensure(self.folder / "00")
        return self.folder / "00" / f"copy{UNFINISHED}"

    def _copy(self, source: Path, part: Path, octets: int) -> Kept:
        found, at = hashlib.sha256(), 0
        self._disk.write(part, b"")
        with source.open("rb") as file:
            while at < octets and (block := file.read(min(BLOCK, octets - at))):
                self._disk.write_at(part, at, block)
                found.update(block)
                at += len(block)
        self.copied += at
        return Kept(found.hexdigest(), at)

    def _place(self, part: Path, kept: Kept) -> None:
        target = self.path(kept.sha256)
        self._disk.ensure(target.parent)
        self._disk.fsync(part)
        self._disk.rename(part, target)
        self._touched |= {target.parent, part.parent}


def digest(path: Path, octets: int | None = None) -> Kept:
    """Hash a file, or its beginning."""
    found, at = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(BLOCK if octets is None else min(BLOCK, octets - at)):
            found.update(block)
            at += len(block)
    return Kept(found.hexdigest(), at)


def _agrees(source: Path, before: os.stat_result, octets: int, kept: Kept) -> bool:
    """Whether what was copied lies there still; a file that nobody has touched lately is not read twice."""
    after_ns = source.stat().st_mtime_ns
    quiet = before.st_mtime_ns == after_ns and time.time_ns() - after_ns > SETTLED_NS
    return kept.size == octets and (quiet or digest(source, octets) == kept)
