"""The `[feed]` section of the configuration: closed, with the defaults a shift can run on."""

from __future__ import annotations

from typing import Annotated

import msgspec

from gateway.domain.people import UnitKind
from gateway.domain.position import PositionSource
from gateway.feed.agency import Agency
from gateway.feed.coverage import Talkgroup, once_each
from gateway.feed.zone_cover import CoverRule


class MapSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The `[map]` section: the operator's zones, and which properties of theirs have id and name."""

    zones: str | None = None
    zone_id: str | None = None
    zone_name: str | None = None
    zone_kind: str | None = None


class FeedSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How often each source reports, how units are ranked, and how far consumers may fall behind."""

    lip_interval_s: float = 60.0
    mqtt_interval_s: float = 10.0
    bwc_interval_s: float = 30.0
    manual_interval_s: float = 300.0
    priority: tuple[PositionSource, ...] = ("mqtt", "bwc", "lip", "manual")
    clock_skew_s: float = 5.0
    oldest_live_s: float = 900.0
    conflict_s: Annotated[float, msgspec.Meta(ge=0)] = 60.0
    member_m: Annotated[float, msgspec.Meta(gt=0)] = 150.0
    recording_s: Annotated[float, msgspec.Meta(gt=0)] = 900.0
    deployable: tuple[int, ...] = (2, 3, 7)
    foot_mps: float = 1.6
    cycle_mps: float = 4.5
    vehicle_mps: float = 8.0
    detour: float = 1.35
    tick_ms: int = 100
    heartbeat_s: float = 10.0
    roster_s: float = 10.0
    buffer_high_bytes: int = 262_144
    urgent_queue: int = 1_000
    stuck_s: float = 30.0
    consumers_max: int = 500
    urgent_kept: int = 10_000
    messages_kept: int = 1_000
    track_days: Annotated[int, msgspec.Meta(ge=0, le=3650)] = 31
    asked_days: Annotated[int, msgspec.Meta(ge=0, le=3650)] = 366
    emergency_repeat_s: Annotated[float, msgspec.Meta(gt=0)] = 5.0
    emergency_alarm_s: Annotated[float, msgspec.Meta(gt=0)] = 15.0
    alarm_hook: tuple[Annotated[str, msgspec.Meta(min_length=1)], ...] = ()
    test_status: Annotated[int, msgspec.Meta(ge=0x8000, le=0xFFFF)] | None = None

    groups: tuple[Talkgroup, ...] = ()
    mqtt: bool = False
    mqtt_for: tuple[Agency, ...] = ()
    zone_edge_m: Annotated[float, msgspec.Meta(ge=0)] = 30.0
    coverage: tuple[CoverRule, ...] = ()

    def __post_init__(self) -> None:
        """What one key alone does not show."""
        once_each(self.groups)
        if self.mqtt_for and not self.mqtt:
            raise ValueError("mqtt_for: goes with mqtt = true")
        if len(set(self.mqtt_for)) < len(self.mqtt_for):
            raise ValueError("mqtt_for: an agency stands twice")

    def interval_s(self, source: PositionSource) -> float:
        """How often this source reports when all is well."""
        return {
            "lip": self.lip_interval_s,
            "mqtt": self.mqtt_interval_s,
            "bwc": self.bwc_interval_s,
            "manual": self.manual_interval_s,
        }[source]

    def speed_mps(self, kind: UnitKind) -> float:
        """How fast a unit of this kind gets somewhere."""
        return {"foot": self.foot_mps, "cycle": self.cycle_mps, "vehicle": self.vehicle_mps}[kind]
