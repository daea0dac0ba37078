"""Second places kept up: what is new is copied in the background, what comes back is caught up, ingest never waits."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import structlog

from gateway.errors import EvidenceError, StoreBusyError
from gateway.evidence.copies.ledger import Checked, Ledger, Log, Shelf, record_patiently, verified_at
from gateway.evidence.copies.log_files import Look, look_at
from gateway.evidence.copies.mark import AwayError, known_places
from gateway.evidence.copies.second import First, SecondPlace, blob_name
from gateway.evidence.copies.transfer import CopyError, SourceError, StoppedError, sha256_of
from gateway.evidence.rows import Exhibit

FIRST = "first"
LOOK_EVERY_S = 1.0
AGAIN_AFTER_S = 10.0
LOG_EVERY_S = 30.0
SWEEP_EVERY_S = 6 * 3600.0
COUNT_EVERY_S = 30.0
CLOSE_S = 5.0
TOUCHING = ("seal", "derive", "key_destroy", "dispose")
_log = structlog.get_logger()
_T = TypeVar("_T")


class PlaceState(msgspec.Struct, frozen=True):
    """How a second place is: `ok`, `behind` (catching up), `away` or `refused`, and why.

    entries: of the log, held there; lag: how many fewer than here; backlog: exhibits still to be looked at.
    """

    path: str
    id: str | None
    state: str
    problem: str | None
    entries: int
    lag: int
    backlog: int
    same_disk: bool


class _Seat:
    """One place and how far it is; its slow work has a thread of its own, so that a hung disk holds up nobody."""

    def __init__(self, place: SecondPlace) -> None:
        self.place = place
        self.thread = ThreadPoolExecutor(1, "copies")
        self.backlog: dict[str, None] = {}
        self.gone: dict[str, Exhibit] = {}
        self.cursor = 0
        self.swept_s: float | None = None
        self.seen: Look | None = None
        self.entries = 0
        self.problem: str | None = "not looked at yet"
        self.away = False

    async def run(self, work: Callable[..., _T], *arguments: Any, **named: Any) -> _T:  # noqa: ANN401
        """Run what blocks in the place's thread."""
        return await asyncio.get_running_loop().run_in_executor(self.thread, lambda: work(*arguments, **named))


