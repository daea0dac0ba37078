"""One file from one disk to another: beside its place, synced, renamed, and read back from the medium.

Order (docs/formats.md, "copies"): `.part` written and hashed → fsync → rename → fsync of the folder → dropped from
the page cache, read again, hashed again. A crash leaves a `.part` that the next attempt removes, or a whole file that
the next attempt reads back.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from gateway.errors import EvidenceError
from gateway.evidence.vault.files import Files, Handle

PIECE = 1 << 20
PART = ".part"


class SourceError(EvidenceError):
    """What was to be copied is not there, or not what the log says: a good copy is never replaced by it."""


class CopyError(EvidenceError):
    """A place does not keep what was written there, or must not be written to."""


class StoppedError(EvidenceError):
    """The gateway ends: what was being copied is begun again at the next start."""


class Pace:
    """So many bytes a second for all places together; whoever copies waits here, and leaves here at the end."""

    def __init__(self, mb_s: float) -> None:
        """State the rate in 10^6 bytes a second; 0 is no limit."""
        self._octets_s = mb_s * 1e6
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._free_at_s = 0.0

    def stop(self) -> None:
        """Whoever copies ends at the next piece."""
        self._stop.set()

    def take(self, octets: int) -> None:
        """Wait until so many bytes more may be read; StoppedError at the end. Blocks."""
        if self._stop.is_set():
            raise StoppedError("the gateway ends")
        if not self._octets_s:
            return
        with self._lock:
            now_s = time.monotonic()
            begin_s = max(self._free_at_s, now_s)
            self._free_at_s = begin_s + octets / self._octets_s
        if begin_s > now_s and self._stop.wait(begin_s - now_s):
            raise StoppedError("the gateway ends")


def pieces(files: Files, path: Path, pace: Pace) -> Iterator[bytes]:
    """A file's bytes from the medium, not from memory, where the system can be made to forget them."""
    fd = files.open(path, write=False)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        while piece := os.read(fd, PIECE):
            pace.take(len(piece))
            yield piece
        # What was read for us alone is not to push out what others read.
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def sha256_of(files: Files, path: Path, pace: Pace) -> str | None:
    """SHA-256 (hex) of a file as it is on the medium; None where there is none."""
    digest = hashlib.sha256()
    try:
        for piece in pieces(files, path, pace):
            digest.update(piece)
    except FileNotFoundError:
        return None
    return digest.hexdigest()


def size_of(path: Path) -> int | None:
    """How long a file is; None where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def make_folders(files: Files, top: Path, folder: Path) -> None:
    """Make a folder below top and what is missing above it, each durable in its parent."""
    for level in reversed([folder, *folder.parents][: len(folder.relative_to(top).parts)]):
        files.make_directory(level)
        files.sync_directory(level.parent)


def bring(source: Path, target: Path, sha256: str, top: Path, means: tuple[Files, Pace, Callable[[], None]]) -> None:
    """Copy a file whose hash is known; SourceError and CopyError as the two sides fail.

    means: files, pace, and what is asked right before the file gets its name (it raises where it must not).
    """
    files, pace, may_name = means
    make_folders(files, top, target.parent)
    part = target.with_name(target.name + PART)
    files.remove_tree(part)
    digest = hashlib.sha256()
    handle = Handle.create(files, part)
    with handle.closed_on_failure():
        at = 0
        for piece in _from_first(files, source, pace):
            digest.update(piece)
            handle.write(piece, at)
            at += len(piece)
        handle.datasync(always=True)
    handle.close()
    if digest.hexdigest() != sha256:
        files.remove_tree(part)
        raise SourceError(f"{source} has SHA-256 {digest.hexdigest()}, {sha256} was written")
    may_name()
    files.rename(part, target)
    files.sync_directory(target.parent)
    if sha256_of(files, target, pace) != sha256:
        raise CopyError(f"{target} does not read back as it was written")


def _from_first(files: Files, source: Path, pace: Pace) -> Iterator[bytes]:
    try:
        yield from pieces(files, source, pace)
    except OSError as wrong:
        raise SourceError(f"{source} cannot be read: {wrong.strerror or wrong}") from wrong


def write_whole(files: Files, path: Path, content: bytes, top: Path) -> None:
    """Put a small file in place, whole or not at all, and read it back; CopyError where it differs."""
    make_folders(files, top, path.parent)
    part = path.with_name(path.name + PART)
    files.remove_tree(part)
    handle = Handle.create(files, part)
    with handle.closed_on_failure():
        handle.write(content, 0)
        handle.datasync(always=True)
    handle.close()
    files.rename(part, path)
    files.sync_directory(path.parent)
    if b"".join(pieces(files, path, Pace(0))) != content:
        raise CopyError(f"{path} does not read back as it was written")


def read_small(path: Path) -> bytes | None:
    """A small file's bytes; None where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
