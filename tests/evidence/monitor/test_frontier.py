"""The edge of a tree, against plain recursion over all leaves."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from gateway.evidence.monitor.frontier import Frontier, Growing
from tests.evidence.log.naive import mth


def hashed(leaf: bytes) -> bytes:
    """A leaf's hash, as RFC 6962 says."""
    return hashlib.sha256(b"\x00" + leaf).digest()


@given(st.integers(0, 70), st.integers(0, 70))
def test_the_root_of_any_growth(first: int, more: int) -> None:
    """Grown at once or in two goes, the root is that of all the leaves."""
    leaves = [bytes([index]) for index in range(first + more)]
    growing = Growing(Frontier())
    for leaf in leaves[:first]:
        growing.add(hashed(leaf))
    edge = growing.frontier
    assert edge.root() == mth(leaves[:first])
    growing = Growing(edge)
    for leaf in leaves[first:]:
        growing.add(hashed(leaf))
    assert growing.frontier.root() == mth(leaves)
    assert growing.frontier.size == len(leaves)
    assert len(growing.frontier.peaks) == len(leaves).bit_count()


@given(st.integers(0, 300))
def test_what_lies_in_the_last_tile(size: int) -> None:
    """The low peaks are those of the leaves behind the last full tile."""
    growing, tail = Growing(Frontier()), Growing(Frontier())
    for index in range(size):
        growing.add(hashed(index.to_bytes(2, "big")))
        if index >= size - size % 256:
            tail.add(hashed(index.to_bytes(2, "big")))
    assert growing.frontier.below(8) == tail.frontier.peaks


def test_subtrees_that_are_rows_of_higher_tiles() -> None:
    """Each 256 leaves give one hash of level 1, in order."""
    leaves = [index.to_bytes(2, "big") for index in range(600)]
    growing = Growing(Frontier())
    for leaf in leaves:
        growing.add(hashed(leaf))
    assert growing.complete == [(1, 0, mth(leaves[:256])), (1, 1, mth(leaves[256:512]))]
