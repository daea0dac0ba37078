"""The writer by itself: order of operations, taking back, pruning, the lock."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.crypto.keys import LogSigner
from gateway.crypto.notes import parse_vkey
from gateway.errors import IntegrityError, StoreBusyError
from gateway.evidence.log import writer as module
from gateway.evidence.log.checkpoint import open_checkpoint
from gateway.evidence.log.disk import Disk
from gateway.evidence.log.writer import LogWriter
from tests.evidence.log.lab import FaultyDisk
from tests.evidence.log.naive import mth

SIGNER = LogSigner(Ed25519PrivateKey.from_private_bytes(bytes(32)))


class NotingDisk(Disk):
    """Notes each rename, removal and sync, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def rename(self, source: Path, target: Path) -> None:
        """As Disk."""
        self.notes.append(f"rename {target.name}")
        super().rename(source, target)

    def unlink(self, path: Path) -> None:
        """As Disk."""
        self.notes.append(f"unlink {path.name}")
        super().unlink(path)

    def fsync(self, path: Path) -> None:
        """As Disk."""
        self.notes.append(f"fsync {path.name}")
        super().fsync(path)


def opened(directory: Path, disk: Disk | None = None) -> LogWriter:
    """A log, opened (the lock is not needed where nobody else writes)."""
    log = LogWriter(directory, "o", SIGNER, disk or Disk())
    with log.locked():
        log.refresh()
        log.recover()
        log.clear()
    return log


def test_a_new_log_has_a_key_and_an_empty_tree(tmp_path: Path) -> None:
    """Both readable by others' code at once."""
    log = opened(tmp_path / "log")
    key = parse_vkey((tmp_path / "log/log.vkey").read_text().rstrip("\n"))
    head = open_checkpoint((tmp_path / "log/checkpoint").read_bytes(), key)
    assert (head.size, head.root, log.head.edge.size) == (0, mth([]), 0)


def test_order_of_a_batch(tmp_path: Path) -> None:
    """Pending named and synced; then tiles; then checkpoint: as docs/formats.md has it."""
    disk = NotingDisk()
    log = opened(tmp_path / "log", disk)
    disk.notes.clear()
    assert log.append([b"a", b"b"])
    log.clear()
    notes = [note for note in disk.notes if not note.endswith((" 000.p", " entries", " tile", " 0"))]
    assert notes == [
        *("fsync pending.tmp", "rename pending", "fsync log"),
        *("fsync log", "fsync 2.tmp", "fsync 2.tmp", "rename 2", "rename 2"),
        *("fsync checkpoint.tmp", "rename checkpoint", "fsync log"),
        "unlink pending",
    ]


def test_roots_re_derived_after_every_batch(tmp_path: Path) -> None:
    """Batches of all sizes over two tile borders: the head's root is that of all leaves, every time."""
    log = opened(tmp_path / "log")
    leaves: list[bytes] = []
    for count in (1, 1, 2, 250, 1, 1, 1, 3, 255, 256, 257):
        batch = [b"%d" % (len(leaves) + number) for number in range(count)]
        before = len(leaves)
        leaves += batch
        assert log.append(batch)
        log.prune(before)
        assert log.head.edge.root() == mth(leaves)
        again = opened(tmp_path / "log")
        assert again.head == log.head
        assert [leaf for _, leaf in again.tiles.leaves(0, len(leaves))] == leaves
    full, left = divmod(len(leaves), 256)
    names = sorted(path.name for path in (tmp_path / "log/tile/0").iterdir())
    assert names == [*(f"{number:03d}" for number in range(full)), f"{full:03d}.p"]
    assert (tmp_path / f"log/tile/0/{full:03d}.p/{left}").stat().st_size == 32 * left


def test_a_batch_taken_back_leaves_no_file(tmp_path: Path) -> None:
    """Whatever step ran out of space, the directory is as it was."""
    log = opened(tmp_path / "log")
    log.append([b"x"] * 250)
    log.clear()
    before = {path: path.read_bytes() for path in (tmp_path / "log").rglob("*") if path.is_file()}
    for at in range(60):
        disk = FaultyDisk(crash=False)
        log = opened(tmp_path / "log", disk)
        disk.at = disk.count + at
        try:
            log.append([b"y"] * 10)
        except OSError:
            left = {path: path.read_bytes() for path in (tmp_path / "log").rglob("*") if path.is_file()}
            assert left == before, (at, disk.done[-1])
        else:
            break
    assert at > 10


def test_before_it_is_open(tmp_path: Path) -> None:
    """There is no head to speak of."""
    with pytest.raises(IntegrityError, match="not open"):
        _ = LogWriter(tmp_path, "o", SIGNER, Disk()).head


def test_a_lock_that_stays_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """StoreBusyError after the patience, not a hang; and it is released after each use."""
    monkeypatch.setattr(module, "LOCK_PATIENCE_S", 0.05)
    log = opened(tmp_path / "log")
    descriptor = os.open(tmp_path / "log/lock", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with pytest.raises(StoreBusyError, match="lock"), log.locked():
        pass
    os.close(descriptor)
    with log.locked():
        pass
    with log.locked():
        pass


def test_another_writers_entries_are_taken_up(tmp_path: Path) -> None:
    """The edge is read anew when the checkpoint is not the one we wrote, across a tile border too."""
    one, two = opened(tmp_path / "log"), opened(tmp_path / "log")
    leaves: list[bytes] = []
    for turn in range(6):
        writer = (one, two)[turn % 2]
        writer.refresh()
        batch = [b"%d %d" % (turn, number) for number in range(100)]
        before = writer.head.edge.size
        assert writer.append(batch)
        writer.clear()
        writer.prune(before)
        leaves += batch
        assert writer.head.edge.root() == mth(leaves)
