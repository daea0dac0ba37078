"""Reading what may be damaged: depth, locks, foreign names, journals left behind."""

import os
import sqlite3

import pytest

from gateway.errors import VerificationError
from gateway.evidence.verify import sqlite
from gateway.evidence.verify.files import from_base64, read_whole, walk
from gateway.evidence.verify.report import Report, UnreadError, shown
from gateway.evidence.verify.sqlite import rows, snapshot


def database(path, journal="WAL"):
    """A database of one row, its writer still there."""
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA journal_mode={journal}")
    db.execute("CREATE TABLE t(a, b)")
    db.execute("INSERT INTO t VALUES (1, 'x')")
    db.commit()
    return db


@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
@pytest.mark.parametrize("closed", [True, False])
def test_a_snapshot_reads_and_leaves_nothing(tmp_path, journal, closed):
    """Beside its writer and after it, in both journal modes; a closed database gets no new files."""
    db = database(tmp_path / "x.db", journal)
    if closed:
        db.close()
    before = sorted(os.listdir(tmp_path))
    with snapshot(tmp_path / "x.db", "x.db") as copy:
        assert list(rows(copy, "t", ("a", "b"), "x.db")) == [{"a": 1, "b": "x"}]
    assert sorted(os.listdir(tmp_path)) == before
    db.close()


def test_a_snapshot_holds_no_lock(tmp_path):
    """While it is read, a writer writes."""
    db = database(tmp_path / "x.db", "DELETE")
    with snapshot(tmp_path / "x.db", "x.db") as copy:
        db.execute("INSERT INTO t VALUES (2, 'y')")
        db.commit()
        assert len(list(rows(copy, "t", (), "x.db"))) == 1
    db.close()


def test_a_locked_database_is_unread_and_does_not_hang(tmp_path, monkeypatch):
    """A lock that stays is an operational matter, said after the patience is over."""
    monkeypatch.setattr(sqlite, "_BUSY_S", 0.05)
    db = database(tmp_path / "x.db", "DELETE")
    db.execute("BEGIN EXCLUSIVE")
    with pytest.raises(UnreadError, match="locked"), snapshot(tmp_path / "x.db", "x.db"):
        pass
    db.close()


def test_missing_columns_and_tables(tmp_path):
    """A table or column that should be there is named."""
    database(tmp_path / "x.db").close()
    with snapshot(tmp_path / "x.db", "x.db") as copy:
        with pytest.raises(VerificationError, match="columns c in t"):
            list(rows(copy, "t", ("a", "c"), "x.db"))
        with pytest.raises(VerificationError, match="a table u"):
            list(rows(copy, "u", (), "x.db"))


def test_walk_has_a_depth(tmp_path):
    """Directories without end are not followed without end; a missing one is empty."""
    deep = tmp_path
    for _ in range(300):
        deep = deep / "d"
    deep.mkdir(parents=True)
    with pytest.raises(VerificationError, match="inside one another"):
        list(walk(tmp_path, "top"))
    assert list(walk(tmp_path / "none", "none")) == []
    (tmp_path / "file").touch()
    with pytest.raises(VerificationError, match="a directory"):
        list(walk(tmp_path / "file", "file"))


def test_walk_does_not_follow_links(tmp_path):
    """A link to a directory above is a name, not a way."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    assert list(walk(tmp_path, "top")) == ["a/up"]


def test_reads_are_capped(tmp_path):
    """A file longer than its cap is said to be so."""
    (tmp_path / "x").write_bytes(bytes(11))
    assert read_whole(tmp_path / "x", 11, "x") == bytes(11)
    with pytest.raises(VerificationError, match="at most 10"):
        read_whole(tmp_path / "x", 10, "x")


@pytest.mark.parametrize("text", ["AA", "AA=", "AB==", "AA==\n", " AA==", "A-==", "é", "AAAA"])
def test_base64_is_strict(text):
    """Only the canonical form of the length wanted is taken."""
    assert from_base64("AA==", 1, "x", "a byte") == b"\x00"
    with pytest.raises(VerificationError):
        from_base64(text, 1, "x", "a byte")


def test_a_report_prints_safely_and_once():
    """Control characters are escaped, long words cut, a finding kept once; the first can be raised."""
    report = Report("x")
    for _ in range(2):
        report.differs("a\x1b[2J\x9b\udce9", "b" * 1000, "c")
        report.note("n\x07")
        report.note("n\x07")
    assert report.findings[0].path == "a\\x1b[2J\\x9b\\xdce9"
    assert len(report.findings) == 1
    assert len(report.findings[0].expected) < 500
    assert report.notes == ["n\\x07"]
    assert shown(b"\x00") == "b'\\x00'"
    with pytest.raises(VerificationError):
        report.raise_first()
    unread = Report("x")
    unread.add(UnreadError("a", "b", "c"))
    assert not unread.ok
    with pytest.raises(UnreadError):
        unread.raise_first()
    Report("x").raise_first()


def test_collecting_swallows_nothing_else():
    """Only VerificationError becomes a finding."""
    report = Report("x")
    with pytest.raises(KeyError), report.collecting():
        raise KeyError
    with report.collecting():
        raise VerificationError("a", "b", "c")
    assert len(report.findings) == 1
