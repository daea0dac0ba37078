"""The catalogue made anew: the same row by row, whole or not at all, and what can't be read comes back held."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.claim import claim
from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.errors import ConfigError, OverruledError, StoreBusyError
from gateway.evidence.disposal.law import KINDS as JUDGED
from gateway.rebuilding import Rebuilt, rebuild
from tests.evidence.log.lab import ORIGIN, CrashError, FaultyDisk, Lab
from tests.evidence.many_acts import KINDS, sealed, some_act
from tests.evidence.way_out import walk

ROOT = Path(__file__).parents[1]
TABLES = {"exhibit": "id", "custody": "log_index", "meta": "key"}
Rows = dict[str, list[tuple[object, ...]]]


def rows(directory: Path) -> Rows:
    """Every row of every table, with every column."""
    with sqlite3.connect(directory / "evidence/evidence.db") as link:
        found = {name: link.execute(f"SELECT * FROM {name} ORDER BY {key}").fetchall() for name, key in TABLES.items()}
    link.close()
    return found


def again(directory: Path) -> Rebuilt:
    """Rebuild."""
    return rebuild(directory, directory / "keys", ORIGIN)


def gone(directory: Path) -> None:
    """Delete the catalogue."""
    for path in (directory / "evidence").glob("evidence.db*"):
        path.unlink()


def rich(directory: Path, *, exhibits: int = 20, acts: int = 150, seed: int = 1) -> Lab:
    """A store with acts of every kind; closed."""
    lab, dice = Lab(directory), random.Random(seed)
    with lab.opened() as log:
        waiting = [act for number in range(exhibits) for act in sealed(number)]
        waiting += [Act("browse", "P-1", None, {}, {"listed": 3}), Act("account", "P-1", None, {}, {"act": "login"})]
        kinds = [*KINDS, *dice.choices(KINDS, k=max(0, acts - len(KINDS)))]
        waiting += [some_act(kind, dice.randrange(exhibits), dice) for kind in kinds]
        for _, group in itertools.groupby(waiting, key=lambda act: act.kind in JUDGED):
            together = list(group)
            size = 1 if together[0].kind in JUDGED else 200
            for start in range(0, len(together), size):
                with contextlib.suppress(OverruledError):  # what the law of disposals forbids at that moment
                    log._ask(together[start : start + size]).result()
    lab.close()
    return lab


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rich store."""
    return rich(tmp_path_factory.mktemp("rich") / "store").directory


@pytest.fixture
def store(pattern: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(pattern, tmp_path / "store")
    return tmp_path / "store"


@pytest.mark.parametrize("lost", ["deleted", "there", "damaged", "empty", "another"])
def test_the_same_row_by_row(store: Path, lost: str) -> None:
    """Whatever became of the old one: every row, every column, holds included; nothing is left beside it."""
    before, path = rows(store), store / "evidence/evidence.db"
    assert any('"H-' in str(row) for row in before["exhibit"])
    if lost == "deleted":
        gone(store)
    elif lost in {"damaged", "empty"}:
        path.write_bytes(b"SQLite format 3\0" + bytes(900) if lost == "damaged" else b"")
        path.with_name("evidence.db-wal").write_bytes(b"left over")
    elif lost == "another":
        with sqlite3.connect(path) as link:
            link.execute("UPDATE exhibit SET holder = 'P-9' WHERE id = 'X-000000000003'")
            link.execute("DELETE FROM custody WHERE log_index = 7")
        link.close()
    made = again(store)
    assert rows(store) == before
    assert (made.entries, made.exhibits, made.detail_erased) == (175, 20, 0)
    assert made.held == sum(row.count(1) > 0 and '"H-' in str(row) for row in before["exhibit"])
    wanted = {"there": [], "another": ["custody 7", "exhibit X-000000000003"]}.get(lost)
    assert made.differing == wanted
    assert [each.name for each in (store / "evidence").glob("evidence.db*")] == ["evidence.db"]


@settings(max_examples=int(os.environ.get("LAPEL_REBUILD_EXAMPLES", "12")))
@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(0, 60))
def test_random_acts(tmp_path_factory: pytest.TempPathFactory, seed: int, exhibits: int, acts: int) -> None:
    """Any acts in any order: what is made anew is what was there."""
    directory = rich(tmp_path_factory.mktemp("random") / "store", exhibits=exhibits, acts=acts, seed=seed).directory
    before = rows(directory)
    gone(directory)
    again(directory)
    assert rows(directory) == before
    shutil.rmtree(directory)


