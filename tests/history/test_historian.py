"""What runs beside the gateway: roots and days that are due, whatever fails said once, no clock trusted at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import gateway.history_half as module
from gateway.errors import StoreBusyError
from gateway.evidence.custody import CustodyLog
from gateway.history_half import Historian
from tests.history.lab import Clocked, HistoryLab, lab_at


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HistoryLab]:
    """Three hours of three devices."""
    with lab_at(tmp_path / "store", monkeypatch) as opened:
        opened.shift()
        yield opened


def historian(lab: HistoryLab, log: CustodyLog, days: int = 31) -> Historian:
    """What the gateway runs."""
    return Historian(lab.journal_folder, (lab.journal, lab.journal_keys), (log, lab.catalogue), days)


async def test_it_roots_and_counts(lab: HistoryLab) -> None:
    """Hours that are over; the metrics say how many, and that nothing is wrong."""
    with lab.opened() as log:
        one = historian(lab, log)
        await one.look(Clocked.at)
        assert {"roots": 2, "frames": 27, "failing": 0, "frames_destroyed": 0}.items() <= one.counts.items()
    assert sum(lab.rooted().values()) == 27


async def test_a_log_that_takes_nothing_is_told_once(lab: HistoryLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failing while it lasts, then as if nothing had been."""
    with lab.opened() as log:
        one = historian(lab, log)
        monkeypatch.setattr(one._rooting, "_record", lambda _act: (_ for _ in ()).throw(StoreBusyError("full")))
        await one.look(Clocked.at)
        await one.look(Clocked.at)
        assert (one.counts["failing"], one.problem) == (1, "full")
        monkeypatch.setattr(one._rooting, "_record", log.record_now)
        await one.look(Clocked.at)
        assert one.counts["failing"] == 0
    assert sum(lab.rooted().values()) == 27


async def test_a_defect_does_not_end_it(lab: HistoryLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loud, and tried again."""
    with lab.opened() as log:
        one = historian(lab, log)
        monkeypatch.setattr(one._rooting, "once", lambda _hour: 1 / 0)
        await one.look(Clocked.at)
        assert "ZeroDivisionError" in str(one.problem)


async def test_days_that_are_due_go_only_by_a_steady_clock(lab: HistoryLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither just after the start nor after a leap of the clock: what it destroys is gone for good."""
    passed = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: passed[0])
    monkeypatch.setattr(module, "datetime", Clocked)
    Clocked.at += timedelta(days=40)
    with lab.opened() as log:
        one = historian(lab, log)
        await one.look(Clocked.at)
        assert one.destroyed == 0, "just begun"
        passed[0] = 1_000.0
        await one.look(Clocked.at + timedelta(days=400))
        assert one.destroyed == 0, "the clock was set"
        await one.look(Clocked.at + timedelta(seconds=1_000))
        assert one.destroyed == 36
    assert list(lab.journal_folder.glob("*.jrn")) == []


async def test_it_makes_an_end_with_the_gateway(lab: HistoryLab) -> None:
    """A root that is being made when the gateway stops is given up, and made by the next start."""
    with lab.opened() as log:
        one = historian(lab, log)
        task = asyncio.get_running_loop().create_task(one.run())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(InterruptedError):
            one._rest()
        await asyncio.get_running_loop().shutdown_default_executor()  # its thread too, as at the end of a process
    assert lab.root() in {0, 2}
    assert sum(lab.rooted().values()) == 27
