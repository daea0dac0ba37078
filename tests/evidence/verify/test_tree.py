"""The tree against RFC 6962's own recursion, and the public vector of Certificate Transparency."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.evidence.verify import tree
from tests.evidence.verify.build_store import mth

# Leaves and roots that certificate-transparency-go and other public implementations test against.
LEAVES = [bytes.fromhex(x) for x in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]
LEAVES.append(bytes.fromhex("606162636465666768696a6b6c6d6e6f"))
ROOT_OF_8 = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
ROOT_OF_1 = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
SIZES = st.integers(1, 300)


def hashes(size):
    """Leaf hashes of entries 0, 1, 2 and so on."""
    return [tree.leaf_hash(str(number).encode()) for number in range(size)]


def test_public_vector():
    """Roots of the well-known eight leaves."""
    all_hashes = [tree.leaf_hash(leaf) for leaf in LEAVES]
    assert tree.root(all_hashes[:1]).hex() == ROOT_OF_1
    assert tree.root(all_hashes).hex() == ROOT_OF_8
    assert tree.root([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@given(st.lists(st.binary(max_size=8), max_size=70))
def test_root_is_the_recursion(entries):
    """Pairing with lifting gives the tree that the recursion gives."""
    assert tree.root([tree.leaf_hash(one) for one in entries]) == mth(entries)


@given(SIZES, st.data())
def test_inclusion_leads_to_the_root(size, data):
    """Every path leads to the root; for another index, size or leaf it does not."""
    index = data.draw(st.integers(0, size - 1))
    all_hashes = hashes(size)
    path = tree.inclusion_path(index, all_hashes)
    root = tree.root(all_hashes)
    assert tree.root_from_inclusion(index, size, all_hashes[index], path) == root
    assert tree.root_from_inclusion(index, size, bytes(32), path) != root
    assert tree.root_from_inclusion(index, size, all_hashes[index], [*path, bytes(32)]) is None
    assert tree.root_from_inclusion(size, size, all_hashes[index], path) is None
    if path:
        assert tree.root_from_inclusion(index, size, all_hashes[index], path[:-1]) is None


@given(SIZES, st.data())
def test_consistency(new, data):
    """A prefix is proven consistent; another root, size or path is not."""
    old = data.draw(st.integers(1, new))
    all_hashes = hashes(new)
    roots = tree.root(all_hashes[:old]), tree.root(all_hashes)
    path = tree.consistency_path(old, all_hashes)
    assert tree.is_consistent((old, new), roots, path)
    assert not tree.is_consistent((old, new), (bytes(32), roots[1]), path)
    assert not tree.is_consistent((old, new), (roots[0], bytes(32)), path)
    assert not tree.is_consistent((old, new), roots, [*path, bytes(32)])
    if path:
        assert not tree.is_consistent((old, new), roots, path[:-1])


def test_outside_the_tree():
    """Proofs outside the tree are refused."""
    with pytest.raises(ValueError, match="outside"):
        tree.inclusion_path(3, hashes(3))
    for old in (0, 4):
        with pytest.raises(ValueError, match="no consistency"):
            tree.consistency_path(old, hashes(3))
    assert not tree.is_consistent((0, 3), (tree.EMPTY_ROOT, tree.root(hashes(3))), [])
    assert not tree.is_consistent((3, 2), (bytes(32), bytes(32)), [bytes(32)])


def test_level_above_counts_only_complete_tiles():
    """The level above has one hash for each 256, none for the rest."""
    all_hashes = hashes(600)
    above = tree.level_above(all_hashes)
    assert above == [tree.root(all_hashes[:256]), tree.root(all_hashes[256:512])]
