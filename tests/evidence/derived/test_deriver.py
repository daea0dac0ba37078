"""Jobs to their end: a crash or a refused write at every step leaves a store that verifies, and one exhibit or none."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.domain.ids import ExhibitId
from gateway.errors import IntegrityError, StoreBusyError
from gateway.evidence.derived.deriver import BEGUN_MAX, Deriver, Store, taking_turns
from gateway.evidence.derived.wish import Made, MakingError, Wish, WishError
from gateway.evidence.rows import Exhibit
from gateway.evidence.vault.files import DiskFiles
from gateway.evidence.vault.room import Room
from gateway.evidence.verify.store import verify_store
from gateway.evidence_half import Records, records_at
from gateway.observe import SystemClock
from tests.api.site import Site, noise
from tests.cli.test_export_faults import Failing, PowerCut

CONTENT = noise(150_000, 7)
WHOLE = Wish("", "h264_copy", "trial", "u1")


async def copied(_row: Exhibit, _wish: Wish, pour: Any) -> Made:
    """A maker that needs no ffmpeg."""
    for at in range(0, len(CONTENT), 65_536):
        await pour(CONTENT[at : at + 65_536])
    return Made("maker 1", ("-i", "MASTER"))


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of one exhibit."""
    home = tmp_path_factory.mktemp("derived")
    with Site(home) as site:
        site.seal(noise(100_000), "r1")
    return home / "store"


