"""The daily reconciliation: at its hour, made up for, loud about what is missing and about not knowing."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway import reconciling as module
from gateway.domain.evidence import Act, Recorded
from gateway.errors import GatewayError, StoreBusyError
from gateway.evidence.leaf import check
from gateway.evidence.reconciled import DETAIL_MAX, Account, account, act, keep, last
from gateway.evidence.verify.items import Reconciliation
from gateway.reconciling import Reconciling, Where, latest
from tests.conftest import HandClock
from tests.evidence.verify.real_store import RealStore

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class FakeLog:
    """Takes acts, or is busy."""

    def __init__(self) -> None:
        self.acts: list[Act] = []
        self.busy = False

    async def record(self, one: Act) -> Recorded:
        """Record."""
        if self.busy:
            raise StoreBusyError("no space")
        self.acts.append(one)
        return Recorded(len(self.acts) - 1, b"", "")


def made(at: datetime, *, missing: int = 0) -> Account:
    """A report of that time."""
    told = Reconciliation(counts={"exhibits": 3})
    for number in range(missing):
        told.missing(f"blobs/aa/bb/{number}.age", f"X-{number}", "log entry 1 (seal)")
    return account(told, at, at)


@pytest.mark.parametrize(
    ("at", "now", "then"),
    [
        ("03:30", "2026-11-21T03:30:00", "2026-11-21T03:30:00"),
        ("03:30", "2026-11-21T03:29:59", "2026-11-20T03:30:00"),
        ("00:00", "2026-11-21T23:59:59", "2026-11-21T00:00:00"),
        ("23:59", "2026-01-01T00:00:00", "2025-12-31T23:59:00"),
    ],
)
def test_the_hour(at: str, now: str, then: str) -> None:
    """The newest moment of that hour that is not to come."""
    assert latest(at, datetime.fromisoformat(now).replace(tzinfo=UTC)) == datetime.fromisoformat(then).replace(
        tzinfo=UTC
    )


class Site:
    """A reconciling over a folder whose command is a double that answers what it is told to."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch, at: str = "03:30") -> None:
        self.root, self.clock, self.log = root, HandClock(), FakeLog()
        (root / "evidence/log").mkdir(parents=True)
        vkey = root / "evidence/log/log.vkey"
        vkey.touch()
        began_s = self.clock.start.timestamp()
        os.utime(vkey, (began_s, began_s))
        self.answer, self.asked = root / "answer", root / "asked"
        double = root / "python"
        double.write_text(f'#!/bin/sh\necho "$@" >> {self.asked}\ncat {self.answer} || exit 7\n')
        double.chmod(double.stat().st_mode | stat.S_IXUSR)
        patch.setattr(sys, "executable", str(double))
        patch.setattr(module, "LOOK_S", 0.01)
        self.where = Where(root, root / "keys", at)

    def says(self, told: Account) -> None:
        """What the command answers from now on."""
        keep(self.root, told)
        (self.root / "reconciled.json").rename(self.answer)

    def times(self) -> int:
        """How often it was asked."""
        return len(self.asked.read_text().splitlines()) if self.asked.exists() else 0

    def run(self, seconds: float = 0.3) -> Reconciling:
        """Let it run a while, as after a start."""
        found = Reconciling(self.where, self.log, self.clock)  # type: ignore[arg-type]  # records acts, as it needs

        async def a_while() -> None:
            try:
                async with asyncio.timeout(seconds):
                    await found.run()
            except TimeoutError:
                pass

        asyncio.run(a_while())
        return found


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """One that reconciles at half past three; it is nine in the evening."""
    return Site(tmp_path / "store", monkeypatch)


def test_a_first_start_waits_for_the_hour(site: Site) -> None:
    """A store that was never reconciled is so at the first hour after it was begun, and once."""
    site.says(made(NOON))
    site.run(0.1)
    assert site.times() == 0
    site.clock.start = datetime(2026, 11, 22, 3, 30, 1, tzinfo=UTC)
    site.says(made(site.clock.start))
    assert site.run().condition == "ok"
    assert site.times() == 1
    assert "evidence reconcile --data" in site.asked.read_text()
    assert [one.kind for one in site.log.acts] == ["verify_pass"]
    kept = last(site.root / "evidence")
    assert kept is not None
    assert (kept.ok, kept.log_index) == (True, 0)


