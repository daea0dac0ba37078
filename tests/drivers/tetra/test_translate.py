"""Short data to domain events."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from drivers.tetra import lip, sds
from drivers.tetra.bits import Bits, from_hex
from drivers.tetra.lip_elements import Element
from drivers.tetra.lip_long import LongReport
from drivers.tetra.lip_short import ShortReport
from drivers.tetra.pei import Address
from drivers.tetra.sds_parts import TimeStamp
from drivers.tetra.session import Call, SdsIndication
from drivers.tetra.translate import Translator, moment_of, text_stamp
from gateway.domain.events import EmergencyReport, Origin, PositionReport, StatusReport, TextReport
from gateway.errors import WireError

CALLING = Address("2341014", 2341014)
ORIGIN = Origin("radio-1", issi=2341014)
LONDON = "0A000046624A0AD25EA820"


def heard(service: int, bits: Bits | str, calling: Address | None = CALLING) -> SdsIndication:
    """One SDS."""
    bits = from_hex(bits) if isinstance(bits, str) else bits
    return SdsIndication(service, calling, None, bits, b"raw")


def report(**changed) -> SdsIndication:
    """A short report with some fields changed."""
    fields = {
        "time_elapsed": 0,
        "longitude_raw": 100,
        "latitude_raw": 200,
        "position_error": 1,
        "horizontal_velocity": 36,
        "direction": 4,
        "additional_type": 0,
        "additional": 129,
    }
    return heard(12, lip.with_pid(lip.encode(ShortReport(**fields | changed))))


@pytest.fixture
def translator() -> Translator:
    """With the default table."""
    return Translator("radio-1")


def test_a_position(translator, arrived):
    """Recorded report: all parts in the domain's units."""
    (event,) = translator.short_data(heard(12, LONDON), arrived)
    assert isinstance(event, PositionReport)
    assert event.origin == ORIGIN
    assert (event.source, event.reason, event.late) == ("lip", "130", False)
    assert event.fix is not None
    assert event.fix.latitude == pytest.approx(51.5076184, abs=1e-7)
    assert event.fix.longitude == pytest.approx(0.0241613, abs=1e-7)
    assert event.fix.accuracy_m == 200
    assert event.fix.speed_mps == pytest.approx(16 * 1.038**34 / 3.6)
    assert event.fix.heading_deg == 112.5
    assert event.stamp.at == arrived.utc - timedelta(seconds=2)
    assert event.stamp.quality == "gateway"


@pytest.mark.parametrize(("elapsed", "age_s", "late"), [(0, 2, False), (1, 150, False), (2, 900, True), (3, 0, True)])
def test_age_of_a_fix(translator, arrived, elapsed, age_s, late):
    """Middle of the class; from class 2 the live position must not move."""
    (event,) = translator.short_data(report(time_elapsed=elapsed), arrived)
    assert event.stamp.at == arrived.utc - timedelta(seconds=age_s)
    assert event.late is late
    assert (event.stamp.device_time is None) == (elapsed == 3)


@pytest.mark.parametrize(
    ("code", "metres"), [(0, 2), (1, 20), (2, 200), (3, 2000), (4, 20_000), (5, 200_000), (6, None), (7, None)]
)
def test_accuracy_is_the_upper_bound_of_its_class(translator, arrived, code, metres):
    """Unknown stays unknown."""
    (event,) = translator.short_data(report(position_error=code), arrived)
    assert event.fix.accuracy_m == metres


def test_unknown_speed_takes_the_heading_with_it(translator, arrived):
    """127 is no number, and direction 15 beside it no direction."""
    (event,) = translator.short_data(report(horizontal_velocity=127, direction=15), arrived)
    assert (event.fix.speed_mps, event.fix.heading_deg) == (None, None)


def test_no_fix_is_an_event_without_a_fix(translator, arrived):
    """The word that there is none."""
    (event,) = translator.short_data(heard(12, "0A30000000000007FFE810"), arrived)
    assert event.fix is None
    assert event.late


@pytest.mark.parametrize("raw", [(100, 200), (0, 0)])
def test_reason_two_is_an_emergency_before_the_position(translator, arrived, raw):
    """Also without a fix."""
    longitude, latitude = raw
    events = translator.short_data(report(longitude_raw=longitude, latitude_raw=latitude, additional=2), arrived)
    assert [type(event) for event in events] == [EmergencyReport, PositionReport]
    assert events[0].trigger == "lip_reason"
    assert events[0].origin == ORIGIN
    assert (events[0].fix is None) == (raw == (0, 0))
    assert events[0].fix == events[1].fix


def test_a_users_code_two_is_no_emergency(translator, arrived):
    """Additional type 1."""
    (event,) = translator.short_data(report(additional_type=1, additional=2), arrived)
    assert event.reason is None


def test_status_zero_is_an_emergency(translator, arrived):
    """Then the status itself."""
    emergency, status = translator.short_data(heard(13, "0000"), arrived)
    assert isinstance(emergency, EmergencyReport)
    assert emergency.trigger == "tetra_status"
    assert emergency.stamp.at == arrived.utc
    assert isinstance(status, StatusReport)
    assert (status.value, status.code) == (0, 0)