@pytest.fixture
def store(pattern: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    import shutil

    return Path(shutil.copytree(pattern, tmp_path / "store"))


@pytest.fixture
def opened(store: Path) -> Iterator[Records]:
    """Its records, open."""
    with records_at(store / "evidence", store / "keys") as records:
        yield records


def deriver(records: Records, make: Any = copied, files: Any = None, reserve: int = 0) -> Deriver:
    """A deriver over real records."""
    files, root = files or DiskFiles(), Path(records.custody.directory)
    clock = SystemClock()
    return Deriver(
        Store(
            root=root,
            files=files,
            room=Room(files, root, reserve),
            keyring=records.keyring,
            keks=records.keystore,
            shelf=records.catalogue,
            log=records.custody,
            now=clock.now,
            make=make,
        )
    )


def wish(records: Records, **more: Any) -> Wish:
    """The one exhibit that is no derivative, to be copied."""
    master = next(row.id for row in records.catalogue.exhibits() if row.parent is None)
    return msgspec.structs.replace(WHOLE, master=master, **more)


def stands(store: Path) -> None:
    """The store verifies, whatever happened."""
    report = verify_store(store / "evidence", store / "keys")
    assert report.ok, report.findings


def test_from_wish_to_exhibit(store: Path, opened: Records) -> None:
    """Sealed under a key of its own, readable, named by its master; asked again it is the same job."""
    making = deriver(opened)
    job = making.ask(wish(opened))
    assert making.waiting() == [job]
    done = asyncio.run(making.finish(job.exhibit))
    assert (done.state, asyncio.run(making.finish(job.exhibit)), making.waiting()) == ("done", done, [])
    row = opened.catalogue.exhibit(job.exhibit)
    assert row is not None
    assert (row.parent, row.size, row.flags, row.complete) == (job.wish.master, len(CONTENT), ("derived",), True)
    assert b"".join(opened.reader.read(ExhibitId(row.id))) == CONTENT
    assert [each.kind for each in opened.catalogue.custody(job.wish.master)][-1] == "derive"
    assert [each.kind for each in opened.catalogue.custody(job.exhibit)] == ["receive", "seal"]
    assert opened.keyring.get(f"identity/{row.id}") != opened.keyring.get(f"identity/{row.parent}")
    stands(store)
    assert verify_store(store / "evidence", store / "keys").counts["derived"] == 1


def test_what_cannot_be_made_is_loud_and_leaves_nothing(store: Path, opened: Records) -> None:
    """Failed with the reason: no key, no blob, no entry."""

    async def refuses(_row: Exhibit, _wish: Wish, pour: Any) -> Made:
        await pour(b"half of it")
        raise MakingError("Invalid data found")

    async def empty(_row: Exhibit, _wish: Wish, _pour: Any) -> Made:
        return Made("maker 1", ())

    size = opened.custody.size
    for make, why in ((refuses, "Invalid data found"), (empty, "nothing came out")):
        making = deriver(opened, make)
        job = asyncio.run(making.finish(making.ask(wish(opened)).exhibit))
        assert (job.state, job.reason, making.counts["failed"]) == ("failed", why, 1)
        assert opened.keyring.get(f"identity/{job.exhibit}") is None
    assert not list((store / "evidence/derivatives").glob("*.age"))
    assert opened.custody.size == size
    stands(store)


def test_a_full_disk_puts_it_off(store: Path, opened: Records) -> None:
    """Within the reserve nothing is made; with room the same job is done, and the tries did not count."""
    tight = deriver(opened, reserve=1 << 60)
    job = tight.ask(wish(opened))
    for _ in range(BEGUN_MAX + 2):
        with pytest.raises(StoreBusyError):
            asyncio.run(tight.finish(job.exhibit))
    assert tight.jobs.get(job.exhibit).state == "waiting"  # type: ignore[union-attr]
    stands(store)
    assert asyncio.run(deriver(opened).finish(job.exhibit)).state == "done"


def test_one_at_a_time(opened: Records) -> None:
    """While one process makes something, another is told to come again."""
    making = deriver(opened)
    job = making.ask(wish(opened))
    with taking_turns(making.jobs.folder), pytest.raises(StoreBusyError, match="another derivative"):
        asyncio.run(making.finish(job.exhibit))
    assert asyncio.run(making.finish(job.exhibit)).state == "done"


def test_a_job_that_ends_the_process_is_given_up(opened: Records) -> None:
    """After so many crashes it is called failed, and makes way."""

    async def deadly(_row: Exhibit, _wish: Wish, _pour: Any) -> Made:
        raise PowerCut

    making = deriver(opened, deadly)
    job = making.ask(wish(opened))
    for _ in range(BEGUN_MAX):
        with pytest.raises(PowerCut):
            asyncio.run(making.finish(job.exhibit))
    given_up = asyncio.run(making.finish(job.exhibit))
    assert (given_up.state, "3 times" in str(given_up.reason)) == ("failed", True)


def test_a_master_disposed_of_meanwhile_leaves_nothing(opened: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the reading and the entries: nothing new of it is kept."""
    making = deriver(opened)
    job = making.ask(wish(opened))
    real, looks = opened.catalogue.exhibit, [0]

    def look(name: str) -> Exhibit | None:
        row = real(name)
        looks[0] += name == job.wish.master
        if row is not None and looks[0] > 1:
            return msgspec.structs.replace(row, shredded_at=SystemClock().now().utc)
        return row

    monkeypatch.setattr(opened.catalogue, "exhibit", look)
    done = asyncio.run(making.finish(job.exhibit))
    assert (done.state, "disposed of" in str(done.reason)) == ("failed", True)
    assert opened.keyring.get(f"identity/{job.exhibit}") is None


def test_old_jobs_are_forgotten(opened: Records) -> None:
    """What ended long ago goes, what it made stays; a job that cannot be read is in nobody's way."""
    making = deriver(opened)
    job = asyncio.run(making.finish(making.ask(wish(opened)).exhibit))
    making.sweep()
    assert making.job(job.exhibit) == job
    making.jobs.keep(job.exhibit, msgspec.structs.replace(job, ended_at="2020-01-01T00:00:00Z"))
    (making.jobs.folder / "X-BROKEN.json").write_text("{")
    making.sweep()
    assert (making.job(job.exhibit), making.job("../x")) == (None, None)
    assert opened.catalogue.exhibit(job.exhibit) is not None
    with pytest.raises(WishError):
        asyncio.run(making.finish(job.exhibit))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("problem", [PowerCut(), OSError(28, "No space left on device")], ids=["crash", "full"])
def test_at_any_step(store: Path, opened: Records, problem: BaseException, *, after: bool) -> None:
    """A crash or a refusal at each file operation: the store verifies, and the next run makes exactly one exhibit."""
    counting = Failing(0, PowerCut())
    making = deriver(opened, files=counting)
    asyncio.run(making.finish(making.ask(wish(opened)).exhibit))
    made, steps = 1, counting.done
    every = int(os.environ.get("LAPEL_CRASH_EVERY", "3"))
    for at in range(1, steps + 1, every):
        asked = deriver(opened).ask(wish(opened))
        failing = deriver(opened, files=Failing(at, problem, after=after))
        with contextlib.suppress(PowerCut, StoreBusyError):
            asyncio.run(failing.finish(asked.exhibit))
        stands(store)
        assert asyncio.run(deriver(opened).finish(asked.exhibit)).state == "done", at
        made += 1
        assert sum(row.parent is not None for row in opened.catalogue.exhibits(limit=1000)) == made
        assert not list((store / "evidence/derivatives").glob("*.age"))
    stands(store)


def test_a_log_that_does_not_answer_leaves_all_as_it_is(store: Path, opened: Records) -> None:
    """Whether the entries were written is not known: blob and key stay until the log is opened again."""

    class Broken:
        def __init__(self, *, writes: bool) -> None:
            self.writes = writes

        async def record_many(self, acts: Any) -> Any:
            if self.writes:
                await opened.custody.record_many(acts)
            raise IntegrityError("the log is not what was written")

    for writes in (True, False):
        making = deriver(opened)
        making._store = msgspec.structs.replace(making._store, log=Broken(writes=writes))
        job = making.ask(wish(opened))
        with pytest.raises(IntegrityError):
            asyncio.run(making.finish(job.exhibit))
        assert opened.keyring.get(f"identity/{job.exhibit}") is not None
        with pytest.raises(StoreBusyError, match="opened again"):
            asyncio.run(making.finish(job.exhibit))
        stands(store)
        assert asyncio.run(deriver(opened).finish(job.exhibit)).state == "done"
    assert sum(row.parent is not None for row in opened.catalogue.exhibits()) == 2
    stands(store)


def test_a_kill_between_entries_and_job(store: Path, opened: Records) -> None:
    """The entries are on record, the job does not know: the next run finds the exhibit, and makes no second one."""
    making = deriver(opened)
    job = making.ask(wish(opened))
    asyncio.run(making.finish(job.exhibit))
    making.jobs.keep(job.exhibit, msgspec.structs.replace(job, state="making", begun=1))
    assert asyncio.run(making.finish(job.exhibit)).state == "done"
    assert sum(row.parent is not None for row in opened.catalogue.exhibits()) == 1
    stands(store)
    assert threading.active_count() < 50
