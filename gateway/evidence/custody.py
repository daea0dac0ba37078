"""The only way into the log: acts in, entries with proofs out (docs/formats.md, "log").

Whoever calls, one thread of its own writes. What waits while a batch is being written is the
next batch, so an idle log answers at once and a busy one spends one set of fsyncs on many acts.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import structlog

from gateway.crypto.canonical import parse_canonical
from gateway.crypto.keys import KeyStore
from gateway.crypto.notes import Signer
from gateway.domain.evidence import Act, Recorded
from gateway.errors import IntegrityError, MisuseError, StoreBusyError
from gateway.evidence.batches import Batches, prove
from gateway.evidence.details import Details
from gateway.evidence.disposal.law import judged
from gateway.evidence.leaf import check
from gateway.evidence.log.disk import Disk
from gateway.evidence.log.merkle import inclusion_proof
from gateway.evidence.log.proof import print_proof
from gateway.evidence.log.tiles import WIDTH
from gateway.evidence.log.writer import LogWriter
from gateway.evidence.rows import CataloguePlug, KeyringPlug
from gateway.ports import Clock

BATCH_MAX = 256
WAITING_MAX = 4096
_log = structlog.get_logger()


class _Group(msgspec.Struct, eq=False):
    """Acts that are written together or not at all, when they were asked for, and who waits."""

    acts: tuple[Act, ...]
    at: datetime
    future: Future[list[Recorded]]
    loop: asyncio.AbstractEventLoop | None = None
    waiting: asyncio.Future[list[Recorded]] | None = None

    def taken(self) -> bool:
        """Whether somebody still waits; from now on it is written."""
        gone = self.waiting is not None and self.waiting.cancelled()
        return not gone and self.future.set_running_or_notify_cancel()

    @property
    def judged(self) -> bool:
        """Whether the log may refuse one of these for what it holds: then it must see every act before."""
        return any(judged(act) for act in self.acts)


@dataclass(eq=False)
class CustodyLog:
    """The custody log of one evidence directory (`gateway.ports.Custody`).

    Keystore, keyring and catalogue are opened and closed by whoever made them.
    """

    directory: Path
    origin: str
    keystore: KeyStore
    keyring: KeyringPlug
    catalogue: CataloguePlug
    clock: Clock
    build: str
    disk: Disk = field(default_factory=Disk)
    problem: str | None = field(default=None, init=False)
    _waiting: deque[_Group] = field(default_factory=deque, init=False, repr=False)
    _queued: int = field(default=0, init=False, repr=False)
    _running: bool = field(default=False, init=False, repr=False)
    _guard: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)
    _thread: ThreadPoolExecutor | None = field(default=None, init=False, repr=False)
    _writer: LogWriter | None = field(default=None, init=False, repr=False)
    _batches: Batches = field(init=False, repr=False)

    async def open(self) -> None:
        """Recover what a crash left, verify the tree's edge, take acts; idempotent. IntegrityError: do not go on."""
        await asyncio.to_thread(self.open_now)

    async def close(self) -> None:
        """Write what waits, then stop; idempotent."""
        await asyncio.to_thread(self.close_now)

    def open_now(self) -> None:
        """As `open`, for callers without a loop."""
        if self._thread is not None:
            return
        directory = Path(self.directory)
        writer = LogWriter(directory / "log", self.origin, self.keystore.log_keys, self.disk)
        batches = Batches(writer, Details(directory / "details", self.keyring, self.disk), self.catalogue, self.build)
        with _full_disk_is_busy():
            batches.settle()
        self._writer, self._batches = writer, batches
        self._thread = ThreadPoolExecutor(1, "custody")

    def close_now(self) -> None:
        """As `close`, for callers without a loop."""
        with self._guard:
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.shutdown(wait=True)

    async def record(self, act: Act) -> Recorded:
        """Detail durable, leaf committed and signed, catalogue applied; then return.

        MisuseError: the act cannot be written. StoreBusyError: not now, nothing was written.
        OverruledError: what the log holds by now forbids it (gateway.evidence.disposal.law).
        """
        return (await self.record_many([act]))[0]

    async def record_many(self, acts: Sequence[Act]) -> list[Recorded]:
        """Record acts in order in one batch: all of them or none."""
        if not acts:
            return []
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[list[Recorded]] = loop.create_future()
        self._ask(acts, loop, waiting)
        return await waiting

    def record_now(self, act: Act) -> Recorded:
        """As `record`, for callers without a loop; blocks."""
        return self._ask([act]).result()[0]

    def record_many_now(self, acts: Sequence[Act]) -> list[Recorded]:
        """As `record_many`, for callers without a loop; blocks."""
        return self._ask(acts).result() if acts else []

    def rotate_now(self, act: Act, fresh_key: Signer, *, overlap: bool = False) -> Recorded:
        """Hand the log over to a fresh key; blocks. StoreBusyError: not now, the old one goes on."""
        with self._guard:
            if self._thread is None:
                raise MisuseError("the custody log is not open")
            done = self._thread.submit(self._batches.rotate, act, self.clock.now().utc, fresh_key, overlap=overlap)
        with _full_disk_is_busy():
            return done.result()

    @property
    def rotations(self) -> tuple[str, ...]:
        """The signed statements that lead from the log's first key to the present one."""
        return self._opened.known.notes

    @property
    def vkey(self) -> str:
        """The log's C2SP verifier key."""
        return str(self._opened.key)

    @property
    def size(self) -> int:
        """How many entries the log has, as last seen by this process."""
        return self._opened.head.edge.size

    @property
    def checkpoint_text(self) -> str:
        """The signed checkpoint as last seen by this process."""
        return self._opened.head.note

    def proof(self, index: int) -> str:
        """`.tlog-proof` of an entry against the checkpoint as last seen; ValueError for none such. May read tiles."""
        writer = self._opened
        if index >= writer.head.edge.size:
            self._look()
        return prove(writer.tiles, writer.head, [index])[0]

    def proof_under(self, index: int, note: str) -> str:
        """`.tlog-proof` of an entry against an older checkpoint of this log, cosigned or not; ValueError."""
        writer = self._opened
        head = writer.known.open(note.encode())
        path = inclusion_proof(index, head.size, writer.tiles.node(head.size))
        return print_proof(index, path, note)

    def leaf(self, index: int) -> bytes:
        """The exact leaf of an entry. Reads its bundle."""
        writer = self._opened
        if index >= writer.head.edge.size:
            self._look()
        size = writer.head.edge.size
        if not 0 <= index < size:
            raise ValueError(f"no entry {index} in a log of {size}")
        return writer.tiles.bundle(index // WIDTH, size)[index % WIDTH]

    def leaves(self, first: int, last: int) -> Iterator[tuple[int, bytes]]:
        """Index and exact leaf of entries first to last, both included; each bundle is read once."""
        writer, size = self._opened, self.size
        for number in range(first // WIDTH, min(last, size - 1) // WIDTH + 1):
            for index, leaf in enumerate(writer.tiles.bundle(number, size), number * WIDTH):
                if first <= index <= last:
                    yield index, leaf

    def detail(self, index: int) -> tuple[dict[str, Any], bytes] | None:
        """(detail, salt) of an entry; None where it was erased. Reads files."""
        commitment = bytes.fromhex(parse_canonical(self.leaf(index))["hmac"])
        return self._batches.details.read(commitment, index)

    def erase_detail(self, index: int) -> None:
        """Make one entry's detail unreadable for good; blocks."""
        commitment = bytes.fromhex(parse_canonical(self.leaf(index))["hmac"])
        self._batches.details.erase(commitment, index)

    def _look(self) -> None:
        """Take up what another process wrote meanwhile: the catalogue, which is shared, names it already. Blocks."""
        with self._guard:
            looking = None if self._thread is None else self._thread.submit(self._batches.settle)
        if looking is not None:
            looking.result()

    @property
    def _opened(self) -> LogWriter:
        if self._writer is None:
            raise MisuseError("the custody log was not opened")
        return self._writer

    def _ask(
        self,
        acts: Sequence[Act],
        loop: asyncio.AbstractEventLoop | None = None,
        waiting: asyncio.Future[list[Recorded]] | None = None,
    ) -> Future[list[Recorded]]:
        """Queue acts that can be written; the thread takes whatever waits as one batch."""
        group = _Group(tuple(acts), self.clock.now().utc, Future(), loop, waiting)
        if len(group.acts) > WAITING_MAX:
            raise MisuseError(f"{len(group.acts)} acts at once, at most {WAITING_MAX}")
        for act in group.acts:
            check(act, group.at, self.build)
        with self._guard:
            if self._thread is None:
                raise MisuseError("the custody log is not open")
            if self._queued + len(group.acts) > WAITING_MAX:
                raise StoreBusyError(f"{WAITING_MAX} acts wait for the log", retry_after_s=1)
            self._waiting.append(group)
            self._queued += len(group.acts)
            if not self._running:
                self._running = True
                self._thread.submit(self._write_waiting)
        return group.future

    def _write_waiting(self) -> None:
        """One batch, in the thread, then whatever else it was asked; while closing, all that is left."""
        more = True
        while more:
            groups = self._take()
            if groups:
                self._write(groups)
            with self._guard:
                more = self._running = bool(self._waiting)
                if more and self._thread is not None:
                    self._thread.submit(self._write_waiting)
                    return

    def _write(self, groups: Sequence[_Group]) -> None:
        try:
            with _full_disk_is_busy():
                done = self._batches.write([(act, group.at) for group in groups for act in group.acts])
        except BaseException as problem:  # noqa: BLE001 - whatever it is belongs to those who wait for this batch
            self._broken(problem)
            for group in groups:
                group.future.set_exception(problem)
        else:
            self.problem = None
            for group in groups:
                group.future.set_result(done[: len(group.acts)])
                done = done[len(group.acts) :]
        _tell(groups)

    def _broken(self, problem: BaseException) -> None:
        """A log that is not what was written stops sealing: said once, loudly, and for as long as it is so."""
        if not isinstance(problem, IntegrityError):
            return
        if self.problem is None:
            _log.critical("log_broken", problem=str(problem))
        self.problem = str(problem)

    def _take(self) -> list[_Group]:
        """What waits, up to a batch; a caller who has gone away before it is written is left out."""
        taken: list[_Group] = []
        count = 0
        with self._guard:
            while self._waiting and (not taken or count + len(self._waiting[0].acts) <= BATCH_MAX):
                if taken and (self._waiting[0].judged or taken[0].judged):
                    break
                group = self._waiting.popleft()
                self._queued -= len(group.acts)
                if group.taken():
                    taken.append(group)
                    count += len(group.acts)
        return taken


def _tell(groups: Sequence[_Group]) -> None:
    """Wake each loop once for all of a batch: a wake-up each would cost more than the entry."""
    for loop in {group.loop for group in groups if group.loop is not None}:
        with contextlib.suppress(RuntimeError):  # a loop that is closed has nobody who waits
            loop.call_soon_threadsafe(_hand_over, [group for group in groups if group.loop is loop])


def _hand_over(groups: Sequence[_Group]) -> None:
    for group in groups:
        if group.waiting is None or group.waiting.done():
            continue
        problem = group.future.exception()
        if problem is None:
            group.waiting.set_result(group.future.result())
        else:
            group.waiting.set_exception(problem)


@contextlib.contextmanager
def _full_disk_is_busy() -> Iterator[None]:
    """A disk that refuses is not a fault of the log: what was begun is undone, and a retry may work."""
    try:
        yield
    except OSError as problem:
        raise StoreBusyError(f"the log cannot be written: {problem}") from problem
