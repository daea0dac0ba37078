"""The scrub: every blob is read back in turn and compared with the hash that its seal put into the log.

It needs no keys. One thread of the lowest priority reads, no faster than it may; what it has read it gives back to the
kernel at once, so that it pushes nobody's pages out. A blob that is not what was sealed is on record, is alarm, and is
held: nobody disposes of what may have to be explained. When it is whole again, both are taken back, on record too.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from gateway.crypto.canonical import parse_canonical
from gateway.domain.evidence import Act, Recorded
from gateway.domain.ids import ExhibitId
from gateway.domain.time import from_rfc3339, rfc3339
from gateway.errors import GatewayError
from gateway.evidence.rows import Exhibit
from gateway.ports import Clock

ACTOR = "system"
STEP = 1 << 20
LOWEST = 19
PAGE = 1000
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_log = structlog.get_logger()


class Checked(msgspec.Struct, frozen=True):
    """What is known of one blob: when it was last read back (None: never yet), what was wrong, the hold for it."""

    exhibit: str
    at: datetime | None = None
    problem: str | None = None
    hold: str | None = None


class Memory(Protocol):
    """What the scrub remembers over restarts (gateway.store.scrubs)."""

    @property
    def seen(self) -> int:
        """Up to which log entry seals were looked at."""
        ...

    def take_up(self, exhibits: Sequence[str], seen: int) -> None:
        """Take note of sealed exhibits, due at once."""
        ...

    def next_due(self, now_s: float) -> str | None:
        """The exhibit that is due and has waited longest."""
        ...

    def tell(self, found: Checked, due_s: float, octets: int) -> None:
        """Keep what one look said."""
        ...

    def forget(self, exhibit: str) -> None:
        """It was disposed of."""
        ...

    def verdict(self, exhibit: str) -> Checked | None:
        """What is known of one exhibit's blob."""
        ...

    def counts(self, late_s: float) -> dict[str, int]:
        """How many blobs, and how they stand."""
        ...

    def told(self) -> dict[str, str]:
        """What the last summary said."""
        ...

    def tell_summary(self, said: dict[str, str]) -> None:
        """Keep what a summary said."""
        ...


class Shelf(Protocol):
    """The catalogue, read."""

    def seals(self, since: int, limit: int) -> Sequence[Exhibit]:
        """Exhibits sealed by this entry of the log or a later one, oldest first."""
        ...

    def exhibit(self, exhibit: ExhibitId) -> Exhibit | None:
        """One exhibit."""
        ...


class Log(Protocol):
    """The custody log."""

    def leaf(self, index: int) -> bytes:
        """The exact leaf of an entry; blocks."""
        ...

    async def record_many(self, acts: Sequence[Act]) -> list[Recorded]:
        """Record acts in one batch."""
        ...


class Repair(Protocol):
    """Puts a blob back from a copy; whether it did. Blocks."""

    def __call__(self, exhibit: str, blob: str, blob_sha256: str) -> bool:
        """Put it back, durable on return."""
        ...


class Needs(msgspec.Struct, frozen=True):
    """What the scrub stands on."""

    evidence: Path
    memory: Memory
    shelf: Shelf
    log: Log
    clock: Clock
    repair: Repair | None = None


class Pace(msgspec.Struct, frozen=True):
    """How fast it may read, how often each blob, and how long it waits for one thing and another."""

    mb_s: float = 20.0
    days: float = 30.0
    look_s: float = 30.0
    again_s: float = 86_400.0
    failed_pause_s: float = 60.0
    summary_s: float = 86_400.0


