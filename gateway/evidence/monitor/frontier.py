"""The right edge of a tree as few hashes: enough to append to it, and to know its root (RFC 6962 section 2.1)."""

from __future__ import annotations

import msgspec

from gateway.evidence.verify.tree import EMPTY_ROOT, node_hash


class Frontier(msgspec.Struct, frozen=True):
    """A tree of this size; the hash of each of its complete subtrees, the largest first."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def root(self) -> bytes:
        """Root hash of the whole tree."""
        if not self.peaks:
            return EMPTY_ROOT
        whole = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            whole = node_hash(peak, whole)
        return whole

    def below(self, height: int) -> tuple[bytes, ...]:
        """The peaks of subtrees lower than this."""
        count = (self.size & ((1 << height) - 1)).bit_count()
        return self.peaks[len(self.peaks) - count :]


class Growing:
    """A frontier that takes leaves; `complete` gathers the subtrees that are rows of tiles above the lowest."""

    def __init__(self, frontier: Frontier) -> None:
        self._size, self._peaks = frontier.size, list(frontier.peaks)
        self.complete: list[tuple[int, int, bytes]] = []

    def add(self, leaf: bytes) -> None:
        """Append one leaf hash."""
        node, height = leaf, 0
        while self._size >> height & 1:
            node, height = node_hash(self._peaks.pop(), node), height + 1
            if height % 8 == 0:
                self.complete.append((height // 8, self._size >> height, node))
        self._peaks.append(node)
        self._size += 1

    @property
    def frontier(self) -> Frontier:
        """As it is now."""
        return Frontier(self._size, tuple(self._peaks))
