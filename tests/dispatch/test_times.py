"""Response times: durations by unit, agency and kind of incident, counted by hand."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.dispatch.task import Task
from gateway.dispatch.times import Leg, response_times
from gateway.domain.ids import UnitId

NOON = datetime.fromisoformat("2026-11-21T12:00:00+00:00")
MARKS = ("reported_at", "sent_at", "en_route_at", "at_scene_at")


def task(*seconds: float | None, unit: str = "PCC.A", kind: str | None = None) -> Task:
    """A task whose four moments are so many seconds after noon."""
    marks: dict[str, Any] = {
        name: None if each is None else NOON + timedelta(seconds=each)
        for name, each in zip(MARKS, seconds, strict=True)
    }
    agency = unit.split(".", maxsplit=1)[0]
    facts = {"text": "Go", "words": "Go", "actor": "c", "created_at": NOON, "incident_type": kind, **marks}
    return Task(id="T", unit=UnitId(unit), agency=agency, **facts)


def test_by_hand() -> None:
    """Two units, three legs; a leg needs both its ends."""
    tasks = [
        task(0, 60, 90, 300, kind="asb"),
        task(0, 120, 180, 480, kind="asb"),
        task(None, 0, 30, None, unit="CAMBS.B"),
        task(0, None, None, None, unit="CAMBS.B", kind="theft"),
    ]
    report = response_times(tasks, "unit")
    assert [(row.key, row.tasks) for row in report.rows] == [("CAMBS.B", 2), ("PCC.A", 2)]
    assert report.rows[1].legs == {
        "reported_to_dispatched": Leg(2, 90.0, 120.0),
        "dispatched_to_en_route": Leg(2, 45.0, 60.0),
        "en_route_to_at_scene": Leg(2, 255.0, 300.0),
        "reported_to_at_scene": Leg(2, 390.0, 480.0),
    }
    assert report.rows[0].legs["reported_to_dispatched"] == Leg(0)
    assert report.whole.legs["dispatched_to_en_route"] == Leg(3, 30.0, 60.0)
    assert [row.key for row in response_times(tasks, "agency").rows] == ["CAMBS", "PCC"]
    assert [(row.key, row.tasks) for row in response_times(tasks, "incident_type").rows] == [
        ("asb", 2),
        ("theft", 1),
        (None, 1),
    ]


def test_clocks_that_were_wrong() -> None:
    """A duration below nothing is counted apart, and in no median."""
    report = response_times([task(100, 40, 50, 60), task(0, 30, 40, 50)], "unit")
    assert report.implausible == 2
    assert report.rows[0].legs["reported_to_dispatched"] == Leg(1, 30.0, 30.0)


def test_nothing_at_all() -> None:
    """No tasks, no rows."""
    report = response_times([], "agency")
    assert (report.tasks, report.rows, report.whole.legs["reported_to_at_scene"]) == (0, [], Leg(0))


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=50))
def test_of_any_durations(seconds: list[int]) -> None:
    """Half are within the median, nine in ten within p90, and p90 is one of them."""
    leg = response_times([task(0, each, None, None) for each in seconds], "unit").rows[0].legs["reported_to_dispatched"]
    assert leg.count == len(seconds)
    assert sum(each <= leg.median_s for each in seconds) * 2 >= len(seconds)
    assert sum(each <= leg.p90_s for each in seconds) * 10 >= 9 * len(seconds)
    assert leg.p90_s in seconds
