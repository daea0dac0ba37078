"""A recording as the child sees it: a sealed file in memory, which can be sought in and never touches a disk.

Whole up to WHOLE_MAX; of a larger recording, its index, beginnings and ends at their places and holes between, so
that four gigabytes cost less than WHOLE_MAX. (Memory may be swapped out like any other: encrypt the swap.)
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from gateway.domain.evidence import Range
from gateway.media.boxes import WHOLE_MAX, Layout, layout, merged, wanted

Pieces = Callable[[int, int], Iterator[bytes]]
"""Bytes [start, end) of a recording, a piece at a time."""
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
_PIECE = 1 << 16


class Image(msgspec.Struct, frozen=True):
    """An open descriptor, the boxes of the recording, and whether the image has no holes."""

    fd: int
    layout: Layout
    whole: bool

    @property
    def source(self) -> str:
        """What the ffmpeg commands are told to open."""
        return f"file:/proc/self/fd/{self.fd}"


@contextmanager
def imaged(pieces: Pieces, size: int, more: Sequence[Range] = ()) -> Iterator[Image]:
    """Make the image of a recording, with further ranges of it; it is gone when the block ends. Blocks."""
    known = layout(_Near(pieces, size).read, size)
    fd = os.memfd_create("recording", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(fd, size)
        spans = merged([*wanted(known), *more])
        for span in spans:
            _copy(pieces, span, fd)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
        yield Image(fd, known, size <= WHOLE_MAX or spans == [(0, size)])
    finally:
        os.close(fd)


def _copy(pieces: Pieces, span: Range, fd: int) -> None:
    at, end = span
    for piece in pieces(at, end):
        view = memoryview(piece)
        while view:
            written = os.pwrite(fd, view, at)
            view, at = view[written:], at + written


class _Near:
    """Small reads near one another, out of the piece that was read last."""

    def __init__(self, pieces: Pieces, size: int) -> None:
        self._pieces, self._size = pieces, size
        self._start, self._held = 0, b""

    def read(self, start: int, end: int) -> bytes:
        if not self._start <= start <= end <= self._start + len(self._held):
            first = start - start % _PIECE
            self._held = b"".join(self._pieces(first, min(self._size, max(end, first + _PIECE))))
            self._start = first
        return self._held[start - self._start : end - self._start]
