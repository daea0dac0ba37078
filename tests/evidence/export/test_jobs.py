"""Export jobs: one at a time, over restarts, bounded, kept so long, gone with what they hold."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.domain.time import Instant
from gateway.errors import EvidenceError, IntegrityError, StoreBusyError
from gateway.evidence.export import jobs as module
from gateway.evidence.export.exporter import Exported
from gateway.evidence.export.jobs import BEGUN_MAX, ExportJob, ExportJobs, KeyTakenError, Store
from gateway.evidence.export.order import Order, OrderError, Progress
from gateway.evidence.rows import Exhibit
from gateway.evidence.vault.files import DiskFiles
from gateway.evidence.vault.room import Room

ORDER = Order(("X-1",), "trial", "CPS", "CPIA", "u1")
SEALED = Exhibit(id="X-1", size=1000)


class Lab:
    """Jobs over a catalogue of one exhibit and a maker that does what it is told; the clock moves when told."""

    def __init__(self, root: Path) -> None:
        self.root, self.row, self.free = root, SEALED, 1 << 40
        self.problem: BaseException | None = None
        self.days = 0.0
        self.made: list[str] = []
        self.jobs = self.again()

    def again(self) -> ExportJobs:
        """After a restart."""
        files = DiskFiles()
        files.free_bytes = lambda _path: self.free  # type: ignore[method-assign]
        room = Room(files, self.root, 500)
        self.jobs = ExportJobs(Store(self.root, files, room, self, self.now, self.make, 14))  # type: ignore[arg-type]
        return self.jobs

    def now(self) -> Instant:
        moment = datetime(2026, 11, 22, tzinfo=UTC) + timedelta(days=self.days, seconds=len(self.made))
        return Instant(self.days * 86_400 + len(self.made) * 10, moment)

    def exhibit(self, name: str) -> Exhibit | None:
        return self.row if name == "X-1" else None

    async def make(self, order: Order, target: Path, name: str, told: Callable[[Progress], None]) -> Exported:
        self.made.append(name)
        told(Progress("witness"))
        told(Progress("writing", 500, 1000))
        if self.problem is not None:
            raise self.problem
        target.mkdir()
        (target / "tagmanifest-sha256.txt").write_text("x")
        return Exported(name, str(target), order.exhibits, 3, "ab" * 32)

    def finish(self) -> Any:
        """One try of every job that waits."""
        return [asyncio.run(self.jobs.finish(job)) for job in self.jobs.all()[::-1] if job.state != "done"]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A lab."""
    return Lab(tmp_path)


def test_from_order_to_content(lab: Lab) -> None:
    """Asked, made, shown, fetched; the same after a restart."""
    job, new = lab.jobs.ask(ORDER)
    assert (new, lab.jobs.state(job).state) == (True, "waiting")
    assert figures(lab, job) == (0, 1000)
    (done,) = lab.finish()
    assert (done.state, done.tagmanifest_sha256) == ("done", "ab" * 32)
    shown = lab.again().state(lab.jobs.job(job.export))  # type: ignore[arg-type]
    assert (shown.state, shown.asked_by, shown.keep_until) == ("done", "u1", "2026-12-06T00:00:01Z")
    assert lab.jobs.content(done).size == shown.size
    assert figures(lab, done) == (1000, 1000)
    assert figures(lab, lab.jobs.remove(done, "kept long enough")) == (1000, 1000)


def figures(lab: Lab, job: ExportJob) -> tuple[int, int]:
    """How much is written, of how much, as shown."""
    shown = lab.jobs.state(job)
    return shown.written, shown.of


def test_the_same_key_is_the_same_export(lab: Lab) -> None:
    """Of one account; with another order it is refused; another account's key is another's."""
    job, _ = lab.jobs.ask(ORDER, "k1")
    assert lab.again().ask(ORDER, "k1") == (job, False)
    with pytest.raises(KeyTakenError):
        lab.jobs.ask(msgspec.structs.replace(ORDER, purpose="other"), "k1")
    assert lab.jobs.ask(msgspec.structs.replace(ORDER, actor="u2"), "k1")[1]
    assert lab.jobs.ask(ORDER)[1]


