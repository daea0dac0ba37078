"""Staging's run files: AEAD records of pieces of a recording (docs/formats.md "staging").

A run file belongs to one key and one process lifetime; record i is encrypted once, under nonce i.
"""

from __future__ import annotations

import struct
from bisect import bisect_right, insort
from collections.abc import Iterator
from pathlib import Path

import msgspec

from gateway.crypto.age import TAG, Aead, AgeError, Cipher, opened
from gateway.crypto.canonical import canonical
from gateway.evidence.vault.files import Files, Handle

MAGIC = b"LAPELRUN1\n"
NOTE = 2**64 - 1
"""The offset of a record that is a note (canonical JSON), not a piece."""
RECORD_CAP = 16 * 1024 * 1024

_HEAD = struct.Struct(">QI")


class Record(msgspec.Struct, frozen=True):
    """Where one record lies: its number, its place in the file, the piece's offset and length."""

    number: int
    at: int
    offset: int
    octets: int


class RunFile:
    """One run file: appended to by the process that made it, read by whoever has its key."""

    def __init__(self, handle: Handle, aead: Aead, name: int) -> None:
        """Take the file, the AEAD under its key, and its number k."""
        self.name = name
        self._handle, self._aead = handle, aead
        self._at, self._next = len(MAGIC), 0

    @classmethod
    def create(cls, files: Files, path: Path, key: bytes, cipher: Cipher) -> RunFile:
        """Make a new file under a key never used before; its name carries k."""
        run = cls(Handle.create(files, path), cipher(key), _number(path))
        with run._handle.closed_on_failure():
            run._handle.write(MAGIC, 0)
        return run

    @classmethod
    def read_only(cls, files: Files, path: Path, key: bytes, cipher: Cipher) -> RunFile:
        """Take up a file of an earlier run; nothing is ever added to it."""
        return cls(Handle(files, path), cipher(key), _number(path))

    @property
    def records(self) -> int:
        """How many records were appended."""
        return self._next

    def append(self, offset: int, content: bytes | memoryview) -> Record:
        """Encrypt and write one piece; durable after `datasync`."""
        record = Record(self._next, self._at, offset, len(content))
        # Counted before it is written: a failed write must not leave its nonce to another content.
        self._next += 1
        self._at += _HEAD.size + len(content) + TAG
        head = _HEAD.pack(offset, len(content))
        sealed = self._aead.encrypt(_nonce(record.number), content, head)  # type: ignore[arg-type]  # any buffer serves
        self._handle.write(head + sealed, record.at)
        return record

    def append_note(self, note: dict[str, object]) -> Record:
        """Write a note; durable after `datasync`."""
        return self.append(NOTE, canonical(note))

    def piece(self, record: Record) -> bytes:
        """Read one record back; AgeError where it does not open."""
        sealed = self._handle.read(record.octets + TAG, record.at + _HEAD.size)
        return opened(self._aead, _nonce(record.number), sealed, _HEAD.pack(record.offset, record.octets))

    def scan(self) -> Iterator[tuple[Record, bytes]]:
        """Every record in order, up to the first that does not open."""
        at = len(MAGIC)
        if self._handle.read(at, 0) != MAGIC:
            return
        number = 0
        while len(head := self._handle.read(_HEAD.size, at)) == _HEAD.size:
            offset, octets = _HEAD.unpack(head)
            record = Record(number, at, offset, octets)
            if octets > RECORD_CAP:
                return
            try:
                content = self.piece(record)
            except AgeError:
                return
            yield record, content
            number, at = number + 1, at + _HEAD.size + octets + TAG

    def datasync(self, *, always: bool = False) -> None:
        """Make what was appended durable."""
        self._handle.datasync(always=always)

    def close(self) -> None:
        """Give the descriptor back until it is needed again."""
        self._handle.close()


def torn_at_first(start: bytes, octets: int) -> bool:
    """Whether a run file of that length, beginning so, ends before its first record does."""
    if len(start) < len(MAGIC) + _HEAD.size:
        return True
    _, length = _HEAD.unpack_from(start, len(MAGIC))
    return octets < len(MAGIC) + _HEAD.size + int(length) + TAG


class Placed(msgspec.Struct, frozen=True, order=True):
    """Bytes [start, end) of a recording, within one record of one run file."""

    start: int
    end: int
    run: int
    record: Record


class Pieces:
    """Which record holds which bytes; the first that came stands."""

    def __init__(self) -> None:
        self._placed: list[Placed] = []

    def add(self, run: int, record: Record) -> None:
        """Index a record; bytes that an earlier one holds stay with the earlier."""
        for start, end in self.gaps(record.offset, record.offset + record.octets):
            insort(self._placed, Placed(start, end, run, record), key=_start)

    def gaps(self, start: int, end: int) -> list[tuple[int, int]]:
        """The parts of [start, end) that no record holds."""
        missing: list[tuple[int, int]] = []
        for placed in self.within(start, end):
            if start < placed.start:
                missing.append((start, placed.start))
            start = placed.end
        if start < end:
            missing.append((start, end))
        return missing

    def within(self, start: int, end: int) -> Iterator[Placed]:
        """What holds bytes of [start, end), in order."""
        place = max(0, bisect_right(self._placed, start, key=_start) - 1)
        while place < len(self._placed) and self._placed[place].start < end:
            if self._placed[place].end > start:
                yield self._placed[place]
            place += 1

    def holding(self, offset: int) -> Placed | None:
        """What holds this byte."""
        return next(self.within(offset, offset + 1), None)

    def drop_below(self, offset: int) -> None:
        """Forget what lies wholly below an offset (it is in the blob by now)."""
        keep = bisect_right(self._placed, offset, key=lambda placed: placed.end)
        del self._placed[:keep]

    def retain(self, records: dict[int, int]) -> None:
        """Forget every record that is not among the first so many of its run."""
        self._placed = [placed for placed in self._placed if placed.record.number < records.get(placed.run, 0)]


def _start(placed: Placed) -> int:
    return placed.start


def _nonce(number: int) -> bytes:
    return bytes(4) + number.to_bytes(8, "big")


def _number(path: Path) -> int:
    return int(path.stem.removeprefix("run-"))
