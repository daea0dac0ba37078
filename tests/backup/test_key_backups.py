"""Wrapped keys apart: on the list before they exist, reached by a destruction, overwritten when they go."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backup.key_backups import LIST, KeyBackup, enlist, forget, keep_newest, known, make, places, turn
from gateway.backup.keys_file import KeysFile, KeysHead, parse_keys, print_keys, read_keys, remove
from gateway.errors import ConfigError, IntegrityError, StoreBusyError, VerificationError
from gateway.evidence.log.disk import Disk
from gateway.store.wrapped import Wrapped, read_wrapped, write_wrapped
from tests.backup.lab import FaultyDisk, Small
from tests.evidence.log.lab import ORIGIN, CrashError

AT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
ROWS = st.lists(
    st.builds(Wrapped, st.text(min_size=1, max_size=20), st.text(max_size=8), st.binary(max_size=60)),
    unique_by=lambda row: row.name,
    max_size=6,
)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    """A store of two exhibits."""
    made = Small(tmp_path)
    made.seal("X-A1")
    made.seal("X-A2")
    yield made
    made.close()


def back_up(small: Small, disk: Disk | None = None) -> KeyBackup:
    """One more backup of the keys."""
    return make(small.data, ORIGIN, small.folder / "keys", AT, disk)[0]


@given(ROWS)
def test_written_and_read(rows: list[Wrapped]) -> None:
    """What is printed reads back the same; without a key it is one shorter."""
    file = KeysFile(KeysHead("K-1", ORIGIN, "2026-11-22T09:00:00.000Z", len(rows)), tuple(rows))
    assert parse_keys(print_keys(file), "file") == file
    for row in rows:
        assert len(file.without({row.name}).rows) == len(rows) - 1


@given(ROWS, st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_is_refused(rows: list[Wrapped], place: int, change: int) -> None:
    """Wherever it is."""
    file = KeysFile(KeysHead("K-1", ORIGIN, "2026-11-22T09:00:00.000Z", len(rows)), tuple(rows))
    raw = bytearray(print_keys(file))
    raw[place % len(raw)] ^= change
    with pytest.raises(VerificationError):
        assert parse_keys(bytes(raw), "file") == file
        raise AssertionError("read as if nothing were wrong")


def test_rows_go_into_a_new_store(small: Small, tmp_path: Path) -> None:
    """What the keyring wrote reads as rows, and rows make a file that the keyring opens."""
    rows = read_wrapped(small.evidence / "keys.db")
    assert {"identity/X-A1", "identity/X-A2", "details/000000"} == {row.name for row in rows}
    write_wrapped(tmp_path / "keys.db", rows)
    assert read_wrapped(tmp_path / "keys.db") == rows
    with pytest.raises(FileExistsError):
        write_wrapped(tmp_path / "keys.db", rows)


def test_a_destroyed_key_is_gone_from_every_backup(small: Small) -> None:
    """A raw look at the folder finds neither its name nor its bytes; the others are as they were."""
    for _ in range(2):
        back_up(small)
    sealed = next(row.sealed for row in read_wrapped(small.evidence / "keys.db") if row.name == "identity/X-A1")
    assert small.lab.keyring.delete("identity/X-A1")
    assert [place.forget_key("identity/X-A1") for place in places(small.data)] == [True, True]
    assert [place.forget_key("identity/X-A1") for place in places(small.data)] == [False, False]
    assert [place.forget_file("blobs/aa/bb/x.age") for place in places(small.data)] == [False, False]
    whole = b"".join(path.read_bytes() for path in (small.folder / "keys").iterdir())
    assert b"X-A1" not in whole
    assert sealed not in whole
    for place in known(small.data):
        assert {row.name for row in read_keys(Path(place.path)).rows} == {"identity/X-A2", "details/000000"}


def test_one_that_cannot_be_reached_is_named(small: Small) -> None:
    """Its medium is away: OSError, and its name says which it is; struck off the list once it is destroyed."""
    made = back_up(small)
    Path(made.path).rename(small.folder / "away")
    (place,) = places(small.data)
    assert not place.reachable
    assert made.id in place.name
    assert made.path in place.name
    with pytest.raises(OSError, match="No such file"):
        place.forget_key("identity/X-A1")
    (small.folder / "away").rename(made.path)
    Path(made.path).write_bytes(b"{}")
    with pytest.raises(StoreBusyError, match="as it was written"):
        place.forget_key("identity/X-A1")
    assert forget(small.data, made.id)
    assert not forget(small.data, made.id)
    assert places(small.data) == []


def test_a_list_that_is_older_than_the_files(small: Small) -> None:
    """A restored store's list: what lies in the folder is put on it again, but nothing of another log."""
    first, second = back_up(small), back_up(small)
    forget(small.data, second.id)
    other = read_keys(Path(first.path))
    foreign = KeysFile(KeysHead("K-OTHER", "else.test/log", first.at, other.head.names), other.rows)
    (small.folder / "keys/K-OTHER.keys").write_bytes(print_keys(foreign))
    (small.folder / "keys/K-BROKEN.keys").write_bytes(b"{}")
    third = back_up(small)
    assert {each.id for each in known(small.data)} == {first.id, second.id, third.id}
    enlist(small.data, small.folder / "keys/K-OTHER.keys", foreign.head)
    enlist(small.data, small.folder / "keys/K-OTHER.keys", foreign.head)
    assert [each.id for each in known(small.data)].count("K-OTHER") == 1


