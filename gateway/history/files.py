"""Journal files read: which there are, their batches, one owner's frames (docs/formats.md, "journal")."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Protocol, Self

import msgspec

from gateway.errors import IntegrityError
from gateway.history.batch import (
    BATCH_HEAD,
    ERASED,
    FILE_HEAD,
    MAGIC,
    RUN_BYTES,
    Heads,
    frames_in,
    heads_size,
    parse_heads,
    whole,
)
from gateway.history.frame import SALT_BYTES, Row, commitment, leaf_hash, parse_row

NAME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}-[0-9a-f]{16}")


class Key(Protocol):
    """One owner's key of one day."""

    @property
    def owner(self) -> str:
        """Whose it is."""
        ...

    def open(self, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
        """Undo seal; IntegrityError if a bit differs."""
        ...


class Kept(msgspec.Struct, frozen=True):
    """One frame of a file, opened: its number in the file, row as printed and read, salt, leaf; where it lies."""

    number: int
    printed: bytes
    row: Row
    salt: bytes
    leaf: bytes
    flag_at: int
    sealed_at: int
    length: int


class JournalFile:
    """One file, read from the disk; use as a context."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.stem
        self._file: BinaryIO

    def __enter__(self) -> Self:
        """Open it."""
        self._file = self.path.open("rb")
        return self

    def __exit__(self, *_fault: object) -> None:
        """Close it."""
        self._file.close()

    def settle(self) -> None:
        """From here on read what is on the medium: a write that failed may be left in memory and nowhere else."""
        os.fsync(self._file.fileno())
        os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def batches(self) -> Iterator[Heads]:
        """Every whole batch; a torn end ends the file, IntegrityError for damage before it."""
        size = os.fstat(self._file.fileno()).st_size
        head = self._read(0, FILE_HEAD)
        if len(head) < FILE_HEAD or not head.startswith(MAGIC):
            return
        at = FILE_HEAD
        while at < size:
            count = frames_in(self._read(at, BATCH_HEAD))
            if count is None or at + heads_size(count) > size:
                return
            heads = parse_heads(at, self._read(at, heads_size(count)))
            if heads is None or heads.end >= size:
                if heads is not None and heads.end == size and whole(heads, self._read(heads.start, size)):
                    yield heads
                elif heads is None and self._goes_on(at, size):
                    raise IntegrityError(f"{self.path.name}: the batch at byte {at} was changed")
                return
            yield heads
            at = heads.end

    def frames(self, keys: Mapping[bytes, Key]) -> Iterator[Kept]:
        """Every frame, in order, that one of these keys opens; IntegrityError for one that was changed."""
        run, first = self._numbering()
        before = 0
        for heads in self.batches():
            for place, sealed_at in enumerate(heads.places()):
                key = keys.get(heads.slot(place))
                if key is None or heads.flags[place] == ERASED:
                    continue
                number = before + place
                sealed = self._read(sealed_at, heads.lengths[place])
                nonce, leaf = run + (first + number).to_bytes(4, "big"), heads.leaf(place)
                yield self._opened(key.open(nonce, sealed, leaf), number, heads, place, sealed_at)
            before += heads.count

    def sealed(self, at: int, length: int) -> bytes:
        """The bytes of a sealed row as they lie there."""
        return self._read(at, length)

    def _opened(self, content: bytes, number: int, heads: Heads, place: int, sealed_at: int) -> Kept:
        salt, printed = content[:SALT_BYTES], content[SALT_BYTES:]
        leaf = heads.leaf(place)
        if leaf_hash(commitment(salt, printed)) != leaf:
            raise IntegrityError(f"{self.path.name}: frame {number} is not what its leaf commits to")
        length = heads.lengths[place]
        return Kept(number, printed, parse_row(printed), salt, leaf, heads.flag_at(place), sealed_at, length)

    def _numbering(self) -> tuple[bytes, int]:
        head = self._read(0, FILE_HEAD)
        run = head[len(MAGIC) : len(MAGIC) + RUN_BYTES]
        return run, int.from_bytes(head[len(MAGIC) + RUN_BYTES :], "big")

    def _goes_on(self, at: int, size: int) -> bool:
        """Whether another whole batch follows one that can't be read: then it is damage, not the end of a crash."""
        end = at + 4 + int.from_bytes(self._read(at, 4), "big")
        count = frames_in(self._read(end, BATCH_HEAD)) if end < size else None
        return count is not None and parse_heads(end, self._read(end, heads_size(count))) is not None

    def _read(self, at: int, length: int) -> bytes:
        self._file.seek(at)
        return self._file.read(length)


def journal_files(directory: Path, hours: Collection[str] | None = None) -> list[Path]:
    """Every file of the journal, or those of these hours, oldest first."""
    found = (path for path in directory.glob("*.jrn") if NAME.fullmatch(path.stem))
    return sorted(path for path in found if hours is None or path.stem[:13] in hours)


def read(path: Path, keys: Mapping[bytes, Key]) -> Iterator[Row]:
    """Every row of one journal file that these keys open, as it was written."""
    with JournalFile(path) as file:
        for kept in file.frames(keys):
            yield kept.row
