"""Whatever the tree: every proof made verifies, and every one that differs does not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.evidence.log import merkle
from tests.evidence.log import naive

LEAVES = [b"leaf %d" % number for number in range(130)]


def node(level: int, index: int) -> bytes:
    """Complete subtrees, from the leaves."""
    return naive.mth(LEAVES[index << level : (index + 1) << level])


@st.composite
def spans(draw: st.DrawFn) -> tuple[int, int]:
    """0 <= small < large <= 130."""
    large = draw(st.integers(1, len(LEAVES)))
    return draw(st.integers(0, large - 1)), large


def mutations(path: list[bytes], choice: st.DataObject) -> list[bytes]:
    """One path that is not this one."""
    kinds = ["longer", *(["flip", "shorter", "swap"] if path else [])]
    kind = choice.draw(st.sampled_from(kinds))
    at = choice.draw(st.integers(0, max(len(path) - 1, 0)))
    if kind == "longer":
        return [*path[:at], bytes(32), *path[at:]]
    if kind == "shorter":
        return [*path[:at], *path[at + 1 :]]
    if kind == "swap":
        turned = [*path[at:], *path[:at]]
        return turned if turned != path else [*path, path[0]]
    bit = choice.draw(st.integers(0, 255))
    flipped = bytearray(path[at])
    flipped[bit // 8] ^= 1 << (bit % 8)
    return [*path[:at], bytes(flipped), *path[at + 1 :]]


@given(spans(), st.data())
def test_inclusion(span: tuple[int, int], choice: st.DataObject) -> None:
    """Our path is the RFC's; it verifies for its leaf, index, size and root, and for nothing else."""
    index, size = span
    root, leaf = naive.mth(LEAVES[:size]), merkle.leaf_hash(LEAVES[index])
    path = merkle.inclusion_proof(index, size, node)
    assert path == naive.path(index, LEAVES[:size])
    assert merkle.verify_inclusion(index, size, leaf, path, root)
    assert not merkle.verify_inclusion(index, size, leaf, mutations(path, choice), root)
    assert not merkle.verify_inclusion(index, size, merkle.leaf_hash(b"another"), path, root)
    assert not merkle.verify_inclusion(index, size, leaf, path, merkle.leaf_hash(b"another"))
    other = choice.draw(st.integers(0, size - 1).filter(lambda at: at != index) if size > 1 else st.just(1))
    assert not merkle.verify_inclusion(other, size, leaf, path, root)


@given(spans(), st.data())
def test_consistency(span: tuple[int, int], choice: st.DataObject) -> None:
    """Our proof is the RFC's; it verifies between its two roots, and a changed one does not."""
    old, new = span[0] + 1, span[1]
    roots = naive.mth(LEAVES[:old]), naive.mth(LEAVES[:new])
    path = merkle.consistency_proof(old, new, node)
    assert path == naive.proof(old, LEAVES[:new])
    assert merkle.verify_consistency(old, new, *roots, path)
    assert not merkle.verify_consistency(old, new, *roots, mutations(path, choice))
    assert not merkle.verify_consistency(old, new, merkle.leaf_hash(b"fork"), roots[1], path)
    assert not merkle.verify_consistency(old, new, roots[0], merkle.leaf_hash(b"fork"), path)


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=8), st.integers(-2, 20), st.integers(-2, 20))
def test_verifiers_never_raise(path: list[bytes], small: int, large: int) -> None:
    """Garbage is false, never an exception."""
    assert merkle.verify_inclusion(small, large, bytes(32), path, b"\1" * 32) is False
    assert merkle.verify_consistency(small, large, bytes(32), b"\1" * 32, path) is False
