"""Details files at a second place: what was appended is appended, what was erased is erased.

Nothing good is ever replaced by what is not: a record of ours that differs from the copy's is taken only where it
opens under its file's key.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from gateway.crypto import sealing
from gateway.errors import IntegrityError
from gateway.evidence.copies.transfer import (
    CopyError,
    Pace,
    SourceError,
    pieces,
    read_small,
    write_whole,
)
from gateway.evidence.vault.files import Files

HEADER = b"LAPELDTL1\n"
FIXED = 1 + 4 + 32 + 12
_FILE = re.compile(r"[0-9]{6}\.dtl")
_TOLD = 1 + 4 + 32


class Record(msgspec.Struct, frozen=True):
    """One whole record: where it begins, and its bytes."""

    at: int
    raw: bytes

    @property
    def erased(self) -> bool:
        """Whether it is marked so; its ciphertext may not be zero yet."""
        return self.raw[:1] == b"E"


def records(content: bytes) -> Iterator[Record]:
    """The whole records of a file."""
    at = len(HEADER)
    while content.startswith(HEADER) and at + FIXED <= len(content):
        end = at + FIXED + int.from_bytes(content[at + 1 : at + 5], "big")
        if end > len(content) or content[at : at + 1] not in {b"D", b"E"}:
            return
        yield Record(at, content[at:end])
        at = end


def _to_erase(ours: bytes, theirs: bytes) -> list[Record]:
    """Records that are erased here, and there not, or not whole."""
    return [
        one
        for one in records(ours)
        if one.erased
        and theirs[one.at + 1 : one.at + _TOLD] == one.raw[1:_TOLD]
        and theirs[one.at : one.at + len(one.raw)] != one.raw
    ]


def _unerased(ours: bytes, theirs: bytes, erased: list[Record]) -> bytes:
    """Ours, with what is erased in it as it still is there."""
    wanted = bytearray(ours)
    for one in erased:
        there = theirs[one.at : one.at + len(one.raw)]
        wanted[one.at : one.at + len(there)] = there
    return bytes(wanted)


class DetailFiles:
    """The details directory of one place."""

    def __init__(self, first: Path, place: Path, ends: tuple[Files, Pace], key: Callable[[str], bytes | None]) -> None:
        """Name both evidence directories; key gives the key of the details file of a name like `000000`."""
        self._first, self._place, self._key = first / "details", place / "details", key
        self._files, self._pace = ends
        self._same: dict[str, tuple[int, int]] = {}

    def names(self) -> list[str]:
        """The first store's files, by number."""
        found = self._first.iterdir() if self._first.is_dir() else ()
        return sorted(path.stem for path in found if _FILE.fullmatch(path.name))

    def bring(self, *, erasing: bool) -> None:
        """Make the place hold what the first store does; SourceError names a record of ours that does not open.

        erasing: erase there what is erased here; only once its log says why.
        """
        wrong: SourceError | None = None
        for name in self.names():
            path = self._first / f"{name}.dtl"
            stat = path.stat()
            stamp = (stat.st_size, stat.st_mtime_ns)
            if self._same.get(name) == stamp:
                continue
            try:
                if self._file(name, path, erasing=erasing):
                    self._same[name] = stamp
            except SourceError as unsound:  # the others are not to wait for it
                wrong = unsound
        if wrong is not None:
            raise wrong

    def forget(self) -> None:
        """Compare everything anew: the place may be another."""
        self._same.clear()

    def _file(self, name: str, path: Path, *, erasing: bool) -> bool:
        """One file; whether it is the same now."""
        target = self._place / path.name
        ours, theirs = path.read_bytes(), read_small(target)
        self._pace.take(len(ours))
        if theirs is None:
            write_whole(self._files, target, ours, self._place.parent)
            return True
        erased = _to_erase(ours, theirs)
        if erasing:
            self._erase(target, erased)
            theirs, erased = target.read_bytes(), []
        wanted = _unerased(ours, theirs, erased)
        if theirs.startswith(wanted):
            return not erased  # what lies beyond ours was appended and taken back, or is all that is left of it
        if wanted.startswith(theirs):
            self._put(target, len(theirs), wanted[len(theirs) :])
        else:
            self._must_open(name, wanted, theirs)
            write_whole(self._files, target, wanted, self._place.parent)
        self._read_back(target, wanted)
        return not erased

    def _erase(self, target: Path, erased: list[Record]) -> None:
        for one in erased:  # mark and bytes in one write: a process that is killed leaves no half of it
            self._put(target, one.at, b"E" + one.raw[1:FIXED] + bytes(len(one.raw) - FIXED))

    def _must_open(self, name: str, ours: bytes, theirs: bytes) -> None:
        key = self._key(name)
        for one in records(ours):
            if one.erased or theirs[one.at : one.at + len(one.raw)] == one.raw:
                continue
            try:
                sealing.unseal(key or bytes(32), one.raw[_TOLD:], one.raw[5:_TOLD])
            except IntegrityError as wrong:
                raise SourceError(f"details/{name}.dtl: the record at byte {one.at} does not open") from wrong
        kept = sum(len(one.raw) for one in records(ours)) + len(HEADER)
        if kept < sum(len(one.raw) for one in records(theirs)) + len(HEADER):
            raise SourceError(f"details/{name}.dtl: fewer whole records than its copy has")

    def _put(self, target: Path, at: int, content: bytes) -> None:
        """Write in place; what a failed write left, the next turn reads."""
        fd = self._files.open(target, write=True)
        try:
            self._files.write(fd, content, at)
            self._files.datasync(fd)
        finally:
            os.close(fd)

    def _read_back(self, target: Path, ours: bytes) -> None:
        if b"".join(pieces(self._files, target, Pace(0))) != ours:
            raise CopyError(f"{target} does not read back as it was written")
