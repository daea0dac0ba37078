"""A crash at any step of an act on many exhibits: the store verifies, and what was begun is brought to its end."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from gateway.evidence.settings import CategorySection, RetentionSection
from gateway.evidence.work.acts import Categorisation
from gateway.evidence.work.desk import HoldWords
from gateway.evidence.work.terms import Rule
from tests.evidence.log.lab import CrashError, FaultyDisk
from tests.evidence.work.lab import ANN, BOB, WorkLab
from tests.evidence.work.test_machine import differing

TABLE = RetentionSection(category=(CategorySection("minor", days=40, required=("incident",)),))
STEP = int(os.environ.get("LAPEL_CRASH_STEP", "9"))
"""Every so many operations of the disk; 1 is all of them."""
WHY = HoldWords(reason="x")


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two exhibits of one incident, and a rule proposed that applies to them."""
    folder = tmp_path_factory.mktemp("pattern")
    lab = WorkLab(folder, TABLE)
    for name in "ab":
        asyncio.run(lab.desk.categorise(ANN, lab.seal(name), Categorisation(category="minor", incident="CC 1")))
    asyncio.run(lab.rules.propose(ANN, Rule(category="minor", days=400, applies=True), "x"))
    lab.close()
    return folder


def hold(lab: WorkLab) -> None:
    """By incident."""
    asyncio.run(lab.desk.hold_incident(BOB, "CC 1", WHY))


def approve(lab: WorkLab) -> None:
    """The rule, which applies to both."""
    asyncio.run(lab.rules.approve(BOB, "minor", 2, "x"))


@pytest.mark.parametrize("act", [hold, approve])
@pytest.mark.parametrize("keep", [False, True], ids=["lost", "kept"])
def test_a_crash_at_any_step(pattern: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act, keep: bool) -> None:
    """Both exhibits, or neither where the first entry was not written; never one."""
    monkeypatch.setattr("gateway.evidence.work.desk.AT_ONCE", 1)
    at, done, outcomes = 0, False, set()
    while not done:
        folder = tmp_path / str(at)
        shutil.copytree(pattern, folder)
        done = crashed(folder, act, FaultyDisk(at, keep=keep))
        outcomes.add(settled(folder, act))
        at += STEP
    assert outcomes == {False, True}
    assert at > STEP * 2


def crashed(folder: Path, act, disk: FaultyDisk) -> bool:
    """Run the act on that disk; whether it came to its end."""
    try:
        lab = WorkLab(folder, TABLE, disk)
    except CrashError:
        return False
    try:
        act(lab)
    except CrashError:
        return False
    finally:
        lab.close()
    return True


def settled(folder: Path, act) -> bool:
    """After the next start: whether the act was done, on both alike."""
    lab = WorkLab(folder, TABLE)
    asyncio.run(lab.rules.keep_up())
    rows = [lab.row(name) for name in ("X-a", "X-b")]
    did = {row.held if act is hold else row.rule == "PCC/minor@2" for row in rows}
    begun = [facts for facts, _ in lab.told("hold" if act is hold else "rule_change") if "exhibit" not in facts]
    lab.close()
    assert differing(lab) == []
    (whether,) = did
    assert whether == (bool(begun) if act is hold else begun[-1]["approved"])
    return whether