class Copies:
    """All second places of one store."""

    def __init__(self, first: First, wanted: int, paths: list[Path], shelf: Shelf, log: Log) -> None:
        """Say how many copies are wanted in all, and where; nothing happens before `run`."""
        self.wanted = wanted
        self._first, self._shelf = first, shelf
        self._seats = [_Seat(SecondPlace(path, first)) for path in paths]
        self.ledger = Ledger(shelf, log, (wanted, len(paths)), self._known)
        self._head = 0
        self._short = 0
        self.unsound: dict[str, str] = {}
        self.counters = {"blobs": 0, "faults": 0, "repaired": 0, "failed_turns": 0}

    # --- life -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep every place up until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._count())
                for seat in self._seats:
                    if seat.place.same_disk:
                        _log.warning("copy_on_the_same_disk", place=str(seat.place.path))
                    group.create_task(self._keep(seat))
        finally:
            await self._end()

    async def _end(self) -> None:
        for seat in self._seats:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await asyncio.to_thread(seat.thread.shutdown, wait=True, cancel_futures=True)

    async def _keep(self, seat: _Seat) -> None:
        while True:
            pause_s = LOOK_EVERY_S
            try:
                await self._turn(seat)
                self._well(seat)
            except StoppedError:
                return
            except (OSError, EvidenceError) as wrong:
                self._unwell(seat, str(wrong), away=isinstance(wrong, AwayError))
                pause_s = AGAIN_AFTER_S
            except Exception as defect:  # noqa: BLE001 - a defect of one place must not take the others along
                _log.exception("copying_failed", place=str(seat.place.path))
                self._unwell(seat, f"{type(defect).__name__}: {defect}", away=False)
                pause_s = AGAIN_AFTER_S
            await asyncio.sleep(pause_s)

    def _well(self, seat: _Seat) -> None:
        if seat.problem is not None:
            _log.info("copy_up", place=seat.place.name, entries=seat.entries)
        seat.problem, seat.away = None, False

    def _unwell(self, seat: _Seat, problem: str, *, away: bool) -> None:
        self.counters["failed_turns"] += 1
        if seat.problem != problem:
            _log.error("copy_down", place=str(seat.place.path), problem=problem)
        seat.problem, seat.away = problem, away
        seat.swept_s = seat.seen = None  # what comes back may not be what went

    async def _count(self) -> None:
        while True:
            with contextlib.suppress(StoreBusyError):
                self._short = await asyncio.to_thread(self._shelf.count_short, self.wanted)
            await asyncio.sleep(COUNT_EVERY_S)

    # --- one turn ---------------------------------------------------------------------------------------------

    async def _turn(self, seat: _Seat) -> None:
        """Exhibits that the log names, then the log itself: so it never names there what is not there yet."""
        async with self._using(seat):
            look = await seat.run(look_at, self._first.evidence / "log")
            self._head = max(self._head, look.head.size)
            sweeping = self._sweep_due(seat)
            if look == seat.seen and not (seat.backlog or sweeping):
                await seat.run(seat.place.bring_details, erasing=True)
                return
            seat.entries = await seat.run(seat.place.held, look)
            await self._touched(seat, look, sweeping=sweeping)
            try:
                failed = await self._backlog(seat)
            finally:
                await record_patiently(self.ledger)
            try:
                await seat.run(seat.place.bring_log, look)
                seat.entries, seat.seen = look.head.size, look
            finally:  # behind the log, which says that they are to be gone; but they go, whatever became of it
                await self._drop(seat)
            if failed is not None:
                raise failed

    async def _drop(self, seat: _Seat) -> None:
        """Remove what was disposed of."""
        for name, row in list(seat.gone.items()):
            await seat.run(seat.place.drop, row)
            del seat.gone[name]

    async def _backlog(self, seat: _Seat) -> Exception | None:
        """Exhibits, for a while: the log is not to wait for all of them. What fails goes to the end; gives why."""
        failed: Exception | None = None
        until_s = asyncio.get_running_loop().time() + LOG_EVERY_S
        for name in list(seat.backlog):
            if asyncio.get_running_loop().time() > until_s:
                break
            try:
                await self._exhibit(seat, name)
                del seat.backlog[name]
            except (OSError, CopyError, StoreBusyError) as wrong:
                seat.backlog[name] = seat.backlog.pop(name)
                if failed is not None:
                    raise
                failed = wrong
        return failed

    def _sweep_due(self, seat: _Seat) -> bool:
        now_s = asyncio.get_running_loop().time()
        return seat.swept_s is None or now_s - seat.swept_s > SWEEP_EVERY_S

    async def _touched(self, seat: _Seat, look: Look, *, sweeping: bool) -> None:
        """Note which exhibits are to be looked at: those of new entries, and from time to time all."""
        since = 0 if sweeping else seat.cursor
        names = await asyncio.to_thread(self._shelf.named, TOUCHING, since, look.head.size)
        if sweeping:
            await seat.run(seat.place.compare_anew)
            await self._survey(seat, names)
            await record_patiently(self.ledger)
            self.unsound.clear()
            seat.swept_s = asyncio.get_running_loop().time()
        seat.backlog |= dict.fromkeys(names)
        seat.cursor = look.head.size

    @contextlib.asynccontextmanager
    async def _using(self, seat: _Seat) -> AsyncIterator[None]:
        """Hold a place for a turn; taken and given back in its thread."""
        used = seat.place.used()
        await seat.run(used.__enter__)
        try:
            yield
        except asyncio.CancelledError:
            self._first.pace.stop()  # so that what is being copied ends at its next piece
            raise
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await asyncio.shield(seat.run(used.__exit__, None, None, None))

    async def _survey(self, seat: _Seat, names: list[str]) -> None:
        """Say at once of which exhibits a copy that was counted is gone; bringing them may take days."""
        for name in names:
            row = await asyncio.to_thread(self._shelf.exhibit, name)
            if row is None or row.copies is None or _gone(row) or await seat.run(seat.place.has, row):
                continue
            await self._lost(seat, row, None)

    async def _lost(self, seat: _Seat, row: Exhibit, found: str | None) -> None:
        """A copy that was counted is not there, or is not what was written."""
        assert seat.place.mark is not None
        places = await self.ledger.places(row)
        if seat.place.mark.id in places:
            places.discard(seat.place.mark.id)
            self.counters["faults"] += 1
            self.ledger.fault(row, "copy", seat.place.name, found)
        self.ledger.recount(row.id)

    async def _exhibit(self, seat: _Seat, name: str) -> None:
        row = await asyncio.to_thread(self._shelf.exhibit, name)
        if row is None or row.sealed_at is None or row.blob is None:
            return
        if _gone(row):
            seat.gone[row.id] = row
            return
        assert seat.place.mark is not None
        whole = (row.copies or 0) > len(self._seats) and await seat.run(seat.place.has, row)
        counted = whole or seat.place.mark.id in await self.ledger.places(row)
        try:
            await seat.run(seat.place.bring, row, counted=counted)
        except SourceError as wrong:
            await self._unsound(row, str(wrong))
            return
        if not counted:
            self.counters["blobs"] += 1
            (await self.ledger.places(row)).add(seat.place.mark.id)
            self.ledger.recount(row.id)

    async def _unsound(self, row: Exhibit, problem: str) -> None:
        """The first store's blob is not what was written: taken back from a copy, or named until it is."""
        now = await asyncio.to_thread(self._shelf.exhibit, row.id)
        if now is None or _gone(now):
            return
        if row.id not in self.unsound:
            _log.error("not_copied", exhibit=row.id, problem=problem)
        self.unsound[row.id] = problem
        await self._check_first(row)

    # --- checks -----------------------------------------------------------------------------------------------

    async def check(self, exhibit: str) -> list[Checked]:
        """Read an exhibit's blob everywhere, repair what differs from what does not, and record what was found."""
        row = await asyncio.to_thread(self._shelf.exhibit, exhibit)
        if row is None or row.blob is None or _gone(row):
            return []
        checked = [await self._check_first(row), *[await self._check_copy(seat, row) for seat in self._seats]]
        await self.ledger.record()
        return checked

    async def _check_first(self, row: Exhibit) -> Checked:
        first, path = self._first, self._first.evidence / blob_name(str(row.blob))
        found = await asyncio.to_thread(sha256_of, first.files, path, first.pace)
        if found == row.blob_sha256:
            return Checked(FIRST, "verified", found)
        self.counters["faults"] += 1
        self.ledger.fault(row, "blob", FIRST, found)
        for seat in self._seats:
            if seat.problem is None and await self._taken_back(seat, row):
                self.counters["repaired"] += 1
                self.unsound.pop(row.id, None)
                await self.ledger.places(row)
                self.ledger.recount(row.id)
                return Checked(FIRST, "repaired", found)
        self.unsound[row.id] = "no copy of it is sound"
        return Checked(FIRST, "missing" if found is None else "wrong", found)

    async def _taken_back(self, seat: _Seat, row: Exhibit) -> bool:
        """Bring the first store's blob back from a place; whether that place had it whole."""
        try:
            await seat.run(seat.place.give_back, blob_name(str(row.blob)), str(row.blob_sha256))
        except (OSError, CopyError, SourceError) as wrong:
            _log.error("not_repaired", exhibit=row.id, place=seat.place.name, problem=str(wrong))
            return False
        return True

    async def _check_copy(self, seat: _Seat, row: Exhibit) -> Checked:
        try:
            mark = await seat.run(seat.place.look)
            if mark is None:
                return Checked(seat.place.name, "missing")
            found = await seat.run(seat.place.hash, row)
            whole = found == row.blob_sha256
            if not whole:
                await self._lost(seat, row, found)
            await seat.run(seat.place.bring, row, counted=whole)
            self.counters["repaired"] += not whole
        except SourceError as wrong:
            _log.error("not_repaired", exhibit=row.id, place=seat.place.name, problem=str(wrong))
            return Checked(seat.place.name, "missing" if found is None else "wrong", found)
        except (OSError, CopyError) as wrong:
            _log.error("copy_not_checked", exhibit=row.id, place=seat.place.name, problem=str(wrong))
            return Checked(seat.place.name, "away")
        (await self.ledger.places(row)).add(mark.id)
        self.ledger.recount(row.id)
        return Checked(seat.place.name, "verified" if whole else "repaired", found)

    # --- what is asked of it ----------------------------------------------------------------------------------

    def verified_at(self, row: Exhibit) -> datetime | None:
        """When an exhibit's copies were last counted; blocks."""
        return verified_at(self._shelf, row)

    def repair(self, exhibit: str, blob: str, blob_sha256: str) -> bool:
        """Put a blob of the first store back from a copy that is whole; whether one was. Blocks, in any thread."""
        for place in self.places():
            try:
                if place.look() is not None:
                    place.give_back(blob_name(blob), blob_sha256)
                    return True
            except (OSError, CopyError, SourceError) as wrong:
                _log.error("not_repaired", exhibit=exhibit, place=place.name, problem=str(wrong))
        return False

    def places(self) -> list[SecondPlace]:
        """The places, for what has to be destroyed in all of them."""
        return [seat.place for seat in self._seats]

    def condition(self) -> str:
        """`ok`, or `degraded` while a place is away, refuses, or a blob cannot be copied."""
        return "degraded" if self.unsound or any(seat.problem for seat in self._seats) else "ok"

    def figures(self) -> dict[str, float]:
        """Numbers for the metrics."""
        return {
            **self.counters,
            "wanted": self.wanted,
            "places": len(self._seats),
            "places_up": sum(seat.problem is None for seat in self._seats),
            "backlog": max((len(seat.backlog) for seat in self._seats), default=0),
            "lag_entries": max((self._head - seat.entries for seat in self._seats), default=0),
            "short": self._short,
            "unsound": len(self.unsound),
        }

    def states(self) -> list[PlaceState]:
        """How each place is."""
        return [self._state(seat) for seat in self._seats]

    def _state(self, seat: _Seat) -> PlaceState:
        mark, lag = seat.place.mark, max(0, self._head - seat.entries)
        state = "ok" if not (lag or seat.backlog) else "behind"
        if seat.problem is not None:
            state = "away" if seat.away else "refused"
        name = None if mark is None else mark.id
        backlog, same = len(seat.backlog), seat.place.same_disk
        return PlaceState(str(seat.place.path), name, state, seat.problem, seat.entries, lag, backlog, same)

    def _known(self) -> set[str] | None:
        """Ids of all places; None while one of them was never seen."""
        remembered = known_places(self._first.evidence)
        marks = [seat.place.mark for seat in self._seats]
        names = [
            remembered.get(str(seat.place.path)) if mark is None else mark.id
            for seat, mark in zip(self._seats, marks, strict=True)
        ]
        return None if None in names else {name for name in names if name is not None}


def _gone(row: Exhibit) -> bool:
    return row.shredded_at is not None or row.disposed_at is not None
