"""The tile reader: what it takes from disk, what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import IntegrityError
from gateway.evidence.log.disk import Disk
from gateway.evidence.log.merkle import inclusion_proof, leaf_hash, root, verify_inclusion
from gateway.evidence.log.reader import CACHED_TILES, TileReader
from gateway.evidence.log.tiles import ENTRIES, Edge, grow, pack_entry, tile_path, tile_width
from tests.evidence.log.naive import mth

LEAVES = [b"%d" % number for number in range(700)]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A tree of 700 leaves as tiles."""
    for (level, number), tile in grow(Edge(), [leaf_hash(leaf) for leaf in LEAVES]).tiles.items():
        Disk().replace(tmp_path / tile_path(level, number, tile_width(level, number, 700)), tile)
    for number in range(3):
        bundle = LEAVES[256 * number : 256 * number + 256]
        path = tmp_path / tile_path(ENTRIES, number, len(bundle))
        Disk().replace(path, b"".join(pack_entry(leaf) for leaf in bundle))
    return tmp_path


@pytest.mark.parametrize("size", [1, 255, 256, 257, 512, 699, 700])
def test_any_earlier_tree(directory: Path, size: int) -> None:
    """Roots and proofs of every smaller tree come from the tiles of the larger."""
    reader = TileReader(directory)
    node = reader.node(700)
    assert root(size, node) == mth(LEAVES[:size])
    path = inclusion_proof(size - 1, size, node)
    assert verify_inclusion(size - 1, size, leaf_hash(LEAVES[size - 1]), path, mth(LEAVES[:size]))


@pytest.mark.parametrize("wider", ["tile/0/002", "tile/entries/002"])
def test_a_pruned_partial_tile_is_read_from_the_full_one(directory: Path, wider: str) -> None:
    """A head that was published before the tile filled up still has its edge and tail."""
    whole = [b"%d" % number for number in range(768)]
    growth = grow(Edge(), [leaf_hash(leaf) for leaf in whole])
    Disk().replace(directory / "tile/0/002", growth.tiles[0, 2])
    Disk().replace(directory / "tile/entries/002", b"".join(pack_entry(leaf) for leaf in whole[512:]))
    (directory / f"{wider}.p/188").unlink()
    reader = TileReader(directory)
    assert reader.edge(700).root() == mth(LEAVES)
    assert reader.tail(700) == tuple(LEAVES[512:])


@pytest.mark.parametrize("start", [0, 1, 255, 256, 699, 700])
def test_leaves_from(directory: Path, start: int) -> None:
    """With their indexes, from anywhere."""
    assert list(TileReader(directory).leaves(start, 700)) == list(enumerate(LEAVES))[start:]


@pytest.mark.parametrize(
    ("level", "number", "name"), [(0, 1, "tile/0/001"), (1, 0, "tile/1/000.p/2"), (0, 2, "tile/0/002.p/188")]
)
@pytest.mark.parametrize("content", [b"", bytes(31), bytes(32 * 200 + 1)])
def test_a_hash_tile_of_the_wrong_size(directory: Path, level: int, number: int, name: str, content: bytes) -> None:
    """Short or ragged is refused by name."""
    (directory / name).write_bytes(content)
    with pytest.raises(IntegrityError, match=name):
        TileReader(directory).hashes(level, number, 700)


@pytest.mark.parametrize("content", [b"", b"\0\1a", b"\0\5abc", b"\0"])
def test_a_bundle_that_is_short_or_torn(directory: Path, content: bytes) -> None:
    """Refused by name."""
    (directory / "tile/entries/001").write_bytes(content)
    with pytest.raises(IntegrityError, match="tile/entries/001"):
        TileReader(directory).bundle(1, 700)


def test_missing_and_unreadable(directory: Path) -> None:
    """A missing tile and one that is a folder are integrity failures, not surprises."""
    (directory / "tile/0/000").unlink()
    with pytest.raises(IntegrityError, match="missing"):
        TileReader(directory).hashes(0, 0, 700)
    (directory / "tile/0/000").mkdir()
    with pytest.raises(IntegrityError, match="cannot be read"):
        TileReader(directory).hashes(0, 0, 700)


def test_the_cache_is_bounded_and_forgets(directory: Path) -> None:
    """At most 512 tiles stay; after `forget` the disk is asked again."""
    reader = TileReader(directory)
    reader.remember({(9, number): bytes(32) for number in range(CACHED_TILES + 50)})
    assert len(reader._cache) == CACHED_TILES
    assert reader.hashes(0, 0, 700)
    (directory / "tile/0/000").unlink()
    assert reader.hashes(0, 0, 700)
    reader.forget()
    with pytest.raises(IntegrityError):
        reader.hashes(0, 0, 700)
