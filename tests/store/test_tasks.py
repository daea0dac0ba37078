"""Tasks in roster.db: numbered, found by key, listed, kept whole; two programs at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy.exc import IntegrityError as TakenError

from gateway.dispatch import task as steps
from gateway.dispatch.ports import Wanted
from gateway.dispatch.task import Cause, Place, Task
from gateway.domain.ids import Issi, UnitId
from gateway.errors import StoreBusyError
from gateway.store import sqlite as sqlite_recipe
from gateway.store.roster import RosterStore
from gateway.store.tasks import TaskStore

NOON = datetime.fromisoformat("2026-11-21T12:00:00+00:00")


def task(minutes: int = 0, unit: str = "PCC.CSO-014", **more: Any) -> Task:
    """A new task."""
    at = NOON + timedelta(minutes=minutes)
    facts = {"agency": "PCC", "text": "Go", "words": "Go", "actor": "control", "created_at": at, **more}
    return Task(id="", unit=UnitId(unit), **facts)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[RosterStore]:
    """roster.db."""
    store = RosterStore(tmp_path / "roster.db")
    yield store
    store.close()


@pytest.fixture
def store(opened: RosterStore) -> TaskStore:
    """Its tasks."""
    return TaskStore(opened.engine)


def test_numbered_in_order_and_kept_whole(store: TaskStore, tmp_path: Path) -> None:
    """Every field comes back, also by another program that opens the file afresh."""
    full = task(
        incident="PCC-1",
        incident_type="asb",
        place=Place("Quay", 52.5, -0.25),
        reported_at=NOON,
        seq=7,
        override="reason",
        cause=Cause("radio_refused", "no", 34),
        issi=Issi(2341014),
    )
    made = [store.add(full, None, "{}"), store.add(task(1), None, "{}")]
    assert [each.id for each in made] == ["TK-000001", "TK-000002"]
    again = RosterStore(tmp_path / "roster.db")
    try:
        assert TaskStore(again.engine).task("TK-000001") == msgspec.structs.replace(full, id="TK-000001")
        assert TaskStore(again.engine).add(task(2), None, "{}").id == "TK-000003"
    finally:
        again.close()
    assert store.task("TK-9") is None


def test_keys_are_an_account_s_own(store: TaskStore) -> None:
    """Found with what was asked; the same key of another account is another; twice is refused by the file itself."""
    made = store.add(task(), "k", '{"a":1}')
    other = store.add(task(actor="somebody"), "k", "{}")
    assert store.keyed("control", "k") == (made, '{"a":1}')
    assert store.keyed("somebody", "k") == (other, "{}")
    assert store.keyed("control", "j") is None
    with pytest.raises(TakenError):
        store.add(task(), "k", "{}")
    assert len(store.tasks(Wanted())) == 2
    assert store.add(task(), None, "{}").id != store.add(task(), None, "{}").id


def test_what_is_kept_is_found(store: TaskStore) -> None:
    """States, history and notices; what is over is no longer unfinished, but the untold stay."""
    one, two, three = (store.add(task(minutes), None, "{}") for minutes in range(3))
    sent = steps.taken(steps.handed(one, NOON, Issi(7), "P-1"), NOON, "radio-1", 9)
    told = steps.cancelled(sent, NOON, "control", "false call")
    store.keep([told, steps.cancelled(two, NOON, "control", None)])
    assert store.task(one.id) == told
    assert [each.id for each in store.unfinished()] == [one.id, three.id]
    assert [each.id for each in store.tasks(Wanted(state="cancelled"))] == [one.id, two.id]
    store.keep([msgspec.structs.replace(told, notice="sent")])
    assert [each.id for each in store.unfinished()] == [three.id]


def test_which(store: TaskStore) -> None:
    """By unit and span (the end is not in it), the newest of too many, oldest first."""
    for minutes in range(6):
        store.add(task(minutes, "PCC.A" if minutes % 2 else "PCC.B"), None, "{}")

    def listed(**wanted: Any) -> list[int]:
        return [int((each.created_at - NOON).total_seconds() // 60) for each in store.tasks(Wanted(**wanted))]

    assert listed() == [0, 1, 2, 3, 4, 5]
    assert listed(unit="PCC.A") == [1, 3, 5]
    assert listed(since=NOON + timedelta(minutes=2), until=NOON + timedelta(minutes=4)) == [2, 3]
    assert listed(since=datetime.fromisoformat("2026-11-21T14:04:00+02:00")) == [4, 5]
    assert listed(limit=2) == [4, 5]
    assert listed(limit=None) == [0, 1, 2, 3, 4, 5]


def test_all_or_none(store: TaskStore) -> None:
    """Of several tasks kept together, one that cannot be written leaves all as they were."""
    one, two = store.add(task(), "k", "{}"), store.add(task(1), None, "{}")
    wrong = msgspec.structs.replace(two, actor=None)
    with pytest.raises(TakenError):
        store.keep([steps.cancelled(one, NOON, "control", None), wrong])
    assert store.task(one.id) == one


def test_a_locked_file(store: TaskStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program holds it too long: StoreBusyError, and it goes on afterwards."""
    store.add(task(), None, "{}")
    monkeypatch.setattr(sqlite_recipe, "BUSY_MS", 50)
    late = RosterStore(tmp_path / "roster.db")
    holder = sqlite3.connect(tmp_path / "roster.db", isolation_level=None)
    waiting = TaskStore(late.engine)
    waiting.unfinished()
    holder.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(StoreBusyError):
            waiting.add(task(), None, "{}")
    finally:
        holder.execute("ROLLBACK")
        holder.close()
    assert waiting.add(task(), None, "{}").id == "TK-000002"
    late.close()


def test_raised_intervals(store: TaskStore) -> None:
    """One a terminal, the newest; gone when it is back at its own."""
    assert store.raised() == {}
    store.keep_raised(Issi(1), "EM-1")
    store.keep_raised(Issi(2), "EM-2")
    store.keep_raised(Issi(1), "EM-3")
    assert store.raised() == {1: "EM-3", 2: "EM-2"}
    store.keep_raised(Issi(1), None)
    assert store.raised() == {2: "EM-2"}


def test_finished_tasks_of_long_ago_are_forgotten(store: TaskStore) -> None:
    """Only what is over and of which the officer need not be told; the oldest first; no number is used twice."""
    stages: list[dict[str, Any]] = [
        {"state": "done"},
        {"state": "sent"},
        {"state": "cancelled", "notice": "due"},
        {"state": "cancelled", "notice": "sent"},
        {"state": "failed"},
    ]
    made = [store.add(task(minutes, **stage), None, "{}") for minutes, stage in enumerate(stages)]
    late = store.add(task(60, state="done"), None, "{}")
    assert store.forget(NOON + timedelta(minutes=30), 2) == 2
    assert [one.id for one in store.tasks(Wanted())] == [made[1].id, made[2].id, made[4].id, late.id]
    assert store.forget(NOON + timedelta(minutes=30), 9) == 1
    assert store.forget(NOON + timedelta(days=9), 9) == 0
    assert store.add(task(61), None, "{}").id == "TK-000007"
