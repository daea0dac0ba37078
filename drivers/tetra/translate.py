"""What a radio said, in the gateway's own words: short data to events. Sans-IO."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from drivers.tetra import assembly, lip, sds
from drivers.tetra.lip_short import ShortReport
from drivers.tetra.pei import Address, address
from drivers.tetra.sds_parts import UTC_FRAME, TimeStamp
from drivers.tetra.session import Call, SdsIndication
from gateway.domain.events import (
    Delivery,
    DeliveryReport,
    EmergencyReport,
    Event,
    Origin,
    PositionReport,
    Reach,
    ReachReport,
    ReadReceipt,
    StatusReport,
    TextReport,
)
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
LATE_AFTER = timedelta(minutes=5)
"""A fix older than this moves no live position: the border between classes 1 and 2 of a fix's age."""
CONSUMED_ASKED = 2
KMH_TO_MPS = 1 / 3.6
REACH: Mapping[int, Reach] = {0: "ok", 1: "off", 8: "dmo", 9: "ok", 10: "no_service", 12: "low_battery"}
"""LIP reasons that say whether the terminal can be reached."""
_OUTCOMES: tuple[tuple[Delivery, int, bool], ...] = (
    ("failed", 0x50, False),
    ("failed", 0x53, True),
    ("received", 0x00, False),
    ("consumed", 0x02, False),
)
"""Short reports: protocol unsupported, memory full, received, consumed; with the status that says it nearest."""


class Translator:
    """Short data of one link to domain events."""

    def __init__(self, via: str, status_codes: Mapping[int, int] | None = None, patience_s: float = 60.0) -> None:
        self._via = via
        self._codes = DEFAULT_STATUS_CODES if status_codes is None else status_codes
        self._assembler = assembly.Assembler(patience_s)

    def origin(self, calling: Address | None) -> Origin:
        """Who speaks; an identity that is no ISSI leaves the event without one, and never drops it."""
        return Origin(self._via, issi=Issi(calling.ssi) if calling is not None and calling.ssi else None)

    def short_data(self, heard: SdsIndication, arrived: Instant) -> list[Event]:
        """The events of one SDS, an emergency first; WireError where it cannot be read."""
        origin, message = self.origin(heard.calling), sds.decode(heard.service, heard.bits)
        if assembly.part_of(message) is not None and isinstance(message, sds.Text | sds.Fragment):
            caller = "" if heard.calling is None else heard.calling.digits
            return self._wholes(self._assembler.take(caller, message, arrived.mono_s), arrived)
        return self._events(message, origin, arrived)

    def overdue(self, arrived: Instant) -> list[Event]:
        """Messages in parts of which the rest never came: what there is, its gaps marked."""
        return self._wholes(self._assembler.overdue(arrived.mono_s), arrived)

    def _wholes(self, wholes: list[assembly.Whole], arrived: Instant) -> list[Event]:
        return [
            event
            for whole in wholes
            for event in self._events(whole.message, self.origin(address(whole.caller)), arrived)
        ]

    def _events(self, message: sds.Sds, origin: Origin, arrived: Instant) -> list[Event]:
        if isinstance(message, sds.Status):
            return self._status(message.value, origin, Stamp(arrived))
        if isinstance(message, sds.Text):
            return [TextReport(origin, text_stamp(message.stamp, arrived), message.text, _receipt(message, origin))]
        if isinstance(message, sds.Lip) and isinstance(message.pdu, lip.Report):
            return self._report(message.pdu, origin, arrived)
        return _delivery(message, origin, Stamp(arrived))

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
        code, status = report.reason_code, report.status_value
        if code == lip.EMERGENCY:
            events.append(EmergencyReport(origin, stamp, "lip_reason", fix))
        if status is not None:
            events += self._status(status, origin, Stamp(arrived))
        if code is not None and code in REACH:
            events.append(ReachReport(origin, Stamp(arrived), REACH[code]))
        late = (report.time_elapsed_code or 0) >= LATE_FROM or arrived.utc - stamp.at > LATE_AFTER
        reason = None if code is None else str(code)
        events.append(PositionReport(origin, stamp, fix, "lip", reason=reason, late=late))
        return events


def _receipt(message: sds.Text, origin: Origin) -> ReadReceipt | None:
    """A transfer that asks for a report when it is consumed (EN 300 392-2 clause 29.4.2.4)."""
    header = message.header
    if header is None or origin.issi is None or not header.delivery_report_request & CONSUMED_ASKED:
        return None
    return ReadReceipt(origin.via, origin.issi, message.pid, header.reference)


def _delivery(message: sds.Sds, origin: Origin, stamp: Stamp) -> list[Event]:
    """What became of an SDS of ours; an SDS-ACK, and all that says nothing to us, is no event."""
    if isinstance(message, sds.ShortReport):
        delivery, status, temporary = _OUTCOMES[message.outcome]
        return [DeliveryReport(origin, stamp, message.reference, delivery, status, temporary)]
    if isinstance(message, sds.Delivery) and not message.acknowledgement:
        temporary = 0x20 <= message.status <= 0x3F
        return [DeliveryReport(origin, stamp, message.reference, outcome_of(message.status), message.status, temporary)]
    return []


def outcome_of(status: int) -> Delivery:
    """The class of a delivery status (EN 300 392-2 clause 29.4.3.2)."""
    if status in {0x00, 0x01, 0x06}:
        return "received"
    if status in {0x02, 0x03}:
        return "consumed"
    if status in {0x04, 0x05} or 0x60 <= status <= 0x63:
        return "sent"  # handed on, or held up for a while: no news of the person yet
    return "failed"


def text_stamp(written: TimeStamp | None, arrived: Instant) -> Stamp:
    """When a text was written, where its time is UTC: a local one names no zone (clause 29.5.4)."""
    if written is None or written.frame != UTC_FRAME:
        return Stamp(arrived)
    latest = arrived.utc.astimezone(UTC) + AHEAD
    for year in (latest.year, latest.year - 1):
        try:
            moment = datetime(year, written.month, written.day, written.hour, written.minute, tzinfo=UTC)
        except ValueError:
            continue  # no such day in that year, or no such time at all
        if moment <= latest:
            return Stamp(arrived, moment, "device")
    return Stamp(arrived)


def fix_of(report: lip.Report) -> Fix | None:
    """The geometric part; None where the radio has no fix. Unknown stays None."""
    position = report.position
    if position is None:
        return None
    latitude, longitude = position
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
