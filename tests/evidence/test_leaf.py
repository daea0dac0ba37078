"""Acts as leaf and detail, byte for byte."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.evidence import Act
from gateway.errors import MisuseError
from gateway.evidence.leaf import DETAIL_RESERVED, LEAF_RESERVED, check, commitment, compose, fresh_salt
from gateway.evidence.rows import Chain
from tests.evidence.log.lab import AT

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | WORDS | st.lists(WORDS, max_size=3)
FACTS = st.dictionaries(WORDS.filter(lambda word: word not in LEAF_RESERVED | DETAIL_RESERVED), VALUES, max_size=5)


def test_a_known_leaf() -> None:
    """The exact bytes of one leaf and its commitment."""
    act = Act("seal", "P-1", "X-1", {"size": 7, "held": False}, {"purpose": None})
    found = compose(act, AT, "0.1.0+abc", Chain(1, "ff" * 32), b"s" * 32)
    detail = b'{"actor":"P-1","exhibit":"X-1","n":2,"purpose":null,"v":1}'
    digest = hmac.new(b"s" * 32, detail, "sha256").hexdigest()
    assert found.leaf.decode() == (
        '{"at":"2026-11-21T21:08:02Z","build":"0.1.0+abc","exhibit":"X-1","held":false,"hmac":"' + digest + '",'
        '"kind":"seal","n":2,"prev":"' + "ff" * 32 + '","size":7,"v":1}'
    )
    assert (rfc8785.dumps(found.detail), found.hmac.hex()) == (detail, digest)


@given(FACTS, FACTS, st.none() | st.just("X-1"), st.integers(0, 2**40))
def test_any_act_keeps_its_words_apart(facts: dict, detail: dict, exhibit: str | None, n: int) -> None:
    """Facts are in the leaf, details are not, and both read back as they were said."""
    act = Act("view", "P-secret", exhibit, facts, detail)
    chain = Chain(n, "00" * 32 if n else None)
    check(act, AT, "b")
    found = compose(act, AT, "b", chain, fresh_salt())
    leaf = json.loads(found.leaf)
    assert {key: leaf[key] for key in facts} == facts
    assert set(leaf) - set(facts) <= LEAF_RESERVED - {"actor"}
    assert {key: found.detail[key] for key in detail} == detail
    assert set(found.detail) - set(detail) <= DETAIL_RESERVED
    assert (leaf.get("n"), leaf.get("prev")) == ((n + 1, chain.prev) if exhibit else (None, None))
    assert leaf["hmac"] == commitment(found.salt, found.detail).hex()


def test_a_commitment_hides_and_binds() -> None:
    """Another salt or another word gives another commitment."""
    detail = {"v": 1, "actor": "P-1"}
    assert commitment(b"a" * 32, detail) != commitment(b"b" * 32, detail)
    assert commitment(b"a" * 32, detail) != commitment(b"a" * 32, {**detail, "actor": "P-2"})
    assert len({fresh_salt() for _ in range(100)}) == 100


def test_the_bound_holds_at_the_end_of_any_chain() -> None:
    """A leaf that fits as n = 1 but would not as n = 2**53 is refused at once, and one byte less is not."""
    room = 65_535 - len(compose(Act("view", "P", "X-1", {"x": ""}), AT, "b", Chain(2**53 - 2, "0" * 64), b"s").leaf)
    check(Act("view", "P", "X-1", {"x": "y" * room}), AT, "b")
    with pytest.raises(MisuseError, match="65536 bytes"):
        check(Act("view", "P", "X-1", {"x": "y" * (room + 1)}), AT, "b")


def test_the_chain_is_the_hash_of_the_leaf() -> None:
    """What the document calls prev."""
    first = compose(Act("view", "P", "X-1"), AT, "b", Chain(), b"s")
    second = compose(Act("view", "P", "X-1"), AT, "b", Chain(1, hashlib.sha256(first.leaf).hexdigest()), b"s")
    assert json.loads(second.leaf)["prev"] == hashlib.sha256(first.leaf).hexdigest()
