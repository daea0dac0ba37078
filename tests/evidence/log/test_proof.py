"""`.tlog-proof` texts: printed, read strictly, verified."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.evidence.log import proof
from gateway.evidence.log.checkpoint import Checkpoint
from gateway.evidence.log.merkle import inclusion_proof
from tests.crypto.test_notes import KEY, SIGNER
from tests.evidence.log import naive

LEAVES = [b"leaf %d" % number for number in range(7)]
HEAD = Checkpoint(KEY.name, 7, naive.mth(LEAVES)).sign(SIGNER)


def node(level: int, index: int) -> bytes:
    """Complete subtrees, from the leaves."""
    return naive.mth(LEAVES[index << level : (index + 1) << level])


def text_of(index: int) -> str:
    """The proof of one leaf."""
    return proof.print_proof(index, inclusion_proof(index, 7, node), HEAD)


@given(st.integers(0, 2**50), st.lists(st.binary(min_size=32, max_size=32), max_size=63), st.none() | st.binary())
def test_round_trip(index: int, path: list[bytes], extra: bytes | None) -> None:
    """Parse gives what was printed, and printing it again the same text."""
    text = proof.print_proof(index, path, HEAD, extra)
    found = proof.parse_proof(text)
    assert found == proof.Proof(index, tuple(path), HEAD, extra)
    assert proof.print_proof(found.index, found.path, found.checkpoint, found.extra) == text


@pytest.mark.parametrize("index", range(7))
def test_verifies_its_leaf_alone(index: int) -> None:
    """For every leaf of the tree: its own, and no other."""
    assert proof.verify_proof(text_of(index), LEAVES[index], KEY) == index
    with pytest.raises(ValueError, match="is not entry"):
        proof.verify_proof(text_of(index), LEAVES[index - 1], KEY)


@given(st.data())
def test_no_changed_proof_verifies(data: st.DataObject) -> None:
    """Any character changed, inserted or removed is ValueError and nothing else."""
    text = text_of(3)
    at = data.draw(st.integers(0, len(text) - 1))
    new = data.draw(st.text(max_size=2).filter(lambda new: new != text[at]))
    with pytest.raises(ValueError):
        proof.verify_proof(text[:at] + new + text[at + 1 :], LEAVES[3], KEY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "c2sp.org/tlog-proof@v1\n\n",
        "c2sp.org/tlog-proof@v2\nindex 0\n\n",
        "c2sp.org/tlog-proof@v1\nindex 01\n\n",
        "c2sp.org/tlog-proof@v1\nindex 0\nAAAA\n\n",
        "c2sp.org/tlog-proof@v1\nindex 0\nextra QQ==\n\n",
        "c2sp.org/tlog-proof@v1\nindex 0\n" + ("A" * 43 + "=\n") * 64 + "\n",
        "c2sp.org/tlog-proof@v1\n" + "x" * 1_000_001,
    ],
)
def test_what_is_no_proof(text: str) -> None:
    """Form before content."""
    with pytest.raises(ValueError):
        proof.parse_proof(text)
