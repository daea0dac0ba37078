"""The journal: every raw frame, each sealed under its owner's key of the day, group-committed (docs/formats.md)."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from gateway.history.batch import MAGIC, RUN_BYTES, Frozen, pack
from gateway.history.frame import SALT_BYTES, Row, commitment, leaf_hash, owner, print_row, row

__all__ = ["Journal", "Row", "row"]
NUMBERS_END = 1 << 31
"""Frames of one run: the nonce has four bytes for their number, and a batch more than enough room left."""


class Key(Protocol):
    """One owner's key of one day."""

    @property
    def slot(self) -> bytes:
        """By what the owner's frames are known."""
        ...

    @property
    def owner(self) -> str:
        """Whose it is."""
        ...

    def seal(self, nonce: bytes, content: bytes, associated: bytes) -> bytes:
        """ChaCha20-Poly1305."""
        ...


class Keys(Protocol):
    """Keys by day and owner."""

    def of_day(self, day: str) -> Mapping[bytes, Key]:
        """Every key of a day by its slot."""
        ...

    def make(self, day: str, owners: Iterable[str]) -> Mapping[str, Key]:
        """New keys, made durable before they are used."""
        ...


class Journal:
    """Writes batches, a file an hour; `write` from one thread, `turn` from any."""

    def __init__(self, directory: Path, keys: Keys) -> None:
        self._directory, self._keys = directory, keys
        self._lock = threading.Lock()
        self._file: int | None = None
        self._path = directory
        self._hour = self._day = ""
        self._of_owner: dict[str, Key] = {}
        self._run, self._number, self._durable = b"", 0, 0

    def write(self, rows: list[Row]) -> None:
        """Append a batch and return when it is durable; OSError when the disk refuses."""
        with self._lock:
            file = self._opened(hour_of(datetime.now(UTC)))
            batch = self._batch(rows)
            try:
                _write(file, batch)
                os.fdatasync(file)
            except OSError:
                self._give_up()
                raise
            self._durable += len(batch)

    def turn(self) -> str | None:
        """Let go of a file whose hour is over; the name of the one that may still grow."""
        with self._lock:
            if self._file is not None and self._hour != hour_of(datetime.now(UTC)):
                self._end()
            return None if self._file is None else self._path.stem

    def close(self) -> None:
        """Close the open file; what was written stays durable."""
        with self._lock:
            self._end()

    def _batch(self, rows: list[Row]) -> bytes:
        owners = [owner(each) for each in rows]
        keys = self._keyed(owners)
        salts = os.urandom(SALT_BYTES * len(rows))
        frames = []
        for place, (each, whose) in enumerate(zip(rows, owners, strict=True)):
            printed, salt = print_row(each), salts[place * SALT_BYTES : (place + 1) * SALT_BYTES]
            leaf = leaf_hash(commitment(salt, printed))
            # Counted before it is tried: what failed half-way must not share its nonce with the next.
            nonce = self._run + self._number.to_bytes(4, "big")
            self._number += 1
            frames.append(Frozen(keys[whose].slot, leaf, keys[whose].seal(nonce, salt + printed, leaf)))
        return pack(frames)

    def _keyed(self, owners: list[str]) -> dict[str, Key]:
        missing = set(owners) - self._of_owner.keys()
        if missing:
            self._of_owner |= self._keys.make(self._day, sorted(missing))
        return self._of_owner

    def _opened(self, hour: str) -> int:
        if self._file is not None and hour == self._hour and self._number < NUMBERS_END:
            return self._file
        self._end()
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / f"{hour}-{self._run.hex()}.jrn"
        if not self._run or self._number >= NUMBERS_END or path.exists():
            self._run, self._number = secrets.token_bytes(RUN_BYTES), 0
            path = self._directory / f"{hour}-{self._run.hex()}.jrn"
        # Read anew for each file: a key of an earlier hour may have been destroyed with what it sealed.
        self._of_owner = {key.owner: key for key in self._keys.of_day(hour[:10]).values()}
        self._day = hour[:10]
        head = MAGIC + self._run + self._number.to_bytes(4, "big")
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._hour, self._path, self._durable = hour, path, len(head)
        try:
            _write(self._file, head)
            _sync_directory(self._directory)
        except OSError:
            self._give_up()
            raise
        return self._file

    def _give_up(self) -> None:
        """A torn batch ends its file: what nobody was told of is cut off where that can be done, a new run begins."""
        with contextlib.suppress(OSError):
            os.truncate(self._path, self._durable)
        self._run = b""
        self._end()

    def _end(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                os.close(file)


def _write(file: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]


def hour_of(moment: datetime) -> str:
    """How files of an hour are named, UTC."""
    return moment.strftime("%Y-%m-%dT%H")


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
