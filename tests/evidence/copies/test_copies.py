"""Copies as a whole: what is sealed gets to every place, is counted, comes back when a place does."""

from __future__ import annotations

import asyncio
import functools
import shutil

import pytest

from tests.evidence.copies.lab import Store, quick, until
from tests.evidence.copies.test_faults import turn
from tests.evidence.way_out import walk


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    quick(monkeypatch)


@pytest.fixture
def store(tmp_path):
    """A store with one second place."""
    made = Store(tmp_path)
    yield made
    made.close()


async def test_what_is_sealed_is_copied_and_counted(store):
    """Before and while copies run; the entry names the places, and the place is a store that verifies."""
    one = store.seal(1)
    store.picture(one)
    async with store.copying() as copies:
        await until(store.copied, copies)
        two = store.seal(2)
        await until(store.copied, copies)
        place = copies.places()[0].mark.id
    for name in (one, two):
        row = store.catalogue.exhibit(name)
        assert row.copies == 2
        assert store.facts(name, "copy_verified") | {"copies": 2, "of": 2, "blob_sha256": row.blob_sha256} == (
            store.facts(name, "copy_verified")
        )
        assert store.detail(name, "copy_verified")["places"] == [place]
        assert store.blob(name).read_bytes() == store.blob(name, store.paths[0] / "evidence").read_bytes()
    assert (store.paths[0] / f"evidence/thumbnails/{one[-2:]}/{one}.age").exists()
    assert copies.condition() == "ok"
    assert store.verified().ok, store.verified().findings
    report = store.verified(0)
    assert report.ok, (report.findings, report.unread)


async def test_a_start_with_nothing_new_records_nothing(store):
    """What the log says was verified is not read and not said again."""
    name = store.seal(1)
    async with store.copying() as copies:
        await until(store.copied, copies)
    size = store.custody.size
    async with store.copying() as copies:
        await until(store.copied, copies)
    assert (store.custody.size, copies.counters["blobs"]) == (size, 0)
    assert store.kinds(name).count("copy_verified") == 1


async def test_a_place_that_comes_back_is_caught_up(store):
    """Away: loud, degraded, ingest goes on; back: everything is copied."""
    gone = store.paths[0].with_name("elsewhere")
    async with store.copying() as copies:
        store.seal(1)
        await until(store.copied, copies)
        store.paths[0].rename(gone)
        await until(lambda: copies.states()[0].state == "away")
        assert copies.condition() == "degraded"
        name = store.seal(2)
        gone.rename(store.paths[0])
        await until(store.copied, copies)
    assert copies.condition() == "ok"
    assert store.catalogue.exhibit(name).copies == 2


async def test_an_empty_mount_point_is_not_taken_for_the_copy(store):
    """A directory that was a copy and is empty now stays empty."""
    gone = store.paths[0].with_name("elsewhere")
    async with store.copying() as copies:
        store.seal(1)
        await until(store.copied, copies)
        store.paths[0].rename(gone)
        store.paths[0].mkdir()
        await until(lambda: "not mounted" in (copies.states()[0].problem or ""))
    assert list(store.paths[0].iterdir()) == []


async def test_a_copy_that_is_gone_is_said_at_once_and_made_anew(store):
    """A blob that was counted and is not there: verify_fail and one copy less, then two again."""
    name = store.seal(1)
    async with store.copying() as copies:
        await until(store.copied, copies)
    store.blob(name, store.paths[0] / "evidence").unlink()
    async with store.copying() as copies:
        await until(lambda: "verify_fail" in store.kinds(name) and store.copied(copies))
    assert store.kinds(name)[2:] == ["copy_verified", "verify_fail", "copy_verified", "copy_verified"]
    assert store.facts(name, "verify_fail")["found"] == "missing"
    assert store.verified(0).ok
    assert store.verified().ok


async def test_a_replaced_disk_is_counted_as_empty_and_filled(store):
    """A new disk at the same path, taken on purpose, has an id of its own."""
    from gateway.evidence.copies.mark import remember_place

    name = store.seal(1)
    async with store.copying() as copies:
        await until(store.copied, copies)
        before = copies.places()[0].mark.id
    shutil.rmtree(store.paths[0])
    store.paths[0].mkdir()
    remember_place(store.evidence, store.paths[0], None, store.files)
    async with store.copying() as copies:
        await until(lambda: store.kinds(name).count("copy_verified") >= 2 and store.copied(copies))
        after = copies.places()[0].mark.id
    assert before != after
    assert store.detail(name, "copy_verified")["places"] == [after]
    assert store.verified(0).ok


async def test_a_flipped_byte_in_a_copy_is_found_and_repaired(store):
    """check() reads it, says so, repairs it from the first store, and counts it again."""
    name = store.seal(1)
    async with store.copying() as copies:
        await until(store.copied, copies)
        path = store.blob(name, store.paths[0] / "evidence")
        _flip(path)
        checked = await copies.check(name)
        assert [one.state for one in checked] == ["verified", "repaired"]
        assert store.kinds(name)[-2:] == ["verify_fail", "copy_verified"]
        assert store.facts(name, "verify_fail")["found"] == checked[1].found
        assert [one.state for one in await copies.check(name)] == ["verified", "verified"]
        await until(store.copied, copies)
    assert path.read_bytes() == store.blob(name).read_bytes()
    assert store.verified(0).ok


