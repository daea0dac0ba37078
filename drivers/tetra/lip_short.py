"""LIP short location report: 76 bits, read and printed (TS 100 392-18-1)."""

from __future__ import annotations

import msgspec

from drivers.tetra import lip_scales as scales
from drivers.tetra.bits import Bits
from gateway.errors import WireError

SHORT_BITS = 76


class ShortReport(msgspec.Struct, frozen=True):
    """A short location report, every field as it was on the wire."""

    time_elapsed: int
    longitude_raw: int
    latitude_raw: int
    position_error: int
    horizontal_velocity: int
    direction: int
    additional_type: int
    additional: int

    @property
    def position(self) -> tuple[float, float] | None:
        """Latitude and longitude in degrees; None where the radio sent 0/0, its word for no fix."""
        if not (self.longitude_raw or self.latitude_raw):
            return None
        return scales.latitude_deg(self.latitude_raw), scales.longitude_deg(self.longitude_raw)

    @property
    def accuracy_m(self) -> float | None:
        """Upper bound of the class of position error; None where unknown."""
        return scales.POSITION_ERROR_M[self.position_error]

    @property
    def altitude_m(self) -> int | None:
        """A short report has none."""
        return None

    @property
    def speed_kmh(self) -> float | None:
        """Speed over ground; None where unknown."""
        return scales.speed_kmh(self.horizontal_velocity)

    @property
    def heading_deg(self) -> float | None:
        """Direction of travel; a radio that knows no speed sends 15 for it, which is no direction."""
        if self.horizontal_velocity == scales.VELOCITY_UNKNOWN:
            return None
        return scales.heading_16_deg(self.direction)

    @property
    def reason_code(self) -> int | None:
        """Why it was sent, reserved codes included; None where the radio sends a code of its user's."""
        return self.additional if self.additional_type == 0 else None

    @property
    def user_defined_code(self) -> int | None:
        """The user's own code in place of a reason."""
        return self.additional if self.additional_type else None

    @property
    def time_elapsed_code(self) -> int:
        """Class of the fix's age: under 5 s, under 5 min, under 30 min, unknown."""
        return self.time_elapsed

    @property
    def time_of_position(self) -> None:
        """A short report has no absolute time."""
        return

    @property
    def status_value(self) -> None:
        """A short report carries no status."""
        return

    @property
    def bits_used(self) -> int:
        """Always 76."""
        return SHORT_BITS


def decode_short(bits: Bits) -> ShortReport:
    """Read a short location report without its PID; what follows the 76 bits is padding (TS 100 392-18-1)."""
    if bits.length < SHORT_BITS:
        raise WireError(f"{bits.length} of {SHORT_BITS} bits", offset=bits.length, clause="TS 100 392-18-1")
    value = bits.value >> (bits.length - SHORT_BITS)
    if value >> 74:
        raise WireError("not a short location report", clause="TS 100 392-18-1")
    return ShortReport(
        value >> 72 & 3,
        value >> 47 & 0x1FFFFFF,
        value >> 23 & 0xFFFFFF,
        value >> 20 & 7,
        value >> 13 & 0x7F,
        value >> 9 & 15,
        value >> 8 & 1,
        value & 0xFF,
    )


_WIDTHS = (2, 25, 24, 3, 7, 4, 1, 8)


def encode_short(report: ShortReport) -> Bits:
    """Print a short location report without its PID (TS 100 392-18-1)."""
    value = 0
    for part, width in zip(msgspec.structs.astuple(report), _WIDTHS, strict=True):
        if not 0 <= part < 1 << width:
            raise WireError(f"{part} does not fit in {width} bits", clause="TS 100 392-18-1")
        value = value << width | part
    return Bits(value, SHORT_BITS)
