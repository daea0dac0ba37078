"""The room of the work list over a real store: shut or open, looked at again and again, its holder by the bookings."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.domain.cameras import Told
from gateway.domain.evidence import Act, Attribution, Recorded, RecordingKey
from gateway.domain.ids import DeviceId, ExhibitId, PersonId
from gateway.errors import RefusedError, StoreBusyError
from gateway.evidence.awaited import Limits
from gateway.evidence.expected import Expectations, Vault
from gateway.evidence.rows import CustodyEntry, Exhibit
from gateway.store.cameras import CameraStore
from tests.conftest import HandClock

T0 = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)


class People:
    """P-0001 until half past, P-0002 after."""

    def attribute(self, _device: DeviceId, start: datetime, end: datetime) -> Attribution:
        """Whoever held it over the whole span; two are two candidates."""
        half = T0 + timedelta(minutes=30)
        persons = [PersonId(who) for who, so in (("P-0001", start < half), ("P-0002", end >= half)) if so]
        return Attribution(persons[0] if len(persons) == 1 else None, tuple(persons))


class Log:
    """Catalogue and custody of exhibits that a test seals; remembers the acts."""

    def __init__(self) -> None:
        self.rows: list[Exhibit] = []
        self.details: dict[int, dict[str, Any]] = {}
        self.acts: list[Act] = []
        self.asked: list[int] = []

    def seal(self, recording: str, detail: dict[str, Any] | None = None, *, complete: bool = True) -> None:
        """Another exhibit."""
        index = len(self.rows)
        row = Exhibit(
            id=f"X-{index}",
            device="cam-1",
            recording=recording,
            sealed_at=T0 + timedelta(hours=1),
            started_at=T0,
            complete=complete,
            log_index=index,
        )
        self.rows.append(row)
        if detail is not None:
            self.details[index] = detail

    def seals(self, since: int, limit: int = 1000) -> list[Exhibit]:
        """From that entry on."""
        self.asked.append(since)
        return self.rows[since : since + limit]

    def custody(self, _exhibit: str) -> list[CustodyEntry]:
        """No chain: its `receive` was erased."""
        return []

    def detail(self, index: int) -> tuple[dict[str, Any], bytes] | None:
        """What it commits to."""
        found = self.details.get(index)
        return None if found is None else (found, b"salt")

    async def record(self, act: Act) -> Recorded:
        """Remember."""
        self.acts.append(act)
        return Recorded(77, b"", "")


class Bench:
    """The room, its store and what it stands on."""

    def __init__(self, folder: Path, clock: HandClock) -> None:
        self.store, self.log, self.uploads = CameraStore(folder / "cameras.db", Limits()), Log(), []
        self.abandoned: list[RecordingKey] = []
        self.store.open()
        self.room = Expectations(self.store, People(), clock, lambda: self.uploads)  # type: ignore[arg-type]

    def open(self) -> None:
        """The evidence half is there."""

        async def abandon(key: RecordingKey) -> None:
            self.abandoned.append(key)

        self.room.vault = Vault(self.log, self.log, abandon)

    def tell(self, n: int, minute: float, kind: str = "recording_started") -> None:
        """A word of the camera."""
        at = T0 + timedelta(minutes=minute)
        self.store.write([Told("cam-1", kind, {"recording": f"R{n}", "n": n}, at, at)])


@pytest.fixture
def bench(tmp_path: Path, clock: HandClock) -> Iterator[Bench]:
    """An hour after T0."""
    made = Bench(tmp_path, clock)
    yield made
    made.store.close()


def test_holder_by_the_bookings_at_that_time(bench: Bench) -> None:
    """Of each recording over its own span; a gap that lies across a hand-over has two candidates."""
    bench.tell(1, 0)
    bench.tell(1, 10, "recording_stopped")
    bench.tell(3, 40)
    first, gap, last = sorted(bench.room.listed(), key=lambda row: row.n or 0)
    assert (first.holder, last.holder) == ("P-0001", "P-0002")
    assert (gap.holder, gap.candidates) == (None, ("P-0001", "P-0002"))


async def test_while_the_evidence_half_is_shut(bench: Bench) -> None:
    """The list is there, looks go on; nothing can be settled, as nothing can be put on record."""
    bench.tell(1, 0)
    assert bench.room.look() == 0
    assert [row.state for row in bench.room.listed()] == ["waiting"]
    with pytest.raises(StoreBusyError):
        await bench.room.settle(1, "clerk", "x")
    with pytest.raises(StoreBusyError):
        await bench.room.seal_now(RecordingKey(DeviceId("cam-1"), "R1"), "clerk", "x")
    assert bench.room.stats["recordings_waiting"] == 1


def test_each_seal_is_looked_at_once(bench: Bench) -> None:
    """More than one look takes at once; an erased detail is no obstacle."""
    bench.open()
    for n in range(120):
        bench.log.seal(f"R{n}")
    bench.tell(7, 0)
    assert (bench.room.look(), bench.room.look()) == (120, 0)
    assert bench.log.asked[-1] == 120
    assert bench.room.listed() == []


def test_incomplete_with_its_missing_ranges(bench: Bench) -> None:
    """As the seal tells of them; under way it says so instead."""
    bench.open()
    bench.tell(1, 0)
    bench.log.seal("R1", {"missing": [[5, 9]]}, complete=False)
    bench.room.look()
    (row,) = bench.room.listed()
    assert (row.state, row.exhibit, row.missing) == ("incomplete", "X-0", ((5, 9),))
    bench.uploads.append({"device": "cam-1", "recording": "R1", "exhibit": "X-9"})
    assert bench.room.one(row.id).state == "uploading"  # type: ignore[union-attr]
    assert bench.room.one(99) is None


async def test_acts_are_on_record_before_they_are_done(bench: Bench) -> None:
    """Who, what and why, on the exhibit where there is one; what is not there is refused."""
    bench.open()
    bench.tell(1, 0)
    bench.log.seal("R1", {}, complete=False)
    bench.room.look()
    row = await bench.room.settle(1, "clerk", "crushed")
    assert (row.state, row.settled_by, row.reason) == ("settled", "clerk", "crushed")
    (act,) = bench.log.acts
    assert (act.kind, act.actor, act.exhibit, act.detail["reason"]) == ("review", "clerk", ExhibitId("X-0"), "crushed")
    assert act.facts == {}
    for number, code in ((1, 409), (42, 404)):
        with pytest.raises(RefusedError) as refused:
            await bench.room.settle(number, "clerk", "x")
        assert refused.value.code == code
    key = RecordingKey(DeviceId("cam-1"), "R2")
    with pytest.raises(RefusedError):
        await bench.room.seal_now(key, "clerk", "x")
    assert bench.abandoned == []
    bench.uploads.append({"device": "cam-1", "recording": "R2", "exhibit": "X-9"})
    await bench.room.seal_now(key, "clerk", "smashed")
    assert (bench.abandoned, bench.log.acts[-1].detail["act"]) == ([key], "sealed_incomplete")


def test_counts_of_days(bench: Bench) -> None:
    """Told of and not, sealed in part and whole, each on its day; nothing of a day without recordings."""
    bench.open()
    bench.tell(1, 0)
    bench.tell(2, 5)
    bench.tell(3, 10 + 24 * 60)
    bench.log.seal("R1")
    bench.log.seal("R2", complete=False)
    bench.log.seal("of-itself")
    bench.log.seal("trail", {"user_data": {"sidecar_of": "R1"}})
    bench.room.look()
    one, two = bench.room.counts(date(2026, 11, 20), date(2026, 11, 23))
    assert (one.day, one.recorded, one.received, one.sealed, one.missing) == ("2026-11-21", 3, 3, 2, 0)
    assert (two.day, two.recorded, two.received, two.sealed) == ("2026-11-22", 1, 0, 0)
    assert bench.room.counts(date(2026, 11, 21), date(2026, 11, 21), "cam-9") == []


async def test_a_look_that_fails_is_not_the_last(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said, and tried again; nothing else comes down with it."""
    monkeypatch.setattr("gateway.evidence.expected.LOOK_EVERY_S", 0.01)
    looks: list[int] = []

    def failing() -> int:
        looks.append(1)
        raise RuntimeError("a defect of ours")

    monkeypatch.setattr(bench.room, "look", failing)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bench.room.run())
        async with asyncio.timeout(5):
            while len(looks) < 3:
                await asyncio.sleep(0.01)
        task.cancel()


async def test_a_dock_without_the_right_neither_fills_nor_hides_a_row(bench: Bench) -> None:
    """What it brought, sealed or on its way, under a camera's name: the camera's recording is expected all the same."""
    bench.open()
    bench.tell(1, 0)
    theirs = {"device": "cam-1", "recording": "R1", "exhibit": "X-9", "via": "dock-2", "size": 1, "durable": 1}
    bench.uploads.append(theirs)
    bench.log.seal("R1")
    bench.log.rows[0] = msgspec.structs.replace(bench.log.rows[0], flags=("dock_not_entitled",))
    bench.room.look()
    [row] = bench.room.listed()
    assert (row.state, row.exhibit) == ("waiting", None)
    with pytest.raises(RefusedError):
        await bench.room.seal_now(RecordingKey(DeviceId("cam-1"), "R1"), "ann", "gone")
    assert bench.abandoned == []
