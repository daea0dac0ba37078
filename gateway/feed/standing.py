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


class SourceChange(msgspec.Struct, frozen=True, gc=False, rename={"source": "from"}):
    """When a unit's position last came from another device than before: from which source and device, to which."""

    at: str
    source: PositionSource
    from_device: str
    device: str


class CameraNote(msgspec.Struct, frozen=True, gc=False):
    """What a unit's camera last said of itself, and when (seconds since 1970; heard_mono_s on our clock)."""

    battery_pct: int | None = None
    recording: bool = False
    told_s: float = float("-inf")
    heard_mono_s: float = float("-inf")


class Standing(msgspec.Struct, eq=False, gc=False):
    """One unit on the board. `hidden` is off duty; feature and frame are cached bytes, made on demand.

    duty_seq is the number of the record that last changed its duty; zoned the position that `zones` were found for,
    on_since_s when it last came back on duty, speed_mps how fast its kind goes. off are members who have booked off
    while others go on, back those who
    are at work again, each since when (seconds since 1970); apart the rows
    in the index of members who are away from the unit; apart_since since when a person's devices contradict one
    another (seconds since 1970), conflicts those of whom that is said. tasked: it has a task that is not over;
    filming: it was booked off while it recorded.
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
    off: dict[str, float] = msgspec.field(default_factory=dict)
    back: dict[str, float] = msgspec.field(default_factory=dict)
    apart: dict[str, int] = msgspec.field(default_factory=dict)
    apart_since: dict[str, float] = msgspec.field(default_factory=dict)
    conflicts: set[str] = msgspec.field(default_factory=set)
    change: SourceChange | None = None
    overtime: bool = False
    tasked: bool = False
    filming: bool = False

    def forget(self, device: str) -> None:
        """The device is no longer of this unit."""
        for kept in (self.sightings, self.devices, self.gates, self.timings):
            kept.pop(device, None)

    def blank(self) -> None:
        """Off duty: nothing is known of where it is, or was."""
        self.sightings, self.live, self.battery_pct = {}, None, None
        self.gates, self.timings, self.cameras = {}, {}, {}
        self.apart_since, self.conflicts, self.change = {}, set(), None
        self.shown_fresh, self.frame, self.members_json = "never", None, None

    @property
    def newest(self) -> Sighting | None:
        """The last position from any of its devices."""
        return max(self.sightings.values(), key=lambda sighting: sighting.fix_s, default=None)

    def agree_on(self, person: str | None) -> None:
        """Nothing contradicts any longer where this person is."""
        if person is not None:
            self.conflicts.discard(person)
            self.apart_since.pop(person, None)

    def at_work_since_s(self, person: str | None) -> float:
        """Since when this member has been on duty; what was before that is private."""
        return max(self.on_since_s, self.back.get(person or "", float("-inf")))

    def booked_off(self, person: str | None) -> bool:
        """Off duty is private of a member too who left others at it; in an emergency nobody is."""
        return person in self.off and self.emergency is None

    @property
    def busy(self) -> bool:
        """Engaged, or a camera of it records: it must not vanish with its row of the roster."""
        return self.engaged or self.recording

    @property
    def engaged(self) -> bool:
        """Whether an emergency, a task or a running recording keeps it on the feed, whatever roster or status says."""
        return self.emergency is not None or self.tasked or self.filming

    @property
    def on_feed(self) -> bool:
        """Whether consumers see it: off duty is private, but not before what it is engaged in is over."""
        return not self.hidden or self.engaged

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