def test_a_short_cycle(small: Small) -> None:
    """The newest stay; what goes is overwritten, and off the list."""
    made = [back_up(small) for _ in range(4)]
    held = [os.open(each.path, os.O_RDONLY) for each in made]
    gone = keep_newest(small.data, small.folder / "keys", 2)
    assert gone == made[:2]
    assert [each.id for each in known(small.data)] == [each.id for each in made[2:]]
    assert [set(os.pread(each, 1 << 20, 0)) == {0} for each in held] == [True, True, False, False]
    for each in held:
        os.close(each)
    remove(Path(made[0].path), Disk())


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("crash", [False, True])
def test_a_backup_interrupted_anywhere_is_on_the_list(small: Small, keep: bool, crash: bool) -> None:
    """No file with keys lies in the folder that the list does not lead to; a destruction reaches what is there."""
    at, ended = 0, False
    while not ended:
        disk = FaultyDisk(at, keep=keep, crash=crash)
        try:
            back_up(small, disk)
            ended = disk.count <= at
        except (CrashError, OSError):
            pass
        listed = {Path(each.path).name for each in known(small.data)}
        folder = small.folder / "keys"
        lying = {path.name.removesuffix(".tmp") for path in folder.iterdir()} if folder.is_dir() else set()
        assert lying <= listed
        for place in places(small.data):
            try:
                place.forget_key("identity/X-A2")
            except FileNotFoundError:
                continue
        for path in folder.iterdir() if folder.is_dir() else ():
            assert b"X-A2" not in path.read_bytes()
        for each in known(small.data):
            forget(small.data, each.id)
            remove(Path(each.path), Disk())
        at += 1
    assert at > 5


@pytest.mark.parametrize("keep", [False, True])
def test_a_destruction_interrupted_anywhere_is_done_again(small: Small, keep: bool) -> None:
    """The file has all keys or one fewer, never less; asked again, the key is gone."""
    at, ended = 0, False
    while not ended:
        made = back_up(small)
        disk = FaultyDisk(at, keep=keep)
        try:
            places(small.data)[0].__class__(small.data, made, disk).forget_key("identity/X-A1")
            ended = disk.count <= at
        except CrashError:
            names = {row.name for row in read_keys(Path(made.path)).rows}
            assert {"identity/X-A2", "details/000000"} <= names
        places(small.data)[0].forget_key("identity/X-A1")
        assert b"X-A1" not in b"".join(path.read_bytes() for path in (small.folder / "keys").iterdir())
        keep_newest(small.data, small.folder / "keys", 1)
        forget(small.data, made.id)
        remove(Path(made.path), Disk())
        at += 1
    assert at > 3


def test_a_destruction_waits_for_a_backup_under_way(small: Small) -> None:
    """No key slips into a backup that begins while it is destroyed."""
    back_up(small)
    (place,) = places(small.data)
    done = threading.Event()
    with turn(small.data):
        thread = threading.Thread(target=lambda: (place.forget_key("identity/X-A1"), done.set()))
        thread.start()
        assert not done.wait(0.2)
    thread.join(5)
    assert done.is_set()


def test_places_and_lists_that_are_refused(small: Small) -> None:
    """Into the store itself; a list that cannot be read is never taken for an empty one."""
    with pytest.raises(ConfigError, match="lies in the store"):
        make(small.data, ORIGIN, small.data / "keys-too", AT)
    (small.data / LIST).write_text("{")
    with pytest.raises(IntegrityError, match=LIST):
        places(small.data)
