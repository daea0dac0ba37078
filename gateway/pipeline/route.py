"""To which room an event goes."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import structlog

from gateway.domain.events import (
    CameraReport,
    DeliveryReport,
    EmergencyReport,
    Event,
    Origin,
    PositionReport,
    ReachReport,
    StatusReport,
    TextReport,
)
from gateway.pipeline.resolve import resolve
from gateway.pipeline.screen import doubts
from gateway.ports import Directory, FeedSink, Resolved


class RadioFeed(FeedSink, Protocol):
    """The feed, which also hears of a radio's reach."""

    def reach_report(self, report: ReachReport, who: Resolved) -> None:
        """A radio says of itself whether it can be reached."""
        ...


class TaskSink(Protocol):
    """Where what radios say of tasks goes. Synchronous, in memory."""

    def delivery(self, report: DeliveryReport) -> None:
        """What became of a message we sent."""
        ...

    def status(self, report: StatusReport, who: Resolved) -> None:
        """A status, which may answer a task."""
        ...

    def reach(self, report: ReachReport, who: Resolved) -> None:
        """A terminal came within reach, or went out of it."""
        ...

    def emergency(self) -> None:
        """An emergency was raised or pressed again: the feed has it."""
        ...


class Router:
    """Resolves, screens and hands on; counts what it saw."""

    def __init__(self, directory: Directory, feed: RadioFeed, tasks: TaskSink | None = None) -> None:
        self._directory, self._feed, self._tasks = directory, feed, tasks
        self.counts: dict[str, int] = {}

    def emergency(self, event: EmergencyReport, *, journalled: bool) -> None:
        """First of all, and whatever the roster says or fails to say."""
        self._count(event)
        try:
            who = resolve(self._directory, event.origin, event.stamp.arrived.utc)
        except Exception:  # noqa: BLE001 - logged below
            # An emergency is never gated by the roster: it goes out with what its origin alone says.
            structlog.get_logger().exception("roster_failed", issi=event.origin.issi, device=event.origin.device)
            who = Resolved(device=event.origin.device, issi=event.origin.issi)
        self._feed.emergency(event, who, journalled=journalled)
        if self._tasks is not None:
            self._tell(self._tasks, event, who)

    def event(self, event: Event) -> bool:
        """Hand an event that is no emergency to the feed; True where its sender is off duty."""
        self._count(event)
        who = resolve(self._directory, event.origin, event.stamp.arrived.utc)
        if isinstance(event, PositionReport):
            self._feed.position(event, who, quality=doubts(event))
        elif isinstance(event, StatusReport):
            self._feed.status(event, who)
        elif isinstance(event, TextReport):
            self._feed.text(event, who)
        elif isinstance(event, CameraReport):
            self._feed.camera(event, who)
        elif isinstance(event, ReachReport):
            self._feed.reach_report(event, who)
        if self._tasks is not None:
            self._tell(self._tasks, event, who)
        return who.unit is not None and self._feed.off_duty(who.unit, who.person)

    def off_duty(self, origin: Origin, at: datetime) -> bool:
        """Whether who is speaking is off duty."""
        who = resolve(self._directory, origin, at)
        return who.unit is not None and self._feed.off_duty(who.unit, who.person)

    def _tell(self, tasks: TaskSink, event: Event, who: Resolved) -> None:
        """What may move a task; the feed has it already."""
        try:
            if isinstance(event, EmergencyReport):
                tasks.emergency()
            elif isinstance(event, DeliveryReport):
                tasks.delivery(event)
            elif isinstance(event, StatusReport):
                tasks.status(event, who)
            elif isinstance(event, ReachReport):
                tasks.reach(event, who)
        except Exception:  # noqa: BLE001 - logged; a defect in dispatch must not cost the frame its place in the journal
            structlog.get_logger().exception("dispatch_failed", report=type(event).__name__)

    def _count(self, event: Event) -> None:
        name = type(event).__name__
        self.counts[name] = self.counts.get(name, 0) + 1
