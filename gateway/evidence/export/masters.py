"""The master as received, streamed into the bag; a large one goes on where a crash left it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import structlog

from gateway.domain.ids import ExhibitId
from gateway.errors import IntegrityError
from gateway.evidence.export.order import Needs
from gateway.evidence.rows import Exhibit

STEP = 1 << 20
_SUFFIXES = frozenset(
    {".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".ts", ".mp3", ".wav", ".json", ".jpg", ".png", ".flac", ".pdf"}
)
_log = structlog.get_logger()


class Digest(Protocol):
    """A hash that takes more."""

    def update(self, content: bytes, /) -> None:
        """Take more."""
        ...


def master_name(exhibit: Exhibit) -> str:
    """`master` and the suffix of the name that it came under, where that is a plain one."""
    suffix = Path(exhibit.name or "").suffix.lower()
    return "master" + (suffix if suffix in _SUFFIXES else ".bin")


def write_master(needs: Needs, exhibit: Exhibit, path: Path, wrote: Callable[[int], None]) -> str:
    """Write it, durable on return, and give its SHA-256; IntegrityError where it is not what was sealed. Blocks."""
    resumed = path.exists()
    found = _written(needs, exhibit, path, wrote)
    if found != exhibit.sha256 and resumed:
        # A power cut may have left anything in what was not synced: once more, from the beginning.
        _log.warning("export_master_begun_anew", exhibit=exhibit.id)
        needs.files.remove_tree(path)
        found = _written(needs, exhibit, path, lambda _octets: None)
    if found != exhibit.sha256:
        raise IntegrityError(f"exhibit {exhibit.id} reads as {found}, sealed as {exhibit.sha256}")
    return found


def _written(needs: Needs, exhibit: Exhibit, path: Path, wrote: Callable[[int], None]) -> str:
    files, digest = needs.files, hashlib.sha256()
    handle = files.open(path, write=True) if path.exists() else files.create(path)
    try:
        size = exhibit.size or 0
        at = min(os.fstat(handle).st_size, size) // STEP * STEP
        os.ftruncate(handle, at)
        for start in range(0, at, STEP):
            digest.update(os.pread(handle, STEP, start))
        wrote(at)
        # Hashed in a thread of its own while more is read and written; nothing is copied on the way.
        with ThreadPoolExecutor(1, "export-master") as beside:
            hashed = beside.submit(_hash, digest, [])
            for pieces in _steps(needs.read(ExhibitId(exhibit.id), at)):
                begun = at
                for piece in pieces:
                    files.write(handle, piece, at)
                    at += len(piece)
                hashed.result()
                hashed = beside.submit(_hash, digest, pieces)
                wrote(at - begun)
            hashed.result()
        _durable(needs, handle, path)
    finally:
        os.close(handle)
    return digest.hexdigest()


def _durable(needs: Needs, handle: int, path: Path) -> None:
    """Synced, or gone: after a sync that failed the kernel may call pages written that are not.

    Read back they would be right, and synced again without an error: so the next run must not go on from them.
    """
    try:
        needs.files.datasync(handle)
    except OSError:
        needs.files.remove_tree(path)
        raise


def _steps(parts: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Pieces of 64 KiB, a MiB at a time."""
    taken: list[bytes] = []
    octets = 0
    for part in parts:
        taken.append(part)
        octets += len(part)
        if octets >= STEP:
            yield taken
            taken, octets = [], 0
    if taken:
        yield taken


def _hash(digest: Digest, pieces: list[bytes]) -> None:
    for piece in pieces:
        digest.update(piece)
