"""A finished bag as one tar, put together while it is read: any span of it, the same bytes every time."""

from __future__ import annotations

import os
import tarfile
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

import msgspec

STEP = 1 << 20
_BLOCK = tarfile.BLOCKSIZE


class Piece(msgspec.Struct, frozen=True):
    """A part of the answer: where it begins, its length, and what it is: bytes, or a file's."""

    start: int
    length: int
    octets: bytes | None = None
    path: Path | None = None

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Bytes [start, end) of it."""
        if self.octets is not None:
            yield self.octets[start:end]
            return
        assert self.path is not None
        with self.path.open("rb") as file:
            file.seek(start)
            while start < end:
                part = file.read(min(STEP, end - start))
                if not part:
                    raise OSError(f"{self.path.name} is shorter than it was")
                yield part
                start += len(part)


class Content:
    """What is fetched of an export: so many bytes, any span of them."""

    def __init__(self, pieces: list[Piece], name: str, media: str) -> None:
        """Take what it is made of, in order."""
        self._pieces, self.name, self.media = pieces, name, media
        self._starts = [piece.start for piece in pieces]
        self.size = pieces[-1].start + pieces[-1].length if pieces else 0

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Bytes [start, end), a MiB or less at a time. Blocks."""
        for piece in self._pieces[max(0, bisect_right(self._starts, start) - 1) :]:
            if piece.start >= end:
                return
            first, last = max(0, start - piece.start), min(piece.length, end - piece.start)
            if first < last:
                yield from piece.read(first, last)


def letter(path: Path) -> Content:
    """An encrypted export: the file as it lies there."""
    return Content([Piece(0, path.stat().st_size, path=path)], path.name, "application/age")


def tarred(bag: Path, name: str) -> Content:
    """A bag as `name/…`: regular files in order of their names, times and sizes as on disk."""
    pieces: list[Piece] = []
    at = 0
    for path in sorted(Path(folder) / file for folder, _, files in os.walk(bag) for file in files):
        found = path.stat()
        header = tarfile.TarInfo(f"{name}/{path.relative_to(bag)}")
        header.size, header.mtime, header.mode = found.st_size, int(found.st_mtime), 0o644
        for octets in (header.tobuf(tarfile.PAX_FORMAT), None):
            length = found.st_size if octets is None else len(octets)
            pieces.append(Piece(at, length, octets, path if octets is None else None))
            at += length
        padding = -found.st_size % _BLOCK
        pieces.append(Piece(at, padding, bytes(padding)))
        at += padding
    ending = 2 * _BLOCK + -(at + 2 * _BLOCK) % tarfile.RECORDSIZE
    pieces.append(Piece(at, ending, bytes(ending)))
    return Content([piece for piece in pieces if piece.length], f"{name}.tar", "application/x-tar")
