"""The tree of a root: any size, against an independent recomputation; its file is read whole or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import IntegrityError
from gateway.evidence.log.disk import Disk
from gateway.evidence.verify import tree as other
from gateway.history.tree import Growing, LeavesFile, write_leaves

HOURS = ("2026-11-21T21:00:00Z", "2026-11-21T22:00:00Z")


def hashes(count: int) -> list[bytes]:
    """Leaf hashes that differ."""
    return [hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(count)]


@given(st.lists(st.integers(0, 700), max_size=6))
def test_the_root_is_that_of_rfc_6962_however_the_leaves_come(sizes: list[int]) -> None:
    """In whatever pieces, the same tree as another implementation has."""
    leaves, tree, at = hashes(sum(sizes)), Growing(), 0
    for size in sizes:
        tree.add(b"".join(leaves[at : at + size]))
        at += size
    assert tree.size == len(leaves)
    assert tree.root() == other.root(leaves)


@pytest.mark.parametrize("count", [0, 1, 2, 255, 256, 257, 65_536 + 300])
def test_proofs_from_the_file_lead_to_its_root(tmp_path: Path, count: int) -> None:
    """First, last and some between; checked by the verifier's own code."""
    leaves = hashes(count)
    rows = [b"".join(leaves[at : at + 100]) for at in range(0, count, 100)]
    covered = write_leaves(Disk(), tmp_path / "x.leaves", rows, HOURS, {"a": count})
    assert covered.root == other.root(leaves).hex()
    file = LeavesFile(tmp_path / "x.leaves")
    assert file.covered == covered
    indexes = sorted({0, 1, count // 2, count - 1} & set(range(count)))
    for index, (leaf, path) in zip(indexes, file.proofs(indexes), strict=True):
        assert leaf == leaves[index]
        assert other.root_from_inclusion(index, count, leaf, path) == bytes.fromhex(covered.root)


def test_a_file_finds_where_each_journal_file_begins(tmp_path: Path) -> None:
    """In the order in which it covers them."""
    counted = {"a": 3, "b": 0, "c": 2}
    write_leaves(Disk(), tmp_path / "x.leaves", [b"".join(hashes(5))], HOURS, counted)
    file = LeavesFile(tmp_path / "x.leaves")
    assert [file.first_of(name) for name in "abc"] == [0, 3, 3]
    with pytest.raises(IntegrityError, match="does not cover"):
        file.first_of("d")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    """Cut short, emptied, or with another count: named, never a traceback."""
    path = tmp_path / "x.leaves"
    write_leaves(Disk(), path, [b"".join(hashes(5))], HOURS, {"a": 5})
    whole = path.read_bytes()
    for damaged in (b"", whole[:-1], whole[1:], whole[32:], whole.replace(b'"frames":5', b'"frames":6'), whole + b"x"):
        path.write_bytes(damaged)
        with pytest.raises(IntegrityError, match=r"x\.leaves"):
            LeavesFile(path)
