"""Claims of copies against where they lie, and a copy read as a store: each lie is found, by name."""

from __future__ import annotations

import json
import shutil

import pytest

from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.evidence.vault.files import DiskFiles
from gateway.evidence.verify.store import Beside, verify_store
from tests.evidence.copies.lab import Store
from tests.evidence.copies.test_faults import turn


@pytest.fixture
def store(tmp_path):
    """One exhibit, copied and counted."""
    made = Store(tmp_path)
    made.name = made.seal(1, 70_000)
    turn(made, DiskFiles())
    count(made, {})
    turn(made, DiskFiles())
    yield made
    made.close()


def count(store: Store, facts: dict, **detail) -> None:
    """A copy_verified entry."""
    row, mark = store.catalogue.exhibit(store.name), store.place().look()
    said = {"copies": 2, "of": 2, "blob_sha256": row.blob_sha256, **facts}
    told = {"places": [mark.id], **detail}
    store.custody.record_now(Act("copy_verified", "system", ExhibitId(store.name), said, told))


def found(store: Store, *, keys: bool = True, only: str | None = None) -> list:
    """What differs, the copies held against the log."""
    kept = store.directory / "keys" if keys else None
    report = verify_store(store.evidence, kept, only, beside=Beside(tuple(store.paths)))
    assert not report.unread
    return report.findings


def blob(store: Store):
    """The copy."""
    return store.blob(store.name, store.paths[0] / "evidence")


def test_what_is_claimed_is_there(store):
    """With keys and without, of one and of all."""
    assert found(store) == found(store, keys=False) == found(store, only=store.name) == []
    report = verify_store(store.evidence, store.directory / "keys", beside=Beside(tuple(store.paths)))
    assert (report.counts["copies_claimed"], report.counts["copies_there"]) == (1, 1)


@pytest.mark.parametrize("keys", [True, False])
def test_a_copy_that_is_not_there(store, keys):
    """Named, with or without keys; and the place itself no longer verifies."""
    blob(store).unlink()
    assert len(found(store, keys=keys)) == 1
    assert not store.verified(0).ok


def test_a_flipped_byte_in_the_copy(store):
    """Found where it lies, without keys as well."""
    raw = bytearray(blob(store).read_bytes())
    raw[300] ^= 1
    blob(store).write_bytes(bytes(raw))
    for keys in (store.directory / "keys", None):
        report = verify_store(store.paths[0] / "evidence", keys)
        assert [each.path for each in report.findings][-1].startswith("blobs/")


def test_what_nobody_claims_may_be_missing_from_a_copy(store):
    """Not yet copied is no fault of a copy; of a first store it is."""
    store.seal(2, 1000)
    turn(store, DiskFiles())
    other = store.blob("X-000000000002", store.paths[0] / "evidence")
    other.unlink()
    report = store.verified(0)
    assert report.ok
    assert report.counts["not_copied"] == 1
    (store.paths[0] / "copy.json").unlink()
    assert not store.verified(0).ok


def test_a_claim_of_another_blob(store):
    """The entry must name what was sealed."""
    count(store, {"blob_sha256": "00" * 32})
    assert [each.expected.split()[0] for each in found(store)] == ["blob_sha256"]


def test_a_claim_of_more_than_it_names(store):
    """As many places as copies."""
    count(store, {"copies": 3})
    assert "2 places beside the first" in [each.expected for each in found(store)]


def test_the_newest_claim_counts(store):
    """Fewer than before is the truth then."""
    count(store, {"copies": 1}, places=[])
    blob(store).unlink()
    assert found(store) == []


def test_a_place_of_another_log(store, tmp_path):
    """Not the beginning of this log."""
    other = Store(tmp_path / "other")
    other.seal(7, 1000)
    turn(other, DiskFiles())
    mark = (store.paths[0] / "copy.json").read_bytes()
    shutil.rmtree(store.paths[0])
    shutil.copytree(other.paths[0], store.paths[0])
    (store.paths[0] / "copy.json").write_bytes(mark)
    assert found(store)
    other.close()


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"\xff", b'{"id":"C-1","origin":"x"}', b'{"id":1,"origin":2}'])
def test_a_mark_that_is_none(store, text):
    """Named, never a traceback."""
    (store.paths[0] / "copy.json").write_bytes(text)
    assert [each.path for each in store.verified(0).findings][:1] == ["copy.json"]
    assert found(store)


def test_a_place_without_a_mark(store):
    """It is no copy."""
    (store.paths[0] / "copy.json").unlink()
    assert [each.found for each in found(store)][:1] == ["none"]


def test_a_mark_of_another_origin(store):
    """The log there is not the one that it names."""
    mark = json.loads((store.paths[0] / "copy.json").read_bytes())
    (store.paths[0] / "copy.json").write_text(json.dumps({**mark, "origin": "elsewhere.test/log"}))
    assert [each.path for each in store.verified(0).findings] == ["copy.json"]


def test_tiles_beyond_the_checkpoint_need_a_word_for_it(store):
    """Only a signed checkpoint that they are copied for."""
    there = store.paths[0] / "evidence/log"
    (there / "tile/0/001").write_bytes(bytes(32 * 256))
    assert not store.verified(0).ok
    (there / "copying").write_bytes(b"rubbish")
    assert not store.verified(0).ok
