"""The callables behind `lapel decode`: objects one by one, as soon as their bytes are there."""

import pytest

from drivers.tetra import decode

NO_FIX = b"0A30000000000007FFE810"


def test_objects_come_as_their_lines_do():
    """A pipe that stays open is decoded line by line."""
    given = []

    def lines():
        for line in (NO_FIX, b"zz", NO_FIX):
            given.append(line)
            yield line

    objects = decode.lip(lines())
    assert next(objects)["fix"] is False
    assert len(given) == 1
    assert "error" in next(objects)
    assert next(objects)["bits_used"] == 76


def test_without_pid():
    """The first octet belongs to the report then."""
    (known,) = decode.lip([b"002F7DC24FA7B103E810"], pid=False)
    assert known["latitude"] == pytest.approx(52.00093, abs=1e-5)
    (hexed,) = decode.encode_lip([b'{"pdu": "reserved", "pdu_type": 3, "rest": {"len": 6, "raw": "FC"}}'], pid=False)
    assert hexed == {"hex": "FF", "bits": 8}


def test_encode_lip_takes_what_people_write():
    """Heading and degrees are enough; codes of direction follow from the heading."""
    line = (
        b'{"pdu": "short_location_report", "latitude": 52.573921, "longitude": -0.240317, "time_elapsed_code": 0,'
        b' "position_error_code": 1, "horizontal_velocity_code": 5, "heading_deg": 90.0, "reason_code": 129}'
    )
    (hexed,) = decode.encode_lip([line])
    (known,) = decode.lip([hexed["hex"].encode()])
    assert known["latitude"] == pytest.approx(52.573921, abs=2e-5)
    assert known["longitude"] == pytest.approx(-0.240317, abs=2e-5)
    assert (known["heading_deg"], known["speed_kmh"], known["reason_code"]) == (90, 5, 129)


def test_pei_in_pieces_is_pei_whole():
    """One byte a piece."""
    whole = b"\r\n+CTSDSR: 12,1,0,2,0,88\r\n" + NO_FIX + b"\r\n\x00\r\nOK\r\nhello\r\n+CREG: 1\r\n+CME ERROR: 4\r\n"
    pieces = [bytes([byte]) for byte in whole]
    objects = list(decode.pei(pieces))
    assert objects == list(decode.pei([whole]))
    assert objects[0]["sds"]["lip"]["fix"] is False
    assert [known.get("item", "error") for known in objects] == [
        "short_data",
        "error",
        "result",
        "line",
        "named",
        "result",
    ]


def test_pei_shows_doubts_and_faults():
    """An odd header is shown with its doubt; short data that cannot be read with its error."""
    doubtful, cut = decode.pei([b"+CTSDSR: 13,1\r\n0000\r\n+CTSDSR: 12,1,0,2,0,16\r\n0A30\r\n"])
    assert "2 fields" in doubtful["doubt"]
    assert cut["error"]
    assert cut["hex"] == "0A30"


@pytest.mark.parametrize("line", [b"", b"  \r\n", b"\n"])
def test_empty_lines_are_nothing(line):
    """No object, no error."""
    assert list(decode.sds([line])) == []
