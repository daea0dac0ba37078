"""To which room an event goes."""

from __future__ import annotations

import structlog

from gateway.domain.events import CameraReport, EmergencyReport, Event, PositionReport, StatusReport, TextReport
from gateway.pipeline.resolve import resolve
from gateway.pipeline.screen import doubts
from gateway.ports import Directory, FeedSink, Resolved


class Router:
    """Resolves, screens and hands on; counts what it saw."""

    def __init__(self, directory: Directory, feed: FeedSink) -> None:
        self._directory, self._feed = directory, feed
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
        return who.unit is not None and self._feed.off_duty(who.unit)

    def _count(self, event: Event) -> None:
        name = type(event).__name__
        self.counts[name] = self.counts.get(name, 0) + 1
