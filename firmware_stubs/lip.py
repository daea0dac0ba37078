"""A radio's short location report (TS 100 392-18-1, clause 6.2), and the long one, bits out only."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

PID_LIP = 0x0A
SHORT_BITS = 84
UNKNOWN_SPEED = 127
UNKNOWN_ERROR = 7
UNKNOWN_AGE = 3
NO_DIRECTION = 15


class Reason(IntEnum):
    """Why a radio sent a report, as far as the stubs use it (clause 6.3.62)."""

    ON = 0
    OFF = 1
    EMERGENCY = 2
    STATUS = 4
    DMO_ON = 8
    ENTER_SERVICE = 9
    SERVICE_LOSS = 10
    LOW_BATTERY = 12
    LOST_POSITION = 21
    REGAINED_POSITION = 22
    IMMEDIATE_RESPONSE = 32
    MAX_INTERVAL = 129
    MAX_DISTANCE = 130


class BitString:
    """Unsigned fields laid one behind another, most significant bit first."""

    def __init__(self) -> None:
        self._value = 0
        self._width = 0

    def add(self, value: int, width: int) -> "BitString":
        """Append the low `width` bits of value (two's complement when it is negative)."""
        self._value = (self._value << width) | (value & ((1 << width) - 1))
        self._width += width
        return self

    @property
    def width(self) -> int:
        """How many bits there are."""
        return self._width

    def hex(self, digits: int) -> str:
        """Upper-case digits; bits that do not fill the last digit are zero."""
        return f"{self._value << (4 * digits - self._width):0{digits}X}"


@dataclass(frozen=True)
class ShortReport:
    """The fields of one short location report, in degrees and wire codes."""

    latitude: float
    longitude: float
    speed_code: int = UNKNOWN_SPEED
    direction_code: int = NO_DIRECTION
    error_code: int = 1
    age_code: int = 0
    reason: int = Reason.MAX_INTERVAL


def no_fix(reason: int = Reason.LOST_POSITION) -> ShortReport:
    """What real radios send without a fix: zeros, and every quality unknown."""
    return ShortReport(0.0, 0.0, error_code=UNKNOWN_ERROR, age_code=UNKNOWN_AGE, reason=reason)


def speed_code(speed_mps: float) -> int:
    """Horizontal velocity: linear to 28 km/h, then 16*1.038^(K-13) (clause 6.3.17)."""
    kmh = speed_mps * 3.6
    if kmh < 28.5:
        return round(kmh)
    code = 29
    while code < 126 and 16 * 1.038 ** (code - 13 + 0.5) < kmh:
        code += 1
    return code


def direction_code(heading_deg: float) -> int:
    """Direction of travel in sixteenths of a circle (clause 6.3.5)."""
    return int((heading_deg + 11.25) / 22.5) % 16


def short_report_hex(report: ShortReport, digits: int = 22) -> str:
    """Protocol identifier and short location report; 22 digits as most makes send it, 21 as Sepura does."""
    bits = BitString().add(PID_LIP, 8).add(0, 2).add(report.age_code, 2)
    bits.add(round(report.longitude * 2**25 / 360), 25).add(round(report.latitude * 2**24 / 180), 24)
    bits.add(report.error_code, 3).add(report.speed_code, 7).add(report.direction_code, 4)
    bits.add(0, 1).add(report.reason, 8)
    return bits.hex(digits)


# Report type to "time" of a long report: none, elapsed, time of position (clause 6.3.64); 3 is the short report.
SHORT_TYPE, TIMELESS_TYPE, ELAPSED_TYPE, DATED_TYPE = 3, 0, 1, 2
_CIRCLE, _CIRCLE_CODE = 2, 10
_SPEED_AND_DIRECTION = 5


def long_report_hex(
    report: ShortReport, moment: datetime | None = None, *, elapsed: bool = False, wants_ack: bool = False
) -> tuple[str, int]:
    """Protocol identifier and long location report: a circle, speed and direction; its digits and bits."""
    bits = BitString().add(PID_LIP, 8).add(1, 2).add(3, 4)
    if moment is not None:
        bits.add(2, 2).add(moment.day, 5).add(moment.hour, 5).add(moment.minute, 6).add(moment.second, 6)
    elif elapsed:
        bits.add(1, 2).add(report.age_code, 2)
    else:
        bits.add(0, 2)
    bits.add(_CIRCLE, 4).add(round(report.longitude * 2**25 / 360), 25).add(round(report.latitude * 2**24 / 180), 24)
    bits.add(_CIRCLE_CODE, 6).add(_SPEED_AND_DIRECTION, 3).add(report.speed_code, 7)
    bits.add(report.direction_code * 16 & 0xFF, 8).add(wants_ack, 1).add(0, 1).add(report.reason, 8)
    return bits.hex(-(-bits.width // 4)), bits.width
