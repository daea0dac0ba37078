"""Exhibits given to the recordings that were expected."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from gateway.domain.cameras import Arrival, Expected
from gateway.evidence.matching import matched

T0 = datetime(2026, 11, 21, 21, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    """So many minutes into the shift."""
    return T0 + timedelta(minutes=minutes)


def row(number: int, recording: str | None = None, **more: Any) -> Expected:
    """A row."""
    facts: dict[str, Any] = {"device": "cam-1", "cause": "started", "opened_at": at(0), "due_at": at(1440), **more}
    return Expected(id=number, recording=recording, **facts)


def seal(exhibit: str, recording: str, *, index: int = 1, complete: bool = True, **more: Any) -> Arrival:
    """A sealed exhibit."""
    return Arrival(
        exhibit=exhibit,
        device="cam-1",
        recording=recording,
        sealed_at=at(60),
        log_index=index,
        complete=complete,
        **more,
    )


def exhibits(rows: list[Expected], seals: list[Arrival]) -> dict[int, str | None]:
    """Which row has which exhibit afterwards."""
    known = {each.id: each for each in rows} | {each.id: each for each in matched(rows, seals)}
    return {number: each.exhibit for number, each in known.items()}


def test_by_name_before_all_else() -> None:
    """Whatever its number says."""
    rows = [row(1, "A", n=1), row(2, "B", n=2)]
    assert exhibits(rows, [seal("X-1", "B", n=1)]) == {1: None, 2: "X-1"}


def test_a_gap_by_its_number() -> None:
    """Near in time; the same number of another month is of another numbering."""
    gap = row(1, n=18, cause="gap", not_before=at(0), not_after=at(10))
    assert exhibits([gap], [seal("X-1", "whatever", n=18, started_at=at(5))]) == {1: "X-1"}
    assert exhibits([gap], [seal("X-1", "whatever", n=18, started_at=at(5) - timedelta(days=40))]) == {1: None}
    assert exhibits([row(1, n=18, n_to=90)], [seal("X-1", "whatever", n=18)]) == {1: None}


def test_by_its_beginning() -> None:
    """A recording without a name, to two seconds."""
    nameless = row(1, started_at=at(5))
    assert exhibits([nameless], [seal("X-1", "A", started_at=at(5) + timedelta(seconds=1))]) == {1: "X-1"}
    assert exhibits([nameless], [seal("X-1", "A", started_at=at(6))]) == {1: None}


def test_a_name_used_twice_is_two_recordings() -> None:
    """One exhibit never stands for both: the other is still missing."""
    rows = [row(1, "0001", started_at=at(0)), row(2, "0001", started_at=at(600))]
    assert exhibits(rows, [seal("X-1", "0001", started_at=at(600))]) == {1: None, 2: "X-1"}


def test_whole_after_incomplete() -> None:
    """What came late stands for it; once whole the place is the exhibit's to say."""
    first = row(1, "A", latitude=52.5, longitude=-0.2)
    (half,) = matched([first], [seal("X-1", "A", complete=False, missing=((7, 10),))])
    assert (half.exhibit, half.complete, half.missing, half.latitude) == ("X-1", False, ((7, 10),), 52.5)
    assert half.state(at(0)) == "incomplete"
    both = [seal("X-1", "A", complete=False), seal("X-2", "A", index=9)]
    (whole,) = matched([half], both)
    assert (whole.exhibit, whole.complete, whole.missing, whole.latitude) == ("X-2", True, (), None)
    assert matched([whole], both) == []


def test_settled_and_then_it_comes() -> None:
    """It settles by itself; who had settled it stays on record."""
    settled = row(1, "A", settled_at=at(5), settled_by="clerk", reason="camera crushed")
    assert settled.state(at(9999)) == "settled"
    (come,) = matched([settled], [seal("X-1", "A")])
    assert (come.state(at(9999)), come.settled_by) == ("sealed", "clerk")


def test_a_side_file_is_no_recording() -> None:
    """A trail that bears the recording's number does not stand for it."""
    assert exhibits([row(1, n=5)], [seal("X-1", "trail", n=5, sidecar_of="A")]) == {1: None}


def test_states_in_time() -> None:
    """Waiting, then missing; under way while it uploads."""
    one = row(1, "A")
    assert [one.state(at(0)), one.state(at(1440)), one.state(at(1440), uploading=True)] == [
        "waiting",
        "missing",
        "uploading",
    ]
    assert msgspec.structs.replace(one, complete=True).open is False


def test_what_a_dock_without_the_right_brought_is_not_what_was_expected() -> None:
    """However well its name, number and time fit: the camera's own has still to come."""
    seals = [seal("X-1", "R1", n=1, started_at=at(0), apart=True)]
    assert exhibits([row(1, "R1", n=1, started_at=at(0))], seals) == {1: None}
    assert exhibits([row(1, "R1")], [*seals, seal("X-2", "R1")]) == {1: "X-2"}