class Scrub:
    """`run` until cancelled; everything it remembers is in its memory."""

    def __init__(self, needs: Needs, pace: Pace) -> None:
        """Nothing happens before `run`."""
        self._needs, self._pace = needs, pace
        self._stopping = threading.Event()
        self._failed_in_a_row = 0
        self.figures: dict[str, int] = {}

    @property
    def condition(self) -> str:
        """`degraded` while a blob is not what was sealed."""
        return "degraded" if self.figures.get("failing") else "ok"

    async def run(self) -> None:
        """Look at one blob after the other."""
        with ThreadPoolExecutor(1, "scrub", _lowest_priority) as thread:
            try:
                pause_s = 0.0
                while True:
                    await asyncio.sleep(pause_s)
                    pause_s = await self._turn(thread)
            finally:
                self._stopping.set()

    async def _turn(self, thread: ThreadPoolExecutor) -> float:
        """One blob; how long to wait before the next."""
        loop = asyncio.get_running_loop()
        try:
            exhibit = await loop.run_in_executor(thread, self._next)
            if exhibit is None:
                await self._sum_up(thread)
                return self._pace.look_s
            look = await loop.run_in_executor(thread, self.look, exhibit)
            if look is not None:
                await self._tell(thread, *look)
            self.figures = await loop.run_in_executor(thread, self._count)
            await self._sum_up(thread)
        except Exception as wrong:  # noqa: BLE001 - a defect here must not take ingest along: loud, and tried again later
            _log.error("scrub_failed", problem=str(wrong), exc_info=not isinstance(wrong, GatewayError))
            return self._pace.failed_pause_s
        return self._pace.failed_pause_s if self._failed_in_a_row > 2 else 0.0

    def _next(self) -> str | None:
        """Take up what was sealed since, and choose."""
        memory = self._needs.memory
        while new := self._needs.shelf.seals(memory.seen, PAGE):
            kept = [row.id for row in new if row.disposed_at is None and row.shredded_at is None]
            memory.take_up(kept, new[-1].log_index + 1)
        self.figures = self._count()
        if not (self._needs.evidence / "blobs").is_dir() and self.figures["blobs"]:
            raise GatewayError(f"{self._needs.evidence / 'blobs'} is not there: is a disk not mounted?")
        return memory.next_due(self._needs.clock.now().utc.timestamp())

    def look(self, exhibit: str) -> tuple[Exhibit, str | None, int] | None:
        """Read one blob back: its exhibit, what is wrong, bytes read. None: there is nothing to look at. Blocks."""
        row = self._needs.shelf.exhibit(ExhibitId(exhibit))
        if row is None or row.shredded_at is not None or row.disposed_at is not None:
            self._needs.memory.forget(exhibit)
            return None
        facts = parse_canonical(self._needs.log.leaf(row.log_index))
        if facts.get("kind") != "seal" or facts.get("exhibit") != exhibit:
            return row, "its seal is not where the catalogue says", 0
        problem, octets = self.read(str(facts["blob"]), str(facts["blob_sha256"]))
        if problem is not None and not self._stopping.is_set() and self._repaired(exhibit, facts):
            problem, more = self.read(str(facts["blob"]), str(facts["blob_sha256"]))
            octets += more
        again = self._needs.shelf.exhibit(ExhibitId(exhibit))
        if self._stopping.is_set() or again is None or again.shredded_at is not None:
            return None  # cut short, or disposed of while it was being read
        return row, problem, octets

    def _repaired(self, exhibit: str, facts: dict[str, str]) -> bool:
        repair = self._needs.repair
        return repair is not None and repair(exhibit, str(facts["blob"]), str(facts["blob_sha256"]))

    def read(self, blob: str, wanted: str) -> tuple[str | None, int]:
        """What is wrong with a blob (None: nothing), and how many bytes were read. Blocks."""
        path = self._needs.evidence / "blobs" / blob[:2] / blob[2:4] / f"{blob}.age"
        octets = 0
        try:
            with path.open("rb", buffering=0) as file:
                digest = hashlib.sha256()
                for piece in self._paced(file.fileno()):
                    digest.update(piece)
                    octets += len(piece)
        except FileNotFoundError:
            return "missing", 0
        except OSError as wrong:
            return f"unreadable: {wrong.strerror}", octets
        return (None if digest.hexdigest() == wanted else "sha256"), octets

    def _paced(self, descriptor: int) -> Iterator[bytes]:
        """Its bytes, no faster than they may be read; what was read is not kept in memory."""
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        began_s, octets = time.monotonic(), 0
        while (piece := os.read(descriptor, STEP)) and not self._stopping.is_set():
            yield piece
            os.posix_fadvise(descriptor, octets, len(piece), os.POSIX_FADV_DONTNEED)
            octets += len(piece)
            ahead_s = octets / (self._pace.mb_s * 1e6) - (time.monotonic() - began_s)
            if ahead_s > 0:
                self._stopping.wait(ahead_s)

    async def _tell(self, thread: ThreadPoolExecutor, row: Exhibit, problem: str | None, octets: int) -> None:
        """Keep what a look said; what changed goes on record first."""
        memory, now = self._needs.memory, self._needs.clock.now().utc
        loop = asyncio.get_running_loop()
        before = await loop.run_in_executor(thread, memory.verdict, row.id)
        was, hold = (before.problem, before.hold) if before is not None else (None, None)
        self._failed_in_a_row = 0 if problem is None else self._failed_in_a_row + 1
        if problem != was:
            hold = await self._record(row, problem, hold)
        due = now + (timedelta(days=self._pace.days) if problem is None else timedelta(seconds=self._pace.again_s))
        found = Checked(row.id, now, problem, hold)
        await loop.run_in_executor(thread, memory.tell, found, due.timestamp(), octets)

    async def _record(self, row: Exhibit, problem: str | None, hold: str | None) -> str | None:
        """Put a change for the worse or the better on record, with the hold; the hold that then stands."""
        exhibit = ExhibitId(row.id)
        facts = {"what": "scrub", "differs": problem} if problem else {"what": "scrub"}
        acts = [Act("verify_fail" if problem else "verify_pass", ACTOR, exhibit, facts, {"blob": row.blob})]
        if problem and hold is None:
            hold = "H-" + "".join(secrets.choice(_ALPHABET) for _ in range(12))
            acts.append(
                Act("hold", ACTOR, exhibit, {"hold": hold}, {"reason": f"its blob failed the scrub: {problem}"})
            )
        elif problem is None and hold is not None:
            acts.append(Act("release", ACTOR, exhibit, {"hold": hold}, {"reason": "its blob is whole again"}))
            hold = None
        await self._needs.log.record_many(acts)
        if problem:
            _log.critical("blob_failed", exhibit=row.id, blob=row.blob, problem=problem)
        else:
            _log.warning("blob_whole_again", exhibit=row.id, blob=row.blob)
        return hold

    async def _sum_up(self, thread: ThreadPoolExecutor) -> None:
        """Once a day, what was read back since the last time goes on record."""
        loop, now = asyncio.get_running_loop(), self._needs.clock.now().utc
        told = await loop.run_in_executor(thread, self._needs.memory.told)
        counts = self.figures
        last = from_rfc3339(told["at"]) if "at" in told else None
        checked = counts["checked"] - int(told.get("checked", 0))
        if last is not None and (checked <= 0 or (now - last).total_seconds() < self._pace.summary_s):
            return
        kept = {"at": rfc3339(now), "checked": str(counts["checked"]), "octets": str(counts["octets"])}
        if last is None:  # the first day begins with the first look
            await loop.run_in_executor(thread, self._needs.memory.tell_summary, {"at": kept["at"]})
            return
        said = {"checked": checked, "octets": counts["octets"] - int(told.get("octets", 0))}
        facts = {
            "what": "scrub",
            "counts": {**said, **{name: counts[name] for name in ("blobs", "failing", "overdue")}},
        }
        kind = "verify_fail" if counts["failing"] else "verify_pass"
        await self._needs.log.record_many([Act(kind, ACTOR, facts=facts)])
        await loop.run_in_executor(thread, self._needs.memory.tell_summary, kept)

    def _count(self) -> dict[str, int]:
        late = self._needs.clock.now().utc - timedelta(days=1)
        return self._needs.memory.counts(late.timestamp())


def _lowest_priority() -> None:
    """Leave the processor, and with it the disk, to others; of this thread alone."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST)
