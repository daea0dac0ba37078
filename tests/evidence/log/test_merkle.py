"""RFC 6962 hashing against the known answers of the CT reference implementation."""

from __future__ import annotations

import hashlib

import pytest

from gateway.evidence.log import merkle
from gateway.evidence.verify import tree
from tests.evidence.log import naive

# The eight leaves and roots of certificate-transparency's merkle_tree_test (RFC 6962 reference).
LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# (index, size, path) of the same tests, 0-based.
PATHS = [
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
]
CONSISTENCY = [
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
]


# As github.com/transparency-dev/merkle publishes them (testdata/consistency/{2,3,4}, testdata/inclusion/{3,4}, happy
# paths, in base64 there): sizes, roots, proof; index, size, root, leaf hash, proof.
TRANSPARENCY_CONSISTENCY = [
    (6, 8, ROOTS[5], ROOTS[7], [CONSISTENCY[2][2][0], CONSISTENCY[2][2][1], ROOTS[3]]),
    (
        2,
        5,
        ROOTS[1],
        ROOTS[4],
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
    (
        6,
        7,
        ROOTS[5],
        ROOTS[6],
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
            ROOTS[3],
        ],
    ),
]
TRANSPARENCY_INCLUSION = [
    (2, 3, ROOTS[2], "0298d122906dcfc10892cb53a73992fc5b9f493ea4c9badb27b791b4127a7fe7", [ROOTS[1]]),
    (
        1,
        5,
        ROOTS[4],
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]


def node_of(leaves: list[bytes]) -> merkle.Node:
    """Complete subtrees straight from the leaves."""
    return lambda level, index: naive.mth(leaves[index << level : (index + 1) << level])


def test_empty_root_is_the_hash_of_nothing() -> None:
    """RFC 6962 section 2.1: MTH({}) = SHA-256()."""
    assert merkle.root(0, node_of([])) == hashlib.sha256(b"").digest()


@pytest.mark.parametrize("size", range(1, 9))
def test_reference_roots(size: int) -> None:
    """Roots of the reference trees, ours and the naive one."""
    assert merkle.root(size, node_of(LEAVES)).hex() == ROOTS[size - 1]
    assert naive.mth(LEAVES[:size]).hex() == ROOTS[size - 1]


@pytest.mark.parametrize(("index", "size", "path"), PATHS)
def test_reference_inclusion(index: int, size: int, path: list[str]) -> None:
    """Inclusion paths of the reference trees, made and verified."""
    found = merkle.inclusion_proof(index, size, node_of(LEAVES[:size]))
    assert [step.hex() for step in found] == path
    root = bytes.fromhex(ROOTS[size - 1])
    assert merkle.verify_inclusion(index, size, merkle.leaf_hash(LEAVES[index]), found, root)


@pytest.mark.parametrize(("old", "new", "path"), CONSISTENCY)
def test_reference_consistency(old: int, new: int, path: list[str]) -> None:
    """Consistency proofs of the reference trees, made and verified."""
    found = merkle.consistency_proof(old, new, node_of(LEAVES[:new]))
    assert [step.hex() for step in found] == path
    assert merkle.verify_consistency(old, new, bytes.fromhex(ROOTS[old - 1]), bytes.fromhex(ROOTS[new - 1]), found)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3)])
def test_no_proof_of_what_is_not_there(index: int, size: int) -> None:
    """An index outside the tree has neither a proof nor a verification."""
    with pytest.raises(ValueError, match="no leaf"):
        merkle.inclusion_proof(index, size, node_of(LEAVES))
    assert not merkle.verify_inclusion(index, size, b"", [], b"")


@pytest.mark.parametrize(("old", "new"), [(0, 3), (4, 3)])
def test_no_consistency_backwards(old: int, new: int) -> None:
    """A tree extends neither nothing (there is nothing to prove) nor a larger one."""
    with pytest.raises(ValueError, match="no consistency"):
        merkle.consistency_proof(old, new, node_of(LEAVES))
    assert not merkle.verify_consistency(old, new, b"", b"", [b"x"])


def test_same_size_is_consistent_only_with_the_same_root() -> None:
    """Two heads of one size are one head or a fork."""
    assert merkle.verify_consistency(3, 3, b"a", b"a", [])
    assert not merkle.verify_consistency(3, 3, b"a", b"b", [])
    assert not merkle.verify_consistency(3, 3, b"a", b"a", [b"x"])


@pytest.mark.parametrize(("old", "new", "old_root", "new_root", "path"), TRANSPARENCY_CONSISTENCY)
def test_transparency_consistency(old: int, new: int, old_root: str, new_root: str, path: list[str]) -> None:
    """Made by ours, verified by ours and by the verifier's own; each changed bit, root or length is refused by both."""
    steps, roots = [bytes.fromhex(step) for step in path], (bytes.fromhex(old_root), bytes.fromhex(new_root))
    assert merkle.consistency_proof(old, new, node_of(LEAVES[:new])) == steps
    assert merkle.verify_consistency(old, new, *roots, steps)
    assert tree.is_consistent((old, new), roots, steps)
    wrong = [steps[:-1], steps[1:], [*steps, bytes(32)], [roots[0], *steps], [], [*steps, roots[1]]]
    wrong += [[*steps[:at], _flipped(steps[at]), *steps[at + 1 :]] for at in range(len(steps))]
    for bad in wrong:
        assert not merkle.verify_consistency(old, new, *roots, bad)
        assert not tree.is_consistent((old, new), roots, bad)
    for sizes in ((old - 1, new), (old + 1, new), (old ^ 2, new), (old, new * 2), (old, new // 2), (new, old)):
        assert not merkle.verify_consistency(*sizes, *roots, steps)
        assert not tree.is_consistent(sizes, roots, steps)
    for pair in ((roots[1], roots[0]), (_flipped(roots[0]), roots[1]), (roots[0], _flipped(roots[1]))):
        assert not merkle.verify_consistency(old, new, *pair, steps)
        assert not tree.is_consistent((old, new), pair, steps)


@pytest.mark.parametrize(("index", "size", "root", "leaf", "path"), TRANSPARENCY_INCLUSION)
def test_transparency_inclusion(index: int, size: int, root: str, leaf: str, path: list[str]) -> None:
    """The same of one leaf in a tree."""
    steps, whole, one = [bytes.fromhex(step) for step in path], bytes.fromhex(root), bytes.fromhex(leaf)
    assert merkle.leaf_hash(LEAVES[index]) == one
    assert merkle.inclusion_proof(index, size, node_of(LEAVES[:size])) == steps
    assert merkle.verify_inclusion(index, size, one, steps, whole)
    assert tree.root_from_inclusion(index, size, one, steps) == whole
    wrong = [steps[:-1], steps[1:], [*steps, bytes(32)], [whole, *steps]]
    wrong += [[*steps[:at], _flipped(steps[at]), *steps[at + 1 :]] for at in range(len(steps))]
    for bad in wrong:
        assert not merkle.verify_inclusion(index, size, one, bad, whole)
        assert tree.root_from_inclusion(index, size, one, bad) != whole
    for place in ((index + 1, size), (index ^ 2, size), (index, size * 2), (index, size // 2), (-1, size)):
        assert not merkle.verify_inclusion(*place, one, steps, whole)
        assert tree.root_from_inclusion(*place, one, steps) != whole


def _flipped(digest: bytes) -> bytes:
    return bytes([digest[0] ^ 16]) + digest[1:]
