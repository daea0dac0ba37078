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

    def bring(self) -> None:
        """Make the place hold what the first store does; SourceError names a record of ours that does not open."""
        wrong: SourceError | None = None
        for name in self.names():
            path = self._first / f"{name}.dtl"
            stat = path.stat()
            stamp = (stat.st_size, stat.st_mtime_ns)
            if self._same.get(name) == stamp:
                continue
            try:
                self._file(name, path)
                self._same[name] = stamp
            except SourceError as unsound:  # the others are not to wait for it
                wrong = unsound
        if wrong is not None:
            raise wrong

    def forget(self) -> None:
        """Compare everything anew: the place may be another."""
        self._same.clear()

    def _file(self, name: str, path: Path) -> None:
        target = self._place / path.name
        ours, theirs = path.read_bytes(), read_small(target)
        self._pace.take(len(ours))
        if theirs is None:
            write_whole(self._files, target, ours, self._place.parent)
            return
        if not ours.startswith(theirs):
            theirs = self._differing(name, (ours, theirs), target)
        if len(ours) > len(theirs) and ours.startswith(theirs):
            self._put(target, ((len(theirs), ours[len(theirs) :]),))
            self._read_back(target, ours)

    def _differing(self, name: str, both: tuple[bytes, bytes], target: Path) -> bytes:
        """Erase what is erased in ours; where more differs, take ours if it opens. What the copy holds then."""
        ours, theirs = both
        erased = [
            one
            for one in records(ours)
            if one.erased and theirs[one.at + 1 : one.at + _TOLD] == one.raw[1:_TOLD]
            if theirs[one.at : one.at + len(one.raw)] != one.raw
        ]
        for one in erased:  # the mark is durable before the bytes go, as in the first store
            self._put(target, ((one.at, b"E"),))
            self._put(target, ((one.at + FIXED, bytes(len(one.raw) - FIXED)),))
        theirs = target.read_bytes()
        if ours.startswith(theirs) or theirs.startswith(ours):
            return theirs  # what lies beyond ours was appended and taken back, or is all that is left of it
        self._must_open(name, ours, theirs)
        write_whole(self._files, target, ours, self._place.parent)
        return ours

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

    def _put(self, target: Path, writes: tuple[tuple[int, bytes], ...]) -> None:
        fd = self._files.open(target, write=True)
        try:
            for at, content in writes:
                self._files.write(fd, content, at)
            self._files.datasync(fd)
        finally:
            os.close(fd)

    def _read_back(self, target: Path, ours: bytes) -> None:
        if b"".join(pieces(self._files, target, Pace(0))) != ours:
            raise CopyError(f"{target} does not read back as it was written")
