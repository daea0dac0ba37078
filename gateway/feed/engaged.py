"""What keeps a unit on the feed whatever roster or status says: a running recording, a task that is not over.

(An emergency does so too, and is not of this module.) What cameras say of themselves comes in here; tasks are asked
for. A camera that says that it records and is then not heard for `recording_s` keeps nobody any longer: it may have
lost its power. Pure: time is an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import msgspec

from gateway.domain.events import CameraReport
from gateway.domain.ids import UnitId
from gateway.domain.time import Instant
from gateway.feed.standing import CameraNote, Standing
from gateway.ports import Resolved

CAMERAS_PER_UNIT = 16
ASK_EVERY_S = 1.0


class Engaged:
    """Knows the units of a board. `changed(standing, was_shown)`: what keeps this unit on the feed has changed."""

    def __init__(
        self,
        units: dict[UnitId, Standing],
        recording_s: float,
        touch: Callable[[Standing], None],
        changed: Callable[[Standing, bool], None],
    ) -> None:
        self._units, self._recording_s, self._touch, self._changed = units, recording_s, touch, changed
        self._camera_of: dict[str, UnitId] = {}
        self._kept: set[UnitId] = set()
        self._asked_s = float("-inf")
        self.tasked: Callable[[], Collection[str]] = tuple
        """The units that have a task which is not over."""

    # --- cameras

    def camera(self, report: CameraReport, who: Resolved) -> None:
        """Its battery stands for a unit of which no other is known; that it records is known of its unit."""
        device = report.origin.device or report.origin.via
        standing = self._units.get(who.unit) if who.unit is not None else None
        for former in self._cameras_of(device):
            if former is not standing:
                former.cameras.pop(device)
                self._touch(former)
                self._film(former, report.stamp.arrived)
        if standing is None:
            return
        before = standing.cameras.get(device, CameraNote())
        note = _noted(before, report)
        if not standing.on_feed and not note.recording:
            return
        if note != before and (device in standing.cameras or len(standing.cameras) < CAMERAS_PER_UNIT):
            shown = (standing.battery, standing.recording)
            standing.cameras[device] = note
            self._camera_of[device] = standing.id
            if shown != (standing.battery, standing.recording):
                self._touch(standing)
        self._film(standing, report.stamp.arrived)

    def _cameras_of(self, device: str) -> list[Standing]:
        known = self._units.get(self._camera_of.get(device, UnitId("")))
        return [known] if known is not None and device in known.cameras else []

    def _film(self, standing: Standing, now: Instant) -> None:
        filming = standing.hidden and self._films(standing, now.mono_s)
        if filming != standing.filming:
            self._set(standing, filming=filming)

    def _films(self, standing: Standing, now_mono_s: float) -> bool:
        latest_s = max((each.heard_mono_s for each in standing.cameras.values() if each.recording), default=None)
        return latest_s is not None and now_mono_s - latest_s <= self._recording_s

    def booked_off(self, standing: Standing) -> None:
        """The unit has just booked off: what it still does keeps it."""
        standing.filming = standing.recording
        standing.tasked = standing.id in self.tasked()
        self._keep(standing)

    def booked_on(self, standing: Standing) -> None:
        """It is on the feed by right again."""
        standing.filming = standing.tasked = False
        self._kept.discard(standing.id)

    # --- time

    def age(self, now: Instant) -> None:
        """Now and then: which of those who booked off are still kept, and by what."""
        if now.mono_s - self._asked_s < ASK_EVERY_S:
            return
        self._asked_s = now.mono_s
        tasked = set(self.tasked())
        for name in self._kept | tasked:
            standing = self._units.get(UnitId(name))
            if standing is None:
                self._kept.discard(UnitId(name))
            else:
                self._look(standing, tasked=name in tasked, now_mono_s=now.mono_s)

    def _look(self, standing: Standing, *, tasked: bool, now_mono_s: float) -> None:
        filming = standing.filming and self._films(standing, now_mono_s)
        if (tasked, filming) != (standing.tasked, standing.filming):
            self._set(standing, tasked=tasked, filming=filming)

    def _set(self, standing: Standing, *, filming: bool, tasked: bool | None = None) -> None:
        was_shown = standing.on_feed
        standing.filming = filming
        standing.tasked = standing.tasked if tasked is None else tasked
        self._keep(standing)
        if was_shown != standing.on_feed:
            self._changed(standing, was_shown)

    def _keep(self, standing: Standing) -> None:
        if standing.filming or standing.tasked:
            self._kept.add(standing.id)
        else:
            self._kept.discard(standing.id)


def _noted(before: CameraNote, report: CameraReport) -> CameraNote:
    """What a camera's word changes; one told before what is known changes nothing."""
    told_s, heard_s = report.stamp.at.timestamp(), report.stamp.arrived.mono_s
    if told_s < before.told_s and before.told_s <= report.stamp.arrived.utc.timestamp():
        return msgspec.structs.replace(before, heard_mono_s=heard_s)
    battery, recording = report.body.get("battery_pct"), report.body.get("recording")
    known = isinstance(battery, int) and not isinstance(battery, bool) and 0 <= battery <= 100
    if report.kind != "status":
        recording = report.kind == "recording_started"
    filming = recording if isinstance(recording, bool) else before.recording
    return CameraNote(battery if known else before.battery_pct, filming, told_s, heard_s)
