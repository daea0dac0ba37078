"""The journal: every raw frame in order, encrypted, group-committed (docs/formats.md, journal)."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import msgspec

from gateway.domain.events import Frame
from gateway.errors import IntegrityError

MAGIC = b"LAPELJRN1\n"
MOST_BATCH_BYTES = 64 << 20
Row = tuple[str, str, str | None, int | None, float, str, bytes]


class DayKeys(Protocol):
    """Seals journal batches under one key a day."""

    def key(self, day: str) -> bytes:
        """The day's 32-byte key, made and made durable at its first use."""
        ...

    def seal(self, key: bytes, nonce: bytes, content: bytes, header: bytes) -> bytes:
        """ChaCha20-Poly1305."""
        ...

    def open(self, key: bytes, nonce: bytes, sealed: bytes, header: bytes) -> bytes:
        """Undo seal; IntegrityError if it was changed."""
        ...


def row(frame: Frame, *, digest: bool) -> Row:
    """One journal row; digest keeps only SHA-256 and length of the payload."""
    arrived_s = frame.stamp.arrived.utc.timestamp()
    if not digest:
        return (frame.via, frame.channel, frame.device, frame.issi, arrived_s, "raw", frame.payload)
    mark = hashlib.sha256(frame.payload).digest() + len(frame.payload).to_bytes(8, "big")
    return (frame.via, frame.channel, frame.device, frame.issi, arrived_s, "digest", mark)


class Journal:
    """Writes batches; used from one thread only."""

    def __init__(self, directory: Path, keys: DayKeys) -> None:
        self._directory, self._keys = directory, keys
        self._pack = msgspec.msgpack.Encoder().encode
        self._day = ""
        self._file: BinaryIO | None = None
        self._key, self._run, self._batches = b"", b"", 0

    def write(self, rows: list[Row]) -> None:
        """Append a batch and return when it is durable; OSError when the disk refuses."""
        file = self._opened(datetime.now(UTC).strftime("%Y-%m-%d"))
        content = self._pack(rows)
        header = (len(content) + 16).to_bytes(4, "big")
        nonce = self._run + self._batches.to_bytes(8, "big")
        # Counted before it is tried: a batch that failed half-way must not share its nonce with the next.
        self._batches += 1
        try:
            file.write(header + self._keys.seal(self._key, nonce, content, header))
            file.flush()
            os.fdatasync(file.fileno())
        except OSError:
            self._day = ""  # a torn batch ends its file: go on in a new one
            raise

    def _opened(self, day: str) -> BinaryIO:
        if self._file is not None and day == self._day:
            return self._file
        self.close()
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._key, self._run, self._batches = self._keys.key(day), secrets.token_bytes(4), 0
        descriptor = os.open(
            self._directory / f"{day}-{self._run.hex()}.jrn", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600
        )
        self._file = os.fdopen(descriptor, "wb")
        self._file.write(MAGIC + self._run)
        _sync_directory(self._directory)
        self._day = day
        return self._file

    def close(self) -> None:
        """Close the open file; what was written stays durable."""
        if self._file is not None:
            file, self._file = self._file, None
            try:
                file.close()
            except OSError:
                self._day = ""  # the unwritten rest was never acknowledged


def read(path: Path, keys: DayKeys) -> Iterator[Row]:
    """Every row of one journal file; stops at a torn tail, IntegrityError for a changed batch before it."""
    content = path.read_bytes()
    if not content.startswith(MAGIC) or len(content) < len(MAGIC) + 4:
        return
    run, place, number = content[len(MAGIC) : len(MAGIC) + 4], len(MAGIC) + 4, 0
    key = keys.key(path.name[:10])
    decode: Any = msgspec.msgpack.Decoder(list[Row]).decode
    while place + 4 <= len(content):
        header = content[place : place + 4]
        end = place + 4 + int.from_bytes(header, "big")
        if end > len(content):
            return
        try:
            yield from decode(keys.open(key, run + number.to_bytes(8, "big"), content[place + 4 : end], header))
        except IntegrityError:
            if end == len(content):
                return
            raise
        place, number = end, number + 1


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
