"""LIP against recordings and independent decodings; constructed cases for what no recording has."""

import json
import math

import pytest

from drivers.tetra import lip, lip_scales
from drivers.tetra.bits import Bits, from_hex
from drivers.tetra.lip_json import as_dict, from_dict
from drivers.tetra.lip_long import LongReport, Management
from drivers.tetra.lip_short import ShortReport
from gateway.errors import WireError

NO_FIX = "0A30000000000007FFE810"


def pdu_of(text: str, *, pid: bool = True) -> lip.Pdu:
    """The PDU of a line of hex."""
    bits = from_hex(text)
    return lip.decode(lip.strip_pid(bits) if pid else bits)


def test_every_recorded_short_report_decodes(short_vectors):
    """All 95, position, error, speed, heading and reason."""
    assert len(short_vectors) == 95
    for vector in short_vectors:
        known = as_dict(pdu_of(vector["hex"]))
        for name in ("latitude", "longitude"):
            expected = pytest.approx(float(vector[name]), abs=1e-7) if vector[name] else None
            assert known[name] == expected, vector
        for name in ("position_error_code", "horizontal_velocity_code", "reason_code"):
            assert known[name] == int(vector[name]), vector
        heading = vector["heading_deg"]
        assert known["heading_deg"] == (float(heading) if heading not in {"", "None"} else None), vector


def test_every_recorded_short_report_prints_as_it_came(short_vectors):
    """Print after parse is the identity, by record and by JSON."""
    for vector in short_vectors:
        pdu = pdu_of(vector["hex"])
        assert lip.with_pid(lip.encode(pdu)).hex() == vector["hex"]
        again = from_dict(json.loads(json.dumps(as_dict(pdu))))
        assert lip.with_pid(lip.encode(again)).hex() == vector["hex"]


def test_west_is_negative(short_vectors):
    """42 of the recordings lie west of Greenwich."""
    assert sum((as_dict(pdu_of(vector["hex"]))["longitude"] or 0) < 0 for vector in short_vectors) == 42


def _agrees(found, expected) -> bool:
    if isinstance(expected, float):
        return found is not None and math.isclose(found, expected, abs_tol=1e-5)
    return list(found) == expected if isinstance(expected, list) else found == expected


def test_other_pdus_agree_with_an_independent_decoding(other_vectors):
    """Long reports, requests and answers, field by field."""
    assert len(other_vectors) == 18
    for vector in other_vectors:
        known = as_dict(pdu_of(vector["hex"], pid=vector["has_pid"]))
        for name, expected in vector["decoded"].items():
            if name != "elements":
                assert _agrees(known[name], expected), (vector["hex"], name)
        for element, expected in zip(known.get("elements", []), vector["decoded"].get("elements", []), strict=True):
            for name, value in expected.items():
                assert _agrees(element[name], value), (vector["hex"], element, name)


def test_other_pdus_print_as_they_came(other_vectors):
    """Print after parse is the identity for every kind of PDU, by record and by JSON."""
    for vector in other_vectors:
        bits = from_hex(vector["hex"])
        bits = lip.strip_pid(bits) if vector["has_pid"] else bits
        pdu = lip.decode(bits)
        printed = lip.encode(pdu)
        assert printed == Bits(bits.first(printed.length), printed.length)
        assert from_dict(json.loads(json.dumps(as_dict(pdu)))) == pdu


def test_no_fix_is_said_and_not_plotted():
    """0/0 is a radio's word for no fix: no position, no speed, no heading, no accuracy."""
    known = as_dict(pdu_of(NO_FIX))
    assert not known["fix"]
    assert [known[name] for name in ("latitude", "longitude", "speed_kmh", "heading_deg")] == [None] * 4
    report = pdu_of(NO_FIX)
    assert isinstance(report, ShortReport)
    assert report.accuracy_m is None


@pytest.mark.parametrize(("longitude", "latitude"), [(0, 1), (1, 0)])
def test_on_the_meridian_or_the_equator_is_a_fix(longitude, latitude):
    """Only both raw values at 0 mean no fix."""
    report = ShortReport(0, longitude, latitude, 1, 0, 0, 0, 129)
    assert report.position is not None


def test_a_status_press_without_a_fix_keeps_its_status():
    """A recorded long report: no fix, result 81, status 8003, reason 4."""
    report = pdu_of("0A4DD400000000000000005FE0002308517A100060")
    assert isinstance(report, LongReport)
    assert report.position is None
    assert (report.result_code, report.status_value, report.reason_code) == (81, 0x8003, 4)


