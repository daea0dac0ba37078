"""A second place on a real disk of its own: unmounted, read-only, full, and cut from power while it is written."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import time

import pytest

from gateway.evidence.vault.files import DiskFiles
from gateway.evidence.verify.store import verify_store
from tests.evidence.copies.lab import Store, quick, until
from tests.evidence.copies.test_faults import turn
from tests.faults.crash_disk import crash_disk

CUTS = int(os.environ.get("LAPEL_COPY_CUTS", "2"))
SEED = int(os.environ.get("LAPEL_SEED", "20261122"))


@pytest.fixture
def disk(tmp_path):
    """A small ext4 disk, mounted."""
    with crash_disk(tmp_path, 24) as one:
        yield one


@pytest.fixture
def store(tmp_path, disk, monkeypatch):
    """A store whose second place is that disk."""
    quick(monkeypatch)
    made = Store(tmp_path)
    made.paths = [disk.place]
    yield made
    made.close()


async def _without(act) -> None:
    """Do what needs the disk to be idle, between two turns."""
    for _ in range(100):
        try:
            await asyncio.to_thread(act)
        except AssertionError:
            await asyncio.sleep(0.03)
        else:
            return
    act()


def _remount(disk, how: str) -> None:
    done = subprocess.run(["mount", "-o", f"remount,{how}", disk.place], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


async def test_unmounted_and_back(store, disk):
    """Nothing is written to the bare mount point; what came meanwhile is caught up."""
    async with store.copying() as copies:
        store.seal(1)
        await until(store.copied, copies)
        assert not copies.states()[0].same_disk
        await _without(disk.unmount)
        await until(lambda: copies.states()[0].state == "away")
        store.seal(2)
        await asyncio.sleep(0.2)
        assert "not mounted" in copies.states()[0].problem
        assert list(disk.place.iterdir()) == []
        disk.mount()
        await until(store.copied, copies)
    assert store.verified(0).ok


async def test_read_only_and_back(store, disk):
    """The kernel's word is told; then it goes on."""
    async with store.copying() as copies:
        store.seal(1)
        await until(store.copied, copies)
        await _without(lambda: _remount(disk, "ro"))
        store.seal(2)
        await until(lambda: "Read-only" in (copies.states()[0].problem or ""))
        assert copies.condition() == "degraded"
        _remount(disk, "rw")
        await until(store.copied, copies)
    assert store.verified(0).ok


async def test_full(store):
    """Said, and no harm: what was counted is there, the log of the first goes on, the copy verifies."""
    async with store.copying() as copies:
        one = store.seal(1, 1_000_000)
        await until(store.copied, copies)
        big = store.seal(2, 30_000_000)
        await until(lambda: "No space" in (copies.states()[0].problem or ""))
        store.seal(3, 1000)
    assert store.catalogue.exhibit(one).copies == 2
    assert store.catalogue.exhibit(big).copies is None
    report = store.verified(0)
    assert report.ok, (report.findings, report.unread)
    assert store.verified().ok


def test_power_cut_of_the_second_disk(store, disk):
    """What was verified when the power went is there; the copy verifies; the next turn ends what was begun."""
    chance = random.Random(SEED)
    for cut in range(CUTS):
        names = [store.seal(10 * cut + number, 700_000) for number in range(3)]
        store.picture(names[0])
        done = []

        def work(names=names, done=done):
            place = store.place()
            with place.used():
                for name in names:
                    place.bring(store.catalogue.exhibit(name), counted=False)
                    done.append(name)
                from gateway.evidence.copies.log_files import look_at

                place.bring_log(look_at(store.evidence / "log"))
                done.append("log")

        async def cut_in_the_middle(work=work, done=done):
            working = asyncio.get_running_loop().run_in_executor(None, work)
            time.sleep(chance.uniform(0, 0.3))
            was = list(done)
            await asyncio.to_thread(disk.copy_flushed)
            await working
            return was

        was = asyncio.run(cut_in_the_middle())
        disk.use_copy()
        for name in set(was) - {"log"}:
            row = store.catalogue.exhibit(name)
            assert store.place().hash(row) == row.blob_sha256, f"{name} was verified when the power went"
        if (disk.place / "evidence/log/checkpoint").exists():
            report = verify_store(disk.place / "evidence", store.directory / "keys")
            assert report.ok, (report.findings, report.unread)
        turn(store, DiskFiles())
        assert store.verified(0).ok
