"""The recordings that should come: what was announced against what was sealed, and the list of what is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Protocol

import msgspec
import structlog

from gateway.domain.cameras import Arrival, CameraStatus, DayCount, Expected, ExpectedState
from gateway.domain.evidence import Act, Range, RecordingKey, Sealed
from gateway.domain.ids import DeviceId, ExhibitId, PersonId
from gateway.domain.time import rfc3339
from gateway.errors import RefusedError, StoreBusyError
from gateway.evidence.arrivals import arrival_of
from gateway.evidence.rows import CustodyEntry, Exhibit
from gateway.ports import Clock, Custody, Directory

LOOK_EVERY_S, COUNT_EVERY_S = 1.0, 5.0
AT_ONCE = 50
_log = structlog.get_logger()
Uploads = Callable[[], Sequence[dict[str, Any]]]


class CamerasPlug(Protocol):
    """cameras.db (gateway.store.cameras); blocks, durable on return."""

    renumbered: int
    refused: int

    @property
    def mark(self) -> int:
        """How many entries of the log have been looked at."""
        ...

    def arrived(self, seals: Sequence[Arrival], mark: int) -> None:
        """Take sealed exhibits."""
        ...

    def settle(self, number: int, by: str, at: datetime, reason: str, index: int | None) -> Expected | None:
        """Mark a row as settled."""
        ...

    def row(self, number: int) -> Expected | None:
        """One row."""
        ...

    def rows(self, device: str | None = None, *, open_only: bool = True, limit: int = 1000) -> list[Expected]:
        """Rows of the list."""
        ...

    def statuses(self) -> dict[str, CameraStatus]:
        """The last word of every camera."""
        ...

    def sidecars(self, device: str, recording: str) -> list[Arrival]:
        """What was sealed beside a recording to describe it."""
        ...

    def of_day(self, day: str) -> tuple[list[Expected], list[Arrival]]:
        """Rows of a day, and recordings nobody had announced."""
        ...


class SealsPlug(Protocol):
    """The catalogue, as far as it tells of seals."""

    def seals(self, since: int, limit: int = ...) -> list[Exhibit]:
        """Exhibits sealed by this entry or a later one."""
        ...

    def custody(self, exhibit_id: str) -> list[CustodyEntry]:
        """An exhibit's chain."""
        ...


class DetailsPlug(Custody, Protocol):
    """The custody log: acts in, details out."""

    def detail(self, index: int) -> tuple[dict[str, Any], bytes] | None:
        """(detail, salt) of an entry; None where it was erased."""
        ...


class Vault(msgspec.Struct, frozen=True):
    """The evidence half, where it is open; `abandon` seals what came of an upload."""

    seals: SealsPlug
    custody: DetailsPlug
    abandon: Callable[[RecordingKey], Awaitable[Sealed | None]]


class ExpectedRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the list: which recording, whose camera it was then, where and when, how it stands."""

    id: int
    state: ExpectedState
    device: str
    recording: str | None
    n: int | None
    n_to: int | None
    cause: str
    holder: PersonId | None
    candidates: tuple[PersonId, ...]
    started_at: datetime | None
    stopped_at: datetime | None
    not_before: datetime | None
    not_after: datetime | None
    due_at: datetime
    latitude: float | None
    longitude: float | None
    accuracy_m: float | None
    trigger: str | None
    exhibit: str | None
    missing: tuple[Range, ...]
    settled_by: str | None
    settled_at: datetime | None
    reason: str | None


class Expectations:
    """The room of the work list; `look` takes up new seals, everything else answers from the store."""

    def __init__(self, store: CamerasPlug, people: Directory, clock: Clock, uploads: Uploads = list) -> None:
        """Name what it stands on; `vault` is given where the evidence half is open."""
        self.store, self._people, self._clock, self._uploads = store, people, clock, uploads
        self.vault: Vault | None = None
        self.stats: dict[str, float] = {}
        self._next_count_s = float("-inf")

    async def run(self) -> None:
        """Look for new seals until cancelled."""
        while True:
            try:
                await asyncio.to_thread(self.look)
            except Exception:  # noqa: BLE001 - said; the list goes on with what it has, and nothing else waits for it
                _log.exception("expected_recordings_not_looked_at")
            await asyncio.sleep(LOOK_EVERY_S)

    def look(self) -> int:
        """Take up what was sealed since the last look, and count; blocks. How many seals were new."""
        found = 0
        while self.vault is not None and (seals := self.vault.seals.seals(self.store.mark, AT_ONCE)):
            came = [self._arrival(self.vault, row) for row in seals if row.parent is None]
            self.store.arrived(came, seals[-1].log_index + 1)
            found += len(seals)
        now_s = self._clock.now().mono_s
        if found or now_s >= self._next_count_s:
            self.stats, self._next_count_s = self._counted(), now_s + COUNT_EVERY_S
        return found

    def _arrival(self, vault: Vault, row: Exhibit) -> Arrival:
        sealed = vault.custody.detail(row.log_index)
        first = next((each for each in vault.seals.custody(row.id) if each.kind == "receive"), None)
        received = None if first is None else vault.custody.detail(first.log_index)
        return arrival_of(row, sealed[0] if sealed else None, received[0] if received else None)

    def _counted(self) -> dict[str, float]:
        now, uploading = self._clock.now().utc, self._uploading()
        states = [row.state(now, uploading=_key(row) in uploading) for row in self.store.rows(limit=100_000)]
        statuses = self.store.statuses().values()
        counts: dict[str, float] = {
            f"recordings_{state}": states.count(state) for state in ("waiting", "uploading", "missing", "incomplete")
        }
        for doubt in ("battery_low", "storage_low", "clock_doubtful"):
            counts[doubt] = sum(doubt in status.doubts for status in statuses)
        counts["known"] = len(statuses)
        counts["recordings_unlisted"] = sum(status.unlisted for status in statuses)
        return counts | {"renumbered": self.store.renumbered, "refused": self.store.refused}

    def _uploading(self) -> set[tuple[str, str]]:
        return {(each["device"], each["recording"]) for each in self._uploads() if "via" not in each}

    # --- asked

    def listed(self, device: str | None = None, *, everything: bool = False, limit: int = 1000) -> list[ExpectedRow]:
        """What is still expected, the longest waiting first; `everything`: with what came and what was settled."""
        now, uploading = self._clock.now().utc, self._uploading()
        rows = self.store.rows(device, open_only=not everything, limit=limit)
        return [self._row(row, row.state(now, uploading=_key(row) in uploading)) for row in rows]

    def one(self, number: int) -> ExpectedRow | None:
        """One line of the list."""
        row = self.store.row(number)
        if row is None:
            return None
        return self._row(row, row.state(self._clock.now().utc, uploading=_key(row) in self._uploading()))

    def statuses(self) -> dict[str, CameraStatus]:
        """The last word of every camera."""
        return self.store.statuses()

    def sidecars(self, exhibit: Exhibit) -> list[Arrival]:
        """What was sealed beside an exhibit's recording to describe it, the newest first."""
        if exhibit.device is None or exhibit.recording is None:
            return []
        return self.store.sidecars(exhibit.device, exhibit.recording)

    def _row(self, row: Expected, state: ExpectedState) -> ExpectedRow:
        begin = row.started_at or row.not_before or row.stopped_at or row.opened_at
        end = row.stopped_at or row.not_after or begin
        who = self._people.attribute(DeviceId(row.device), begin, max(begin, end))
        known = msgspec.structs.asdict(row)
        names = {field.name for field in msgspec.structs.fields(ExpectedRow)} & known.keys()
        facts: dict[str, Any] = {name: known[name] for name in names}
        return ExpectedRow(**facts, state=state, holder=who.holder, candidates=who.candidates)

    def counts(self, since: date, until: date, device: str | None = None) -> list[DayCount]:
        """Of each day (UTC) and camera: recorded, received, sealed, missing, settled."""
        found = []
        for day in (since + timedelta(days=number) for number in range((until - since).days + 1)):
            rows, unannounced = self.store.of_day(day.isoformat())
            devices = sorted({row.device for row in rows} | {each.device for each in unannounced})
            for name in devices if device is None else {device} & set(devices):
                own = [row for row in rows if row.device == name]
                found.append(self._of_day(day, name, own, [each for each in unannounced if each.device == name]))
        return found

    def _of_day(self, day: date, device: str, rows: Sequence[Expected], others: Iterable[Arrival]) -> DayCount:
        now, uploading = self._clock.now().utc, self._uploading()
        states = [row.state(now, uploading=_key(row) in uploading) for row in rows]
        some, whole = {each.recording for each in others}, {each.recording for each in others if each.complete}
        received = sum(row.exhibit is not None or _key(row) in uploading for row in rows)
        return DayCount(
            day=day.isoformat(),
            device=device,
            recorded=len(rows) + len(some),
            received=received + len(some),
            sealed=states.count("sealed") + len(whole),
            missing=states.count("missing"),
            settled=states.count("settled"),
        )

    # --- acts

    async def settle(self, number: int, by: str, reason: str) -> ExpectedRow:
        """A named person waits no more; on record in the log first. RefusedError 404, 409; StoreBusyError: shut."""
        row = await asyncio.to_thread(self.store.row, number)
        if row is None:
            raise RefusedError(404, f"there is no expected recording {number}")
        if not row.open:
            raise RefusedError(409, f"{number} is {row.state(self._clock.now().utc)} already")
        if self.vault is None:
            raise StoreBusyError("the evidence store is shut: nothing can be put on record")
        exhibit = ExhibitId(row.exhibit) if row.exhibit else None
        recorded = await self.vault.custody.record(Act("review", by, exhibit, detail=_settlement(row, reason)))
        now = self._clock.now().utc
        settled = await asyncio.to_thread(self.store.settle, number, by, now, reason, recorded.index)
        assert settled is not None  # a row is never deleted
        return self._row(settled, settled.state(now))

    async def seal_now(self, key: RecordingKey, by: str, reason: str) -> Sealed | None:
        """Seal what came of an upload under way, as incomplete; on record first. None: not a byte had come."""
        if self.vault is None:
            raise StoreBusyError("the evidence store is shut: nothing can be put on record")
        wanted = (key.device, key.recording, key.via)
        mine = [each for each in self._uploads() if (each["device"], each["recording"], each.get("via")) == wanted]
        if not mine:
            raise RefusedError(404, f"no upload of {key.device} {key.recording} is under way")
        detail = {"act": "sealed_incomplete", "device": key.device, "recording": key.recording, "reason": reason}
        await self.vault.custody.record(Act("review", by, ExhibitId(mine[0]["exhibit"]), detail=detail))
        return await self.vault.abandon(key)


def _key(row: Expected) -> tuple[str, str | None]:
    return row.device, row.recording


def _settlement(row: Expected, reason: str) -> dict[str, Any]:
    """What the log keeps of it (salted, encrypted): enough to know which recording without this list."""
    return {
        "act": "expected_settled",
        "expected": row.id,
        "device": row.device,
        "recording": row.recording,
        "number": row.n,
        "number_to": row.n_to,
        "recorded_at": rfc3339(row.begun),
        "reason": reason,
    }
