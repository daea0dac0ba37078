"""Files are read, copied and removed only while they are what was hashed; what the dock remembers survives."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.dock.files import ChangedError, delete, look, move, piece, write_whole
from gateway.dock.ledger import Entry, Ledger
from gateway.errors import ConfigError

CONTENT = bytes(range(256)) * 5000


@pytest.fixture
def film(tmp_path):
    """A file."""
    path = tmp_path / "A.MP4"
    path.write_bytes(CONTENT)
    return path


def test_a_look_is_the_whole_file(film):
    """Size, time, SHA-256."""
    was = look(film)
    assert (was.size, was.sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert was.mtime_ns == film.stat().st_mtime_ns
    assert piece(film, 1000, 5000, was) == CONTENT[1000:5000]


def test_a_file_that_changed_is_not_read_on(film):
    """Longer, shorter, or written to in place."""
    was = look(film)
    for content in (CONTENT + b"x", CONTENT[:-1]):
        film.write_bytes(content)
        with pytest.raises(ChangedError):
            piece(film, 0, 10, was)
    film.write_bytes(b"y" + CONTENT[1:])
    os.utime(film, ns=(was.mtime_ns + 1, was.mtime_ns + 1))
    with pytest.raises(ChangedError):
        piece(film, 0, 10, was)


def test_nothing_is_removed_that_is_not_what_was_hashed(film, tmp_path):
    """Same size and same time, one byte another: neither deleted nor moved, and no copy is left."""
    was = look(film)
    film.write_bytes(CONTENT[:-1] + b"z")
    os.utime(film, ns=(was.mtime_ns, was.mtime_ns))
    for act in (lambda: delete(film, was), lambda: move(film, tmp_path / "sent/A.MP4", was)):
        with pytest.raises(ChangedError):
            act()
        assert film.read_bytes() == CONTENT[:-1] + b"z"
    assert list(tmp_path.rglob("sent/*")) == []


def test_moved_whole_and_never_over_another(film, tmp_path):
    """The name is taken by another file: both stay; taken by the same content: one stays."""
    target = tmp_path / "sent" / "A.MP4"
    target.parent.mkdir()
    target.write_bytes(b"another")
    was = look(film)
    there = move(film, target, was)
    assert (target.read_bytes(), there.read_bytes(), film.exists()) == (b"another", CONTENT, False)
    assert there.stat().st_mtime_ns == was.mtime_ns
    film.write_bytes(CONTENT)
    assert move(film, target, look(film)) == there
    assert sorted(path.name for path in target.parent.iterdir()) == sorted(["A.MP4", there.name])


def test_a_copy_that_fails_leaves_the_file_and_no_part(film, tmp_path, monkeypatch):
    """A full disk at fsync: the original stays, nothing half-written lies about."""

    def full(_fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        move(film, tmp_path / "sent" / "A.MP4", look(film))
    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "x.json", b"{}")
    assert film.read_bytes() == CONTENT
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["A.MP4"]


def test_links_and_pipes_are_not_opened(film, tmp_path):
    """Neither followed nor waited for."""
    (tmp_path / "link").symlink_to(film)
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "none"):
        with pytest.raises(OSError):
            look(tmp_path / name)


def test_a_look_can_be_stopped(film):
    """SIGTERM does not wait for a hundred gigabytes."""
    with pytest.raises(InterruptedError):
        look(film, lambda: False)


def entry(film: Path, **words) -> Entry:
    """An entry of a file."""
    return Entry(path=bytes(film), device="cam-1", recording="rec-1", was=look(film), **words)


def test_the_ledger_outlives_its_process(film, tmp_path):
    """What was saved is found again, by path and content together."""
    ledger = Ledger(tmp_path / "state")
    ledger.open()
    at = datetime(2026, 11, 21, tzinfo=UTC)
    ledger.save(entry(film, receipt={"v": 1}, exhibit="X-1", keep_until=at))
    ledger.close()
    ledger.close()
    ledger = Ledger(tmp_path / "state")
    ledger.open()
    digest = hashlib.sha256(CONTENT).hexdigest()
    found = ledger.find(film, "cam-1", digest)
    assert found is not None
    assert (found.place, found.keep_until, found.exhibit) == (film, at, "X-1")
    assert ledger.find(film, "cam-1", "0" * 64) is None, "another stick's file of this name"
    assert ledger.find(film, "cam-2", digest) is None
    ledger.drop(found)
    assert ledger.entries() == []
    assert list((tmp_path / "state").glob("*.json")) == []
    ledger.close()


def test_a_torn_entry_is_set_aside_and_named(film, tmp_path):
    """It costs a hash, never a recording."""
    ledger = Ledger(tmp_path / "state")
    ledger.open()
    ledger.save(entry(film))
    ledger.close()
    (file,) = (tmp_path / "state").glob("*.json")
    file.write_bytes(file.read_bytes()[:20])
    (tmp_path / "state" / ".x.json.part").write_bytes(b"{")
    ledger.open()
    assert (ledger.entries(), len(ledger.unreadable)) == ([], 1)
    assert sorted(path.suffix for path in (tmp_path / "state").iterdir()) == ["", ".unreadable"]
    ledger.close()


def test_one_dock_a_ledger(tmp_path):
    """A second one is told, and starts when the first has gone."""
    one, two = Ledger(tmp_path / "state"), Ledger(tmp_path / "state")
    one.open()
    with pytest.raises(ConfigError, match="another dock"):
        two.open()
    one.close()
    two.open()
    two.close()


def test_a_name_that_is_no_text_is_kept(tmp_path):
    """File names are bytes."""
    path = Path(os.fsdecode(bytes(tmp_path) + b"/\xff\xfe.MP4"))
    path.write_bytes(b"x")
    ledger = Ledger(tmp_path / "state")
    ledger.open()
    ledger.save(entry(path))
    ledger.close()
    ledger.open()
    assert [each.place for each in ledger.entries()] == [path]
    ledger.close()
