"""Top-level boxes of an ISO base media file (ISO/IEC 14496-12 clause 4.2), and which bytes an examination needs.

A recording that is too large for memory is shown to the child as an image with holes. What a demultiplexer asks
for is the index (every box that is no sample data), the beginning and the end; the rest it passes over.
Boxes are read one level deep only: however deep a hostile file nests them, nothing here descends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from gateway.domain.evidence import Range

MIB = 1 << 20
HEAD = 6 * MIB
TAIL = 12 * MIB
INDEX_MAX = 24 * MIB
WHOLE_MAX = 64 * MIB
"""A recording of at most this size is shown whole; of a larger one, less than this in all."""
BOXES_MAX = 20_000
_PASSED_OVER = frozenset({b"mdat", b"free", b"skip", b"wide"})
_FIRST = frozenset({b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"pdin", b"uuid"})

Read = Callable[[int, int], bytes]
"""Bytes [start, end) of the recording; fewer at its end."""


class Box(msgspec.Struct, frozen=True):
    """One top-level box: its four letters, where it begins, and where it says that it ends."""

    kind: bytes
    start: int
    end: int


class Layout(msgspec.Struct, frozen=True):
    """The boxes of a recording; empty where it is no ISO base media file.

    ends_early: the last box says that it goes on behind the recording's end. sound: every box ends where the next
    begins, and the last one at the end.
    """

    size: int
    boxes: tuple[Box, ...] = ()
    ends_early: bool = False
    sound: bool = False


def layout(read: Read, size: int) -> Layout:
    """Walk the boxes; whatever the bytes are, this ends after BOXES_MAX small reads."""
    boxes: list[Box] = []
    for box in _walk(read, size):
        if box is None:
            return Layout(size, tuple(boxes))
        boxes.append(box)
    if not boxes:
        return Layout(size)
    end = boxes[-1].end
    return Layout(size, tuple(boxes), ends_early=end > size, sound=end == size)


def _walk(read: Read, size: int) -> Iterator[Box | None]:
    """Each box in turn; None, and no more, where the bytes are no box or there are too many."""
    start = 0
    for number in range(BOXES_MAX + 1):
        if start >= size:
            return
        box = _box(read(start, min(start + 16, size)), start, size)
        if box is None or number == BOXES_MAX or (number == 0 and box.kind not in _FIRST):
            yield None
            return
        yield box
        start = box.end


def _box(head: bytes, start: int, size: int) -> Box | None:
    """Clause 4.2.2: a 32-bit size, or 1 and a 64-bit one behind the kind, or 0 for `up to the end`."""
    if len(head) < 8:
        # A box's beginning that the end cuts through: it says nothing of its size but that there was more.
        return Box(head[4:].ljust(4, b"?"), start, size + 1) if start else None
    length, kind, least = int.from_bytes(head[:4]), head[4:8], 8
    if not all(32 <= letter < 127 or letter == 0xA9 for letter in kind):
        return None
    if length == 1:
        if len(head) < 16:
            return Box(kind, start, size + 1)
        length, least = int.from_bytes(head[8:16]), 16
    elif length == 0:
        length = size - start
    return Box(kind, start, start + length) if length >= least else None


def wanted(known: Layout) -> list[Range]:
    """Which ranges the image of a large recording holds, in order and apart: index, beginnings, ends."""
    size = known.size
    if size <= WHOLE_MAX:
        return [(0, size)] if size else []
    ranges = [(0, HEAD), (size - TAIL, size), *_index(known)]
    samples = [box for box in known.boxes if box.kind == b"mdat"]
    if samples:
        first, last = samples[0], samples[-1]
        end = min(last.end, size)
        ranges += [(first.start, min(first.start + HEAD, size)), (max(last.start, end - TAIL), end)]
    return merged(ranges)


def _index(known: Layout) -> Iterator[Range]:
    """Every box that is no sample data, as far as the room for them goes, and each box's own beginning."""
    room = INDEX_MAX
    for box in known.boxes:
        end = min(box.end, known.size, box.start + 16 if box.kind in _PASSED_OVER else box.end)
        if end - box.start <= room:
            room -= end - box.start
            yield box.start, end


def merged(ranges: list[Range]) -> list[Range]:
    """The same bytes, in order, no range touching another."""
    apart: list[Range] = []
    for start, end in sorted(ranges):
        if start >= end:
            continue
        if apart and start <= apart[-1][1]:
            apart[-1] = (apart[-1][0], max(end, apart[-1][1]))
        else:
            apart.append((start, end))
    return apart
