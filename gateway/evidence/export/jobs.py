"""Exports that are asked for and fetched later: one at a time, gone on with after a restart, kept for so many days."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Literal

import msgspec
import structlog

from gateway.domain.time import Instant, from_rfc3339, rfc3339
from gateway.errors import EvidenceError, IntegrityError, StoreBusyError, VerificationError
from gateway.evidence.export.exporter import Exported, export_id, result_of
from gateway.evidence.export.letter import recipient_key
from gateway.evidence.export.order import Order, OrderError, Progress, Shelf
from gateway.evidence.export.stage import SUFFIX
from gateway.evidence.export.tarred import Content, letter, tarred
from gateway.evidence.job_files import JobFiles
from gateway.evidence.vault.files import Files
from gateway.evidence.vault.room import Room

FOLDER = "exports"
WAITING_MAX = 100
BEGUN_MAX = 5
LOOK_S = 1.0
AGAIN_S = 5.0
SWEEP_EVERY = 60
State = Literal["waiting", "making", "done", "failed", "removed"]
Shown = Literal["waiting", "witness", "writing", "time_stamp", "checking", "encrypting", "done", "failed", "removed"]
_UNFINISHED = ("waiting", "making")
_log = structlog.get_logger()
Make = Callable[[Order, Path, str, Callable[[Progress], None]], Awaitable[Exported]]
"""Makes one export under an id that it has already; EvidenceError says what it waits for."""


class KeyTakenError(EvidenceError):
    """This Idempotency-Key belongs to another order."""


class ExportJob(msgspec.Struct, frozen=True):
    """One order: its export id, where it stands and why, and what came of it."""

    export: str
    order: Order
    asked_at: str
    key: str | None = None
    state: State = "waiting"
    reason: str | None = None
    begun: int = 0
    ended_at: str | None = None
    size: int | None = None
    tagmanifest_sha256: str | None = None
    written: int = 0
    of: int = 0
    """Octets of the recordings: so many were in the bag when a try ended, of so many."""
    v: int = 1


class ExportState(msgspec.Struct, frozen=True):
    """An export as it is shown: what it waits for or does, how much of the recordings is written, what came of it."""

    export: str
    state: Shown
    exhibits: tuple[str, ...]
    purpose: str
    recipient: str
    legal_gateway: str
    encrypted: bool
    asked_at: str
    asked_by: str
    written: int = 0
    of: int = 0
    reason: str | None = None
    ended_at: str | None = None
    keep_until: str | None = None
    size: int | None = None
    tagmanifest_sha256: str | None = None
    v: int = 1


class Store(msgspec.Struct, frozen=True):
    """What export jobs stand on."""

    root: Path
    files: Files
    room: Room
    shelf: Shelf
    now: Callable[[], Instant]
    make: Make
    keep_days: int


class ExportJobs:
    """Export jobs of one store, in `exports/`. `run` until cancelled; the rest from any thread."""

    def __init__(self, store: Store) -> None:
        """Nothing is opened yet."""
        self._store = store
        self._jobs: JobFiles[ExportJob] = JobFiles(store.root / FOLDER, ExportJob, store.files)
        self._progress: dict[str, Progress] = {}
        self.counts: dict[str, float] = {"asked": 0, "made": 0, "failed": 0, "fetched": 0, "removed": 0}

    # --- asked, shown, fetched, removed

    def ask(self, order: Order, key: str | None = None) -> tuple[ExportJob, bool]:
        """Put an order down, durable on return; the same key of one account is the same export. Blocks.

        OrderError, KeyTakenError; StoreBusyError while too many wait.
        """
        order.check()
        if order.to_age is not None:
            recipient_key(order.to_age)
        self._jobs.make()
        found = self._jobs.all()
        for job in found:
            if key is not None and (job.key, job.order.actor) == (key, order.actor):
                if job.order != order:
                    raise KeyTakenError(f"Idempotency-Key: it was {job.export}, another export")
                return job, False
        if sum(job.state in _UNFINISHED for job in found) >= WAITING_MAX:
            raise StoreBusyError(f"{WAITING_MAX} exports wait to be made")
        now = self._store.now().utc
        job = ExportJob(export_id(now), order, rfc3339(now), key, of=self._octets(order))
        self._jobs.keep(job.export, job)
        self.counts["asked"] += 1
        return job, True

    def job(self, export: str) -> ExportJob | None:
        """One job. Blocks."""
        return self._jobs.get(export) if export.isascii() and "/" not in export else None

    def all(self) -> list[ExportJob]:
        """Every job, newest first. Blocks."""
        return self._jobs.all()[::-1]

    def state(self, job: ExportJob) -> ExportState:
        """A job as it is shown."""
        order, progress = job.order, self._progress.get(job.export)
        written, of = _figures(job, progress)
        shown: Shown = "waiting" if job.state == "making" else job.state
        if job.state in _UNFINISHED and progress is not None:
            shown = progress.step
        kept = None if job.ended_at is None or job.state != "done" else self._kept_until(job.ended_at)
        return ExportState(
            export=job.export,
            state=shown,
            exhibits=order.exhibits,
            purpose=order.purpose,
            recipient=order.recipient,
            legal_gateway=order.legal_gateway,
            encrypted=order.to_age is not None,
            asked_at=job.asked_at,
            asked_by=order.actor,
            written=written,
            of=of,
            reason=job.reason,
            ended_at=job.ended_at,
            keep_until=kept,
            size=job.size,
            tagmanifest_sha256=job.tagmanifest_sha256,
        )

    def content(self, job: ExportJob) -> Content:
        """What is fetched of a finished export; OSError where it is not there. Blocks."""
        lies = result_of(job.order, self._target(job.export))
        return letter(lies) if job.order.to_age is not None else tarred(lies, job.export)

    def remove(self, job: ExportJob, reason: str) -> ExportJob:
        """Take away what was made; the job stays, and says so. Blocks."""
        self._clear(job)
        removed = gone(job, reason)
        self._jobs.keep(job.export, removed)
        self.counts["removed"] += 1
        return removed

    def _clear(self, job: ExportJob) -> None:
        """What was made, and what a try left, goes."""
        lies = result_of(job.order, self._target(job.export))
        for path in (lies, lies.with_name(lies.name + SUFFIX)):
            self._store.files.remove_tree(path)
        self._store.files.sync_directory(self._jobs.folder)

    # --- made

    async def run(self) -> None:
        """Make what was asked for, oldest first; until cancelled."""
        looks = 0
        while True:
            try:
                if looks % SWEEP_EVERY == 0:
                    await asyncio.to_thread(self.sweep)
                for job in await asyncio.to_thread(self._jobs.all):
                    if job.state in _UNFINISHED:
                        await self.finish(job)
            except Exception:  # noqa: BLE001 - a defect here must not take evidence along: the next look tries again
                _log.exception("exports_not_made")
            looks += 1
            await asyncio.sleep(LOOK_S if not self._progress else AGAIN_S)

    async def finish(self, job: ExportJob) -> ExportJob:
        """One try: done, failed, or still waiting with the reason."""
        lies = result_of(job.order, self._target(job.export))
        if lies.exists() and not lies.with_name(lies.name + SUFFIX).exists():
            return await self._done(job, None)  # it got its name, and a crash hid that
        if job.begun >= BEGUN_MAX:
            return await self._failed(job, f"the process ended {job.begun} times while it was made")
        job = msgspec.structs.replace(job, state="making", begun=job.begun + 1)
        await asyncio.to_thread(self._jobs.keep, job.export, job)
        try:
            await asyncio.to_thread(self._check_room, job)
            made = await self._store.make(job.order, self._target(job.export), job.export, self._told(job))
        except (OrderError, IntegrityError, VerificationError) as wrong:
            return await self._failed(job, str(wrong))
        except (EvidenceError, OSError) as not_now:
            return await self._put_off(job, str(not_now))
        return await self._done(job, made.tagmanifest_sha256)

    def _check_room(self, job: ExportJob) -> None:
        """What is to be written must leave the reserve alone: the bag, and its letter beside it."""
        octets = self._octets(job.order)
        self._store.room.check(self._store.now(), octets * (2 if job.order.to_age is not None else 1))

    def _octets(self, order: Order) -> int:
        """How long the recordings are."""
        return sum(row.size or 0 for each in order.exhibits if (row := self._store.shelf.exhibit(each)) is not None)

    def _told(self, job: ExportJob) -> Callable[[Progress], None]:
        def told(progress: Progress) -> None:
            self._progress[job.export] = progress
            if progress.step == "writing":
                self._store.room.check(self._store.now())

        return told

    async def _put_off(self, job: ExportJob, reason: str) -> ExportJob:
        """Not now: the same job goes on from where it is; a try that ended by itself does not count."""
        if reason != job.reason:
            _log.warning("export_waits", export=job.export, why=reason)
        waiting = msgspec.structs.replace(job, state="waiting", reason=reason, begun=job.begun - 1)
        await asyncio.to_thread(self._keep, waiting)
        return waiting

    async def _failed(self, job: ExportJob, reason: str) -> ExportJob:
        _log.error("export_failed", export=job.export, why=reason)
        self.counts["failed"] += 1
        await asyncio.to_thread(self._clear, job)
        written, of = _figures(job, self._progress.get(job.export))
        return await self._ended(job, "failed", reason=reason, written=written, of=of)

    async def _done(self, job: ExportJob, digest: str | None) -> ExportJob:
        self.counts["made"] += 1
        content = await asyncio.to_thread(self.content, job)
        octets = await asyncio.to_thread(self._octets, job.order)  # also where a crash hid how far it had got
        found = {"size": content.size, "tagmanifest_sha256": digest or None, "written": octets, "of": octets}
        return await self._ended(job, "done", reason=None, **found)

    async def _ended(self, job: ExportJob, state: State, **more: str | int | None) -> ExportJob:
        self._progress.pop(job.export, None)
        ended = msgspec.structs.replace(job, state=state, ended_at=rfc3339(self._store.now().utc), **more)
        await asyncio.to_thread(self._keep, ended)
        return ended

    def _keep(self, job: ExportJob) -> None:
        """Write how a try ended; of a job that an erasure took away meanwhile, or removed, nothing comes back."""
        now = self._jobs.get(job.export)
        if now is None or now.state == "removed":
            self._clear(job)
        else:
            self._jobs.keep(job.export, job)

    # --- kept

    def sweep(self) -> None:
        """Take away what has been kept long enough, and what holds an exhibit that was disposed of. Blocks."""
        now = self._store.now().utc
        for job in self._jobs.all():
            if job.state == "done" and job.ended_at is not None:
                if from_rfc3339(self._kept_until(job.ended_at)) <= now:
                    self.remove(job, f"kept for {self._store.keep_days} days")
                elif disposed := [each for each in job.order.exhibits if self._disposed(each)]:
                    self.remove(job, f"{disposed[0]} was disposed of")

    def _disposed(self, exhibit: str) -> bool:
        row = self._store.shelf.exhibit(exhibit)
        return row is not None and (row.disposed_at is not None or row.shredded_at is not None)

    def _kept_until(self, ended_at: str) -> str:
        return rfc3339(from_rfc3339(ended_at) + timedelta(days=self._store.keep_days))

    def _target(self, export: str) -> Path:
        return self._store.root / FOLDER / export


def _figures(job: ExportJob, progress: Progress | None) -> tuple[int, int]:
    """How much of the recordings is written, of how much; as it ended, where it is not being made."""
    if progress is None or not progress.of:
        return job.written, job.of
    return progress.written, progress.of


def gone(job: ExportJob, reason: str) -> ExportJob:
    """A job of which nothing is left to fetch."""
    return msgspec.structs.replace(job, state="removed", reason=reason)
