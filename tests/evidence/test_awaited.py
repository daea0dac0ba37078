"""Words of a camera folded into its status and the recordings expected of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.cameras import Expected, Told
from gateway.evidence import awaited
from gateway.evidence.awaited import Book, Limits, hear

T0 = datetime(2026, 11, 21, 21, 0, tzinfo=UTC)
LIMITS = Limits()


def at(minutes: float) -> datetime:
    """So many minutes into the shift."""
    return T0 + timedelta(minutes=minutes)


def book() -> Book:
    """A camera nobody has heard of."""
    numbers = count(1)
    return Book(None, {}, lambda: next(numbers))


def started(n: int | None, minute: float, name: str | None = None, **more: Any) -> Told:
    """`recording_started`, told at once."""
    body = {"recording": name or f"R{n}", "n": n, "trigger": "button", **more}
    return Told("cam-1", "recording_started", body, at(minute), at(minute))


def stopped(n: int | None, minute: float, name: str | None = None) -> Told:
    """`recording_stopped`, told at once."""
    body = {"recording": name or f"R{n}", "n": n, "stop_reason": "battery"}
    return Told("cam-1", "recording_stopped", body, at(minute), at(minute))


def status(minute: float, arrived: float | None = None, **body: Any) -> Told:
    """A status."""
    return Told("cam-1", "status", body, at(minute if arrived is None else arrived), at(minute))


def heard(*words: Told) -> Book:
    """The book after these."""
    made = book()
    for word in words:
        hear(made, word, LIMITS)
    return made


def rows(made: Book) -> list[Expected]:
    """Its rows in order of number."""
    return sorted(made.rows.values(), key=lambda row: (row.generation, row.n or 0, row.id))


def test_a_recording_from_start_to_stop() -> None:
    """One row with place, times and reasons, due a day after it stopped."""
    place = {"latitude": 52.5739, "longitude": -0.2403, "accuracy_m": 8}
    made = heard(started(17, 0, **place), stopped(17, 2))
    (row,) = rows(made)
    assert (row.recording, row.n, row.cause, row.trigger, row.stop_reason) == (
        "R17",
        17,
        "started",
        "button",
        "battery",
    )
    assert (row.latitude, row.longitude, row.accuracy_m) == (52.5739, -0.2403, 8.0)
    assert (row.started_at, row.stopped_at, row.due_at) == (at(0), at(2), at(2) + timedelta(hours=24))
    assert made.status is not None
    assert made.status.recording is False


def test_who_is_off_duty_is_not_placed() -> None:
    """The recording is expected all the same."""
    word = Told(
        "cam-1", "recording_started", started(1, 0, latitude=52.0, longitude=0.5).body, at(0), at(0), private=True
    )
    (row,) = rows(heard(word))
    assert (row.latitude, row.longitude, row.recording) == (None, None, "R1")


def test_a_gap_opens_a_row_for_each_number() -> None:
    """Between what is known on either side; filled when it is told late."""
    made = heard(started(17, 0), started(20, 6))
    assert [(row.n, row.cause) for row in rows(made)] == [(17, "started"), (18, "gap"), (19, "gap"), (20, "started")]
    assert (rows(made)[1].not_before, rows(made)[1].not_after) == (at(0), at(6))
    hear(made, started(19, 4), LIMITS)
    assert [(row.n, row.cause, row.recording) for row in rows(made)][2] == (19, "started", "R19")
    assert len(rows(made)) == 4


def test_a_jump_is_one_row() -> None:
    """Not a million missing ones."""
    made = heard(started(17, 0), started(4711, 6))
    assert [(row.n, row.n_to, row.cause) for row in rows(made)] == [
        (17, None, "started"),
        (18, 4710, "gap"),
        (4711, None, "started"),
    ]


def test_a_reboot_is_said() -> None:
    """A new generation; what it may have made before its first word is one row."""
    made = heard(started(17, 0), started(3, 6))
    assert made.renumbered == 1
    assert [(row.generation, row.n, row.n_to, row.cause) for row in rows(made)] == [
        (0, 17, None, "started"),
        (1, 1, 2, "renumbered"),
        (1, 3, None, "started"),
    ]
    assert heard(started(17, 0), started(1, 6)).renumbered == 1


def test_a_name_used_again_at_another_time_is_another_recording() -> None:
    """A camera whose numbering began anew may give the same names."""
    made = heard(started(1, 0, "0001"), stopped(1, 1, "0001"), started(1, 60, "0001"), stopped(1, 61, "0001"))
    assert [(row.recording, row.started_at, row.stopped_at) for row in rows(made)] == [
        ("0001", at(0), at(1)),
        ("0001", at(60), at(61)),
    ]


def test_without_name_and_number() -> None:
    """A camera that says only that it records is taken at its word; told twice it is one recording."""
    word = Told("cam-1", "recording_started", {}, at(0), at(0))
    made = heard(word, word, Told("cam-1", "recording_stopped", {}, at(2), at(2)))
    (row,) = rows(made)
    assert (row.recording, row.n, row.started_at, row.stopped_at) == (None, None, at(0), at(2))


def test_docked_is_due_at_once() -> None:
    """What was recorded before it was docked; what comes after has its day."""
    made = heard(started(1, 0), stopped(1, 1), status(5, docked=True), started(2, 9))
    assert [row.due_at for row in rows(made)] == [at(5), at(9) + timedelta(hours=24)]
    assert [row.state(at(6)) for row in rows(made)] == ["missing", "waiting"]


def test_rows_are_bounded() -> None:
    """A camera with more open than anybody can work through is counted, not listed."""
    made = book()
    for n in range(awaited.OPEN_MAX + 5):
        hear(made, started(n, n), LIMITS)
    assert len(made.rows) == awaited.OPEN_MAX
    assert made.status is not None
    assert made.status.unlisted == 5


# --- status


def test_status_and_its_doubts() -> None:
    """Battery, storage, clock: what is low, full, doubtful."""
    clock = {"source": "gnss", "last_sync": "2026-11-21T20:58:11Z"}
    well = heard(status(0, battery_pct=71, storage_free_bytes=50 << 30, recording=True, recordings_held=3, clock=clock))
    assert well.status is not None
    assert (well.status.battery_pct, well.status.recording, well.status.doubts) == (71, True, ())
    ill = heard(status(0, battery_pct=9, storage_free_bytes=5, clock={"source": "none"}))
    assert ill.status is not None
    assert ill.status.doubts == ("battery_low", "storage_low", "clock_doubtful")


@pytest.mark.parametrize(
    "word",
    [
        status(10, arrived=0),
        status(0, clock={"source": "rtc", "last_sync": "2026-11-01T00:00:00Z"}),
        Told("cam-1", "status", {}, at(0), datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_doubtful_clocks(word: Told) -> None:
    """Ahead of ours, long not set, never set."""
    made = heard(word)
    assert made.status is not None
    assert "clock_doubtful" in made.status.doubts


def test_an_older_status_changes_nothing() -> None:
    """A broker delivers what is retained again; a clock that ran ahead doesn't shut out the truth for ever."""
    made = heard(status(5, battery_pct=50), status(1, arrived=6, battery_pct=99))
    assert made.status is not None
    assert made.status.battery_pct == 50
    made = heard(status(600, arrived=5, battery_pct=50), status(6, battery_pct=49))
    assert made.status is not None
    assert made.status.battery_pct == 49


