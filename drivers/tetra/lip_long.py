"""LIP long location report and the PDUs that manage reporting (TS 100 392-18-1).

One walk over each layout serves both directions: `step(name, width)` takes a field off a PDU or puts
it into one. Not supported: shape 15 (extension), PDU 12 (backlog); they are classified and kept.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from drivers.tetra import lip_scales as scales
from drivers.tetra.bits import BitReader, Bits, BitWriter
from drivers.tetra.lip_elements import RESULT, STATUS, Element, decode_elements, element_number, encode_element
from gateway.errors import WireError

Layout = tuple[tuple[str, int], ...]
Step = Callable[[str, int], int]

LONG = 3
_POINT: Layout = (("longitude", 25), ("latitude", 24))
_HUNC: Layout = (("horizontal_uncertainty", 6),)
_ELLIPSE: Layout = (("half_major", 6), ("half_minor", 6), ("angle", 8))
_ALT: Layout = (("altitude", 12),)
_ALT_UNC: Layout = (("altitude_uncertainty", 3),)
_CONF: Layout = (("confidence", 3),)
_ARC: Layout = (("inner_radius", 16), ("outer_radius", 16), ("start_angle", 8), ("stop_angle", 8))
SHAPES: dict[int, tuple[str, Layout]] = {
    0: ("none", ()),
    1: ("point", _POINT),
    2: ("circle", _POINT + _HUNC),
    3: ("ellipse", _POINT + _ELLIPSE + _CONF),
    4: ("point+alt", _POINT + _ALT),
    5: ("circle+alt", _POINT + _HUNC + _ALT),
    6: ("ellipse+alt", _POINT + _ELLIPSE + _ALT + _CONF),
    7: ("circle+alt+unc", _POINT + _HUNC + _ALT + _ALT_UNC),
    8: ("ellipse+alt+unc", _POINT + _ELLIPSE + _ALT + _ALT_UNC + _CONF),
    9: ("arc", _POINT + _ARC + _CONF),
    10: ("point+poserr", (*_POINT, ("position_error", 3))),
}
_H: Layout = (("horizontal_velocity", 7),)
_H_UNC: Layout = (("horizontal_velocity_uncertainty", 3),)
_V: Layout = (("vertical_velocity", 8),)
_V_UNC: Layout = (("vertical_velocity_uncertainty", 3),)
_DIR: Layout = (("direction", 8),)
_DIR_UNC: Layout = (("direction_uncertainty", 3),)
VELOCITIES: tuple[Layout, ...] = (
    (),
    _H,
    _H + _H_UNC,
    _H + _V,
    _H + _H_UNC + _V + _V_UNC,
    _H + _DIR,
    _H + _H_UNC + _DIR + _DIR_UNC,
    _H + _H_UNC + _V + _V_UNC + _DIR + _DIR_UNC,
)
TIMES: tuple[Layout, ...] = ((), (("time_elapsed", 2),), (("day", 5), ("hour", 5), ("minute", 6), ("second", 6)), ())
_ADDITIONAL: Layout = (("ack_request", 1), ("additional_type", 1), ("additional", 8))


class LongReport(msgspec.Struct, frozen=True):
    """A long location report: its fields as they were on the wire, its elements, and what is left."""

    fields: dict[str, int]
    elements: tuple[Element, ...] = ()
    rest: Bits = Bits(0, 0)
    bits_used: int = 0

    @property
    def position(self) -> tuple[float, float] | None:
        """Latitude and longitude in degrees; None without a shape, or where the radio sent 0/0."""
        longitude, latitude = self.fields.get("longitude", 0), self.fields.get("latitude", 0)
        if not (longitude or latitude):
            return None
        return scales.latitude_deg(latitude), scales.longitude_deg(longitude)

    @property
    def accuracy_m(self) -> float | None:
        """Radius, half major axis or class of error, whichever the shape has; None where unknown."""
        if "position_error" in self.fields:
            return scales.POSITION_ERROR_M[self.fields["position_error"]]
        for name in ("horizontal_uncertainty", "half_major"):
            if name in self.fields:
                return scales.uncertainty_m(self.fields[name])
        return None

    @property
    def altitude_m(self) -> int | None:
        """Altitude over the ellipsoid; None where unknown, or in a reference of the user's."""
        raw = self.fields.get("altitude", 0)
        return None if raw >> 11 else scales.altitude_m(raw)

    @property
    def speed_kmh(self) -> float | None:
        """Speed over ground; None where unknown."""
        return scales.speed_kmh(self.fields.get("horizontal_velocity", scales.VELOCITY_UNKNOWN))

    @property
    def heading_deg(self) -> float | None:
        """Direction of travel; none without a speed."""
        if "direction" not in self.fields or self.speed_kmh is None:
            return None
        return scales.heading_256_deg(self.fields["direction"])

    @property
    def reason_code(self) -> int | None:
        """Why it was sent, reserved codes included; None where the radio sends a code of its user's."""
        fields = self.fields
        return None if fields.get("additional_type") else fields.get("additional")

    @property
    def user_defined_code(self) -> int | None:
        """The user's own code in place of a reason."""
        return self.fields.get("additional") if self.fields.get("additional_type") else None

    @property
    def time_elapsed_code(self) -> int | None:
        """Class of the fix's age, where the report states one."""
        return self.fields.get("time_elapsed")

    @property
    def time_of_position(self) -> tuple[int, int, int, int] | None:
        """Day of the month, hour, minute, second, where the report states them."""
        if "day" not in self.fields:
            return None
        fields = self.fields
        return fields["day"], fields["hour"], fields["minute"], fields["second"]

    @property
    def status_value(self) -> int | None:
        """The pre-coded status that a report may carry as an element."""
        return element_number(self.elements, STATUS)

    @property
    def result_code(self) -> int | None:
        """Why there is no fix, where the radio says so."""
        return element_number(self.elements, RESULT)


