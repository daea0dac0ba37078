"""One file from disk to disk: whole, read back, at a pace, and never from what is not what was written."""

from __future__ import annotations

import hashlib
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.evidence.copies import transfer
from gateway.evidence.copies.transfer import (
    CopyError,
    Pace,
    SourceError,
    StoppedError,
    bring,
    make_folders,
    sha256_of,
    write_whole,
)
from gateway.evidence.vault.files import DiskFiles
from tests.evidence.vault.lab import FaultyFiles


def means(files=None, may=lambda: None):
    """Files without a pace."""
    return (files or DiskFiles(), Pace(0), may)


@settings(max_examples=20, deadline=None)
@given(st.binary(max_size=4000))
def test_what_arrives_is_what_was_there(tmp_path_factory, content):
    """Any content, below folders that were not there, nothing left beside it."""
    root = tmp_path_factory.mktemp("transfer")
    (root / "source").write_bytes(content)
    target = root / "place/a/b/target"
    (root / "place").mkdir()
    bring(root / "source", target, hashlib.sha256(content).hexdigest(), root / "place", means())
    assert target.read_bytes() == content
    assert [each.name for each in target.parent.iterdir()] == ["target"]
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_source_that_differs_gets_no_name(tmp_path):
    """What is there stays there."""
    (tmp_path / "source").write_bytes(b"changed")
    (tmp_path / "target").write_bytes(b"good")
    with pytest.raises(SourceError, match="was written"):
        bring(tmp_path / "source", tmp_path / "target", "00" * 32, tmp_path, means())
    assert (tmp_path / "target").read_bytes() == b"good"
    with pytest.raises(SourceError, match="cannot be read"):
        bring(tmp_path / "nothing", tmp_path / "target", "00" * 32, tmp_path, means())


class Liar(DiskFiles):
    """A disk that keeps other bytes than it was given."""

    def write(self, fd, content, at):
        super().write(fd, b"X" * len(content), at)


def test_what_does_not_read_back_is_no_copy(tmp_path):
    """The hash is of what the medium gives, not of what was written."""
    (tmp_path / "source").write_bytes(b"film")
    with pytest.raises(CopyError, match="read back"):
        bring(tmp_path / "source", tmp_path / "t", hashlib.sha256(b"film").hexdigest(), tmp_path, means(Liar()))
    with pytest.raises(CopyError, match="read back"):
        write_whole(Liar(), tmp_path / "small", b"film", tmp_path)


def test_asked_before_it_gets_its_name(tmp_path):
    """Whoever refuses there leaves no file of that name."""

    def refuse():
        raise SourceError("disposed of")

    (tmp_path / "source").write_bytes(b"film")
    with pytest.raises(SourceError, match="disposed"):
        bring(tmp_path / "source", tmp_path / "t", hashlib.sha256(b"film").hexdigest(), tmp_path, means(None, refuse))
    assert not (tmp_path / "t").exists()


def test_nothing_is_named_before_it_is_synced(tmp_path):
    """The order of the operations."""
    files = FaultyFiles()
    (tmp_path / "source").write_bytes(b"film")
    bring(tmp_path / "source", tmp_path / "t", hashlib.sha256(b"film").hexdigest(), tmp_path, means(files))
    assert files.calls == ["remove_tree", "create", "write", "datasync", "rename", "sync_directory"]


def test_folders_are_durable_in_their_parents(tmp_path):
    """Each is synced, also where it was there already."""
    files = FaultyFiles()
    make_folders(files, tmp_path, tmp_path / "a/b")
    make_folders(files, tmp_path, tmp_path / "a/b")
    assert files.calls == ["make_directory", "sync_directory"] * 4
    assert (tmp_path / "a/b").is_dir()


def test_the_pace_is_for_all_together():
    """Two who read at once share it; an end is heard while waiting."""
    pace, began_s = Pace(1.0), time.monotonic()
    threads = [threading.Thread(target=lambda: [pace.take(50_000) for _ in range(3)]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began_s > 0.2
    pace.take(5_000_000)
    ended = []

    def wait():
        try:
            pace.take(1)
        except StoppedError:
            ended.append(True)

    waiting = threading.Thread(target=wait)
    waiting.start()
    pace.stop()
    waiting.join(2)
    assert ended
    with pytest.raises(StoppedError):
        Pace.take(pace, 1)


def test_a_hash_of_nothing_is_none(tmp_path):
    """A file that is not there is no fault of the disk."""
    assert sha256_of(DiskFiles(), tmp_path / "none", Pace(0)) is None
    assert transfer.size_of(tmp_path / "none") is None
    assert transfer.read_small(tmp_path / "none") is None
