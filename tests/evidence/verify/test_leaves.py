"""Leaves: canonical, with their reserved fields, chained by exhibit."""

import json

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import VerificationError
from gateway.evidence.verify.leaves import Chains, canonical_object, parse_leaf

# Whatever else an entry holds, these are reserved.
GOOD = {"v": 1, "kind": "view", "at": "2026-11-21T21:08:02Z", "hmac": "0" * 64, "exhibit": "X-1", "n": 1, "prev": None}


def leaf(index=0, **changes):
    """Parse GOOD with changes; a value of ... takes the field away."""
    fields = {name: value for name, value in (GOOD | changes).items() if value is not ...}
    return parse_leaf(rfc8785.dumps(fields), index)


def test_a_good_leaf():
    """Its fields come out."""
    got = leaf(7, sha256="a" * 64, size=0, complete=False, blob="b" * 32)
    assert (got.index, got.kind, got.exhibit, got.n, got.prev) == (7, "view", "X-1", 1, None)
    assert got.where == "log entry 7"


def test_a_leaf_of_no_exhibit():
    """Without an exhibit there is no n and no prev."""
    assert leaf(exhibit=..., n=..., prev=...).exhibit is None


@pytest.mark.parametrize(
    "changes",
    [
        *(
            {"v": 2},
            {"v": True},
            {"v": ...},
            {"kind": ""},
            {"kind": 1},
            {"kind": ...},
            {"at": "yesterday"},
            {"at": ...},
        ),
        *({"at": "2026-11-21T21:08:02+00:00"}, {"at": "2026-13-21T21:08:02Z"}, {"at": "2026-11-21 21:08:02Z"}),
        *({"hmac": ...}, {"hmac": "0" * 63}, {"hmac": "A" * 64}, {"hmac": None}, {"hmac": "0" * 64 + "\n"}),
        *({"exhibit": ""}, {"exhibit": None}, {"exhibit": 3}, {"exhibit": ...}, {"n": 0}, {"n": True}, {"n": ...}),
        *({"n": "1"}, {"prev": ...}, {"prev": "0" * 64}, {"n": 2}, {"n": 2, "prev": "zz"}, {"size": -1}),
        *({"size": 1.5}, {"sha256": "ab"}, {"blob": "a" * 64}, {"blob_sha256": "x"}, {"complete": 1}, {"held": "no"}),
        *({"controller": 1}, {"category": None}, {"build": []}, {"exhibit": ..., "n": ...}, {"actor": "P-1"}),
    ],
)
def test_reserved_fields(changes):
    """Each reserved field has its type."""
    with pytest.raises(VerificationError, match="log entry 0"):
        leaf(**changes)


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"{", b"[]", b"1", b"null", b'"x"', b"{}", b" {}", b'{"b":1,"a":2}', b'{"a":1,"a":2}', b'{"a":1.0}'),
        *(b'{"a":NaN}', b'{"a":12345678901234567890}', b"[" * 60_000, b'{"a":' * 9000, b"\xff", b'{"a":"\\ud800"}'),
        *(b'{"a":1e400}', b'{"a":"\\u0061"}', b'{"a": 1}', b'{"a":' + b"9" * 5000 + b"}"),
    ],
)
def test_not_canonical(raw):
    """Whatever is not its own canonical form is refused, whatever it is."""
    with pytest.raises(VerificationError):
        parse_leaf(raw, 3)


@given(st.binary(max_size=80))
def test_garbage_raises_nothing_else(raw):
    """Random bytes raise VerificationError or nothing at all."""
    try:
        value = canonical_object(raw, "x")
    except VerificationError:
        return
    assert rfc8785.dumps(value) == raw


@given(st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**53) + 1, 2**53 - 1)))
@example(1e20)
@example(2.0**53)
@example(-1e308)
@example(-0.0)
def test_every_number_reads_back(number):
    """Whatever RFC 8785 prints for a number is its own canonical form."""
    raw = rfc8785.dumps({"a": number})
    assert canonical_object(raw, "x")["a"] == number


def chain(*, exhibit, count):
    """Leaves of one exhibit, rightly chained."""
    leaves, prev = [], None
    for n in range(1, count + 1):
        leaves.append(leaf(n - 1, exhibit=exhibit, n=n, prev=prev, hmac=f"{n:064x}"))
        prev = leaves[-1].sha256
    return leaves


def test_chains_of_two_exhibits_run_beside_each_other():
    """Interleaved chains are followed each on its own."""
    chains = Chains()
    for pair in zip(chain(exhibit="A", count=4), chain(exhibit="B", count=4), strict=True):
        for one in pair:
            chains.follow(one)


@pytest.mark.parametrize("order", [[1], [0, 2], [0, 0], [0, 2, 1], [0, 1, 1]])
def test_a_broken_chain(order):
    """A leaf left out, twice or out of order breaks its exhibit's chain."""
    leaves = chain(exhibit="A", count=3)
    chains = Chains()

    def follow_all():
        for index in order:
            chains.follow(leaves[index])

    with pytest.raises(VerificationError, match="exhibit A"):
        follow_all()


def test_prev_of_another_leaf():
    """A right n with a wrong prev is a broken chain."""
    chains = Chains()
    chains.follow(leaf())
    with pytest.raises(VerificationError, match="prev"):
        chains.follow(leaf(1, n=2, prev="a" * 64))
    assert json.loads(rfc8785.dumps(GOOD)) == GOOD
