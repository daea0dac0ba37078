"""What a radio said, in the gateway's own words: short data to events. Sans-IO."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from drivers.tetra import lip, sds
from drivers.tetra.lip_short import ShortReport
from drivers.tetra.pei import Address
from drivers.tetra.session import Call, SdsIndication
from gateway.domain.events import EmergencyReport, Event, Origin, PositionReport, StatusReport, TextReport
from gateway.domain.ids import Issi
from gateway.domain.position import Fix
from gateway.domain.time import Instant, Stamp

DEFAULT_STATUS_CODES: Mapping[int, int] = {0x8000 + code: code for code in range(1, 17)}
"""A guess that every force overrides: which value stands for which duty code is a force's own affair."""
AGE_S: tuple[float | None, ...] = (2.0, 150.0, 900.0, None)
"""Middle of each class of a fix's age: 0-5 s, to 5 min, to 30 min, unknown."""
LATE_FROM = 2
AHEAD = timedelta(minutes=5)
"""How far a radio's clock may be ahead of ours before its time is taken for last month's."""
KMH_TO_MPS = 1 / 3.6


class Translator:
    """Short data of one link to domain events."""

    def __init__(self, via: str, status_codes: Mapping[int, int] | None = None) -> None:
        self._via = via
        self._codes = DEFAULT_STATUS_CODES if status_codes is None else status_codes

    def origin(self, calling: Address | None) -> Origin:
        """Who speaks; an identity that is no ISSI leaves the event without one, and never drops it."""
        return Origin(self._via, issi=Issi(calling.ssi) if calling is not None and calling.ssi else None)

    def short_data(self, heard: SdsIndication, arrived: Instant) -> list[Event]:
        """The events of one SDS, an emergency first; WireError where it cannot be read."""
        origin, message = self.origin(heard.calling), sds.decode(heard.service, heard.bits)
        if isinstance(message, sds.Status):
            return self._status(message.value, origin, Stamp(arrived))
        if isinstance(message, sds.Text):
            return [TextReport(origin, Stamp(arrived), message.text)]
        if isinstance(message, sds.Lip) and isinstance(message.pdu, lip.Report):
            return self._report(message.pdu, origin, arrived)
        return []

    def call(self, heard: Call, arrived: Instant) -> list[Event]:
        """A call at emergency priority."""
        return [EmergencyReport(self.origin(heard.calling), Stamp(arrived), "tetra_call")]

    def _status(self, value: int, origin: Origin, stamp: Stamp) -> list[Event]:
        """Status 0 is the emergency button, whatever a force's table says of it (EN 300 392-2 clause 14.8.34)."""
        if value == sds.EMERGENCY_STATUS:
            return [EmergencyReport(origin, stamp, "tetra_status"), StatusReport(origin, stamp, 0, 0)]
        return [StatusReport(origin, stamp, value, self._codes.get(value))]

    def _report(self, report: lip.Report, origin: Origin, arrived: Instant) -> list[Event]:
        stamp, fix = stamp_of(report, arrived), fix_of(report)
        events: list[Event] = []
        if report.reason_code == lip.EMERGENCY:
            events.append(EmergencyReport(origin, stamp, "lip_reason", fix))
        if report.status_value is not None:
            events += self._status(report.status_value, origin, Stamp(arrived))
        reason = None if report.reason_code is None else str(report.reason_code)
        late = (report.time_elapsed_code or 0) >= LATE_FROM
        events.append(PositionReport(origin, stamp, fix, "lip", reason=reason, late=late))
        return events


def fix_of(report: lip.Report) -> Fix | None:
    """The geometric part; None where the radio has no fix. Unknown stays None."""
    if report.position is None:
        return None
    latitude, longitude = report.position
    speed = report.speed_kmh
    return Fix(
        latitude,
        longitude,
        accuracy_m=report.accuracy_m,
        altitude_m=report.altitude_m,
        speed_mps=None if speed is None else speed * KMH_TO_MPS,
        heading_deg=report.heading_deg,
    )


def stamp_of(report: lip.Report, arrived: Instant) -> Stamp:
    """When the fix was made: arrival less the middle of its age class, or the day and time it states."""
    if not isinstance(report, ShortReport) and report.time_of_position is not None:
        moment = moment_of(report.time_of_position, arrived.utc)
        return Stamp(arrived) if moment is None else Stamp(arrived, moment, "device")
    age_s = None if report.time_elapsed_code is None else AGE_S[report.time_elapsed_code]
    return Stamp(arrived, None if age_s is None else arrived.utc - timedelta(seconds=age_s))


def moment_of(position_time: tuple[int, int, int, int], arrived: datetime) -> datetime | None:
    """Day, hour, minute, second without month or year: the nearest past; UTC is assumed."""
    latest = arrived.astimezone(UTC) + AHEAD
    day, hour, minute, second = position_time
    month = latest.year * 12 + latest.month - 1
    for back in range(3):
        year, index = divmod(month - back, 12)
        try:
            moment = datetime(year, index + 1, day, hour, minute, second, tzinfo=UTC)
        except ValueError:
            continue  # no such day in that month, or no such time at all
        if moment <= latest:
            return moment
    return None
