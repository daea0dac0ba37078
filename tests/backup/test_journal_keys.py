"""Keys of the position history: in the backups of wrapped keys, back in a restored store, destroyed in all of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.backup import key_backups
from gateway.backup.journal_keys import BackedUpKeys
from gateway.backup.keys_file import read_keys
from gateway.errors import EvidenceError
from gateway.store.keyring import Keyring
from tests.backup.lab import Small

DAY = "2026-11-21"


@pytest.fixture
def small(tmp_path: Path):
    """A store."""
    made = Small(tmp_path)
    made.seal("X-1")
    yield made
    made.lab.close()


@pytest.fixture
def keys(small: Small):
    """Its journal's keys, two of one day."""
    keyring = Keyring(small.data / "journal" / "keys.db", small.lab.keystore)
    keyring.open()
    made = BackedUpKeys(keyring, small.data)
    made.make(DAY, ["device:bcn-1", "device:bcn-2"])
    yield made
    keyring.close()


def backed_up(small: Small) -> Path:
    """A backup of the wrapped keys."""
    made, _ = key_backups.make(small.data, "lapel.test/log", small.folder / "keys-backup", datetime.now(UTC))
    return Path(made.path)


def names(file: Path) -> set[str]:
    """What it holds."""
    return {row.name for row in read_keys(file).rows}


def test_they_are_in_the_backup(small: Small, keys: BackedUpKeys) -> None:
    """Beside those of exhibits and details; without a history there is nothing more."""
    found = names(backed_up(small))
    assert {f"journal/{DAY}/{slot.hex()}" for slot in keys.slots(DAY)} < found
    assert "identity/X-1" in found
    assert len(keys.slots(DAY)) == 2


def test_a_store_without_history(small: Small) -> None:
    """Its keys are backed up all the same."""
    assert "identity/X-1" in names(backed_up(small))


def test_what_is_destroyed_is_destroyed_in_the_backup(small: Small, keys: BackedUpKeys) -> None:
    """That one, and nothing else; again is no error."""
    file, (gone, kept) = backed_up(small), keys.slots(DAY)
    assert keys.destroy(DAY, [gone]) == 1
    left = names(file)
    assert f"journal/{DAY}/{gone.hex()}" not in left
    assert {f"journal/{DAY}/{kept.hex()}", "identity/X-1"} < left
    assert keys.destroy(DAY, [gone]) == 0


def test_a_kek_that_the_newest_backup_needs(small: Small) -> None:
    """It is not destroyed before there is a newer backup; one that cannot be read says nothing."""
    key_backups.refuse_needed(small.data, "kek-1")
    file = backed_up(small)
    with pytest.raises(EvidenceError, match="lapel keys backup"):
        key_backups.refuse_needed(small.data, "kek-1")
    key_backups.refuse_needed(small.data, "kek-0")
    file.write_bytes(b"rot")
    key_backups.refuse_needed(small.data, "kek-1")


def test_a_backup_out_of_reach_holds_nothing_up(small: Small, keys: BackedUpKeys) -> None:
    """The key is destroyed here; the backup is said not to be reached."""
    backed_up(small).unlink()
    gone, _ = keys.slots(DAY)
    assert keys.destroy(DAY, [gone]) == 1
    assert len(keys.slots(DAY)) == 1
