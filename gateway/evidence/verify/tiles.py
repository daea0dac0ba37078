"""Names and contents of C2SP tlog-tiles in a directory (c2sp.org/tlog-tiles)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from gateway.errors import VerificationError
from gateway.evidence.verify.files import read_whole

TILE = 256
HASH = 32
ENTRY_MAX = 65535
LEVEL_MAX = 63
ENTRIES = -1
_NAME = re.compile(r"(entries|[0-9]{1,2})/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII)


class Tile(msgspec.Struct, frozen=True):
    """One tile: level (ENTRIES for a bundle of entries), index, width (256: full)."""

    level: int
    index: int
    width: int = TILE

    @property
    def name(self) -> str:
        """Path below `tile/`."""
        groups = [f"{self.index % 1000:03d}"]
        rest = self.index // 1000
        while rest:
            groups.insert(0, f"x{rest % 1000:03d}")
            rest //= 1000
        level = "entries" if self.level == ENTRIES else str(self.level)
        return f"{level}/{'/'.join(groups)}" + (f".p/{self.width}" if self.width < TILE else "")

    @property
    def path(self) -> str:
        """Path below the evidence directory, as findings print it."""
        return f"log/tile/{self.name}"

    @property
    def height(self) -> int:
        """Tile level whose hashes count this tile's elements; entries count as level 0."""
        return max(self.level, 0)


def parse_name(name: str) -> Tile | None:
    """Read a path below `tile/`; None when it is no tile's name."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    level = ENTRIES if match[1] == "entries" else int(match[1])
    index = int(match[2].replace("x", "").replace("/", ""))
    tile = Tile(level, index, int(match[3]) if match[3] else TILE)
    return tile if tile.name == name and tile.level <= LEVEL_MAX else None


def element_count(size: int, level: int) -> int:
    """How many elements a level holds in a tree of this size: floor(size / 256^level)."""
    return size >> (8 * max(level, 0))


def tiles_of(size: int, level: int) -> Iterator[Tile]:
    """Tiles that a level of a tree of this size consists of, the partial one last."""
    full, width = divmod(element_count(size, level), TILE)
    yield from (Tile(level, index) for index in range(full))
    if width:
        yield Tile(level, full, width)


def levels_of(size: int) -> range:
    """Hash levels that a tree of this size has."""
    return range((size.bit_length() + 7) // 8)


def edge_of(size: int) -> list[Tile]:
    """The partial tiles of a tree of this size."""
    levels = [ENTRIES, *levels_of(size)]
    counts = ((level, divmod(element_count(size, level), TILE)) for level in levels)
    return [Tile(level, full, width) for level, (full, width) in counts if width]


def read_tile(top: Path, tile: Tile) -> bytes:
    """Read a tile's bytes, capped by what a tile of its width can hold."""
    each = ENTRY_MAX + 2 if tile.level == ENTRIES else HASH
    return read_whole(top / tile.name, tile.width * each, tile.path)


def split_hashes(raw: bytes, tile: Tile) -> list[bytes]:
    """Split a hash tile; its length is 32 times its width."""
    if len(raw) != tile.width * HASH:
        raise VerificationError(tile.path, f"{tile.width * HASH} bytes", f"{len(raw)} bytes")
    return [raw[start : start + HASH] for start in range(0, len(raw), HASH)]


def split_entries(raw: bytes, tile: Tile) -> list[bytes]:
    """Split a bundle of 2-byte length-prefixed entries; exactly `width` of them."""
    entries: list[bytes] = []
    at = 0
    while at < len(raw):
        end = at + 2 + int.from_bytes(raw[at : at + 2], "big")
        if len(raw) - at < 2 or end > len(raw):
            raise VerificationError(tile.path, "whole entries", f"one cut short at byte {at}")
        entries.append(raw[at + 2 : end])
        at = end
    if len(entries) != tile.width:
        raise VerificationError(tile.path, f"{tile.width} entries", f"{len(entries)}")
    return entries
