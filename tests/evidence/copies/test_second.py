"""A place is used only where it is there, ours, writable and has room; each refusal says which."""

from __future__ import annotations

import json
import os
import shutil

import msgspec
import pytest

from gateway.claim import claim
from gateway.crypto.notes import VerifierKey
from gateway.evidence.copies.log_files import look_at
from gateway.evidence.copies.mark import AwayError, claimed, known_places, read_mark
from gateway.evidence.copies.second import SecondPlace, blob_name
from gateway.evidence.copies.transfer import CopyError, SourceError
from tests.evidence.copies.lab import Store
from tests.evidence.copies.test_faults import turn
from tests.evidence.vault.lab import FaultyFiles


@pytest.fixture
def store(tmp_path):
    """A store with one exhibit."""
    made = Store(tmp_path)
    made.name = made.seal(1, 70_000)
    yield made
    made.close()


def use(store: Store, files=None) -> SecondPlace:
    """Try to use the place."""
    place = SecondPlace(store.paths[0], msgspec.structs.replace(store.first(), files=files or store.files))
    with place.used():
        pass
    return place


def test_a_new_place_is_marked_and_remembered(store):
    """The mark names origin and key; the first store remembers which lay where."""
    (store.paths[0] / "lost+found").mkdir()
    place = use(store)
    mark = read_mark(store.paths[0])
    assert (mark, mark.origin) == (place.mark, "lapel.test/log")
    assert mark.key_id == store.first().key.key_id.hex()
    assert known_places(store.evidence) == {str(store.paths[0]): mark.id}
    assert use(store).mark == mark


def test_somebody_elses_is_not_touched(store, tmp_path):
    """Files without a mark, another log's mark, a mark that is none."""
    (store.paths[0] / "photo.jpg").write_bytes(b"")
    with pytest.raises(CopyError, match="nobody's copy"):
        use(store)
    (store.paths[0] / "photo.jpg").unlink()
    other = Store(tmp_path / "other")
    other.paths = store.paths
    use(other)
    other.close()
    with pytest.raises(CopyError, match="copy of another log"):
        use(store)
    for broken in ("{}", "[", json.dumps({"v": 1, "id": 3})):
        (store.paths[0] / "copy.json").write_text(broken)
        with pytest.raises(CopyError, match="not a copy's mark"):
            use(store)
    assert {each.name for each in store.paths[0].iterdir()} <= {"copy.json", "gateway.lock", "evidence"}


def test_away_is_not_refused(store):
    """Not there, or an empty mount point."""
    use(store)
    shutil.rmtree(store.paths[0])
    with pytest.raises(AwayError, match="not there"):
        use(store)
    store.paths[0].mkdir()
    with pytest.raises(AwayError, match="not mounted"):
        use(store)


def test_within_the_first_store_is_refused(store):
    """Neither inside the evidence nor around it; beside it in the data directory is a demonstration's place."""
    for path in (store.evidence, store.evidence / "blobs", store.directory, store.directory.parent):
        with pytest.raises(CopyError, match="within one another"), SecondPlace(path, store.first()).used():
            pass
    beside = store.directory / "second"
    beside.mkdir()
    with SecondPlace(beside, store.first()).used():
        pass


def test_room_and_rights(store):
    """Too little room is said before anything is written; a read-only place is an OSError."""
    files = FaultyFiles()
    files.free = 5 << 20
    first = msgspec.structs.replace(store.first(), files=files, reserve_mb=6)
    with pytest.raises(CopyError, match="5 MiB free"), SecondPlace(store.paths[0], first).used():
        pass
    if os.geteuid() != 0:
        store.paths[0].chmod(0o500)
        with pytest.raises(OSError):
            use(store)
        store.paths[0].chmod(0o700)


def test_a_gateway_that_runs_there_keeps_us_out_and_we_it(store):
    """One lock, the gateway's own."""
    use(store)
    lock = claim(store.paths[0])
    with pytest.raises(CopyError, match="a gateway runs on it"):
        use(store)
    os.close(lock)
    with claimed(store.paths[0]), pytest.raises(CopyError), claimed(store.paths[0]):
        pass


def test_one_disk_is_named(store):
    """The same file system is no second disk."""
    assert SecondPlace(store.paths[0], store.first()).same_disk
    assert not SecondPlace(store.paths[0] / "none", store.first()).same_disk


def test_a_key_that_is_gone_is_no_copy(store):
    """No blob counts without its key."""
    store.keyring.delete(f"identity/{store.name}")
    with pytest.raises(SourceError, match=r"keys\.db has no identity"):
        turn(store, store.files)


def test_keys_are_wrapped_anew(store):
    """After a new key-encryption key, the copy's are under it as well."""
    turn(store, store.files)
    place = store.place()
    assert place.rewrap() == 0  # all are under it
    store.custody.keystore.add_kek()
    assert place.rewrap() == 2
    with place.keys() as keys:
        assert keys.get(f"identity/{store.name}") == store.keyring.get(f"identity/{store.name}")


@pytest.mark.parametrize("wrong", ["", "0" * 31, "0" * 31 + "/", "../" + "0" * 29, "A" * 32])
def test_what_is_no_blob_id_names_no_file(wrong):
    """It comes from a database."""
    with pytest.raises(ValueError, match="not a blob-id"):
        blob_name(wrong)


def test_a_place_ahead_of_us_is_not_written_to(store, tmp_path):
    """A restored first store does not take back what its copy has."""
    shutil.copytree(store.evidence / "log", tmp_path / "old")
    store.seal(2, 1000)
    turn(store, store.files)
    held = (store.paths[0] / "evidence/log/checkpoint").read_bytes()
    shutil.rmtree(store.evidence / "log")
    shutil.copytree(tmp_path / "old", store.evidence / "log")
    with pytest.raises(CopyError, match="ahead of this store"):
        store.place().bring_log(look_at(store.evidence / "log"))
    assert (store.paths[0] / "evidence/log/checkpoint").read_bytes() == held


def test_a_fork_is_not_written_to(store, tmp_path):
    """The same key, another log."""
    (tmp_path / "fork").mkdir()
    shutil.copytree(store.directory, tmp_path / "fork/data")
    other = Store(tmp_path / "fork")
    other.paths = store.paths
    other.seal(3, 1000)
    other.seal(4, 1000)
    store.seal(2, 1000)
    turn(store, store.files)
    with pytest.raises(CopyError, match="another log"):
        other.place().bring_log(look_at(other.evidence / "log"))
    other.close()


def test_a_log_with_another_key_is_still_ours(store):
    """Its key was rotated: the entries say whose copy it is, and the files of the key come along."""
    turn(store, store.files)
    rotated = msgspec.structs.replace(store.first(), key=VerifierKey("lapel.test/log", bytes(32)))
    with SecondPlace(store.paths[0], rotated).used():
        pass
    (store.evidence / "log/keys.jsonl").write_bytes(b"{}\n")
    store.place().bring_log(look_at(store.evidence / "log"))
    assert (store.paths[0] / "evidence/log/keys.jsonl").read_bytes() == b"{}\n"
    shutil.rmtree(store.paths[0] / "evidence/log")
    with pytest.raises(CopyError, match="another log"), SecondPlace(store.paths[0], rotated).used():
        pass
