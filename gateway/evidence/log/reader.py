"""Reads a log's files: tiles, entries, and from them roots and proofs."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

from gateway.errors import IntegrityError
from gateway.evidence.log import merkle
from gateway.evidence.log.tiles import ENTRIES, WIDTH, Edge, levels, split_entries, split_hashes, tile_path, tile_width

CACHED_TILES = 512


class TileReader:
    """Tiles of one log directory; a hash tile only ever grows, so a wider one serves for a narrower."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._cache: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, tiles: dict[tuple[int, int], bytes]) -> None:
        """Take over tiles that were just published."""
        with self._lock:
            for place, tile in tiles.items():
                self._cache[place] = tile
                self._cache.move_to_end(place)
            while len(self._cache) > CACHED_TILES:
                self._cache.popitem(last=False)

    def forget(self) -> None:
        """Read everything anew from disk."""
        with self._lock:
            self._cache.clear()

    def hashes(self, level: int, number: int, size: int) -> bytes:
        """A hash tile's bytes, as wide as in a tree of this size."""
        width = tile_width(level, number, size)
        wanted = width * merkle.HASH_BYTES
        with self._lock:
            known = self._cache.get((level, number), b"")
        if len(known) < wanted:
            known = self._read(tile_path(level, number, width), tile_path(level, number))
            if len(known) < wanted or len(known) % merkle.HASH_BYTES:
                raise IntegrityError(f"tile {tile_path(level, number, width)} has {len(known)} bytes, not {wanted}")
            self.remember({(level, number): known})
        return known[:wanted]

    def bundle(self, number: int, size: int) -> list[bytes]:
        """The leaves of one entry bundle in a tree of this size."""
        width = tile_width(0, number, size)
        path = tile_path(ENTRIES, number, width)
        try:
            leaves = split_entries(self._read(path, tile_path(ENTRIES, number)))
        except ValueError as problem:
            raise IntegrityError(f"{path}: {problem}") from problem
        if len(leaves) < width:
            raise IntegrityError(f"{path} has {len(leaves)} entries, not {width}")
        return leaves[:width]

    def leaves(self, start: int, size: int) -> Iterator[tuple[int, bytes]]:
        """Leaves from an index to the end of a tree of this size, with their indexes."""
        for number in range(start // WIDTH, -(-size // WIDTH)):
            for index, leaf in enumerate(self.bundle(number, size), number * WIDTH):
                if index >= start:
                    yield index, leaf

    def node(self, size: int) -> merkle.Node:
        """Complete subtrees of a tree of this size, each computed once."""
        known: dict[tuple[int, int], bytes] = {}

        def complete(level: int, index: int) -> bytes:
            if (level, index) not in known:
                tile_level, height = divmod(level, 8)
                if height:
                    left, right = complete(level - 1, 2 * index), complete(level - 1, 2 * index + 1)
                    known[level, index] = merkle.node_hash(left, right)
                else:
                    number, place = divmod(index, WIDTH)
                    tile = self.hashes(tile_level, number, size)
                    known[level, index] = tile[place * 32 : place * 32 + 32]
            return known[level, index]

        return complete

    def edge(self, size: int) -> Edge:
        """The right edge of a tree of this size."""
        rows = []
        for level in range(levels(size)):
            number = (size >> (8 * level)) // WIDTH
            partial = tile_width(level, number, size)
            rows.append(split_hashes(self.hashes(level, number, size)) if partial else ())
        return Edge(size, tuple(rows))

    def tail(self, size: int) -> tuple[bytes, ...]:
        """The leaves of the newest bundle where it is not full."""
        return tuple(self.bundle(size // WIDTH, size)) if size % WIDTH else ()

    def _read(self, *paths: str) -> bytes:
        for path in paths:  # a partial tile may be gone once the full one is there
            try:
                return (self.directory / path).read_bytes()
            except FileNotFoundError:
                continue
            except OSError as problem:
                raise IntegrityError(f"{path} cannot be read: {problem.strerror}") from problem
        raise IntegrityError(f"{paths[0]} is missing")