_RR: Layout = (("response", 1),)
_REPORT: Layout = (("report_type", 2),)
_ACK: Layout = (("ack_request", 1),)
_INTERVAL: Layout = (("min_interval_raw", 7),)
_RESULT: Layout = (("result", 8),)
_FLAGS: Layout = (("flags", 8),)
MANAGEMENT: dict[int, tuple[str, Layout, Layout]] = {
    1: ("immediate_location_report_request", _REPORT, ()),
    5: ("basic_location_parameters", _ACK + _INTERVAL + _REPORT, _RESULT + _FLAGS + _INTERVAL + _REPORT),
    6: ("add_modify_trigger", _ACK + _REPORT, _RESULT + _REPORT),
    7: ("remove_trigger", _ACK, _RESULT),
    8: ("report_triggers", (), _RESULT + _FLAGS + _REPORT),
    9: ("report_basic_location_parameters", (), _RESULT + _FLAGS + _INTERVAL + _REPORT),
    10: ("location_reporting_enable_disable", _ACK + _FLAGS, _FLAGS),
    11: ("location_reporting_temporary_control", (*_ACK, ("validity", 4)), _RESULT),
}
CLASSIFIED = {4: "location_report_acknowledgement", 12: "backlog"}
"""PDUs whose content no source describes: named, their bits kept."""


class Management(msgspec.Struct, frozen=True):
    """A PDU of LIP that is no report: a request, an answer, or one that is only classified."""

    fields: dict[str, int]
    elements: tuple[Element, ...] = ()
    rest: Bits = Bits(0, 0)
    bits_used: int = 0

    @property
    def pdu(self) -> str:
        """Its name."""
        number = self.fields["extension"]
        if number in MANAGEMENT:
            return MANAGEMENT[number][0]
        return CLASSIFIED.get(number, "reserved")


def _walk(step: Step) -> bool:
    """Go through the fields of any PDU of type 1; whether elements follow them (TS 100 392-18-1)."""
    step("pdu_type", 2)
    number = step("extension", 4)
    if number == LONG:
        return _walk_long(step)
    if number not in MANAGEMENT:
        return False
    _, request, response = MANAGEMENT[number]
    answer = step("response", 1)
    _each(step, response if answer else request)
    return not (number == 1 and answer)


def _walk_long(step: Step) -> bool:
    """Go through the fields of a long location report; stop at a shape nobody knows (TS 100 392-18-1)."""
    _each(step, TIMES[step("time_type", 2)])
    shape = step("shape", 4)
    if shape not in SHAPES:
        return False
    _each(step, SHAPES[shape][1])
    _each(step, VELOCITIES[step("velocity_type", 3)])
    _each(step, _ADDITIONAL)
    return True


def _each(step: Step, layout: Layout) -> None:
    for name, width in layout:
        step(name, width)


def decode_extended(bits: Bits) -> LongReport | Management:
    """Read any PDU of type 1 without its PID (TS 100 392-18-1)."""
    reader = BitReader(bits)
    fields: dict[str, int] = {}

    def step(name: str, width: int) -> int:
        fields[name] = reader.take(width)
        return fields[name]

    elements = decode_elements(reader) if _walk(step) else ()
    kind = LongReport if fields["extension"] == LONG else Management
    return kind(fields, elements, reader.rest(), reader.used)


def encode_extended(pdu: LongReport | Management) -> Bits:
    """Print any PDU of type 1 without its PID (TS 100 392-18-1)."""
    writer = BitWriter()

    def step(name: str, width: int) -> int:
        try:
            return writer.put(pdu.fields[name], width)
        except KeyError:
            raise WireError(f"field {name} is missing", clause="TS 100 392-18-1") from None

    _walk(step)
    for element in pdu.elements:
        encode_element(writer, element)
    writer.append(pdu.rest)
    return writer.bits()
