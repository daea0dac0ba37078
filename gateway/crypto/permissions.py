"""Who may use the key files: their owner alone, and nobody else may put others in their place."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

import msgspec

from gateway.errors import ConfigError

DEPTH_MAX = 4


class Open(msgspec.Struct, frozen=True):
    """A file or directory that others may use, and its mode."""

    path: Path
    mode: int

    @property
    def what(self) -> str:
        """What is wrong with it, and what to do."""
        if self.path.is_dir():
            return f"group or others may write to this directory (mode {self.mode:04o}; chmod 700)"
        return f"group or others may use this key (mode {self.mode:04o}; chmod 600)"


def too_open(directories: Iterable[Path]) -> list[Open]:
    """Every key file below these directories that others may use, every directory that they may write to."""
    seen: dict[Path, Open] = {}
    for directory in directories:
        for path in (directory, *_below(directory, DEPTH_MAX)):
            found = _open(path)
            if found is not None:
                seen.setdefault(path, found)
    return list(seen.values())


def refuse_open(*directories: Path) -> None:
    """ConfigError names the first that others may use."""
    for found in too_open(directories):
        raise ConfigError("permissions", found.what, str(found.path))


def _below(directory: Path, depth: int) -> Iterable[Path]:
    """Key files and directories; a directory that cannot be listed is somebody else's affair."""
    try:
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name) if depth else []
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield Path(entry.path)
            yield from _below(Path(entry.path), depth - 1)
        elif entry.name.endswith(".key"):
            yield Path(entry.path)


def _open(path: Path) -> Open | None:
    try:
        found = path.stat()
    except OSError:
        return None
    mode = stat.S_IMODE(found.st_mode)
    wrong = mode & (0o022 if stat.S_ISDIR(found.st_mode) else 0o077)
    return Open(path, mode) if wrong else None