@pytest.mark.parametrize("bits", [84, 88])
def test_stated_length_never_rejects(bits):
    """84 stated with 88 sent, and the reverse with an odd number of digits."""
    recorded = "0A112853A9FF4D4FFFE810" if bits == 84 else "0A0BA7D5B95BC50AFFE16"
    report = lip.decode(lip.strip_pid(from_hex(recorded, bits)))
    assert isinstance(report, ShortReport)
    assert report.position is not None


@pytest.mark.parametrize("reason", [31, 33, 128, 131, 255])
def test_reserved_reasons_are_kept(reason):
    """A reserved reason is no error."""
    report = lip.decode(lip.encode(ShortReport(0, 5, 5, 0, 0, 0, 0, reason)))
    assert isinstance(report, ShortReport)
    assert report.reason_code == reason


def test_user_defined_code_is_no_reason():
    """Additional type 1 carries the user's own code: 2 there is no emergency."""
    report = ShortReport(0, 5, 5, 0, 0, 0, 1, 2)
    assert (report.reason_code, report.user_defined_code) == (None, 2)
    assert lip.encode(from_dict(as_dict(report))) == lip.encode(report)


@pytest.mark.parametrize("hex_text", ["0A30", "0A", "0A4", "0A4E73"])
def test_a_cut_off_pdu_is_a_wire_error(hex_text):
    """What ends before its fields do is the peer's fault, said as such."""
    with pytest.raises(WireError):
        pdu_of(hex_text)


def test_another_pid_is_a_wire_error():
    """LIP is PID 0A and no other."""
    with pytest.raises(WireError, match="PID"):
        pdu_of("8330000000000007FFE810")


def test_reserved_pdus_are_classified():
    """PDU types 2 and 3, and extensions nobody describes, are named and kept whole."""
    assert as_dict(lip.decode(from_hex("C0FFEE")))["pdu"] == "reserved"
    assert as_dict(lip.decode(from_hex("7FFF")))["pdu"] == "reserved"
    backlog = lip.decode(from_hex("70ABC"))
    assert isinstance(backlog, Management)
    assert backlog.pdu == "backlog"
    for text in ("C0FFEE", "7FFF", "70ABC"):
        bits = from_hex(text)
        assert lip.encode(lip.decode(bits)) == bits
        assert lip.encode(from_dict(as_dict(lip.decode(bits)))) == bits


def test_an_unknown_shape_stops_decoding_and_loses_nothing():
    """Shape 15: no position, the rest of the bits kept."""
    bits = from_hex("4CF0123456")
    report = lip.decode(bits)
    assert isinstance(report, LongReport)
    assert report.position is None
    assert as_dict(report)["shape"] == "extension"
    assert lip.encode(report) == bits


@pytest.mark.parametrize(
    ("code", "kmh"),
    [(0, 0), (28, 28), (29, 29.06), (40, 43.80), (67, 119.9), (125, 1042.9), (126, 1043), (127, None)],
)
def test_speed_curve(code, kmh):
    """Figures of the reference."""
    assert lip_scales.speed_kmh(code) == (None if kmh is None else pytest.approx(kmh, rel=1e-3))


@pytest.mark.parametrize(("code", "metres"), [(0, 1.0), (10, 26.8), (20, 186.8), (30, 1177), (63, None)])
def test_uncertainty_curve(code, metres):
    """Figures of the reference."""
    assert lip_scales.uncertainty_m(code) == (None if metres is None else pytest.approx(metres, rel=0.03))


@pytest.mark.parametrize(
    ("code", "metres"), [(0, None), (1, -200), (201, 0), (1201, 1000), (1202, 1002), (1926, 2450), (1927, 2525)]
)
def test_altitude_curve(code, metres):
    """Three slopes that meet without a step."""
    assert lip_scales.altitude_m(code) == metres


def test_altitude_in_a_reference_of_the_users_is_unknown():
    """The type bit says that it is not over the ellipsoid."""
    assert LongReport({"altitude": 0x800 | 500}).altitude_m is None
    assert LongReport({"altitude": 500}).altitude_m == 299


@pytest.mark.parametrize("wrong", [{}, {"pdu": "x"}, {"pdu": "short_location_report", "latitude": "a"}, {"pdu": 1}])
def test_objects_that_are_no_pdu_are_wire_errors(wrong):
    """The encoder's input is checked."""
    with pytest.raises(WireError):
        from_dict(wrong)


def test_a_field_too_wide_is_not_printed():
    """Better no report than another one."""
    with pytest.raises(WireError):
        lip.encode(ShortReport(4, 0, 0, 0, 0, 0, 0, 0))
