"""A position as its history keeps it: every fix of somebody on duty, with what became of it. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec

from gateway.domain.events import PositionReport
from gateway.domain.position import PositionSource
from gateway.domain.time import TimeQuality
from gateway.feed.board import Board, Outcome
from gateway.feed.reported import device_of
from gateway.feed.standing import Standing
from gateway.feed.timing import Timing
from gateway.ports import Directory, Resolved

Mark = Literal["live", "kept", "late", "held"]
MARKS: dict[Outcome, Mark] = {"live": "live", "kept": "kept", "late": "late", "held": "held"}
"""kept: good, while another device of the unit was shown. held: an outlier. late: too old to move the live position."""
_NO_TIMING = Timing()


class PastFix(msgspec.Struct, frozen=True, gc=False):
    """One fix. fix_ms is the time it counts for, told_ms the device's own, arrived_ms ours (ms since 1970)."""

    unit: str
    device: str
    person: str | None
    fix_ms: int
    told_ms: int
    arrived_ms: int
    latitude: float
    longitude: float
    accuracy_m: float | None
    altitude_m: float | None
    speed_mps: float | None
    heading_deg: float | None
    source: PositionSource
    time_quality: TimeQuality
    mark: Mark
    quality: str = ""
    """Marks of its quality, with commas between them."""


def moment(ms: int) -> datetime:
    """Milliseconds since 1970 as a time."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def past_of(
    board: Board, report: PositionReport, who: Resolved, outcome: Outcome, quality: tuple[str, ...]
) -> PastFix | None:
    """What the history keeps of a report that the board has just taken; None for what it does not keep."""
    mark, fix = MARKS.get(outcome), report.fix
    if mark is None or fix is None or who.unit is None:
        return None
    stamp, device = report.stamp, device_of(report, who)
    standing = board.units[who.unit]
    if mark in ("live", "kept"):
        seen = standing.sightings[device]
        times, quality = (seen.fix_s, seen.told_s, seen.received_s), seen.quality
    else:
        times = _times(board, report, standing, device)
    return PastFix(
        who.unit,
        device,
        who.person,
        round(times[0] * 1000),
        round(times[1] * 1000),
        round(times[2] * 1000),
        fix.latitude,
        fix.longitude,
        fix.accuracy_m,
        fix.altitude_m,
        fix.speed_mps,
        fix.heading_deg,
        report.source,
        stamp.quality,
        mark,
        ",".join(quality),
    )


def _times(board: Board, report: PositionReport, standing: Standing, device: str) -> tuple[float, float, float]:
    """Of a fix that the board did not take: what it counts for, the device's own time, its arrival."""
    stamp = report.stamp
    arrived_s = stamp.arrived.utc.timestamp()
    told_s = arrived_s if stamp.device_time is None else stamp.device_time.timestamp()
    off_s = standing.timings.get(device, _NO_TIMING).learnt_s(board.settings.clock_skew_s)
    return min(told_s - off_s, arrived_s), told_s, arrived_s


def theirs(directory: Directory, who: Resolved, fix_ms: int) -> bool:
    """Whether a device whose fix comes late was with the same unit when it was made, whoever has the device now."""
    if who.device is None:
        return True
    holder = directory.holder(who.device, moment(fix_ms))
    units = {holder.unit, *(unit.id for each in holder.persons if (unit := directory.unit_of(each)) is not None)}
    if units == {None}:
        return who.issi is not None  # a terminal is personal issue
    return who.unit in units


def in_order(fixes: list[PastFix]) -> list[PastFix]:
    """By the time they count for, each once: a queue that a device sends again, or a batch written again, adds none."""
    seen, found = set(), []
    for each in sorted(fixes, key=lambda one: one.arrived_ms):
        same = (each.device, each.told_ms, each.latitude, each.longitude)
        if same not in seen:
            seen.add(same)
            found.append(each)
    return sorted(found, key=lambda one: (one.fix_ms, one.arrived_ms, one.device))
