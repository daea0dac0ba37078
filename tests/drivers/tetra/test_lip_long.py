"""Layouts of long reports and management PDUs, built bit by bit from the reference's tables."""

import pytest

from drivers.tetra import lip
from drivers.tetra.bits import BitReader, Bits
from drivers.tetra.lip_elements import Element, decode_elements, element_dict, element_number
from drivers.tetra.lip_json import as_dict
from drivers.tetra.lip_long import SHAPES, VELOCITIES, LongReport, Management
from gateway.errors import WireError

LONDON_LON, LONDON_LAT = 0x0008CC, 0x494159
SHAPE_BITS = {0: 0, 1: 49, 2: 55, 3: 72, 4: 61, 5: 67, 6: 84, 7: 70, 8: 87, 9: 100, 10: 52}
VELOCITY_BITS = {0: 0, 1: 7, 2: 10, 3: 15, 4: 21, 5: 15, 6: 21, 7: 32}
"""Lengths of the reference, section 3.2."""


def bits_of(*parts: str) -> Bits:
    """A bit string written as binary digits with blanks."""
    digits = "".join(parts).replace(" ", "")
    return Bits(int(digits, 2), len(digits))


def field(value: int, width: int) -> str:
    """One field as binary digits."""
    return f"{value:0{width}b}"


def point() -> str:
    """A longitude and a latitude."""
    return field(LONDON_LON, 25) + field(LONDON_LAT, 24)


def long_report(shape: str, velocity: str = "000", time: str = "00", tail: str = "0 0 10000001") -> LongReport:
    """A long report of these parts."""
    report = lip.decode(bits_of("01 0011", time, shape, velocity, tail))
    assert isinstance(report, LongReport)
    return report


@pytest.mark.parametrize(("shape", "width"), SHAPE_BITS.items())
def test_width_of_each_shape(shape, width):
    """As the reference's table says."""
    assert sum(bits for _, bits in SHAPES[shape][1]) == width
    report = long_report(field(shape, 4) + "1" * width)
    assert report.bits_used == 6 + 2 + 4 + width + 3 + 10
    assert report.reason_code == 129


@pytest.mark.parametrize(("kind", "width"), VELOCITY_BITS.items())
def test_width_of_each_velocity(kind, width):
    """As the reference's table says."""
    assert sum(bits for _, bits in VELOCITIES[kind]) == width
    report = long_report("0000", field(kind, 3) + "0" * width)
    assert report.bits_used == 6 + 2 + 4 + 3 + width + 10
    assert (report.speed_kmh is None) == (kind == 0)
    assert (report.heading_deg is None) == (kind not in {5, 6, 7})


@pytest.mark.parametrize(("kind", "width"), [(0, 0), (1, 2), (2, 22), (3, 0)])
def test_width_of_each_time(kind, width):
    """None, elapsed, of position, reserved."""
    report = long_report("0000", time=field(kind, 2) + "1" * width)
    assert report.bits_used == 6 + 2 + width + 4 + 3 + 10
    assert report.time_elapsed_code == (3 if kind == 1 else None)
    assert report.time_of_position == ((31, 31, 63, 63) if kind == 2 else None)


def test_circle():
    """Radius by its curve: K = 10 is 26.8 m."""
    report = long_report("0010" + point() + field(10, 6))
    assert report.position == pytest.approx((51.5076, 0.0241), abs=1e-3)
    assert report.accuracy_m == pytest.approx(26.8, abs=0.1)


def test_best_effort_is_unknown():
    """K = 63."""
    assert long_report("0010" + point() + field(63, 6)).accuracy_m is None


def test_ellipse_takes_its_major_axis():
    """The larger half axis bounds the error."""
    report = long_report("0011" + point() + field(20, 6) + field(1, 6) + field(64, 8) + "011")
    assert report.accuracy_m == pytest.approx(186.8, abs=0.2)


def test_point_with_position_error():
    """The classes of the short report."""
    assert long_report("1010" + point() + "001").accuracy_m == 20
    assert long_report("1010" + point() + "111").accuracy_m is None


def test_point_says_nothing_of_its_error():
    """Unknown, not zero."""
    assert long_report("0001" + point()).accuracy_m is None


def test_altitude():
    """Raw 240 is 39 m."""
    assert long_report("0100" + point() + field(240, 12)).altitude_m == 39


def test_velocity_with_heading():
    """Type 5: 15 km/h at 226 of 256."""
    report = long_report("0001" + point(), "101" + field(15, 7) + field(226, 8))
    assert (report.speed_kmh, report.heading_deg) == (15, 317.8125)


def test_unknown_speed_takes_the_heading_with_it():
    """As in a short report."""
    assert long_report("0001" + point(), "101" + field(127, 7) + field(0, 8)).heading_deg is None


def test_users_code():
    """Additional type 1 is no reason."""
    report = long_report("0000", tail="1 1 00000010")
    assert (report.reason_code, report.user_defined_code, report.fields["ack_request"]) == (None, 2, 1)