def test_one_that_fell_due_meanwhile_is_made_up_for(site: Site) -> None:
    """The gateway was down at the hour: soon after its start, and not again that day."""
    keep(site.root / "evidence", made(site.clock.start - timedelta(days=2)))
    site.says(made(site.clock.start))
    site.run()
    site.run()
    assert site.times() == 1


def test_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty hour is never."""
    site = Site(tmp_path / "store", monkeypatch, at="")
    keep(site.root / "evidence", made(site.clock.start - timedelta(days=9)))
    site.run(0.1)
    assert site.times() == 0


def test_what_is_missing_is_degraded_also_after_a_restart(site: Site) -> None:
    """Until a later one finds everything, whoever makes it."""
    keep(site.root / "evidence", made(site.clock.start - timedelta(days=2)))
    site.says(made(site.clock.start, missing=2))
    found = site.run()
    assert (found.condition, found.counts()["missing"], found.counts()["exhibits"]) == ("degraded", 2, 3)
    assert [one.kind for one in site.log.acts] == ["verify_fail"]
    assert site.log.acts[0].facts["faults"] == 2
    assert site.log.acts[0].detail["exhibits"] == ["X-0", "X-1"]
    found = site.run(0.1)
    assert found.condition == "degraded"
    keep(site.root / "evidence", made(site.clock.start))
    assert site.run(0.1).condition == "ok"


@pytest.mark.parametrize("how", ["no answer", "garbage", "busy"])
def test_nobody_can_say(site: Site, how: str) -> None:
    """A command that dies, says nonsense, or a log that takes no entry: degraded, counted, tried again later."""
    keep(site.root / "evidence", made(site.clock.start - timedelta(days=2)))
    if how == "garbage":
        site.answer.write_text("not a report")
    elif how == "busy":
        site.says(made(site.clock.start))
        site.log.busy = True
    found = site.run()
    assert (found.condition, found.failures, site.times()) == ("degraded", 1, 1)
    site.clock.seconds += module.AGAIN_S + 1
    site.log.busy = False
    site.says(made(site.clock.now().utc))
    assert site.run().condition == "ok"


def test_ended_with_its_process(site: Site) -> None:
    """Cancelled in the middle, no process stays behind."""
    double = Path(sys.executable)
    double.write_text(f"#!/bin/sh\necho $$ > {site.asked}\nexec sleep 60\n")
    keep(site.root / "evidence", made(site.clock.start - timedelta(days=2)))
    site.run(0.5)
    pid = int(site.asked.read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_entry_fits_whatever_is_missing() -> None:
    """A hundred thousand missing things make an entry that can be written, and all are counted."""
    whole = act(made(NOON, missing=100_000), "system")
    assert len(whole.detail["named"]) == DETAIL_MAX
    assert whole.facts["faults"] == 100_000
    check(whole, NOON, "test")


def test_a_report_that_cannot_be_read(tmp_path: Path) -> None:
    """Damaged or absent: none, and no traceback."""
    assert last(tmp_path) is None
    (tmp_path / "reconciled.json").write_bytes(b"\xff{")
    assert last(tmp_path) is None


def test_the_real_command(tmp_path: Path) -> None:
    """The child of a real store answers what the store is."""
    store = RealStore(tmp_path / "store")
    (exhibit,) = store.seal("a")
    log = FakeLog()
    found = Reconciling(Where(store.root, store.keys, ""), log, HandClock())  # type: ignore[arg-type]  # as above
    assert asyncio.run(found.once()).ok
    store.blob(exhibit).unlink()
    told = asyncio.run(found.once())
    assert [(item.state, item.exhibit) for item in told.items] == [("missing", exhibit)]
    assert [one.kind for one in log.acts] == ["verify_pass", "verify_fail"]
    nowhere = Reconciling(Where(tmp_path / "nowhere", store.keys, ""), log, HandClock())  # type: ignore[arg-type]
    with pytest.raises(GatewayError, match="ended with 2"):
        asyncio.run(nowhere.once())