def test_no_table_takes_the_emergency_away(arrived):
    """A force's table that maps value 0 to something else changes nothing."""
    events = Translator("r", {0: 5}).short_data(heard(13, "0000"), arrived)
    assert isinstance(events[0], EmergencyReport)
    assert events[1].code == 0


@pytest.mark.parametrize("calling", [None, Address("x", None)])
def test_an_emergency_from_nobody_is_one(translator, arrived, calling):
    """Without an ISSI, not dropped."""
    events = translator.short_data(heard(13, "0000", calling), arrived)
    assert events[0].origin == Origin("radio-1")


@pytest.mark.parametrize(("value", "code"), [("8002", 2), ("8010", 16), ("8011", None), ("8000", None), ("0001", None)])
def test_default_table(translator, arrived, value, code):
    """0x8000 + n is n for 1 to 16; everything else is a status without a code."""
    (event,) = translator.short_data(heard(13, value), arrived)
    assert (event.value, event.code) == (int(value, 16), code)


def test_a_forces_own_table(arrived):
    """German style: 8002 is status 0."""
    (event,) = Translator("r", {0x8003: 1}).short_data(heard(13, "8003"), arrived)
    assert event.code == 1


@pytest.mark.parametrize(
    ("value", "reference", "delivery"),
    [("7C00", 0, "failed"), ("7D01", 1, "failed"), ("7ECA", 0xCA, "received"), ("7FFF", 0xFF, "consumed")],
)
def test_short_reports_on_our_own_sds_are_no_status(translator, arrived, value, reference, delivery):
    """A delivery report; a full memory may be empty another time."""
    (report,) = translator.short_data(heard(13, value), arrived)
    assert (report.reference, report.delivery, report.temporary) == (reference, delivery, value == "7D01")


@pytest.mark.parametrize(
    ("status", "delivery", "temporary"),
    [
        (0x00, "received", False),
        (0x02, "consumed", False),
        (0x04, "sent", False),
        (0x20, "failed", True),
        (0x22, "failed", True),
        (0x4A, "failed", False),
        (0x60, "sent", False),
        (0x81, "failed", False),
    ],
)
def test_delivery_reports_by_their_status(translator, arrived, status, delivery, temporary):
    """Each class of the delivery status; an SDS-ACK says nothing of ours."""
    (report,) = translator.short_data(heard(12, f"8210{status:02X}C9"), arrived)
    assert (report.reference, report.delivery, report.status, report.temporary) == (0xC9, delivery, status, temporary)
    assert translator.short_data(heard(12, f"8220{status:02X}C9"), arrived) == []


@pytest.mark.parametrize(
    ("reason", "reach"), [(0, "ok"), (1, "off"), (8, "dmo"), (9, "ok"), (10, "no_service"), (12, "low_battery")]
)
def test_reasons_that_say_whether_a_terminal_can_be_reached(translator, arrived, reason, reach):
    """Beside the position, in the same report."""
    events = translator.short_data(heard(12, f"0A30000000000007FFE{reason:02X}0"), arrived)
    assert [type(event).__name__ for event in events] == ["ReachReport", "PositionReport"]
    assert events[0].reach == reach


def test_a_text_in_parts_is_one_text(translator, arrived):
    """The event comes with the last part; what never becomes whole comes by its time-out."""
    first, second = ("8A000701" + f"050003C902{number:02X}" + letters for number, letters in ((1, "4869"), (2, "21")))
    assert translator.short_data(heard(12, first), arrived) == []
    (text,) = translator.short_data(heard(12, second), arrived)
    assert text.text == "Hi!"
    translator.short_data(heard(12, first), arrived)
    assert translator.overdue(arrived) == []
    (text,) = translator.overdue(msgspec.structs.replace(arrived, mono_s=arrived.mono_s + 61))
    assert (text.text, text.origin.issi) == ("Hi[…]", 2341014)


@pytest.mark.parametrize(
    ("stamp", "device_time"),
    [
        (TimeStamp(1, 11, 21, 23, 30), datetime(2026, 11, 21, 23, 30, tzinfo=UTC)),
        (TimeStamp(1, 12, 31, 23, 59), datetime(2025, 12, 31, 23, 59, tzinfo=UTC)),
        (TimeStamp(2, 11, 21, 23, 30), None),
        (TimeStamp(1, 2, 31, 0, 0), None),
    ],
)
def test_when_a_text_was_written(arrived, stamp, device_time):
    """UTC alone is a time; local names no zone, and no such day is no time."""
    assert text_stamp(stamp, arrived).device_time == device_time


def test_a_position_of_long_ago_is_late(translator, arrived):
    """A stated time more than five minutes back moves no live position."""
    fields = {"pdu_type": 1, "extension": 3, "time_type": 2, "day": 21, "hour": 23, "minute": 20, "second": 0}
    fields |= {"shape": 1, "longitude": 5, "latitude": 5, "velocity_type": 0}
    fields |= {"ack_request": 0, "additional_type": 0, "additional": 0}
    for minute, late in ((20, True), (30, False)):
        pdu = lip.encode(LongReport(fields | {"minute": minute}))
        events = translator.short_data(heard(12, lip.with_pid(pdu).hex()), arrived)
        assert events[-1].late is late


