"""Where drivers put what they read: emergencies out first, then routed, journalled, acknowledged."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import msgspec
import structlog

from gateway.domain.cameras import Told
from gateway.domain.events import CameraReport, EmergencyReport, Event, Frame, Origin, PositionReport
from gateway.history.frame import mark
from gateway.pipeline.group_commit import GroupCommit
from gateway.pipeline.journal import Row, row
from gateway.pipeline.route import Router
from gateway.ports import Receipt

FRAME_OVERHEAD = 256
"""What a queued frame costs in memory beside its payload, in bytes (measured, rounded up)."""

OFF_DUTY = "unreadable, of somebody off duty: SHA-256 and length"

Unreadable = tuple[Frame, str]


class FrameIntake:
    """Implements gateway.ports.Intake."""

    def __init__(
        self,
        router: Router,
        journal: GroupCommit[Row],
        quarantine: GroupCommit[Unreadable],
        cameras: GroupCommit[Told] | None = None,
    ) -> None:
        self._router, self._journal, self._quarantine, self._cameras = router, journal, quarantine, cameras
        self.accepted = self.quarantined = self.defects = 0
        self.positions: Counter[str] = Counter()

    @property
    def counts(self) -> dict[str, int]:
        """Frames by what became of them."""
        return {
            "frames": self.accepted,
            "positions": self.positions.total(),
            **{f"positions_{source}": count for source, count in self.positions.items()},
            "quarantined": self.quarantined,
            "defects": self.defects,
            "journal_written": self._journal.written,
            "journal_backlog": self._journal.backlog,
            "journal_dropped": self._journal.dropped,
            "journal_failures": self._journal.failures,
            "journal_unwritable": self._journal.unwritable,
            "quarantine_dropped": self._quarantine.dropped,
            "quarantine_unwritable": self._quarantine.unwritable,
            **self._of_cameras(),
        }

    def _of_cameras(self) -> dict[str, int]:
        told = self._cameras
        if told is None:
            return {}
        counts = {"written": told.written, "backlog": told.backlog, "dropped": told.dropped, "failures": told.failures}
        return {f"cameras_{name}": count for name, count in counts.items()}

    def accept(self, frame: Frame, events: Sequence[Event]) -> asyncio.Future[Receipt]:
        """Emergencies first of all; then the rest; then the journal, and for a camera's word its own store."""
        urgent, private = False, not events and self._off_duty(frame)
        told: list[Told] = []
        for event in events:
            if isinstance(event, EmergencyReport):
                urgent = True
                self._router.emergency(event, journalled=self._journal.healthy)
        for event in events:
            if not isinstance(event, EmergencyReport):
                off_duty = self._routed(event, frame)
                private = private or off_duty
                if isinstance(event, CameraReport):
                    told.append(_told(event, private=off_duty))
        self.accepted += 1
        weight, digest = len(frame.payload) + FRAME_OVERHEAD, private and not urgent
        kept = self._journal.put(row(frame, digest=digest), weight, urgent=urgent)
        if self._cameras is not None:
            # Of somebody off duty the journal keeps a digest alone: what is expected can't be read back from it.
            for word in told:
                kept = _both(kept, self._cameras.put(word, weight))
        return kept

    def _routed(self, event: Event, frame: Frame) -> bool:
        try:
            private = self._router.event(event)
        except Exception:  # noqa: BLE001 - logged and counted below
            # The frame is journalled all the same: a defect of ours loses nothing and ends no input.
            self.defects += 1
            structlog.get_logger().exception("event_not_routed", via=frame.via, event_kind=type(event).__name__)
            return False
        if isinstance(event, PositionReport) and event.fix is not None:
            self.positions[event.source] += 1
        return private

    def _off_duty(self, frame: Frame) -> bool:
        """Whether whoever sent a frame that says nothing is off duty; what can't be found out keeps the frame."""
        try:
            return self._router.off_duty(Origin(frame.via, frame.device, frame.issi), frame.stamp.arrived.utc)
        except Exception:  # noqa: BLE001 - logged and counted: a defect of ours loses no frame
            self.defects += 1
            structlog.get_logger().exception("sender_not_resolved", via=frame.via)
            return False

    def quarantine(self, frame: Frame, reason: str) -> asyncio.Future[Receipt]:
        """Keep what could not be read, with the reason; of somebody off duty only that there was something."""
        self.quarantined += 1
        if self._off_duty(frame):
            # The reason may quote what could not be read.
            frame, reason = msgspec.structs.replace(frame, payload=mark(frame.payload), channel=""), OFF_DUTY
        structlog.get_logger().info(
            "quarantined", via=frame.via, channel=frame.channel, device=frame.device, reason=reason
        )
        return self._quarantine.put((frame, reason), len(frame.payload) + FRAME_OVERHEAD)


def _told(event: CameraReport, *, private: bool) -> Told:
    origin, stamp = event.origin, event.stamp
    return Told(origin.device or origin.via, event.kind, event.body, stamp.arrived.utc, stamp.device_time, private)


def _both(one: asyncio.Future[Receipt], other: asyncio.Future[Receipt]) -> asyncio.Future[Receipt]:
    """Done when both are; journalled where both are on disk."""
    whole: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()

    def done(_future: asyncio.Future[Receipt]) -> None:
        if whole.done() or not (one.done() and other.done()):
            return
        if one.cancelled() or other.cancelled():
            whole.cancel()
        else:
            whole.set_result(Receipt(one.result().journalled and other.result().journalled))

    one.add_done_callback(done)
    other.add_done_callback(done)
    return whole
