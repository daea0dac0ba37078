"""A dock's files: read only while they are what was hashed, and removed only then."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from gateway.errors import EvidenceError

STEP = 1024 * 1024


class ChangedError(EvidenceError):
    """A file is no longer what it was: it is a new recording."""

    retry = True


class Look(msgspec.Struct, frozen=True):
    """What a file was when it was hashed."""

    size: int
    mtime_ns: int
    sha256: str


def _always() -> bool:
    return True


def look(path: Path, go_on: Callable[[], bool] = _always) -> Look:
    """Hash a file; ChangedError where it is written meanwhile, OSError where it can't be read or is not to be."""
    with _opened(path) as fd:
        before = os.fstat(fd)
        digest, octets = hashlib.sha256(), 0
        while part := os.read(fd, STEP):
            if not go_on():
                raise InterruptedError("stopped")
            digest.update(part)
            octets += len(part)
        after = os.fstat(fd)
    same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    if not same or octets != before.st_size:
        raise ChangedError(f"{path.name}: written while it was read")
    return Look(before.st_size, before.st_mtime_ns, digest.hexdigest())


def piece(path: Path, start: int, end: int, was: Look) -> bytes:
    """Bytes [start, end) of a file that still is what was hashed, as far as its size and time tell."""
    with _opened(path) as fd:
        found, content = os.fstat(fd), os.pread(fd, end - start, start)
    if (found.st_size, found.st_mtime_ns) != (was.size, was.mtime_ns) or len(content) != end - start:
        raise ChangedError(f"{path.name}: has changed since it was hashed")
    return content


def delete(path: Path, was: Look) -> None:
    """Remove a file after reading all of it once more; ChangedError where it is another."""
    _still(path, was)
    path.unlink()
    _sync(path.parent)


def move(path: Path, target: Path, was: Look) -> Path:
    """Take a file to where it is to lie, across file systems too, never over another; where it lies then."""
    _still(path, was)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and look(target).sha256 != was.sha256:
        target = target.with_name(f"{was.sha256[:16]}-{target.name}")
    if not (target.exists() and look(target).sha256 == was.sha256):
        _copy(path, target, was)
    path.unlink()
    _sync(path.parent)
    return target


def _copy(path: Path, target: Path, was: Look) -> None:
    """Copy under a name of its own, durable and read back before it gets the name it is known by."""
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        with _opened(path) as source, part.open("xb") as made:
            while content := os.read(source, STEP):
                made.write(content)
            made.flush()
            os.utime(made.fileno(), ns=(was.mtime_ns, was.mtime_ns))
            os.fsync(made.fileno())
        _still(part, was)
        part.rename(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync(target.parent)


def write_whole(path: Path, content: bytes) -> None:
    """Put a small file in place, old or new and never half, durable on return."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as made:
            made.write(content)
            made.flush()
            os.fsync(made.fileno())
        part.rename(path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _still(path: Path, was: Look) -> None:
    if look(path).sha256 != was.sha256:
        raise ChangedError(f"{path.name}: is not what the receipt is of")


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Open a regular file itself, never what a link names; a pipe is not waited for."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(f"{path.name} is no regular file")
        yield fd
    finally:
        os.close(fd)
