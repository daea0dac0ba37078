"""cameras.db: durable words, matching either way round, a disk that refuses, two programs at once."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.domain.cameras import Arrival, Told
from gateway.errors import MisuseError, StoreBusyError
from gateway.evidence.awaited import Limits
from gateway.store import cameras
from gateway.store.cameras import CameraStore

T0 = datetime(2026, 11, 21, 21, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    """So many minutes into the shift."""
    return T0 + timedelta(minutes=minutes)


def started(n: int, device: str = "cam-1") -> Told:
    """`recording_started`."""
    return Told(device, "recording_started", {"recording": f"R{n}", "n": n}, at(n), at(n))


def seal(n: int, *, device: str = "cam-1", index: int | None = None, complete: bool = True) -> Arrival:
    """Its exhibit."""
    number = n if index is None else index
    return Arrival(
        exhibit=f"X-{number}",
        device=device,
        recording=f"R{n}",
        sealed_at=at(n + 1),
        log_index=number,
        complete=complete,
        started_at=at(n),
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[CameraStore]:
    """An open store."""
    made = CameraStore(tmp_path / "cameras.db", Limits())
    made.open()
    made.open()
    yield made
    made.close()
    made.close()


def names(store: CameraStore, **asked: bool) -> list[str | None]:
    """Recordings listed."""
    return [row.recording for row in store.rows(**asked)]


def test_not_open() -> None:
    """Said, not an attribute error."""
    with pytest.raises(MisuseError):
        CameraStore("/nowhere/cameras.db", Limits()).rows()


def test_announced_then_sealed_and_the_other_way_round(store: CameraStore) -> None:
    """Whichever word comes first."""
    store.write([started(1)])
    store.arrived([seal(1), seal(2)], 3)
    assert (names(store), store.mark) == ([], 3)
    store.write([started(2)])
    assert names(store) == []
    assert {row.exhibit for row in store.rows(open_only=False)} == {"X-1", "X-2"}


def test_what_was_written_is_there_for_another_program(store: CameraStore, tmp_path: Path) -> None:
    """Status, rows, counter; each camera its own."""
    words = [started(1), started(1, "cam-2"), Told("cam-1", "status", {"battery_pct": 7}, at(3), at(3))]
    store.write(words)
    other = CameraStore(tmp_path / "cameras.db", Limits())
    other.open()
    assert {name: status.battery_pct for name, status in other.statuses().items()} == {"cam-1": 7, "cam-2": None}
    other.write([started(4)])
    assert [row.n for row in store.rows("cam-1")] == [1, 2, 3, 4]
    other.close()


def test_a_word_again_changes_nothing(store: CameraStore) -> None:
    """A broker delivers at least once, and a batch is tried again."""
    words = [started(1), started(3)]
    store.write(words)
    before = store.rows()
    store.write(words)
    assert store.rows() == before


def test_all_or_none(store: CameraStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that refuses in the middle leaves the old state, and says that it may work later."""
    store.write([started(1)])
    real = cameras._put

    def refusing(link, rows) -> None:
        real(link, rows)
        raise StoreBusyError("full")

    monkeypatch.setattr(cameras, "_put", refusing)
    with pytest.raises(StoreBusyError):
        store.write([started(2)])
    monkeypatch.undo()
    assert names(store) == ["R1"]
    store.write([started(2)])
    assert names(store) == ["R1", "R2"]


def test_another_writer_is_not_waited_for(store: CameraStore) -> None:
    """Half a second, then it is told to try later: acknowledgements wait behind this."""
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began_s = time.monotonic()
    with pytest.raises(StoreBusyError):
        store.write([started(1)])
    assert time.monotonic() - began_s < 3
    other.execute("ROLLBACK")
    other.close()
    store.write([started(1)])
    assert names(store) == ["R1"]


def test_a_gap_settled_and_then_it_comes(store: CameraStore) -> None:
    """A settled row still takes its recording."""
    store.write([started(1), started(3)])
    gap = next(row for row in store.rows() if row.cause == "gap")
    settled = store.settle(gap.id, "clerk", at(9), "never made", 5)
    assert settled is not None
    assert settled.settled_by == "clerk"
    assert store.settle(999, "clerk", at(9), "x", 5) is None
    assert names(store) == ["R1", "R3"]
    store.write([Told("cam-1", "recording_started", {"recording": "R2", "n": 2}, at(10), at(2))])
    store.arrived([seal(2)], 9)
    row = store.row(gap.id)
    assert row is not None
    assert (row.recording, row.complete, row.settled_by) == ("R2", True, "clerk")


def test_too_many_cameras(store: CameraStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names come from outside: those beyond are counted, those known go on."""
    monkeypatch.setattr(cameras, "CAMERAS_MAX", 1)
    store.write([started(1), started(1, "cam-2"), started(2)])
    assert (names(store), store.refused) == (["R1", "R2"], 1)


def test_names_that_are_no_names(store: CameraStore) -> None:
    """Lists, numbers, 10 kB: the word is taken without them."""
    for name in (["x"], 7, {"a": 1}, "x" * 10_000, "\0", "../../etc"):
        store.write([Told("cam-1", "recording_started", {"recording": name}, at(1), at(1))])
    assert names(store) == [None, "../../etc"]


def test_the_file_is_the_owners_alone(store: CameraStore) -> None:
    """It says where officers recorded."""
    assert oct(store.path.stat().st_mode & 0o777) == "0o600"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(st.data())
def test_any_order_of_words_and_seals(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """What is told, lost, sealed, sealed in part, in any order and twice: exactly the unsealed ones are listed."""
    last = data.draw(st.integers(1, 6))
    told = data.draw(st.sets(st.integers(1, last), min_size=1))
    whole = data.draw(st.sets(st.integers(1, last)))
    acts = [("told", n) for n in told] + [("sealed", n) for n in whole] + [("half", n) for n in range(1, last, 2)]
    store = CameraStore(tmp_path_factory.mktemp("any") / "cameras.db", Limits())
    store.open()
    for index, (act, n) in enumerate(data.draw(st.permutations(acts + acts))):
        if act == "told":
            store.write([started(n)])
        else:
            store.arrived([seal(n, index=n + (100 if act == "half" else 0), complete=act == "sealed")], index)
    span = set(range(min(told), max(told) + 1))
    rows = {row.n: row for row in store.rows(open_only=False)}
    assert set(rows) == span
    # A gap has neither name nor beginning: an exhibit without a number can't be given to it.
    assert {n for n, row in rows.items() if row.complete} == whole & told
    store.close()
