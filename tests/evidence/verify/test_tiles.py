"""Tile names and contents, by the figures of c2sp.org/tlog-tiles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import VerificationError
from gateway.evidence.verify import tiles
from gateway.evidence.verify.tiles import ENTRIES, Tile


def test_name_of_the_specification():
    """Index 1234067 is x001/x234/067."""
    assert Tile(0, 1234067).name == "0/x001/x234/067"
    assert Tile(ENTRIES, 0, 5).name == "entries/000.p/5"


def test_tree_of_70000():
    """The specification's example: 273 full and one of 112, one full and one of 17, one of width 1."""
    level = {number: list(tiles.tiles_of(70_000, number)) for number in (0, 1, 2)}
    assert (len(level[0]), level[0][-1]) == (274, Tile(0, 273, 112))
    assert level[1] == [Tile(1, 0), Tile(1, 1, 17)]
    assert level[2] == [Tile(2, 0, 1)]
    assert list(tiles.levels_of(70_000)) == [0, 1, 2]
    assert tiles.edge_of(70_000) == [Tile(ENTRIES, 273, 112), Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]


def test_tree_of_256():
    """A full level-0 tile and a partial level-1 tile of width 1."""
    assert tiles.edge_of(256) == [Tile(1, 0, 1)]
    assert list(tiles.levels_of(0)) == []


@given(st.integers(-1, 63), st.integers(0, 10**9), st.integers(1, 256))
def test_names_round_trip(level, index, width):
    """Parse ∘ print is the identity."""
    tile = Tile(level, index, width)
    assert tiles.parse_name(tile.name) == tile


@pytest.mark.parametrize(
    "name",
    [
        *("", "0", "0/1", "0/0001", "0/x001", "0/x000/001", "00/000", "64/000", "-1/000", "0/000.p/0", "0/000.p/256"),
        *(
            "0/000.p/01",
            "0/000.p",
            "0/000.p/",
            "entry/000",
            "0/000/",
            "0/\u0660\u0660\u0660",
            "0/000.p/5/6",
            "0/001/002",
            "0/000\n",
        ),
    ],
)
def test_names_that_are_none(name):
    """Everything but the printed form is no tile."""
    assert tiles.parse_name(name) is None


def test_bundles():
    """Entries are split, also empty ones; a cut or a wrong count is said."""
    raw = b"\x00\x01a\x00\x00\x00\x02bc"
    assert tiles.split_entries(raw, Tile(ENTRIES, 0, 3)) == [b"a", b"", b"bc"]
    for wrong, width in ((raw, 2), (raw, 4), (raw[:-1], 3), (raw + b"\x00", 3), (b"", 1)):
        with pytest.raises(VerificationError):
            tiles.split_entries(wrong, Tile(ENTRIES, 0, width))


def test_hash_tiles():
    """A hash tile has 32 bytes for each of its width."""
    assert tiles.split_hashes(bytes(64), Tile(0, 0, 2)) == [bytes(32)] * 2
    for wrong in (b"", bytes(63), bytes(65)):
        with pytest.raises(VerificationError):
            tiles.split_hashes(wrong, Tile(0, 0, 2))


def test_reading_is_capped(tmp_path):
    """A tile that is longer than a tile can be is not read whole."""
    (tmp_path / "0" / "000.p").mkdir(parents=True)
    (tmp_path / "0" / "000.p" / "1").write_bytes(bytes(33))
    with pytest.raises(VerificationError, match="at most 32 bytes"):
        tiles.read_tile(tmp_path, Tile(0, 0, 1))
