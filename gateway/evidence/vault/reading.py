"""Reading sealed exhibits back: any byte range, and the whole for its digest."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.crypto.age import Identity
from gateway.domain.ids import ExhibitId
from gateway.errors import EvidenceError, IntegrityError
from gateway.evidence.needs import Keyring
from gateway.evidence.rows import Exhibit
from gateway.evidence.vault.blobs import AgeFile, BlobTree
from gateway.evidence.vault.files import DiskFiles

STEP = 1024 * 1024
"""How much `stream` reads in a thread at a time."""


class Reader:
    """Plaintext of sealed exhibits; IntegrityError names the blob that is not what was written."""

    def __init__(self, root: Path, keyring: Keyring, find: Callable[[ExhibitId], Exhibit | None]) -> None:
        """Name the evidence directory, the keyring, and how an exhibit is found in the catalogue."""
        self._tree, self._keyring, self._find = BlobTree(root / "blobs", DiskFiles()), keyring, find

    def read(self, exhibit: ExhibitId, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Bytes [start, end) in pieces of at most 64 KiB; the file's end is checked before the first. Blocks."""
        with self.opened(exhibit) as file:
            yield from file.read(start, file.size if end is None else min(end, file.size))

    @contextmanager
    def opened(self, exhibit: ExhibitId) -> Iterator[AgeFile]:
        """The recording's file, for many reads; its end is checked first. Blocks."""
        row = self._find(exhibit)
        if row is None or row.blob is None or row.size is None:
            raise EvidenceError(f"exhibit {exhibit} is not sealed")
        secret = self._keyring.get(f"identity/{exhibit}")
        if secret is None:
            raise EvidenceError(f"exhibit {exhibit} has no key: it was disposed of")
        file = AgeFile(self._tree.path(row.blob), Identity(secret))
        try:
            if file.size != row.size:
                raise IntegrityError(f"blob {row.blob} holds {file.size} bytes, its seal says {row.size}")
            yield file
        finally:
            file.close()

    async def stream(self, exhibit: ExhibitId, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """As `read`, in steps of a MiB, each in a thread."""
        parts = self.read(exhibit, start, end)
        try:
            while step := await asyncio.to_thread(_step, parts):
                yield step
        finally:
            await asyncio.to_thread(parts.close)  # type: ignore[attr-defined]  # a generator

    def sha256_of(self, exhibit: ExhibitId) -> str:
        """SHA-256 (hex) of the recording as it is on disk now. Blocks."""
        digest = hashlib.sha256()
        for part in self.read(exhibit):
            digest.update(part)
        return digest.hexdigest()


def _step(parts: Iterator[bytes]) -> bytes:
    taken = bytearray()
    for part in parts:
        taken += part
        if len(taken) >= STEP:
            break
    return bytes(taken)
