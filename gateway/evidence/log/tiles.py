"""C2SP tlog-tiles: where tiles lie, how wide they are, and how a tree's edge grows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from gateway.evidence.log.merkle import EMPTY_ROOT, HASH_BYTES, node_hash, subtree_hash

WIDTH = 256
ENTRIES = "entries"
ENTRY_BYTES_MAX = 65_535


def tile_path(level: int | str, number: int, width: int = WIDTH) -> str:
    """Relative path of a tile: `tile/0/x001/x234/067`, `tile/0/000.p/5` (tlog-tiles, "Merkle Tree")."""
    groups = [f"{number % 1000:03d}"]
    while number >= 1000:
        number //= 1000
        groups.insert(0, f"x{number % 1000:03d}")
    partial = "" if width == WIDTH else f".p/{width}"
    return f"tile/{level}/{'/'.join(groups)}{partial}"


def tile_width(level: int, number: int, size: int) -> int:
    """How many hashes the tile holds in a tree of this size; 0 where it does not exist yet."""
    return max(0, min(WIDTH, (size >> (8 * level)) - number * WIDTH))


def levels(size: int) -> int:
    """How many levels of tiles a tree has."""
    return max(1, (size.bit_length() + 7) // 8)


class Edge(msgspec.Struct, frozen=True):
    """The right edge of a tree: its size, and per level the hashes of the newest, not yet full tile."""

    size: int = 0
    rows: tuple[tuple[bytes, ...], ...] = ()

    def root(self) -> bytes:
        """Root hash of the whole tree (RFC 6962 section 2.1)."""
        peaks = [peak for row in reversed(self.rows) for peak in _row_peaks(row)]
        if not peaks:
            return EMPTY_ROOT
        whole = peaks.pop()
        while peaks:
            whole = node_hash(peaks.pop(), whole)
        return whole


class Growth(msgspec.Struct, frozen=True):
    """What appending leaves makes of an edge: the new edge and every hash tile that changed."""

    edge: Edge
    tiles: dict[tuple[int, int], bytes]


def grow(edge: Edge, leaf_hashes: Sequence[bytes]) -> Growth:
    """Append leaf hashes; nothing is changed in place, so that a batch can be given up."""
    tiles: dict[tuple[int, int], bytes] = {}
    rows: list[tuple[bytes, ...]] = []
    rising = list(leaf_hashes)
    level = 0
    while rising or level < len(edge.rows):
        row = [*(edge.rows[level] if level < len(edge.rows) else ()), *rising]
        number = edge.size >> (8 * level + 8)
        changed = bool(rising)
        rising = []
        while len(row) >= WIDTH:
            tiles[level, number] = b"".join(row[:WIDTH])
            rising.append(subtree_hash(row[:WIDTH]))
            row, number = row[WIDTH:], number + 1
        if row and changed:
            tiles[level, number] = b"".join(row)
        rows.append(tuple(row))
        level += 1
    return Growth(Edge(edge.size + len(leaf_hashes), tuple(rows)), tiles)


def split_hashes(tile: bytes) -> tuple[bytes, ...]:
    """Hashes of a hash tile; ValueError for a ragged one."""
    if len(tile) % HASH_BYTES:
        raise ValueError(f"a hash tile of {len(tile)} bytes")
    return tuple(tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES))


def pack_entry(leaf: bytes) -> bytes:
    """Print one entry of a bundle: 2-byte length ‖ leaf."""
    if len(leaf) > ENTRY_BYTES_MAX:
        raise ValueError(f"an entry of {len(leaf)} bytes, at most {ENTRY_BYTES_MAX}")
    return len(leaf).to_bytes(2, "big") + leaf


def split_entries(bundle: bytes) -> list[bytes]:
    """Read the entries of a bundle; ValueError for a torn one."""
    return list(_entries(bundle))


def _entries(bundle: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(bundle):
        end = at + 2 + int.from_bytes(bundle[at : at + 2], "big")
        if at + 2 > len(bundle) or end > len(bundle):
            raise ValueError(f"an entry bundle torn at byte {at}")
        yield bundle[at + 2 : end]
        at = end


def _row_peaks(row: Sequence[bytes]) -> Iterator[bytes]:
    at, left = 0, len(row)
    while left:
        span = 1 << (left.bit_length() - 1)
        yield subtree_hash(row[at : at + span])
        at, left = at + span, left - span
