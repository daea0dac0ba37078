"""The request's form, and the judgement against an independent recomputation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.evidence.log.add_checkpoint import Refusal, judge, log_id, parse_submission, print_submission
from gateway.evidence.log.checkpoint import Checkpoint
from tests.evidence.log import naive
from tests.evidence.log.witness_lab import FORKED, LEAVES, ORIGIN, head, note

EXAMPLE = (
    "old 20852014\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\njrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n"
    "5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\n"
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+"
    "zyWE+xeMcTOAYQ8=\n"
)


def test_the_specifications_example() -> None:
    """Read and printed again, the same bytes (tlog-witness, "Example request body")."""
    asked = parse_submission(EXAMPLE.encode())
    assert (asked.old, len(asked.path)) == (20852014, 4)
    assert asked.note.startswith("example.com/behind-the-sofa\n20852163\n")
    assert print_submission(asked.old, asked.path, asked.note) == EXAMPLE.encode()


@pytest.mark.parametrize(
    "bad",
    [
        *(b"", b"old 1", b"old 01\n\nx", b"old -1\n\nx", b"old  1\n\nx", b"new 1\n\nx", b"\xff\n\n", b"old 1\r\n\r\nx"),
        *(b"old 1\nAAAA\n\nx", b"old 1\n" + b"A" * 44 + b"\n\nx", f"old {1 << 63}\n\nx".encode()),
        b"old 1\n" + b"PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n" * 64 + b"\nx",
    ],
)
def test_other_forms_are_refused(bad: bytes) -> None:
    """A clear ValueError, never another exception."""
    with pytest.raises(ValueError):
        parse_submission(bad)


@given(st.binary(max_size=200))
def test_garbage_is_refused(raw: bytes) -> None:
    """Whatever the bytes: read and printed alike, or a ValueError."""
    try:
        asked = parse_submission(raw)
    except ValueError:
        return
    assert print_submission(asked.old, asked.path, asked.note) == raw


def expected(old: int, size: int, leaves: list[bytes], last: int, *, honest: bool) -> str | None:
    """What a witness must say, from the leaves themselves rather than from proofs."""
    if old > size:
        return "BAD_SIZE"
    if size < last:
        return "ROLLBACK"
    extends = leaves[:last] == LEAVES[:last]
    if size == last:
        if not extends:
            return "FORK"
        return None if old == last and honest else ("STALE" if old != last else "INCONSISTENT")
    if old != last:
        return "STALE"
    return None if extends and honest else "INCONSISTENT"


@given(
    st.integers(0, 40),
    st.integers(0, 40),
    st.sampled_from([LEAVES, FORKED]),
    st.one_of(st.none(), st.integers(1, 40)),
    st.booleans(),
)
def test_judgement(old: int, size: int, leaves: list[bytes], last: int | None, honest: bool) -> None:
    """None exactly where the tree extends what was cosigned and the proof says so."""
    path = naive.proof(old, leaves[:size]) if 0 < old <= size else []
    if not honest:
        path = [*path, bytes(32)]
    asked = parse_submission(print_submission(old, path, note(size, leaves)))
    known = None if last is None else head(LEAVES, last)
    found = judge(asked, head(leaves, size), known)
    assert (None if found is None else found.name) == expected(old, size, leaves, last or 0, honest=honest)


def test_an_empty_tree_has_one_root() -> None:
    """Size 0 with another root is nothing that a log can be."""
    asked = parse_submission(print_submission(0, [], note(0)))
    assert judge(asked, Checkpoint(ORIGIN, 0, bytes(32)), None) is Refusal.INCONSISTENT
    assert judge(asked, head(LEAVES, 0), None) is None


def test_log_id() -> None:
    """SHA-256 of the origin, as monitors ask for it."""
    assert log_id("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-4
