"""`lapel decode` and `lapel encode`, as a terminal sees them."""

import json

import pytest
from click.testing import CliRunner

from gateway.cli.decode import decode, encode
from tests import peers

LINE = "0A000046624A0AD25EA820"


def run(command, *arguments, given=b""):
    """Exit code and printed objects."""
    result = CliRunner().invoke(command, arguments, input=given)
    return result.exit_code, result.stdout.splitlines()


def objects(lines):
    """The lines as JSON."""
    return [json.loads(line) for line in lines]


def test_decode_lip_has_the_contracts_keys():
    """Contract section 2."""
    code, (line,) = run(decode, "lip", given=LINE.encode())
    known = json.loads(line)
    assert code == 0
    assert known["pdu"] == "short_location_report"
    assert known["fix"] is True
    assert known["latitude"] == pytest.approx(51.5076184)
    wanted = "longitude time_elapsed_code position_error_code horizontal_velocity_code speed_kmh heading_deg"
    wanted += " reason_code user_defined_code bits_used"
    assert set(wanted.split()) <= set(known)


def test_decode_lip_long_has_the_contracts_keys():
    """Contract section 2, long reports."""
    _, (line,) = run(decode, "lip", "--no-pid", given=b"4EC8F2B154F2F2BC0EF7A0183D1FC4410")
    wanted = "time_of_position shape horizontal_uncertainty_m altitude_m velocity_type elements bits_used"
    assert set(wanted.split()) <= set(json.loads(line))


def test_a_bad_line_is_an_object_and_the_run_goes_on():
    """Exit code 1 at the end."""
    code, lines = run(decode, "lip", given=f"{LINE}\nzz\n\n8300\n{LINE}\n".encode())
    assert code == 1
    assert ["error" in known for known in objects(lines)] == [False, True, True, False]


def test_encode_is_the_inverse_for_every_recording():
    """Hex, objects, hex."""
    short = peers.shared("vectors/tetra/lip_short.tsv")
    hexes = [line.split("\t")[0] for line in short.read_text().splitlines()[1:]]
    _, decoded = run(decode, "lip", given="\n".join(hexes).encode())
    code, printed = run(encode, "lip", given="\n".join(decoded).encode())
    assert (code, printed) == (0, hexes)


def test_sds_both_ways():
    """Text, status, report, LIP and an unknown PID."""
    hexes = ["82040801476A61746A616A676A61", "8003", "0000", "7ECA", "821000C9", LINE, "C3AABB", "0201746573746D"]
    code, decoded = run(decode, "sds", given="\n".join(hexes).encode())
    assert code == 0
    kinds = [known["kind"] for known in objects(decoded)]
    assert kinds == ["text", "status", "status", "short_report", "report", "lip", "other", "text"]
    assert objects(decoded)[2]["emergency"] is True
    assert run(encode, "sds", given="\n".join(decoded).encode()) == (0, hexes)


def test_pei_reads_raw_bytes():
    """A port's bytes, a line cut off at the end, noise."""
    given = (
        b"\r\nOK\r\n+CTSDSR: 13,1,0,2,0,16\r\n0000\r\n+CTSDSR: 12,1,0,2,0,16\r\n0A30\r\n\xff\x00\r\n+ENCR: 1,x\r\n2,5"
    )
    code, lines = run(decode, "pei", given=given)
    known = objects(lines)
    assert code == 1
    assert known[1]["sds"] == {"kind": "status", "value": 0, "emergency": True}
    assert ["error" in item for item in known] == [False, False, True, True, False, False]


@pytest.mark.parametrize("line", [b"{}", b"[]", b"nonsense", b"[" * 5000, b'{"pdu": 5}', b"\xff\xfe"])
def test_encode_refuses_what_is_no_pdu(line):
    """An error object, exit code 1."""
    for kind in ("lip", "sds"):
        code, (shown,) = run(encode, kind, given=line)
        assert code == 1
        assert "error" in json.loads(shown)


def test_options_that_mean_nothing_are_a_usage_error():
    """Exit code 2."""
    assert run(decode, "sds", "--no-pid")[0] == 2
    assert run(decode, "lip", "--topic", "x")[0] == 2
    assert run(decode, "morse")[0] == 2


def test_a_line_without_an_end_is_bounded():
    """Errors in pieces, not memory."""
    code, lines = run(decode, "lip", given=b"0" * 300_000 + b"\n" + LINE.encode())
    assert code == 1
    assert "error" in json.loads(lines[0])
    assert json.loads(lines[-1])["fix"] is True