def test_a_detail_erased_comes_back_held(store: Path) -> None:
    """What a detail of is gone, and nobody disposed of, is let go of by nobody; the rest is as it was."""
    before = rows(store)
    ended = {row[1] for row in before["custody"] if row[3] in {"key_destroy", "dispose"}}
    victim = next(str(row[0]) for row in before["exhibit"] if row[0] not in ended)
    with sqlite3.connect(store / "evidence/evidence.db") as link:
        ((index,),) = link.execute("SELECT log_index FROM custody WHERE exhibit = ? AND kind = 'seal'", (victim,))
    link.close()
    lab = Lab(store)
    with lab.opened() as log:
        log.erase_detail(index)
    lab.close()
    gone(store)
    made = again(store)
    assert made.detail_erased == 1
    lab = Lab(store)
    row = lab.catalogue.exhibit(victim)
    lab.close()
    assert row is not None
    assert row.held
    assert "detail-erased" in row.holds
    assert row.sha256 is not None
    assert [one for one in rows(store)["exhibit"] if one[0] != victim] == [
        one for one in before["exhibit"] if one[0] != victim
    ]


def test_disposed_of_with_its_details(tmp_path: Path) -> None:
    """A disposal that erases details: the row that lived through it is the row made anew, and it is not held."""
    lab, name = Lab(tmp_path / "store"), ExhibitId("X-000000000001")
    dice = random.Random(3)
    with lab.opened() as log:
        for act in (*sealed(1), some_act("derive", 1, random.Random(1)), some_act("categorise", 1, dice)):
            log.record_now(act)
        walk(log, name, "key_destroy")
        size = log.size
        for index in range(size):
            log.erase_detail(index)
        walk(log, name, since="dispose", details="erased", erased_to=size)
    lab.close()
    before = rows(lab.directory)
    gone(lab.directory)
    assert (again(lab.directory).held, rows(lab.directory)) == (0, before)


def test_not_while_a_gateway_runs(store: Path) -> None:
    """Nor while a command has the catalogue open: refused, and nothing changed."""
    before = (store / "evidence/evidence.db").read_bytes()
    descriptor = claim(store)
    with pytest.raises(ConfigError, match="another gateway runs"):
        again(store)
    os.close(descriptor)
    lab = Lab(store)
    assert lab.catalogue.applied_size == 175
    with pytest.raises(StoreBusyError, match="in use"):
        again(store)
    lab.close()
    assert (store / "evidence/evidence.db").read_bytes() == before
    again(store)


@pytest.mark.parametrize("keep", [True, False], ids=["kept", "lost"])
@pytest.mark.parametrize("at", range(3))
def test_a_crash_at_every_step(store: Path, at: int, keep: bool) -> None:
    """Failed and lost, failed but kept: the old catalogue or the new one, never none; the next run does it."""
    with sqlite3.connect(store / "evidence/evidence.db") as link:
        link.execute("DELETE FROM custody WHERE log_index = 7")
    link.close()
    changed = rows(store)
    disk = FaultyDisk(at, keep=keep)
    with pytest.raises(CrashError):
        rebuild(store, store / "keys", ORIGIN, disk)
    assert disk.done[: at + 1] == ["fsync", "rename", "fsync"][: at + 1]
    swapped = at == 2 or (at == 1 and keep)
    assert (rows(store) == changed) != swapped
    again(store)
    assert len(rows(store)["custody"]) == 175


def test_killed_in_the_middle(tmp_path: Path) -> None:
    """Kill -9 while it is being made leaves the old one, byte for byte."""
    store = rich(tmp_path / "store", exhibits=300, acts=100).directory
    path, fresh = store / "evidence/evidence.db", store / "evidence/evidence.db.new"
    before, held = path.read_bytes(), rows(store)
    command = [sys.executable, "-m", "gateway", "evidence", "rebuild", "--data", str(store)]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL)
    until_s = time.monotonic() + 30
    while not fresh.exists() and time.monotonic() < until_s:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert fresh.exists()
    assert path.read_bytes() == before
    again(store)
    assert rows(store) == held
    assert not fresh.exists()


def test_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """How quickly; LAPEL_REBUILD_EXHIBITS says how many."""
    count = int(os.environ.get("LAPEL_REBUILD_EXHIBITS", "400"))
    store = rich(tmp_path / "store", exhibits=count, acts=count).directory
    before = rows(store)
    gone(store)
    made = again(store)
    assert rows(store) == before
    with capsys.disabled():
        print(f"\nrebuilt {made.exhibits} exhibits, {made.entries} entries in {made.seconds:.2f} s")
