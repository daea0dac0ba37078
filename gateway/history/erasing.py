"""Frames destroyed: named in the log first, then erased in their files, then their keys (docs/formats.md, "journal").

A plan on disk names days, slots and the span, and no one. It is finished by whoever finds it: if the log has its
entry, what is left of it is done; if not, nothing was destroyed and it is dropped.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from gateway.crypto.journal_keys import JournalKeys
from gateway.domain.evidence import Act
from gateway.errors import EvidenceError, IntegrityError
from gateway.evidence.log.disk import Disk
from gateway.history.batch import ERASED, Heads
from gateway.history.files import JournalFile, Kept, journal_files
from gateway.history.finding import Sought, days_of, found, owned
from gateway.history.rooting import unrooted

FOLDER = "disposals"
DAYS_MAX = 1_000
"""Days of one entry."""


class Plan(msgspec.Struct, frozen=True):
    """What one disposal destroys: of these files the frames of these slots within their spans; or whole days."""

    disposal: str
    files: tuple[str, ...] = ()
    slots: tuple[tuple[str, str, datetime, datetime], ...] = ()
    days: tuple[str, ...] = ()
    v: int = 1


class Eraser:
    """Destroys frames of one journal; every call blocks. logged: facts of the log's disposals, newest first."""

    def __init__(
        self,
        directory: Path,
        keys: JournalKeys,
        record: Callable[[Act], object],
        logged: Callable[[], Iterable[dict[str, Any]]],
        disk: Disk | None = None,
    ) -> None:
        self._directory, self._keys, self._record, self._logged = directory, keys, record, logged
        self._disk = disk or Disk()

    def settle(self, today: str) -> None:
        """Finish, or drop, what an earlier run began."""
        if (self._directory / FOLDER).exists():
            with self._alone():
                self._settle(today)

    def _settle(self, today: str) -> None:
        for path in sorted((self._directory / FOLDER).glob("*.json")):
            try:
                plan = msgspec.json.decode(path.read_bytes(), type=Plan)
            except msgspec.DecodeError as wrong:
                raise IntegrityError(f"{path} is no plan of a disposal: {wrong}") from wrong
            if any(each.get("disposal") == plan.disposal for each in self._logged()):
                self._do(plan, today)
            self._disk.unlink(path)
            self._disk.fsync(path.parent)

    def erase(self, disposal: str, sought: Sequence[Sought], why: dict[str, Any], actor: str, today: str) -> int:
        """Destroy frames; how many. EvidenceError where some have no root yet: nothing is destroyed then."""
        with self._alone():
            self._settle(today)
            return self._erase(disposal, sought, why, actor, today)

    def _erase(self, disposal: str, sought: Sequence[Sought], why: dict[str, Any], actor: str, today: str) -> int:
        files = self._counted(sought)
        if not files:
            return 0
        days: Counter[str] = Counter()
        for name, frames in files.items():
            days[name[:10]] += frames
        if len(days) > DAYS_MAX:
            raise EvidenceError(f"frames of {len(days)} days, at most {DAYS_MAX} at once")
        slots = [
            (day, slot.hex(), each.since, each.until)
            for day in days_of(sought)
            for slot, key in owned(self._keys, day, sought).items()
            for each in sought
            if each.owner == key.owner
        ]
        self._carry_out(Plan(disposal, tuple(files), tuple(slots)), days, {"ground": "order"}, why, actor, today)
        return days.total()

    def expire(self, disposal: str, before: str, today: str) -> int:
        """Destroy whole days before one; how many frames. Days with files that have no root stay."""
        with self._alone():
            self._settle(today)
            return self._expire(disposal, before, today)

    def _expire(self, disposal: str, before: str, today: str) -> int:
        open_days = {path.stem[:10] for path in unrooted(self._directory)}
        due = {path.stem[:10] for path in journal_files(self._directory)} - open_days
        due = set(sorted(day for day in due if day < min(before, today))[:DAYS_MAX])
        if not due:
            return 0
        days: Counter[str] = Counter(dict.fromkeys(due, 0))
        for path in journal_files(self._directory):
            if path.stem[:10] in due:
                with JournalFile(path) as file:
                    days[path.stem[:10]] += sum(_kept(heads) for heads in file.batches())
        why = {"reason": f"older than the journal is kept: days before {before}"}
        self._carry_out(Plan(disposal, days=tuple(sorted(due))), days, {"ground": "due"}, why, "system", today)
        return days.total()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Disposals of several processes take turns: a plan is nobody's but who holds this."""
        folder = self._directory / FOLDER
        self._disk.ensure(folder)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _counted(self, sought: Sequence[Sought]) -> dict[str, int]:
        open_ones = {path.stem for path in unrooted(self._directory)}
        files: dict[str, int] = {}
        for path, kept in found(self._directory, self._keys, sought):
            if path.stem in open_ones:
                raise EvidenceError(f"{len(kept)} frames of {path.stem[:13]} have no root yet: when that hour is over")
            files[path.stem] = len(kept)
        return files

    def _carry_out(
        self, plan: Plan, days: Counter[str], ground: dict[str, str], why: dict[str, Any], actor: str, today: str
    ) -> None:
        path = self._directory / FOLDER / f"{plan.disposal}.json"
        self._disk.ensure(path.parent)
        self._disk.replace(path, msgspec.json.encode(plan))
        facts = {"what": "history", "disposal": plan.disposal, **ground, "frames": days.total()}
        facts["days"] = [list(each) for each in sorted(days.items())]
        self._record(Act("dispose", actor, facts=facts, detail=why))
        self._do(plan, today)
        self._disk.unlink(path)
        self._disk.fsync(path.parent)

    def _do(self, plan: Plan, today: str) -> None:
        if plan.days:
            self._drop_days(plan.days)
            return
        for path in journal_files(self._directory):
            spans: dict[bytes, list[tuple[datetime, datetime]]] = {}
            for day, slot, since, until in plan.slots if path.stem in plan.files else ():
                if day == path.stem[:10]:
                    spans.setdefault(bytes.fromhex(slot), []).append((since, until))
            if spans:
                self._erase_in(path, spans)
        self._drop_keys(plan, today)

    def _erase_in(self, path: Path, spans: dict[bytes, list[tuple[datetime, datetime]]]) -> None:
        """Flags durable before anything is zeroed: a frame is whole, or it is erased."""
        keys = self._keys.of_day(path.stem[:10])
        opener = {slot: keys[slot] for slot in spans if slot in keys}
        with JournalFile(path) as file:
            slot_at = {at: heads.slot(place) for heads in file.batches() for place, at in enumerate(heads.places())}
            chosen = [each for each in file.frames(opener) if _within(each, spans[slot_at[each.sealed_at]])]
        for each in chosen:
            self._disk.write_at(path, each.flag_at, bytes([ERASED]))
        if chosen:
            self._disk.fsync(path)
        with JournalFile(path) as file:
            left = [at for heads in file.batches() for at in _unzeroed(file, heads)]
        for at, length in left:
            self._disk.write_at(path, at, bytes(length))
        if left:
            self._disk.fsync(path)

    def _drop_keys(self, plan: Plan, today: str) -> None:
        """Keys that open nothing any more; not of a day whose files may still grow."""
        open_days = {path.stem[:10] for path in unrooted(self._directory)} | {today}
        for day in sorted({day for day, *_ in plan.slots} - open_days):
            slots = {bytes.fromhex(slot) for each, slot, *_ in plan.slots if each == day}
            for path in journal_files(self._directory):
                if path.stem[:10] == day:
                    with JournalFile(path) as file:
                        slots -= {slot for heads in file.batches() for slot in _alive(heads, slots)}
            if slots:
                self._keys.destroy(day, slots)

    def _drop_days(self, days: Iterable[str]) -> None:
        for day in days:
            for path in journal_files(self._directory):
                if path.stem[:10] == day:
                    self._disk.unlink(path)
            self._disk.fsync(self._directory)
            self._keys.destroy(day, list(self._keys.slots(day)))


def _kept(heads: Heads) -> int:
    return heads.count - heads.flags.count(ERASED)


def _within(kept: Kept, spans: Iterable[tuple[datetime, datetime]]) -> bool:
    return any(since <= kept.row[4] < until for since, until in spans)


def _unzeroed(file: JournalFile, heads: Heads) -> Iterator[tuple[int, int]]:
    """Erased frames whose bytes are still there."""
    if ERASED in heads.flags:
        for place, at in enumerate(heads.places()):
            if heads.flags[place] == ERASED and any(file.sealed(at, heads.lengths[place])):
                yield at, heads.lengths[place]


def _alive(heads: Heads, slots: set[bytes]) -> Iterator[bytes]:
    for place in range(heads.count):
        if heads.flags[place] != ERASED and heads.slot(place) in slots:
            yield heads.slot(place)
