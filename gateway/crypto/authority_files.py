"""Files of the device authority: whole or not there, and a private key for its owner alone."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from gateway.errors import ConfigError

PRIVATE, PUBLIC = 0o600, 0o644
FILE_BYTES_MAX = 1 << 20


def folder(path: Path, mode: int = 0o700) -> Path:
    """Make a directory where there is none."""
    path.mkdir(mode=mode, parents=True, exist_ok=True)
    return path


def create(path: Path, content: bytes, mode: int = PRIVATE) -> bool:
    """Write a file that nobody has written before: durable on return. False, and the other's stays, where one has."""
    fresh = _fresh(path, content, mode)
    try:
        os.link(fresh, path)
    except FileExistsError:
        return False
    else:
        return True
    finally:
        fresh.unlink()
        _sync(path.parent)


def replace(path: Path, content: bytes, mode: int = PUBLIC) -> None:
    """Put a file in place of what is there: the old one or the new one, whole, whatever happens in between."""
    _fresh(path, content, mode).replace(path)
    _sync(path.parent)


def read(path: Path, *, private: bool = False) -> bytes:
    """Read a file; ConfigError names it where that fails, or where others may use a private one."""
    try:
        with path.open("rb") as file:
            if private and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise ConfigError("permissions", "group or others may use this key (chmod 600)", str(path))
            return file.read(FILE_BYTES_MAX)
    except OSError as problem:
        raise ConfigError("authority", f"cannot be read: {problem.strerror}", str(path)) from problem


def _fresh(path: Path, content: bytes, mode: int) -> Path:
    """The content beside its place, synced."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return fresh


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