async def test_a_flipped_byte_in_the_first_is_repaired_from_the_copy(store):
    """The good one wins, wherever it lies."""
    name = store.seal(1)
    whole = store.blob(name).read_bytes()
    async with store.copying() as copies:
        await until(store.copied, copies)
        _flip(store.blob(name))
        assert [one.state for one in await copies.check(name)] == ["repaired", "verified"]
        await until(store.copied, copies)
    assert store.blob(name).read_bytes() == whole
    assert store.verified().ok


async def test_a_bad_first_blob_is_never_copied(store):
    """Nothing is counted, it is named, and the others are copied all the same."""
    bad, good = store.seal(1), store.seal(2)
    _flip(store.blob(bad))
    async with store.copying() as copies:
        await until(lambda: store.catalogue.exhibit(good).copies == 2 and bad in copies.unsound and store.level())
        assert copies.condition() == "degraded"
    assert store.catalogue.exhibit(bad).copies is None
    assert "verify_fail" in store.kinds(bad)
    assert not store.blob(bad, store.paths[0] / "evidence").exists()


async def test_two_places_are_counted_each(tmp_path):
    """Each place counts by itself, and one place away does not keep the other from being counted."""
    store = Store(tmp_path, places=2)
    gone = store.paths[1].with_name("elsewhere")
    store.paths[1].rename(gone)
    name = store.seal(1)
    async with store.copying() as copies:
        await until(lambda: store.catalogue.exhibit(name).copies == 2)
        await until(lambda: copies.figures()["places_up"] == 1)
        gone.rename(store.paths[1])
        await until(store.copied, copies)
    assert store.catalogue.exhibit(name).copies == 3
    assert len(store.detail(name, "copy_verified")["places"]) == 2
    assert store.verified().ok
    store.close()


async def test_what_is_disposed_of_goes_from_the_copies(store):
    """Key, blob and thumbnail; details erased in the first store are erased there, byte for byte."""
    name, other = store.seal(1), store.seal(2)
    store.picture(name)
    async with store.copying() as copies:
        await until(store.copied, copies)
        await until((store.paths[0] / f"evidence/thumbnails/{name[-2:]}/{name}.age").exists)
        await asyncio.to_thread(walk, store.custody, name, "key_destroy")
        store.keyring.delete(f"identity/{name}")
        store.blob(name).unlink()
        chain = store.catalogue.custody(name)
        for entry in chain[:-1]:  # that of its key's destruction stays
            store.custody.erase_detail(entry.log_index)
        ending = {"copies_removed": 2, "details": "erased", "erased_to": len(chain)}
        await asyncio.to_thread(functools.partial(walk, store.custody, name, since="dispose", **ending))
        copy = store.paths[0] / "evidence"
        await until(lambda: not store.blob(name, copy).exists())
        await until(
            lambda: (copy / "details/000000.dtl").read_bytes() == (store.evidence / "details/000000.dtl").read_bytes()
        )
        with copies.places()[0].keys() as keys:
            assert keys.get(f"identity/{name}") is None
            assert keys.get(f"identity/{other}") is not None
        await until(lambda: not list(copy.glob("thumbnails/*/*")))


async def test_purging_is_a_place(store):
    """forget_key and forget_file are idempotent, durable, and OSError where the place is away."""
    name = store.seal(1)
    async with store.copying() as copies:
        await until(store.copied, copies)
    place, blob = store.place(), store.blob(name).relative_to(store.evidence)
    assert place.forget_key(f"identity/{name}")
    assert not place.forget_key(f"identity/{name}")
    assert place.forget_file(str(blob))
    assert not place.forget_file(str(blob))
    with pytest.raises(Exception, match="disposed of meanwhile"):
        place.put(str(blob), store.evidence, store.catalogue.exhibit(name).blob_sha256)
    store.paths[0].rename(store.paths[0].with_name("elsewhere"))
    with pytest.raises(OSError):
        place.forget_key(f"identity/{name}")


async def test_ingest_never_waits(store):
    """A pace of next to nothing, and the log takes entries as before."""
    store.mb_s = 0.05
    name = store.seal(1, 3_000_000)
    async with store.copying() as copies:
        await until(lambda: copies.states()[0].backlog > 0)
        store.seal(2, 1000)
        assert store.catalogue.exhibit(name).copies is None


def _flip(path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


async def test_a_check_copies_what_was_not_yet(store):
    """Key and all: nothing counts that could not be opened."""
    store.mb_s = 0.0
    name = store.seal(1)
    copies = store.copies()
    with copies.places()[0].used():
        pass
    assert [one.state for one in await copies.check(name)] == ["verified", "repaired"]
    assert store.catalogue.exhibit(name).copies == 2
    with copies.places()[0].keys() as keys:
        assert keys.get(f"identity/{name}") == store.keyring.get(f"identity/{name}")


def test_a_blob_is_put_back_for_whoever_asks(store):
    """As a scrub does it: from a whole copy, or not at all."""
    name = store.seal(1)
    turn(store, store.files)
    row, whole, copies = store.catalogue.exhibit(name), store.blob(name).read_bytes(), store.copies()
    _flip(store.blob(name))
    assert copies.repair(name, row.blob, row.blob_sha256)
    assert store.blob(name).read_bytes() == whole
    _flip(store.blob(name))
    _flip(store.blob(name, store.paths[0] / "evidence"))
    assert not copies.repair(name, row.blob, row.blob_sha256)
