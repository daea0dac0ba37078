"""What LIP's codes mean in degrees, metres and kilometres an hour (TS 100 392-18-1)."""

from __future__ import annotations

from drivers.tetra.bits import signed, unsigned

LONGITUDE_BITS = 25
LATITUDE_BITS = 24
VELOCITY_FASTER = 126
VELOCITY_UNKNOWN = 127
POSITION_ERROR_M: tuple[float | None, ...] = (2.0, 20.0, 200.0, 2_000.0, 20_000.0, 200_000.0, None, None)
"""Upper bound of each class of position error; 6 is "more than 200 km", 7 is unknown (TS 100 392-18-1)."""
ALTITUDE_UNCERTAINTY_M: tuple[float | None, ...] = (1.0, 2.0, 5.0, 15.0, 50.0, 150.0, 300.0, None)
_LONGITUDE_STEP = 360 / (1 << LONGITUDE_BITS)
_LATITUDE_STEP = 180 / (1 << LATITUDE_BITS)


def longitude_deg(raw: int) -> float:
    """Degrees east of a 25-bit longitude (TS 100 392-18-1)."""
    return signed(raw, LONGITUDE_BITS) * _LONGITUDE_STEP


def latitude_deg(raw: int) -> float:
    """Degrees north of a 24-bit latitude (TS 100 392-18-1)."""
    return signed(raw, LATITUDE_BITS) * _LATITUDE_STEP


def longitude_raw(degrees: float) -> int:
    """The nearest 25-bit longitude; 180 east is 180 west."""
    return unsigned(round(degrees / _LONGITUDE_STEP), LONGITUDE_BITS)


def latitude_raw(degrees: float) -> int:
    """The nearest 24-bit latitude, short of the pole where there is no code for it."""
    top = (1 << (LATITUDE_BITS - 1)) - 1
    return unsigned(max(-top - 1, min(top, round(degrees / _LATITUDE_STEP))), LATITUDE_BITS)


def speed_kmh(code: int) -> float | None:
    """Speed of a 7-bit velocity; 126 is "more than 1043", 127 unknown (TS 100 392-18-1)."""
    if code <= 28:
        return float(code)
    if code == VELOCITY_UNKNOWN:
        return None
    if code == VELOCITY_FASTER:
        return 1043.0
    return 16 * 1.038 ** (code - 13)


def heading_16_deg(code: int) -> float:
    """Heading of a 4-bit direction of travel (TS 100 392-18-1)."""
    return code * 22.5


def heading_256_deg(code: int) -> float:
    """Heading of an 8-bit extended direction of travel (TS 100 392-18-1)."""
    return code * 360 / 256


def uncertainty_m(code: int) -> float | None:
    """Radius or half axis of a 6-bit horizontal uncertainty; 63 is best effort (TS 100 392-18-1)."""
    return None if code == 63 else 2 * 1.2 ** (code + 5) - 4


def altitude_m(code: int) -> int | None:
    """Altitude of the low 11 bits of an altitude field; 0 is reserved (TS 100 392-18-1 table 6.62)."""
    step = code & 0x7FF
    if step == 0:
        return None
    if step <= 1201:
        return step - 201
    if step <= 1926:
        return 2 * step - 1402
    return 75 * step - 142_000
