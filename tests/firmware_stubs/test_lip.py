"""Reports built from decoded values are the bits that real radios sent."""

import csv
import json

import pytest

from firmware_stubs.lip import ShortReport, direction_code, no_fix, short_report_hex, speed_code


def test_reports_of_real_radios_are_rebuilt_bit_by_bit(vectors):
    """Each recorded report, from its decoded values alone."""
    rows = list(csv.DictReader((vectors / "lip_short.tsv").open(), delimiter="\t"))
    assert len(rows) == 95
    for row in rows:
        speed = int(row["horizontal_velocity_code"])
        heading = row["heading_deg"]
        report = ShortReport(
            float(row["latitude"] or 0),
            float(row["longitude"] or 0),
            speed,
            direction_code(float(heading)) if heading not in {"", "None"} else 15,
            int(row["position_error_code"]),
            _age(row["hex"]),
            int(row["reason_code"]),
        )
        assert short_report_hex(report) == row["hex"]


def _age(digits):
    """The table does not list the age, so it is read off the recording."""
    return int(digits[2:4], 16) >> 4 & 3


def test_other_makes_are_rebuilt(vectors):
    """The short reports of other makes, Sepura's 21 digits among them."""
    found = 0
    for line in (vectors / "lip_other.jsonl").read_text().splitlines():
        row = json.loads(line)
        decoded = row["decoded"]
        if decoded["pdu"] != "short_location_report" or not row["has_pid"] or not decoded["fix"]:
            continue
        heading = decoded["heading_deg"]
        report = ShortReport(
            decoded["latitude"],
            decoded["longitude"],
            decoded["horizontal_velocity_code"],
            15 if heading is None else direction_code(heading),
            decoded["position_error_code"],
            decoded["time_elapsed_code"],
            decoded["reason_code"],
        )
        if heading is None and decoded["horizontal_velocity_code"] != 127:
            continue
        rebuilt = short_report_hex(report, len(row["hex"]))
        assert len(rebuilt) == len(row["hex"])
        # An unknown direction may be sent as any code, so its four bits are not compared.
        mask = ~(0xF << (4 * len(row["hex"]) - 8 - 67)) if heading is None else ~0
        assert int(rebuilt, 16) & mask == int(row["hex"], 16) & mask
        found += 1
    assert found >= 2


def test_no_fix_is_what_radios_send():
    """Zeros and unknowns, as recorded from Motorola radios."""
    assert short_report_hex(no_fix(reason=129)) == "0A30000000000007FFE810"


@pytest.mark.parametrize(
    ("kmh", "code"), [(0, 0), (5, 5), (28, 28), (29.06, 29), (43.8, 40), (119.9, 67), (1042.9, 125), (1100, 126)]
)
def test_speed_codes(kmh, code):
    """The verified points of the velocity curve."""
    assert speed_code(kmh / 3.6) == code


@pytest.mark.parametrize(("heading", "code"), [(0, 0), (11.2, 0), (11.3, 1), (90, 4), (348.8, 0), (359.9, 0)])
def test_direction_codes(heading, code):
    """Sixteenths of a circle, rounded to the nearest."""
    assert direction_code(heading) == code