def test_text(translator, arrived):
    """Simple and over the transport layer."""
    for line, text in (("0201746573746D657373616765", "testmessage"), ("8204010574657374", "test")):
        assert translator.short_data(heard(12, line), arrived) == [
            TextReport(ORIGIN, translator.short_data(heard(12, line), arrived)[0].stamp, text)
        ]


def test_what_is_not_for_the_domain_gives_nothing(translator, arrived):
    """LIP requests, unknown PIDs, acknowledgements: kept by their frame, no event."""
    for line in ("0A4580", "0A5000", "C3AABB", "822000C9", "0AFF"):
        assert translator.short_data(heard(12, line), arrived) == []


def test_unreadable_data_is_a_wire_error(translator, arrived):
    """For the quarantine."""
    with pytest.raises(WireError):
        translator.short_data(heard(12, "0A3000"), arrived)


def test_a_status_inside_a_long_report(translator, arrived):
    """Recorded: a status press with no fix gives both."""
    events = translator.short_data(heard(12, "0A4DD400000000000000005FE0002308517A100060"), arrived)
    assert [type(event) for event in events] == [StatusReport, PositionReport]
    assert (events[0].value, events[0].code) == (0x8003, 3)
    assert events[1].fix is None


def long_report(reason: int, *elements: Element) -> SdsIndication:
    """A long report without a shape."""
    fields = {"pdu_type": 1, "extension": 3, "time_type": 0, "shape": 0, "velocity_type": 0}
    fields |= {"ack_request": 0, "additional_type": 0, "additional": reason}
    return heard(12, lip.with_pid(lip.encode(LongReport(fields, elements))))


def test_an_emergency_in_a_long_report(translator, arrived):
    """By its reason, and by a status element of 0."""
    events = translator.short_data(long_report(2), arrived)
    assert [event.trigger for event in events if isinstance(event, EmergencyReport)] == ["lip_reason"]
    events = translator.short_data(long_report(4, Element(15, Bits(0, 16))), arrived)
    assert [event.trigger for event in events if isinstance(event, EmergencyReport)] == ["tetra_status"]


def test_time_of_position_of_a_long_report(translator, arrived):
    """Recorded: day 14, 15:29:42, in the month of arrival."""
    (event,) = translator.short_data(heard(12, "0A4E73DDA841F55809493CC081"), arrived)
    assert event.stamp.device_time == datetime(2026, 11, 14, 15, 29, 42, tzinfo=UTC)
    assert event.stamp.quality == "device"
    assert event.fix.longitude == pytest.approx(11.015854, abs=1e-6)


def test_altitude_and_circle_of_a_long_report(translator, arrived):
    """Recorded: 574 m, about a metre of uncertainty."""
    (event,) = translator.short_data(heard(12, "0A4EC8F2B154F2F2BC0EF7A0183D1FC4410"), arrived)
    assert (event.fix.altitude_m, event.fix.heading_deg) == (574, 317.8125)
    assert event.fix.accuracy_m == pytest.approx(0.97664)


@pytest.mark.parametrize(
    ("stated", "at", "expected"),
    [
        ((21, 23, 30, 0), datetime(2026, 11, 21, 23, 31, tzinfo=UTC), datetime(2026, 11, 21, 23, 30, tzinfo=UTC)),
        ((30, 23, 59, 59), datetime(2026, 12, 1, 0, 0, 1, tzinfo=UTC), datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)),
        ((31, 12, 0, 0), datetime(2026, 12, 1, tzinfo=UTC), datetime(2026, 10, 31, 12, tzinfo=UTC)),
        ((31, 23, 59, 58), datetime(2027, 1, 1, 0, 0, 1, tzinfo=UTC), datetime(2026, 12, 31, 23, 59, 58, tzinfo=UTC)),
        ((1, 0, 0, 1), datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2027, 1, 1, 0, 0, 1, tzinfo=UTC)),
        ((0, 0, 0, 0), datetime(2026, 12, 1, tzinfo=UTC), None),
        ((1, 25, 0, 0), datetime(2026, 12, 1, tzinfo=UTC), None),
    ],
)
def test_nearest_past(stated, at, expected):
    """Over the ends of months and years; a radio's clock may be a little ahead; nonsense is unknown."""
    assert moment_of(stated, at) == expected


def test_a_call_at_emergency_priority(translator, arrived):
    """The third way to say it."""
    (event,) = translator.call(Call(CALLING, 15, b""), arrived)
    assert (event.trigger, event.origin) == ("tetra_call", ORIGIN)


def test_sds_types_one_to_three_are_kept_without_events(translator, arrived):
    """Just bits."""
    assert translator.short_data(heard(sds.SdsType.SDS_1, "ABCD"), arrived) == []
