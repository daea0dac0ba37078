"""Urgent records on disk: appended and fsynced by a thread of its own, after they have gone out, never before."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from gateway.feed.sequence import Mark
from gateway.feed.urgent_lines import Restored, UrgentRecord, line, read
from gateway.feed.written import Written

MARK, LOG = "mark.json", "urgent.log"
PENDING_MOST = 10_000
STALLED = 1_000
REWRITE_BYTES = 32 * 1024 * 1024
RETRY_S = 1.0
CLOSE_S = 5.0
_log = structlog.get_logger()


Keys = set[str] | None
"""Of which records the word is; None for all of them."""


def _nobody(_: object) -> None:
    """Nobody listens yet."""


class FileOps(Protocol):
    """The few things done to files; each may raise OSError."""

    def read(self, name: str) -> bytes | None:
        """All of a file; None where there is none."""
        ...

    def replace(self, name: str, content: bytes) -> None:
        """Put a whole file in the place of another; when this returns it is on disk."""
        ...

    def append(self, name: str, content: bytes) -> int:
        """Add to a file and give its size; when this returns it is on disk."""
        ...


class Disk:
    """A directory of small files. A failed append leaves no half line: the next one cuts it off first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._good: dict[str, int] = {}

    def read(self, name: str) -> bytes | None:
        """All of a file; None where there is none."""
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def replace(self, name: str, content: bytes) -> None:
        """Write beside, fsync, rename, fsync the directory."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self._folder / f"{name}.tmp"
        with _opened(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as file:
            _write(file, content)
        beside.replace(self._folder / name)
        with _opened(self._folder, os.O_RDONLY | os.O_DIRECTORY) as folder:
            os.fsync(folder)
        self._good[name] = len(content)

    def append(self, name: str, content: bytes) -> int:
        """Append behind what is known to be whole, and fsync."""
        with _opened(self._folder / name, os.O_WRONLY) as file:
            good = self._good[name]
            os.ftruncate(file, good)
            os.lseek(file, good, os.SEEK_SET)
            _write(file, content)
        self._good[name] = good + len(content)
        return good + len(content)


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    file = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def _write(file: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]
    os.fsync(file)


class _Job(msgspec.Struct, frozen=True):
    """What one turn of the thread writes, in this order; with it all that was added up to that number is on disk."""

    mark: Mark | None
    whole: bytes | None
    records: tuple[UrgentRecord, ...]
    number: int


class UrgentLog:
    """The queue before the thread. Where it overflows, the log is written anew from the state in memory."""

    def __init__(self, files: FileOps, image: Callable[[], bytes]) -> None:
        self._files, self._image = files, image
        self._pool: ThreadPoolExecutor | None = None
        self._records: list[UrgentRecord] = []
        self._mark: Mark | None = None
        self._reserved: Mark | None = None
        self._rewrite = False
        self._wake = asyncio.Event()
        self._turn: tuple[_Job, Future[int | OSError]] | None = None
        self.reserved: Callable[[Mark], None] = _nobody
        self.kept: Callable[[Keys], None] = _nobody
        self.refused: Callable[[Keys], None] = _nobody
        self.written = Written()
        self.refusing = False
        self.refusals = 0

    @property
    def pending(self) -> int:
        """Records that are out but not yet on disk."""
        return len(self._records) + (len(self._turn[0].records) if self._turn else 0)

    @property
    def stalled(self) -> bool:
        """Whether the disk neither takes nor refuses: more waits than one turn should leave."""
        return self.pending > STALLED

    async def open(self) -> Restored:
        """Read what there is; an unreadable disk is as good as none, said loudly."""
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="feed-log")
        try:
            return await asyncio.wrap_future(self._pool.submit(self._read))
        except OSError as error:
            self.refusing = True
            _log.error("the urgent log can't be read, a new epoch begins", problem=str(error))
            return read(None, None)

    def _read(self) -> Restored:
        mark, log = self._files.read(MARK), self._files.read(LOG)
        restored = read(mark, log)
        if log is not None and not restored.whole:
            self._files.replace(f"{LOG}.damaged", log)
        return restored

    def add(self, record: UrgentRecord) -> None:
        """Write this when the disk can; never waits."""
        self._records.append(record)
        self.written.add()
        if len(self._records) > PENDING_MOST:
            self.rewrite()
        self._wake.set()

    def rewrite(self) -> None:
        """Write the whole log anew; what waits is part of it."""
        self._records, self._rewrite = [], True
        self._wake.set()

    def reserve(self, mark: Mark) -> None:
        """Write this mark."""
        self._mark = mark
        self._wake.set()

    async def run(self) -> None:
        """Write until cancelled; where the disk refuses, say so and try again."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._has_work():
                if not await self.write():
                    await asyncio.sleep(RETRY_S)

    def _has_work(self) -> bool:
        return bool(self._records or self._rewrite or self._mark)

    async def write(self) -> bool:
        """One turn of the thread: everything that waits, one fsync. False where the disk refused."""
        if self._pool is None:
            return False
        if self._turn is None:
            whole = self._image() if self._rewrite else None
            records = () if whole is not None else tuple(self._records)
            job = _Job(self._mark, whole, records, self.written.added)
            self._mark, self._rewrite, self._records = None, False, []
            self._turn = job, self._pool.submit(self._do, job)
        # asyncio.wait leaves its future alone when cancelled: close() then finds how the turn ended.
        await asyncio.wait([asyncio.wrap_future(self._turn[1])])
        return self._ended()

    def _do(self, job: _Job) -> int | OSError:
        """Run by the thread. The error is handed back: nobody may be left to fetch a raised one."""
        try:
            if job.mark is not None:
                self._files.replace(MARK, msgspec.json.encode(job.mark))
            if job.whole is not None:
                self._files.replace(LOG, job.whole)
            return self._files.append(LOG, b"".join(map(line, job.records))) if job.records else 0
        except OSError as error:
            return error

    def _ended(self) -> bool:
        if self._turn is None:
            return True
        job, future = self._turn
        self._turn = None
        outcome = future.result()
        if isinstance(outcome, OSError):
            self._wait_again(job, outcome)
            return False
        self.refusing = False
        if job.mark is not None:
            self._reserved = job.mark
            self.reserved(job.mark)
        if outcome > REWRITE_BYTES:
            self.rewrite()
        self.written.reach(job.number)
        self.kept(None if job.whole is not None else {record.key for record in job.records})
        return True

    def _wait_again(self, job: _Job, error: OSError) -> None:
        if not self.refusing:
            _log.error("the urgent log refuses, records wait in memory", problem=str(error))
        self.refusing, self.refusals = True, self.refusals + 1
        self._mark = self._mark or job.mark
        self._rewrite = self._rewrite or job.whole is not None
        self._records = [] if self._rewrite else [*job.records, *self._records]
        self.written.refuse()
        self.refused(None if self._rewrite else {record.key for record in job.records})

    async def _end(self) -> None:
        """Everything told is on disk: say so, or the next process takes it that we were killed."""
        if self._reserved is not None and not self.pending and not self._has_work():
            self._mark = msgspec.structs.replace(self._reserved, ended=True)
            await self.write()

    async def close(self) -> None:
        """Write what waits, for a few seconds at most."""
        pool = self._pool
        if pool is None:
            return
        try:
            async with asyncio.timeout(CLOSE_S):
                while (self._turn is not None or self._has_work()) and await self.write():
                    pass
                await self._end()
        except TimeoutError:
            _log.error("the urgent log did not end in time", waiting=self.pending)
        self.written.refuse()
        self._pool = None
        pool.shutdown(wait=False)
