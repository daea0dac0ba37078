"""What the board keeps of one unit and of each of its devices. Pure records, changed only by the board."""

from __future__ import annotations

import msgspec

from gateway.domain.events import Reach
from gateway.domain.ids import UnitId
from gateway.domain.position import Fix, PositionSource
from gateway.domain.time import TimeQuality
from gateway.feed.duty import Duty
from gateway.feed.freshness import Fresh, Pace, freshness
from gateway.feed.gate import Gate
from gateway.feed.roll import Roll
from gateway.feed.timing import Timing


class EmergencyMark(msgspec.Struct, frozen=True, gc=False):
    """An emergency as a unit's feature shows it."""

    id: str
    state: str
    raised_at: str
    acknowledged_by: str | None
    person: str | None
    triggers: tuple[str, ...]
    presses: int
    delivered: bool


class Sighting(msgspec.Struct, eq=False, gc=False):
    """The last position from one device.

    told_s is the device's own time and fix_s what it counts for (seconds since 1970),
    fix_mono_s the same moment on our monotonic clock, so that a step of the host clock ages nothing.
    """

    device: str
    source: PositionSource
    priority: int
    pace: Pace
    fix: Fix
    told_s: float
    fix_s: float
    fix_mono_s: float
    received_s: float
    time_quality: TimeQuality
    quality: tuple[str, ...]

    def age_s(self, now_mono_s: float) -> float:
        """How old the position is."""
        return now_mono_s - self.fix_mono_s

    def fresh(self, now_mono_s: float) -> Fresh:
        """The name of its age."""
        return freshness(now_mono_s - self.fix_mono_s, self.pace)


class CameraNote(msgspec.Struct, frozen=True, gc=False):
    """What a unit's camera last said of itself, and when (seconds since 1970)."""

    battery_pct: int | None = None
    recording: bool = False
    told_s: float = float("-inf")


class Standing(msgspec.Struct, eq=False, gc=False):
    """One unit on the board. `hidden` is off duty; feature and frame are cached bytes, made on demand.

    duty_seq is the number of the record that last changed its duty; zoned the position that `zones` were found for,
    on_since_s when it last came back on duty, speed_mps how fast its kind goes.
    """

    id: UnitId
    roll: Roll
    duty: Duty
    row: int
    noted_s: float
    known_duty: bool = False
    duty_s: float = 0.0
    duty_seq: int = 0
    on_since_s: float = float("-inf")
    hidden: bool = False
    seq: int = 1
    live: Sighting | None = None
    sightings: dict[str, Sighting] = msgspec.field(default_factory=dict)
    devices: dict[str, str | None] = msgspec.field(default_factory=dict)
    gates: dict[str, Gate] = msgspec.field(default_factory=dict)
    timings: dict[str, Timing] = msgspec.field(default_factory=dict)
    battery_pct: int | None = None
    cameras: dict[str, CameraNote] = msgspec.field(default_factory=dict)
    reach: Reach = "unknown"
    emergency: EmergencyMark | None = None
    shown_fresh: Fresh = "never"
    members_json: msgspec.Raw | None = None
    roll_json: tuple[msgspec.Raw, msgspec.Raw] | None = None
    feature: bytes | None = None
    frame: bytes | None = None
    zones: tuple[str, ...] | None = None
    zoned: Sighting | None = None
    speed_mps: float = 0.0

    def forget(self, device: str) -> None:
        """The device is no longer of this unit."""
        for kept in (self.sightings, self.devices, self.gates, self.timings):
            kept.pop(device, None)

    @property
    def on_feed(self) -> bool:
        """Whether consumers see it: off duty is private, but not in an emergency."""
        return not self.hidden or self.emergency is not None

    @property
    def battery(self) -> int | None:
        """Of the device that reports where it is; else the lowest of its cameras."""
        if self.battery_pct is not None or not self.cameras:
            return self.battery_pct
        return min((each.battery_pct for each in self.cameras.values() if each.battery_pct is not None), default=None)

    @property
    def recording(self) -> bool:
        """Whether a camera of the unit records."""
        return bool(self.cameras) and any(each.recording for each in self.cameras.values())

    def fresh(self, now_mono_s: float) -> Fresh:
        """How fresh its position is; in an emergency never `lost`: terminals stop their periodic reports then."""
        live = self.live
        if live is None:
            return "never"
        age_s = now_mono_s - live.fix_mono_s
        if age_s <= live.pace.live_s:
            return "live"
        name = freshness(age_s, live.pace)
        return "stale" if name == "lost" and self.emergency is not None else name
