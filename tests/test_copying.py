"""Second places put together: kept running whatever happens, and looked at from outside."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from gateway import copying
from gateway.copying import copies_beside, kept_copying, second_places, standing, store_of_command
from gateway.evidence.copies.receipts import NewReceipts
from gateway.evidence.settings import StoreSection
from tests.evidence.copies.lab import Store, quick, until
from tests.evidence.copies.test_faults import turn


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store with one exhibit."""
    quick(monkeypatch)
    made = Store(tmp_path)
    made.name = made.seal(1, 10_000)
    yield made
    made.close()


def section(store) -> StoreSection:
    """[store] of it."""
    return StoreSection(copies=2, copy_to=[str(path) for path in store.paths], copy_mb_s=0, reserve_mb=0)


async def nobody(row):
    """No receipt."""
    raise AssertionError(row)


async def test_nothing_configured_is_nothing_run(store):
    """No places, no copies."""
    assert copies_beside(StoreSection(), store, store.custody.clock) is None
    async with asyncio.timeout(1):
        await kept_copying(None, NewReceipts(store.catalogue, nobody))


async def test_a_defect_is_begun_again(store, monkeypatch):
    """It is logged, nothing is taken along, and after a while copies are made."""
    monkeypatch.setattr(copying, "AGAIN_AFTER_S", 0.01)
    copies = copies_beside(section(store), store, store.custody.clock)
    run, failures = copies.run, [RuntimeError("a defect")]

    async def fails_once():
        if failures:
            raise failures.pop()
        await run()

    monkeypatch.setattr(copies, "run", fails_once)
    told = []

    async def receipt(row):
        told.append(row.id)
        raise TimeoutError

    async with asyncio.TaskGroup() as group:
        task = group.create_task(kept_copying(copies, NewReceipts(store.catalogue, receipt)))
        await until(lambda: store.catalogue.exhibit(store.name).copies == 2)
        await until(lambda: told == [store.name])
        task.cancel()


def test_how_a_place_stands(store):
    """New, ok, behind, away, refused."""
    first = store_of_command(store, section(store))
    (place,) = second_places(section(store), first)
    assert standing(place, first, store.catalogue).state == "new"
    turn(store, store.files)
    assert (standing(place, first, store.catalogue).state, place.same_disk) == ("ok", True)
    store.seal(2, 1000)
    found = standing(place, first, store.catalogue)
    assert (found.state, found.lag, found.missing) == ("behind", 2, ("X-000000000002",))
    (store.paths[0] / "copy.json").write_text("{}")
    assert standing(place, first, store.catalogue).state == "refused"
    shutil.rmtree(store.paths[0])
    assert standing(place, first, store.catalogue).state == "away"


async def test_keys_that_were_removed_are_mirrored_again(store):
    """A place's keys.db is the first store's, once more: gone or damaged, it is taken away and made anew."""
    async with store.copying() as copies:
        await until(store.copied, copies)
    for left in (store.paths[0] / "evidence").glob("keys.db*"):
        left.unlink()
    assert not store.verified(0).ok
    async with store.copying() as copies:
        await until(store.copied, copies)
        await until(lambda: store.verified(0).ok)
