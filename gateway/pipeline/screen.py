"""Marks what is doubtful in a report; never discards."""

from __future__ import annotations

from datetime import timedelta

from gateway.domain.events import PositionReport

LOW_ACCURACY_M = 200.0
CLOCK_AHEAD = timedelta(seconds=5)


def doubts(report: PositionReport) -> tuple[str, ...]:
    """Quality marks of a report (words of the unit schema): low_accuracy, clock_skew."""
    marks = []
    if report.fix is not None and (report.fix.accuracy_m or 0.0) > LOW_ACCURACY_M:
        marks.append("low_accuracy")
    device_time = report.stamp.device_time
    if device_time is not None and device_time - report.stamp.arrived.utc > CLOCK_AHEAD:
        marks.append("clock_skew")
    return tuple(marks)
