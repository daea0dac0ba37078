"""From a wish to a sealed exhibit, one at a time; what a crash left is taken back, and begun anew or called failed.

The job is durable first; then the identity, the age file beside the job, its place among the blobs, the entries (the
master's, `receive` and `seal`, one batch), the job again. The master is only read.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from gateway.crypto.age import Identity, chacha20poly1305
from gateway.domain.evidence import Act, Recorded
from gateway.domain.time import Instant, from_rfc3339, rfc3339
from gateway.errors import EvidenceError, OverruledError, StoreBusyError
from gateway.evidence.derived.wish import DeriveJob, Made, MakingError, Sealing, Wish, WishError, acts
from gateway.evidence.job_files import JobFiles
from gateway.evidence.needs import KekInUse, Keyring
from gateway.evidence.rows import Exhibit
from gateway.evidence.upload import exhibit_id
from gateway.evidence.vault.blobs import BlobTree, BlobWriter, Digests
from gateway.evidence.vault.files import Files
from gateway.evidence.vault.room import Room

FOLDER = "derivatives"
BEGUN_MAX = 3
"""So often a job that ends the process is begun; then it is called failed."""
WAITING_MAX = 1000
KEEP_DAYS = 30
_log = structlog.get_logger()
Pour = Callable[[bytes], Awaitable[None]]
Make = Callable[[Exhibit, Wish, Pour], Awaitable[Made]]
"""Reads a master and pours what it makes of it; MakingError says why it cannot."""


class Shelf(Protocol):
    """The catalogue, read."""

    def exhibit(self, exhibit: str) -> Exhibit | None:
        """One exhibit."""
        ...


class Log(Protocol):
    """The custody log."""

    async def record_many(self, acts: Sequence[Act]) -> list[Recorded]:
        """Record acts in one batch, all or none."""
        ...


class Store(msgspec.Struct, frozen=True):
    """What deriving stands on."""

    root: Path
    files: Files
    room: Room
    keyring: Keyring
    keks: KekInUse
    shelf: Shelf
    log: Log
    now: Callable[[], Instant]
    make: Make


class Deriver:
    """Jobs of one store. `ask` puts one down, `finish` brings it to its end; any process may do either."""

    def __init__(self, store: Store) -> None:
        """Nothing is opened yet."""
        self._store = store
        self.jobs: JobFiles[DeriveJob] = JobFiles(store.root / FOLDER, DeriveJob, store.files)
        self._undecided: set[str] = set()
        self.counts: dict[str, float] = {"asked": 0, "made": 0, "failed": 0, "put_off": 0}

    def ask(self, wish: Wish) -> DeriveJob:
        """Put a job down, durable on return; WishError, StoreBusyError. Blocks."""
        wish.check(self._store.shelf.exhibit(wish.master))
        self.jobs.make()
        if sum(job.state in ("waiting", "making") for job in self.jobs.all()) >= WAITING_MAX:
            raise StoreBusyError(f"{WAITING_MAX} derivatives wait to be made")
        now = self._store.now().utc
        job = DeriveJob(exhibit_id(now), secrets.token_hex(16), wish, rfc3339(now))
        self.jobs.keep(job.exhibit, job)
        self.counts["asked"] += 1
        return job

    def job(self, exhibit: str) -> DeriveJob | None:
        """One job, by the exhibit that it becomes. Blocks."""
        return self.jobs.get(exhibit) if "/" not in exhibit else None

    def waiting(self) -> list[DeriveJob]:
        """Jobs that are to be brought to their end, oldest first. Blocks."""
        return [job for job in self.jobs.all() if job.state in ("waiting", "making")]

    async def finish(self, exhibit: str) -> DeriveJob:
        """Bring a job to its end; StoreBusyError, with nothing left of the try, where it cannot be now."""
        with contextlib.ExitStack() as stack:
            await asyncio.to_thread(stack.enter_context, taking_turns(self.jobs.folder))
            job = await asyncio.to_thread(self.jobs.get, exhibit)
            if job is None:
                raise WishError(f"{exhibit}: there is no such job")
            if job.state in ("done", "failed"):
                return job
            if exhibit in self._undecided:
                raise StoreBusyError(f"{exhibit}: whether it is on record is known when the log is opened again")
            try:
                return await self._finish(job)
            except OSError as refused:
                with contextlib.suppress(OSError):  # then the next try takes it back
                    await asyncio.to_thread(self._discard, job)
                raise StoreBusyError(f"the disk: {refused}") from refused

    async def _finish(self, job: DeriveJob) -> DeriveJob:
        sealed = await asyncio.to_thread(self._store.shelf.exhibit, job.exhibit)
        if sealed is not None and sealed.sealed_at is not None:
            return await self._ended(job, "done")  # its entries are on record: a crash hid that
        await asyncio.to_thread(self._discard, job)
        if job.begun >= BEGUN_MAX:
            return await self._failed(job, f"the process ended {job.begun} times while it was made")
        job = msgspec.structs.replace(job, state="making", begun=job.begun + 1)
        await asyncio.to_thread(self.jobs.keep, job.exhibit, job)
        try:
            entries = await self._make(job)
        except StoreBusyError:
            await asyncio.to_thread(self._put_off, job)
            raise
        except EvidenceError as problem:
            await asyncio.to_thread(self._discard, job)
            return await self._failed(job, str(problem))
        try:
            await self._record(job, entries)
        except OverruledError as gone:  # the master was disposed of at that very moment
            await asyncio.to_thread(self._discard, job)
            return await self._failed(job, str(gone))
        return await self._ended(job, "done")

    async def _record(self, job: DeriveJob, entries: list[Act]) -> None:
        try:
            await self._store.log.record_many(entries)
        except OverruledError:  # nothing was written
            raise
        except StoreBusyError:  # nor here
            await asyncio.to_thread(self._put_off, job)
            raise
        except BaseException:
            # Whether it was written, the log knows when it is opened again: until then nothing of it is touched.
            self._undecided.add(job.exhibit)
            raise

    async def _make(self, job: DeriveJob) -> list[Act]:
        """The blob in its place, durable; the entries that are to name it."""
        store, wish = self._store, job.wish
        master = wish.check(await asyncio.to_thread(store.shelf.exhibit, wish.master))
        writer = await asyncio.to_thread(self._begin, job)
        try:

            async def pour(piece: bytes) -> None:
                store.room.check(store.now(), len(piece))
                await asyncio.to_thread(writer.feed, piece)

            made = await store.make(master, wish, pour)
            digests = await asyncio.to_thread(self._end, writer)
        finally:
            writer.handle.close()
        if not digests.size:
            raise MakingError("nothing came out")
        await asyncio.to_thread(self._place, job)
        # Made of what it was made of: whoever disposed of the master meanwhile gets nothing new of it.
        master = wish.check(await asyncio.to_thread(store.shelf.exhibit, wish.master))
        sealing = Sealing(digests.sha256, digests.size, digests.blob_sha256, store.keks.kek_ids[-1])
        return acts(job, master, made, sealing)

    def _begin(self, job: DeriveJob) -> BlobWriter:
        store = self._store
        store.room.check(store.now())
        identity = Identity.fresh()
        store.keyring.put(f"identity/{job.exhibit}", identity.secret)
        return BlobWriter.create(store.files, self._beside(job), identity, chacha20poly1305)

    def _end(self, writer: BlobWriter) -> Digests:
        digests = writer.finish()
        writer.handle.datasync()
        self._store.files.sync_directory(self.jobs.folder)
        return digests

    def _place(self, job: DeriveJob) -> None:
        self._blobs.place(self._beside(job), job.blob)

    def _discard(self, job: DeriveJob) -> None:
        """Take back what an earlier try left; again is no error. What the log names stays."""
        if self._store.shelf.exhibit(job.exhibit) is not None:
            return
        for path in (self._beside(job), self._blobs.path(job.blob)):
            self._store.files.remove_tree(path)
        self._store.keyring.delete(f"identity/{job.exhibit}")

    def _put_off(self, job: DeriveJob) -> None:
        """Not now: nothing of it stays, and the try does not count."""
        self.counts["put_off"] += 1
        self._discard(job)
        self.jobs.keep(job.exhibit, msgspec.structs.replace(job, state="waiting", begun=job.begun - 1))

    async def _failed(self, job: DeriveJob, reason: str) -> DeriveJob:
        _log.error("derivative_failed", exhibit=job.exhibit, master=job.wish.master, recipe=job.wish.recipe, why=reason)
        self.counts["failed"] += 1
        return await self._ended(msgspec.structs.replace(job, reason=reason), "failed")

    async def _ended(self, job: DeriveJob, state: str) -> DeriveJob:
        self.counts["made"] += state == "done"
        ended = msgspec.structs.replace(job, state=state, ended_at=rfc3339(self._store.now().utc))
        await asyncio.to_thread(self.jobs.keep, job.exhibit, ended)
        return ended

    def sweep(self) -> None:
        """Forget jobs that ended long ago: what they made stays. Blocks."""
        before = self._store.now().utc - timedelta(days=KEEP_DAYS)
        for job in self.jobs.all():
            if job.ended_at is not None and from_rfc3339(job.ended_at) < before:
                self.jobs.remove(job.exhibit)

    @property
    def _blobs(self) -> BlobTree:
        return BlobTree(self._store.root / "blobs", self._store.files)

    def _beside(self, job: DeriveJob) -> Path:
        return self.jobs.folder / f"{job.exhibit}.age"


@contextlib.contextmanager
def taking_turns(folder: Path) -> Iterator[None]:
    """One derivative of a store at a time, whichever process makes it; StoreBusyError where another does."""
    fd = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as busy:
        raise StoreBusyError("another derivative is being made", retry_after_s=1) from busy
    finally:
        os.close(fd)
