"""The tree of one root: made from a stream of leaf hashes, kept as a file of hashes alone (docs/formats.md, "journal").

`<first journal file>.leaves`: the leaf hashes, the hashes over each complete 256 of them, over each 65,536,
then what the log says of the root, canonical JSON, its length, and the magic.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from gateway.crypto.canonical import canonical, parse_canonical
from gateway.errors import IntegrityError
from gateway.evidence.log.disk import Disk
from gateway.evidence.log.merkle import EMPTY_ROOT, HASH_BYTES, Node, inclusion_proof, node_hash, subtree_hash

MAGIC = b"LAPELLVS1\n"
WIDTH = 256
LEVELS = (0, 8, 16)
CHUNK_BYTES = 1 << 20
FACTS_MAX = 1 << 16


class Growing:
    """A tree that leaves are added to: its root, and the upper levels that its file keeps. Memory: 1/256 of it."""

    def __init__(self) -> None:
        self.size = 0
        self.upper: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._open: list[bytearray] = [bytearray(), bytearray(), bytearray()]

    def add(self, leaves: bytes) -> None:
        """Add leaf hashes that stand one behind the other."""
        self.size += len(leaves) // HASH_BYTES
        self._open[0] += leaves
        for level, row in enumerate(self._open[:2]):
            full = len(row) // (WIDTH * HASH_BYTES) * WIDTH * HASH_BYTES
            for at in range(0, full, WIDTH * HASH_BYTES):
                above = subtree_hash(split(bytes(row[at : at + WIDTH * HASH_BYTES])))
                self.upper[level].extend(above)
                self._open[level + 1] += above
            del row[:full]

    def root(self) -> bytes:
        """Root of all that was added (RFC 6962 section 2.1)."""
        peaks: list[bytes] = []
        for row in reversed(self._open):
            peaks.extend(_peaks(split(bytes(row))))
        if not peaks:
            return EMPTY_ROOT
        whole = peaks.pop()
        while peaks:
            whole = node_hash(peaks.pop(), whole)
        return whole


def split(row: bytes) -> list[bytes]:
    """The hashes of a row."""
    return [row[at : at + HASH_BYTES] for at in range(0, len(row), HASH_BYTES)]


def _peaks(row: list[bytes]) -> Iterable[bytes]:
    at, left = 0, len(row)
    while left:
        span = 1 << (left.bit_length() - 1)
        yield subtree_hash(row[at : at + span])
        at, left = at + span, left - span


class Covered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a root covers: hours from and to, how many frames, each journal file and how many of them it has."""

    from_: str = msgspec.field(name="from")
    to: str
    frames: int
    root: str
    files: tuple[tuple[str, int], ...]

    def facts(self) -> dict[str, Any]:
        """As the log says it."""
        return {
            "from": self.from_,
            "to": self.to,
            "frames": self.frames,
            "root": self.root,
            "files": [list(each) for each in self.files],
        }


class LeavesFile:
    """One `.leaves` file, read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            self.covered = _footer(file, path)

    def covers(self, name: str) -> bool:
        """Whether a journal file is among those that it covers."""
        return any(file == name for file, _ in self.covered.files)

    def first_of(self, name: str) -> int:
        """The index of the first frame of a journal file."""
        before = 0
        for file, frames in self.covered.files:
            if file == name:
                return before
            before += frames
        raise IntegrityError(f"{self.path.name} does not cover {name}")

    def proofs(self, indexes: Iterable[int]) -> list[tuple[bytes, list[bytes]]]:
        """Leaf hash and inclusion path of frames."""
        with self.path.open("rb") as file:
            node = self._node(file)
            return [(node(0, index), inclusion_proof(index, self.covered.frames, node)) for index in indexes]

    def _node(self, file: BinaryIO) -> Node:
        size, known = self.covered.frames, dict[tuple[int, int], bytes]()
        starts = {0: 0, 8: size * HASH_BYTES, 16: (size + (size >> 8)) * HASH_BYTES}

        def complete(level: int, index: int) -> bytes:
            if (level, index) not in known:
                if level in starts:
                    _read_row(file, starts[level], level, index, size, known)
                else:
                    known[level, index] = node_hash(complete(level - 1, 2 * index), complete(level - 1, 2 * index + 1))
            return known[level, index]

        return complete


def _read_row(
    file: BinaryIO, start: int, level: int, index: int, size: int, known: dict[tuple[int, int], bytes]
) -> None:
    """Read the hashes about one of them: a proof asks for its neighbours next."""
    first = index // WIDTH * WIDTH
    count = min(WIDTH, (size >> level) - first)
    file.seek(start + first * HASH_BYTES)
    for place, found in enumerate(split(file.read(count * HASH_BYTES)), first):
        known[level, place] = found


def write_leaves(
    disk: Disk, path: Path, rows: Iterable[bytes], hours: tuple[str, str], counted: dict[str, int]
) -> Covered:
    """Write a tree's file, durable on return; `counted` is read once all rows are taken."""
    tree, waiting, at = Growing(), bytearray(), 0
    disk.write(path, b"")
    for row in rows:
        tree.add(row)
        waiting += row
        if len(waiting) >= CHUNK_BYTES:
            disk.write_at(path, at, bytes(waiting))
            at += len(waiting)
            waiting.clear()
    covered = Covered(hours[0], hours[1], tree.size, tree.root().hex(), tuple(counted.items()))
    printed = canonical({"v": 1, **covered.facts()})
    for part in (*tree.upper, printed, len(printed).to_bytes(4, "big"), MAGIC):
        waiting += part
    disk.write_at(path, at, bytes(waiting))
    disk.fsync(path)
    return covered


def _footer(file: BinaryIO, path: Path) -> Covered:
    size = os.fstat(file.fileno()).st_size
    tail = len(MAGIC) + 4
    file.seek(max(0, size - tail))
    end = file.read(tail)
    length = int.from_bytes(end[:4], "big")
    if end[4:] != MAGIC or not 0 < length <= min(FACTS_MAX, size - tail):
        raise IntegrityError(f"{path.name} is no file of leaves")
    file.seek(size - tail - length)
    try:
        said = parse_canonical(file.read(length))
        covered = msgspec.convert({name: each for name, each in said.items() if name != "v"}, Covered)
    except (ValueError, msgspec.ValidationError) as wrong:
        raise IntegrityError(f"{path.name}: what it covers can't be read: {wrong}") from wrong
    frames = covered.frames
    if sum(count for _, count in covered.files) != frames or size - tail - length != HASH_BYTES * sum(
        frames >> level for level in LEVELS
    ):
        raise IntegrityError(f"{path.name}: its frames are not those it says to cover")
    return covered
