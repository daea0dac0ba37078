"""How quickly: reported, dispatched, en route, at scene, by unit, agency or kind of incident. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from statistics import median
from typing import Literal

import msgspec

from gateway.dispatch.task import Task

By = Literal["unit", "agency", "incident_type"]
LEGS = {
    "reported_to_dispatched": ("reported_at", "sent_at"),
    "dispatched_to_en_route": ("sent_at", "en_route_at"),
    "en_route_to_at_scene": ("en_route_at", "at_scene_at"),
    "reported_to_at_scene": ("reported_at", "at_scene_at"),
}


class Leg(msgspec.Struct, frozen=True):
    """One stretch: how many tasks have both its ends, and how long it took, in seconds (None: no task has)."""

    count: int
    median_s: float | None = None
    p90_s: float | None = None


class Row(msgspec.Struct, frozen=True):
    """One unit, agency or kind of incident (None: of no kind)."""

    key: str | None
    tasks: int
    legs: dict[str, Leg]


class ResponseTimes(msgspec.Struct, frozen=True):
    """The report. Dispatched is the moment the radio sent the task; `implausible` durations are left out."""

    by: By
    tasks: int
    rows: list[Row]
    whole: Row
    implausible: int
    v: int = 1


def response_times(tasks: Iterable[Task], by: By) -> ResponseTimes:
    """Durations of tasks, grouped and as a whole."""
    everything = list(tasks)
    groups: dict[str | None, list[Task]] = {}
    for task in everything:
        groups.setdefault(getattr(task, by), []).append(task)
    rows = [_row(key, groups[key]) for key in sorted(groups, key=lambda key: (key is None, key or ""))]
    implausible = sum(1 for task in everything for leg in LEGS if (took := _took_s(task, leg)) is not None and took < 0)
    return ResponseTimes(by, len(everything), rows, _row("all", everything), implausible)


def _row(key: str | None, tasks: list[Task]) -> Row:
    return Row(key, len(tasks), {leg: _leg([_took_s(task, leg) for task in tasks]) for leg in LEGS})


def _took_s(task: Task, leg: str) -> float | None:
    start, end = (_moment(task, name) for name in LEGS[leg])
    return (end - start).total_seconds() if start is not None and end is not None else None


def _moment(task: Task, name: str) -> datetime | None:
    found: datetime | None = getattr(task, name)
    return found


def _leg(took_s: list[float | None]) -> Leg:
    """A clock that was wrong makes a duration below nothing: it says nothing of anybody's speed."""
    known = sorted(each for each in took_s if each is not None and each >= 0)
    if not known:
        return Leg(0)
    nearest_rank = known[math.ceil(0.9 * len(known)) - 1]
    return Leg(len(known), round(median(known), 3), round(nearest_rank, 3))
