"""The hash beside: the same whatever the pieces, no thread for little, none left behind."""

from __future__ import annotations

import hashlib
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.evidence.verify.digest import AHEAD, BATCH, Digest


def threads() -> list[str]:
    """Threads of digests."""
    return [each.name for each in threading.enumerate() if each.name.startswith("digest")]


@given(st.lists(st.integers(0, 3 * BATCH), max_size=12))
def test_pieces_of_any_size(sizes: list[int]) -> None:
    """It is the plain SHA-256 of everything, asked in between and at the end."""
    plain = hashlib.sha256()
    with Digest() as digest:
        for number, size in enumerate(sizes):
            piece = bytes([number]) * size
            plain.update(piece)
            digest.update(piece)
            if number % 5 == 4:
                assert digest.hexdigest() == plain.hexdigest()
        assert digest.hexdigest() == plain.hexdigest()
    assert threads() == []


def test_little_needs_no_thread() -> None:
    """Below one batch nothing is started."""
    with Digest() as digest:
        digest.update(bytes(BATCH - 1))
        assert threads() == []
        digest.update(b"x")
        assert len(threads()) == 1


def test_no_more_than_a_few_batches_wait() -> None:
    """However fast it is given, what is not hashed yet is bounded."""
    with Digest() as digest:
        for _ in range(200):
            digest.update(bytes(BATCH))
            assert len(digest._under_way) <= AHEAD


def test_left_in_the_middle() -> None:
    """An error on the way leaves no thread behind."""
    with pytest.raises(ValueError, match="bad"), Digest() as digest:
        digest.update(bytes(4 * BATCH))
        raise ValueError("bad")
    assert threads() == []
