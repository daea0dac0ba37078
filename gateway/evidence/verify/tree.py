"""RFC 6962 section 2.1: roots, inclusion and consistency over SHA-256 leaf hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()
TILE = 256


def leaf_hash(entry: bytes) -> bytes:
    """Hash of a leaf: SHA-256(0x00 ‖ entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(hashes: Sequence[bytes]) -> bytes:
    """Merkle tree hash of these leaf (or subtree) hashes."""
    row = list(hashes)
    if not row:
        return EMPTY_ROOT
    while len(row) > 1:
        # Pairing from the left and lifting an odd last one is the same tree as
        # splitting at the largest power of two.
        lifted = [row[-1]] if len(row) % 2 else []
        row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)] + lifted
    return row[0]


def level_above(hashes: Sequence[bytes]) -> list[bytes]:
    """Hashes of the next tile level: one for each 256 complete ones."""
    return [root(hashes[start : start + TILE]) for start in range(0, len(hashes) - TILE + 1, TILE)]


def _split(size: int) -> int:
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_path(index: int, hashes: Sequence[bytes]) -> list[bytes]:
    """Audit path of one leaf, its sibling first (section 2.1.1); ValueError outside the tree."""
    if not 0 <= index < len(hashes):
        message = f"index {index} lies outside a tree of {len(hashes)}"
        raise ValueError(message)
    if len(hashes) == 1:
        return []
    k = _split(len(hashes))
    if index < k:
        return [*inclusion_path(index, hashes[:k]), root(hashes[k:])]
    return [*inclusion_path(index - k, hashes[k:]), root(hashes[:k])]


def root_from_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes | None:
    """Root that this audit path leads to; None when the path does not fit index and size."""
    if not 0 <= index < size:
        return None
    node, last, here = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if node % 2 or node == last:
            here = node_hash(sibling, here)
            while node % 2 == 0 and node:
                node, last = node >> 1, last >> 1
        else:
            here = node_hash(here, sibling)
        node, last = node >> 1, last >> 1
    return here if last == 0 else None


def consistency_path(old: int, hashes: Sequence[bytes]) -> list[bytes]:
    """Proof that the tree of the first `old` leaves is a prefix (section 2.1.2); ValueError outside."""
    if not 0 < old <= len(hashes):
        message = f"no consistency proof from {old} to {len(hashes)}"
        raise ValueError(message)
    return _subproof(old, hashes, whole=True)


def _subproof(old: int, hashes: Sequence[bytes], *, whole: bool) -> list[bytes]:
    if old == len(hashes):
        return [] if whole else [root(hashes)]
    k = _split(len(hashes))
    if old <= k:
        return [*_subproof(old, hashes[:k], whole=whole), root(hashes[k:])]
    return [*_subproof(old - k, hashes[k:], whole=False), root(hashes[:k])]


def is_consistent(sizes: tuple[int, int], roots: tuple[bytes, bytes], path: Sequence[bytes]) -> bool:
    """Whether the path proves that the smaller tree is a prefix of the larger (RFC 9162 section 2.1.4.2)."""
    old, new = sizes
    if old == new:
        return not path and roots[0] == roots[1]
    if not 0 < old < new:
        return False
    rest = list(path) if old & (old - 1) else [roots[0], *path]
    return bool(rest) and _walked(sizes, rest) == roots


def _walked(sizes: tuple[int, int], rest: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    node, last = sizes[0] - 1, sizes[1] - 1
    while node % 2:
        node, last = node >> 1, last >> 1
    small = large = rest[0]
    for sibling in rest[1:]:
        if last == 0:
            return None
        if node % 2 or node == last:
            small, large = node_hash(sibling, small), node_hash(sibling, large)
            while node % 2 == 0 and node:
                node, last = node >> 1, last >> 1
        else:
            large = node_hash(large, sibling)
        node, last = node >> 1, last >> 1
    return (small, large) if last == 0 else None
