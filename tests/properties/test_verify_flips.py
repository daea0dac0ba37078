"""One flipped byte anywhere in a store is found and named, and never raises anything else."""

import sqlite3
import tempfile
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.evidence.verify.store import verify_log, verify_store
from tests.evidence.verify.build_store import small_store

SQLITE = ("keys.db", "evidence.db")


@pytest.fixture(scope="module")
def store():
    """One store for all examples; each restores what it changed."""
    with tempfile.TemporaryDirectory() as root:
        yield small_store(Path(root))


def files(store):
    """Every file that carries something."""
    return sorted(path for path in store.root.rglob("*") if path.is_file() and path.name != "lock")


def flipped(raw, data):
    """The bytes with one of them changed."""
    at = data.draw(st.integers(0, len(raw) - 1))
    other = bytearray(raw)
    other[at] ^= data.draw(st.integers(1, 255))
    return bytes(other)


def names(path, store):
    """How a finding may name damage of this file."""
    name = str(path.relative_to(store.root)).removeprefix("evidence/")
    if name.startswith(("details/", "log/tile/")):
        return (name, "log entry")
    return (name,)


def meaning(path):
    """What a database says, times as moments; None where SQLite can't say it."""
    db = sqlite3.connect(path.absolute().as_uri() + "?mode=ro&immutable=1", uri=True)
    try:
        tables = ("wrapped",) if path.name == "keys.db" else ("meta", "exhibit", "custody")
        return [sorted(map(moments, db.execute(f"SELECT * FROM {table}"))) for table in tables]
    except (sqlite3.Error, UnicodeError):
        return None
    finally:
        db.close()


def moments(row):
    """A row as text, its times in one form."""
    return [repr(datetime.fromisoformat(cell)) if is_time(cell) else repr(cell) for cell in row]


def is_time(cell):
    """Whether a cell reads as a time."""
    try:
        datetime.fromisoformat(cell)
    except (TypeError, ValueError):
        return False
    return True


@settings(derandomize=True, max_examples=400, deadline=None)
@given(data=st.data())
def test_a_flip_in_any_file_of_the_evidence_is_named(store, data):
    """Blobs, details, tiles, checkpoint, verifier key, key files: each flip is a finding that names it."""
    path = data.draw(st.sampled_from([path for path in files(store) if path.name not in SQLITE]))
    raw = path.read_bytes()
    try:
        path.write_bytes(flipped(raw, data))
        report = verify_store(store.evidence, store.keys)
    finally:
        path.write_bytes(raw)
    assert any(name in finding.path for finding in report.findings for name in names(path, store)), report.findings
    assert not report.unread


@settings(derandomize=True, max_examples=300, deadline=None)
@given(data=st.data())
def test_a_flip_in_a_database_is_found_or_changes_nothing(store, data):
    """A flip in SQLite's file is a finding, or what the database says is what it said."""
    path = store.evidence / data.draw(st.sampled_from(SQLITE))
    raw, before = path.read_bytes(), meaning(path)
    try:
        path.write_bytes(flipped(raw, data))
        report = verify_store(store.evidence, store.keys)
        after = meaning(path)
    finally:
        path.write_bytes(raw)
    assert report.findings or report.unread or after == before


@settings(derandomize=True, max_examples=150, deadline=None)
@given(data=st.data())
def test_a_flip_in_the_log_is_found_by_the_log_alone(store, data):
    """The log needs nobody else to be verified."""
    log = store.evidence / "log"
    path = data.draw(st.sampled_from(sorted(p for p in log.rglob("*") if p.is_file() and p.name != "lock")))
    raw = path.read_bytes()
    try:
        path.write_bytes(flipped(raw, data))
        report = verify_log(store.evidence)
    finally:
        path.write_bytes(raw)
    assert report.findings


def test_the_store_is_whole_again(store):
    """After all examples the store verifies: none left anything behind."""
    assert verify_store(store.evidence, store.keys).ok