# --- whatever is said

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
KEYS = st.sampled_from(
    ["recording", "n", "trigger", "latitude", "longitude", "accuracy_m", "battery_pct", "clock", "docked", "firmware"]
)
TIMES = st.datetimes(timezones=st.just(UTC)) | st.none()


@given(
    st.lists(
        st.builds(
            Told,
            st.just("cam-1"),
            st.sampled_from(["status", "recording_started", "recording_stopped"]),
            st.dictionaries(KEYS, JUNK, max_size=5),
            st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
            TIMES,
            st.booleans(),
        ),
        max_size=8,
    )
)
def test_it_never_fails(words: list[Told]) -> None:
    """Whatever a camera says."""
    made = heard(*words)
    assert all(row.device == "cam-1" for row in made.rows.values())


@given(st.data(), st.integers(2, 8))
def test_orders_and_duplicates_come_to_the_same(data: st.DataObject, last: int) -> None:
    """Within one numbering: any order, anything twice, anything lost: one row for each number from low to high."""
    words = [word for n in range(1, last + 1) for word in (started(n, n * 10), stopped(n, n * 10 + 5))]
    kept = data.draw(st.lists(st.sampled_from(words), min_size=1, max_size=30))
    shuffled = data.draw(st.permutations(kept))
    numbers = {word.body["n"] for word in shuffled}
    made = heard(*shuffled)
    found = [row.n for row in rows(made)]
    assert found == list(range(min(numbers), max(numbers) + 1))
    for row in made.rows.values():
        assert (row.recording is not None) == (row.n in numbers)
        assert (row.cause == "gap") == (row.n not in numbers)