@pytest.mark.parametrize("missing", range(1, 30))
def test_cut_off_anywhere(missing):
    """A report that ends before its additional field is no report."""
    whole = bits_of("01 0011 00 0001", point(), "000 0 0 10000001")
    with pytest.raises(WireError):
        lip.decode(Bits(whole.value >> missing, whole.length - missing))


def test_elements_behind_a_report():
    """A result and a status, then padding."""
    tail = "0 0 00000100" + "01100 001000 01010001" + "01111 010000" + field(0x8003, 16) + "00000"
    report = long_report("0000", tail=tail)
    assert (report.result_code, report.status_value) == (81, 0x8003)
    assert report.rest == Bits(0, 5)
    assert [element["name"] for element in as_dict(report)["elements"]] == ["result-code", "status-value"]


def test_an_element_that_does_not_fit_is_left_in_the_rest():
    """Best effort: what came before it stays."""
    tail = "0 0 00000100" + "01100 001000 01010001" + "00010 111111 101"
    report = long_report("0000", tail=tail)
    assert len(report.elements) == 1
    assert report.rest == bits_of("00010 111111 101")
    assert report.result_code == 81


@pytest.mark.parametrize(("extension", "length"), [(0, 64), (1, 72), (127, 1080)])
def test_extended_length_counts_from_64(extension, length):
    """Length 0, then seven bits: 64 + 8 of them."""
    bits = bits_of("00001 000000", field(extension, 7), "1" * length, "000")
    (element,) = decode_elements(BitReader(bits))
    assert (element.content.length, element.extended) == (length, True)


def test_extended_length_cut_off():
    """No seven bits, or not as many as they say."""
    for short in (bits_of("00001 000000 101"), bits_of("00001 000000 0000000", "1" * 63)):
        reader = BitReader(short)
        assert decode_elements(reader) == ()
        assert reader.rest() == short


def test_a_number_of_the_wrong_length_is_no_number():
    """A status of 8 bits is not read as one."""
    assert element_number((Element(15, Bits(0, 8)),), 15) is None
    assert element_number((Element(15, Bits(0, 16)),), 15) == 0


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (bits_of("0001", field(1234, 24)), {"type": 1, "ssi": 1234}),
        (bits_of("0010", field(1, 24), field(234, 10), field(73, 14)), {"type": 2, "ssi": 1, "mcc": 234, "mnc": 73}),
        (bits_of("0011", field(0x7F000001, 32)), {"type": 3}),
        (bits_of("0000"), {}),
    ],
)
def test_addresses(content, expected):
    """SSI, with network, and kinds that are only named."""
    known = element_dict(Element(17, content))
    assert {name: known[name] for name in expected} == expected
    assert ("ssi" in known) == ("ssi" in expected)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (bits_of(field(2, 8), "1"), {"trigger": 2, "recurring": 1}),
        (bits_of(field(129, 8), "0", field(20, 7)), {"trigger": 129, "parameter": 20}),
        (bits_of(field(17, 8), "0", point()), {"trigger": 17, "lat_raw": LONDON_LAT, "lon_raw": LONDON_LON}),
    ],
)
def test_triggers(content, expected):
    """Without a parameter, with a number, with a place."""
    known = element_dict(Element(19, content))
    assert {name: known[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("bits", "name", "fields"),
    [
        ("01 0001 0 11", "immediate_location_report_request", {"response": 0, "report_type": 3}),
        ("01 0101 0 1 0010100 11", "basic_location_parameters", {"ack_request": 1, "min_interval_raw": 20}),
        ("01 0110 1 00000111 01", "add_modify_trigger", {"result": 7, "report_type": 1}),
        ("01 0111 0 1", "remove_trigger", {"ack_request": 1}),
        ("01 0111 1 00000000", "remove_trigger", {"result": 0}),
        ("01 1001 1 00000000 11000000 0000001 10", "report_basic_location_parameters", {"flags": 192}),
        ("01 1010 0 1 10000000", "location_reporting_enable_disable", {"ack_request": 1, "flags": 128}),
        ("01 1010 1 10000000", "location_reporting_enable_disable", {"flags": 128}),
        ("01 1011 0 0 1111", "location_reporting_temporary_control", {"validity": 15}),
        ("01 0000 1", "reserved", {}),
        ("01 1111", "reserved", {}),
    ],
)
def test_management(bits, name, fields):
    """Requests and answers by the reference's table; all are classified."""
    pdu = lip.decode(bits_of(bits))
    assert isinstance(pdu, Management)
    assert pdu.pdu == name
    assert {key: pdu.fields[key] for key in fields} == fields
    assert lip.encode(pdu) == bits_of(bits)


def test_a_field_that_is_missing_is_not_printed():
    """Better no PDU than another one."""
    with pytest.raises(WireError, match="shape"):
        lip.encode(LongReport({"pdu_type": 1, "extension": 3, "time_type": 0}))
