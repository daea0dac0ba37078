"""Disposals, verified: the way there entry by entry, and that nothing is left; each wrong thing is named."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.evidence.disposal.law import refusal
from gateway.evidence.fold import fold
from gateway.evidence.leaf import compose, fresh_salt
from gateway.evidence.rows import Chain, Entry
from gateway.evidence.verify.disposal import check_ways
from gateway.evidence.verify.leaves import parse_leaf
from gateway.evidence.verify.report import Report
from gateway.evidence.verify.store import verify_store
from tests.evidence.disposal.lab import AT
from tests.evidence.verify.build_store import put, small_store

GONE = "X-0000"


def found(store, exhibit=None) -> set[str]:
    """The paths that findings name."""
    return {finding.path for finding in verify_store(store.evidence, store.keys, exhibit).findings}


@pytest.mark.parametrize(
    ("skip", "kinds"),
    [
        ((), set()),
        (("dispose_request",), {"key_destroy"}),
        (("dispose_approve",), {"key_destroy"}),
        (("key_destroy",), {"dispose"}),
        (("dispose_request", "dispose_approve", "key_destroy"), {"dispose"}),
    ],
)
def test_a_step_left_out(tmp_path, skip, kinds):
    """Each entry of the way has to be there, for the whole store and for the exhibit alone."""
    store = small_store(tmp_path)
    store.dispose(GONE, skip=skip)
    for exhibit in (None, GONE):
        assert {path.split("(")[-1].rstrip(")") for path in found(store, exhibit)} == kinds


def test_before_its_time(tmp_path):
    """A key destroyed before the day that its approval names."""
    store = small_store(tmp_path)
    store.dispose(GONE, not_before="2026-11-21T21:08:03Z")
    assert any("key_destroy" in path for path in found(store))


def test_while_it_was_held(tmp_path):
    """A key destroyed under a hold; released in time it is no fault."""
    for number, released in enumerate((False, True)):
        store = small_store(tmp_path / str(number))
        store.act("hold", GONE, hold="H-1")
        if released:
            store.act("release", GONE, hold="H-1")
        store.dispose(GONE)
        assert any("key_destroy" in path for path in found(store)) == (not released)


def test_cancelled_and_destroyed_all_the_same(tmp_path):
    """What was taken back allows nothing."""
    store = small_store(tmp_path)
    for kind in ("dispose_request", "dispose_approve", "dispose_cancel"):
        store.act(kind, GONE, disposal="D-1")
    store.dispose(GONE, skip=("dispose_request", "dispose_approve"))
    assert any("key_destroy" in path for path in found(store))


def test_a_key_that_is_left(tmp_path):
    """Its identity, the next one, a run key: each by its name."""
    for name in (f"identity/{GONE}", f"identity/{GONE}/next", f"run/{GONE}/3"):
        store = small_store(tmp_path / name.replace("/", "_"))
        store.dispose(GONE)
        store.wrap(name, os.urandom(32))
        store.write_keys()
        assert f"keys.db {name}" in found(store)


def test_a_file_that_is_left(tmp_path):
    """Blob, thumbnail, staging: each by its path."""
    store = small_store(tmp_path)
    store.dispose(GONE)
    blob = next(leaf["blob"] for _, leaf, _, _ in store.acts if leaf.get("exhibit") == GONE and "blob" in leaf)
    names = (f"blobs/{blob[:2]}/{blob[2:4]}/{blob}.age", f"thumbnails/00/{GONE}.age", f"staging/{GONE}/blob.age")
    for name in names:
        put(store.evidence / name, b"left")
    assert {names[0], names[1], f"staging/{GONE}"} <= found(store)


def test_under_way(tmp_path):
    """Between key_destroy and dispose whatever is still there is counted, not found."""
    store = small_store(tmp_path)
    store.dispose(GONE, skip=("dispose",))
    store.wrap(f"identity/{GONE}", os.urandom(32))
    store.write_keys()
    report = verify_store(store.evidence, store.keys)
    assert report.ok, report
    assert (report.counts["disposals_under_way"], report.counts["keys_to_destroy"]) == (1, 1)
    assert "disposed" not in report.counts


@pytest.mark.parametrize("under_way", [False, True])
def test_details_half_erased(tmp_path, under_way):
    """Marked and not emptied: the trace of a crash while it is under way, afterwards a fault."""
    store = small_store(tmp_path)
    own = next(index for index, leaf, _, _ in store.acts if leaf.get("exhibit") == GONE)
    whole = store.records[own]
    store.dispose(GONE, "erased", skip=("dispose",) if under_way else ())
    store.records[own] = b"E" + whole[1:]
    store.write_details()
    report = verify_store(store.evidence, store.keys)
    assert report.ok == under_way
    assert any("being erased" in note for note in report.notes) == under_way


def test_details_that_should_be_erased_or_not(tmp_path):
    """One that is still there after an erasure; one that is gone where they were kept; one of the destruction."""
    store = small_store(tmp_path / "a")
    own = next(index for index, leaf, _, _ in store.acts if leaf.get("exhibit") == GONE)
    whole = store.records[own]
    store.dispose(GONE, "erased")
    store.records[own] = whole
    store.write_details()
    assert f"log entry {own}" in found(store)
    kept = small_store(tmp_path / "b")
    kept.dispose(GONE)
    destroyed = next(index for index, leaf, _, _ in kept.acts if leaf["kind"] == "key_destroy")
    for index in (own, destroyed):
        raw = kept.records[index]
        kept.records[index] = b"E" + raw[1:49] + bytes(len(raw) - 49)
    kept.write_details()
    assert {f"log entry {own}", f"log entry {destroyed}"} <= found(kept)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "hold",
                "release",
                "dispose_request",
                "dispose_approve",
                "dispose_cancel",
                "key_destroy",
                "dispose",
                "view",
            ]
        ),
        st.sampled_from(["1", "2"]),
    ),
    max_size=40,
)


@given(STEPS)
def test_what_the_log_lets_through_verifies(steps):
    """Whatever is asked in whatever order: what the law and the desk admit, verifies."""
    row, report, leaves, approved = None, Report("x"), [], set()
    for index, (kind, number) in enumerate([("seal", "1"), *steps]):
        held = kind in {"hold", "release"}
        facts = {"hold": f"H-{number}"} if held else {"disposal": f"D-{number}", "ground": "order"}
        act = Act(kind, "P-1", ExhibitId("X-1"), facts)
        if refusal(act, AT, row) is not None and kind != "seal":
            continue
        if kind == "key_destroy" and number not in approved:
            continue  # the desk's own rule: nothing is carried out before a second person's word
        approved = approved | {number} if kind == "dispose_approve" else approved
        approved = approved - {number} if kind in {"dispose_cancel", "dispose_request"} else approved
        chain = Chain() if row is None else Chain(row.n, row.prev)
        composed = compose(act, AT, "t", chain, fresh_salt())
        row = fold(row, Entry(index, composed.leaf, composed.facts, composed.detail))
        leaves.append(parse_leaf(composed.leaf, index))
    check_ways(leaves, report)
    assert report.ok, report.findings
    assert not (row.shredded_at and row.holds)