def test_what_waits_and_what_fails(lab: Lab) -> None:
    """A witness or a full disk: tried again for ever, with the reason; what is not as it was sealed fails, loudly."""
    job, _ = lab.jobs.ask(ORDER)
    for problem in (EvidenceError("not cosigned yet"), OSError(28, "full"), StoreBusyError("disk_reserve")):
        lab.problem = problem
        for _ in range(BEGUN_MAX + 1):
            (waits,) = lab.finish()
        assert (waits.state, str(problem) in str(waits.reason), waits.begun) == ("waiting", True, 0)
        assert lab.jobs.state(waits).state == "writing"
        assert figures(lab, waits) == (500, 1000)
    assert figures(Lab(lab.root), waits) == (0, 1000), "after a restart nobody knows how far it had got"
    lab.problem = IntegrityError("exhibit X-1 reads as ab")
    (failed,) = lab.finish()
    assert (failed.state, failed.reason) == ("failed", "exhibit X-1 reads as ab")
    assert figures(lab, failed) == (500, 1000)
    assert not list((lab.root / "exports").glob(f"{job.export}*.part"))
    lab.problem = OrderError("X-1: it was disposed of")
    lab.jobs.ask(ORDER)
    assert lab.finish()[-1].state == "failed"


def test_the_reserve_is_respected(lab: Lab) -> None:
    """A bag that would reach into it waits before it begins, and where it is when others take the room."""
    lab.free = 1_400
    lab.jobs.ask(ORDER)
    (waits,) = lab.finish()
    assert (waits.state, waits.reason, lab.made) == ("waiting", "disk_reserve", [])
    lab.free = 1 << 40
    lab.again()
    assert lab.finish()[0].state == "done"


def test_an_export_that_ends_the_process_is_given_up(lab: Lab) -> None:
    """After so many crashes; and one that got its name before the crash is found done."""
    lab.jobs.ask(ORDER)
    lab.problem = KeyboardInterrupt()
    for _ in range(BEGUN_MAX):
        with pytest.raises(KeyboardInterrupt):
            lab.finish()
        lab.again()
    (given_up,) = lab.finish()
    assert (given_up.state, f"{BEGUN_MAX} times" in given_up.reason) == ("failed", True)
    named, _ = lab.jobs.ask(ORDER)
    (lab.root / "exports" / named.export).mkdir()
    found = asyncio.run(lab.again().finish(named))
    assert (found.state, *figures(lab, found)) == ("done", 1000, 1000)


def test_it_is_not_kept_for_ever(lab: Lab) -> None:
    """After so many days, or once an exhibit was disposed of, the bag goes; that it was made stays."""
    first, _ = lab.jobs.ask(ORDER)
    lab.finish()
    lab.days = 13.9
    second, _ = lab.jobs.ask(ORDER)
    lab.finish()
    lab.jobs.sweep()
    assert lab.jobs.job(first.export).state == "done"  # type: ignore[union-attr]
    lab.days = 14.1
    lab.jobs.sweep()
    gone = lab.jobs.job(first.export)
    assert gone is not None
    assert (gone.state, gone.reason, (lab.root / "exports" / first.export).exists()) == (
        "removed",
        "kept for 14 days",
        False,
    )
    lab.row = msgspec.structs.replace(SEALED, shredded_at=datetime(2026, 12, 1, tzinfo=UTC))
    lab.jobs.sweep()
    assert lab.jobs.job(second.export).reason == "X-1 was disposed of"  # type: ignore[union-attr]
    assert not (lab.root / "exports" / second.export).exists()


def test_it_is_bounded(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than so many that wait are refused for now; names that are no file's are none's."""
    monkeypatch.setattr(module, "WAITING_MAX", 2)
    lab.jobs.ask(ORDER)
    lab.jobs.ask(ORDER)
    with pytest.raises(StoreBusyError):
        lab.jobs.ask(ORDER)
    with pytest.raises(OrderError, match="to_age"):
        lab.jobs.ask(msgspec.structs.replace(ORDER, to_age="age1nothing"))
    assert [lab.jobs.job(name) for name in ("../x", "é", "", "E-0")] == [None] * 4


async def test_a_defect_does_not_end_the_rest(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is raised, the next look tries again."""
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    monkeypatch.setattr(module, "AGAIN_S", 0.01)
    lab.problem = ZeroDivisionError()
    job, _ = lab.jobs.ask(ORDER)
    running = asyncio.get_running_loop().create_task(lab.jobs.run())
    while not lab.made:
        await asyncio.sleep(0.01)
    lab.problem = None
    while lab.jobs.job(job.export).state != "done":  # type: ignore[union-attr]
        await asyncio.sleep(0.01)
    running.cancel()
    assert running.cancelled() is False
    await asyncio.gather(running, return_exceptions=True)
