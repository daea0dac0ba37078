"""Tile paths and widths of C2SP tlog-tiles, and how an edge grows."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.evidence.log import tiles
from gateway.evidence.log.merkle import leaf_hash
from gateway.evidence.log.reader import TileReader
from tests.evidence.log.naive import mth


@pytest.mark.parametrize(
    ("level", "number", "width", "path"),
    [
        (0, 0, 256, "tile/0/000"),
        (0, 0, 1, "tile/0/000.p/1"),
        (1, 67, 255, "tile/1/067.p/255"),
        (0, 1234067, 256, "tile/0/x001/x234/067"),
        ("entries", 1000, 12, "tile/entries/x001/000.p/12"),
        (3, 999, 256, "tile/3/999"),
    ],
)
def test_paths(level: int | str, number: int, width: int, path: str) -> None:
    """The specification's own encoding of tile numbers."""
    assert tiles.tile_path(level, number, width) == path


@pytest.mark.parametrize(
    ("level", "number", "size", "width"),
    [
        (0, 0, 0, 0),
        (0, 0, 70, 70),
        (0, 0, 256, 256),
        (0, 1, 257, 1),
        (1, 0, 255, 0),
        (1, 0, 70_000, 256),
        (1, 1, 70_000, 17),
    ],
)
def test_widths(level: int, number: int, size: int, width: int) -> None:
    """Width is floor(size / 256**level), within the tile."""
    assert tiles.tile_width(level, number, size) == width


def test_a_large_log_has_three_levels() -> None:
    """65,536 leaves fill a tile of level 1 and begin level 2; the root is that of all leaves."""
    hashes = [leaf_hash(b"%d" % number) for number in range(65_600)]
    growth = tiles.grow(tiles.Edge(), hashes)
    assert growth.edge.root() == mth([b"%d" % number for number in range(65_600)])
    assert len(growth.tiles[2, 0]) == 32
    assert len(growth.tiles[1, 0]) == 8192
    assert (1, 1) not in growth.tiles
    assert len(growth.tiles[0, 256]) == 64 * 32
    assert sum(level == 0 for level, _ in growth.tiles) == 257


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 300), max_size=6))
def test_growing_in_batches_is_growing_at_once(batches: list[int]) -> None:
    """Any cut into batches gives the same edge and the same last state of every tile."""
    leaves = [b"%d" % number for number in range(sum(batches))]
    edge, found, at = tiles.Edge(), {}, 0
    for count in batches:
        growth = tiles.grow(edge, [leaf_hash(leaf) for leaf in leaves[at : at + count]])
        for place, tile in growth.tiles.items():
            assert tile.startswith(found.get(place, b"")), "a tile changed what it had said"
            found[place] = tile
        edge, at = growth.edge, at + count
    assert edge.root() == mth(leaves)
    assert found == tiles.grow(tiles.Edge(), [leaf_hash(leaf) for leaf in leaves]).tiles


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.integers(1, 900), st.data())
def test_edge_and_nodes_from_tiles(size: int, data: st.DataObject) -> None:
    """A reader that has the tiles alone finds edge and root of that tree and of any earlier one."""
    leaves = [b"%d" % number for number in range(size)]
    growth = tiles.grow(tiles.Edge(), [leaf_hash(leaf) for leaf in leaves])
    reader = TileReader.__new__(TileReader)
    reader.hashes = lambda level, number, width: growth.tiles[level, number][
        : 32 * tiles.tile_width(level, number, width)
    ]  # type: ignore[method-assign]
    assert reader.edge(size) == growth.edge
    old = data.draw(st.integers(1, size))
    assert reader.edge(old).root() == mth(leaves[:old])


@settings(derandomize=True, max_examples=100)
@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bundles_round_trip(leaves: list[bytes]) -> None:
    """Entries print and parse; a cut inside one is refused."""
    bundle = b"".join(tiles.pack_entry(leaf) for leaf in leaves)
    assert tiles.split_entries(bundle) == leaves
    if leaves:
        with pytest.raises(ValueError, match="torn"):
            tiles.split_entries(bundle[:-1])


def test_limits() -> None:
    """An entry of 65,535 bytes fits, one more does not; a ragged tile is none."""
    assert tiles.split_entries(tiles.pack_entry(b"x" * 65_535)) == [b"x" * 65_535]
    with pytest.raises(ValueError, match="65536"):
        tiles.pack_entry(b"x" * 65_536)
    with pytest.raises(ValueError, match="hash tile"):
        tiles.split_hashes(hashlib.sha256().digest()[:-1])
