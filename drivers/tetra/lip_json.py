"""LIP as JSON: what `lapel decode lip` prints and `lapel encode lip` reads."""

from __future__ import annotations

from typing import Any

from drivers.tetra import lip
from drivers.tetra import lip_scales as scales
from drivers.tetra.bits import Bits, from_hex
from drivers.tetra.lip_elements import Element, element_dict
from drivers.tetra.lip_long import SHAPES, LongReport, Management
from drivers.tetra.lip_short import ShortReport
from gateway.errors import WireError

SHORT_NAME = "short_location_report"
LONG_NAME = "long_location_report"


def as_dict(pdu: lip.Pdu) -> dict[str, Any]:
    """The JSON object of one PDU; keys as in the public contract, raw codes beside them."""
    if isinstance(pdu, ShortReport):
        return _short(pdu)
    if isinstance(pdu, LongReport):
        return _long(pdu)
    if isinstance(pdu, Management):
        return _management(pdu)
    return {"pdu": "reserved", "pdu_type": pdu.pdu_type, "rest": _rest(pdu.rest), "bits_used": 2}


def _rounded(number: float | None, digits: int) -> float | None:
    return None if number is None else round(number, digits)


def _where(report: lip.Report) -> dict[str, Any]:
    latitude, longitude = report.position or (None, None)
    return {
        "fix": report.position is not None,
        "latitude": _rounded(latitude, 7),
        "longitude": _rounded(longitude, 7),
        "speed_kmh": _rounded(report.speed_kmh, 3),
        "heading_deg": report.heading_deg,
        "reason_code": report.reason_code,
        "user_defined_code": report.user_defined_code,
        "time_elapsed_code": report.time_elapsed_code,
    }


def _short(report: ShortReport) -> dict[str, Any]:
    codes = {
        "position_error_code": report.position_error,
        "horizontal_velocity_code": report.horizontal_velocity,
        "direction_code": report.direction,
    }
    return {"pdu": SHORT_NAME} | _where(report) | codes | {"bits_used": report.bits_used}


def _long(report: LongReport) -> dict[str, Any]:
    fields = report.fields
    shape, _ = SHAPES.get(fields["shape"], ("extension", ()))
    details = {
        "position_error_code": fields.get("position_error"),
        "horizontal_velocity_code": fields.get("horizontal_velocity"),
        "time_type": fields["time_type"],
        "time_of_position": report.time_of_position,
        "shape": shape,
        "horizontal_uncertainty_m": _rounded(report.accuracy_m if "position_error" not in fields else None, 5),
        "altitude_m": report.altitude_m,
        "velocity_type": fields.get("velocity_type"),
        "ack_req": fields.get("ack_request"),
    }
    if "altitude" in fields:
        details |= {"alt_raw": fields["altitude"] & 0x7FF, "alt_type": "user" if fields["altitude"] >> 11 else "WGS84"}
    return {"pdu": LONG_NAME} | _where(report) | details | _tail(report)


def _management(pdu: Management) -> dict[str, Any]:
    known: dict[str, Any] = {"pdu": pdu.pdu}
    if "response" in pdu.fields:
        known["dir"] = "response" if pdu.fields["response"] else "request"
    hidden = {"pdu_type", "extension", "response", "ack_request"}
    known |= {name: value for name, value in pdu.fields.items() if name not in hidden}
    if "ack_request" in pdu.fields:
        known["ack_req"] = pdu.fields["ack_request"]
    return known | _tail(pdu)


def _rest(bits: Bits) -> dict[str, Any]:
    return {"len": bits.length, "raw": bits.hex()}


def _tail(pdu: LongReport | Management) -> dict[str, Any]:
    """Elements, what is left, and the fields as they were, from which the PDU can be printed again."""
    return {
        "elements": [element_dict(element) for element in pdu.elements],
        "bits_used": pdu.bits_used,
        "rest_bits": pdu.rest.length,
        "raw": {"fields": pdu.fields, "rest": _rest(pdu.rest)},
    }


def from_dict(known: dict[str, Any]) -> lip.Pdu:
    """The PDU that `as_dict` printed; WireError where a key is missing or is not what it should be."""
    try:
        return _read(known)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as fault:
        raise WireError(f"not a decoded LIP PDU: {type(fault).__name__} {fault}") from fault


def _read(known: dict[str, Any]) -> lip.Pdu:
    if known["pdu"] == SHORT_NAME:
        return _read_short(known)
    if "raw" not in known:
        return lip.Reserved(known["pdu_type"], _read_bits(known["rest"]))
    fields = {str(name): int(value) for name, value in known["raw"]["fields"].items()}
    elements = tuple(_read_element(element) for element in known["elements"])
    kind = LongReport if known["pdu"] == LONG_NAME else Management
    return kind(fields, elements, _read_bits(known["raw"]["rest"]), known["bits_used"])


def _read_bits(known: dict[str, Any]) -> Bits:
    return from_hex(known["raw"], known["len"]) if known["len"] else Bits(0, 0)


def _read_element(known: dict[str, Any]) -> Element:
    return Element(known["id"], _read_bits(known), bool(known.get("extended")))


def _read_short(known: dict[str, Any]) -> ShortReport:
    user = known.get("user_defined_code")
    direction = known.get("direction_code")
    if direction is None:
        heading = known.get("heading_deg")
        direction = 15 if heading is None else int((heading + 11.25) / 22.5) % 16
    return ShortReport(
        known["time_elapsed_code"],
        scales.longitude_raw(known["longitude"] or 0.0),
        scales.latitude_raw(known["latitude"] or 0.0),
        known["position_error_code"],
        known["horizontal_velocity_code"],
        direction,
        0 if user is None else 1,
        known["reason_code"] if user is None else user,
    )
