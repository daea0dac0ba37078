"""What the gateway asks of a terminal in LIP: a report now, reports at an interval, on or off (TS 100 392-18-1).

No radio has shown yet which of these it takes; which one is sent is data of the dialect.
"""

from __future__ import annotations

from drivers.tetra import lip
from drivers.tetra.bits import Bits, BitWriter
from drivers.tetra.lip_elements import Element
from drivers.tetra.lip_long import Management

SHORT_REPORT, LONG_WITH_TIME = 3, 2
MAX_INTERVAL_TRIGGER = 129
TRIGGER_DEFINITION, TRIGGER_REMOVAL = 19, 20
INTERVALS = ((20, 30), (20, 60), (54, 600), (34, 1800))
"""Codes of a trigger's interval: how many of them, and by how many seconds each goes on; one source alone."""
REPORTING_ON = 0x80
_ACKNOWLEDGEMENT_REST = 10


def interval_s(code: int) -> int:
    """Seconds of a 7-bit interval (TS 100 392-18-1)."""
    seconds, left = 0, code + 1
    for count, step_s in INTERVALS:
        seconds += step_s * min(left, count)
        left = max(0, left - count)
    return seconds


def interval_code(seconds: int) -> int:
    """The longest interval that is no longer than asked for, or the shortest there is (TS 100 392-18-1)."""
    fitting = [code for code in range(128) if interval_s(code) <= seconds]
    return fitting[-1] if fitting else 0


def _management(number: int, elements: tuple[Element, ...] = (), **fields: int) -> Management:
    return Management({"pdu_type": 1, "extension": number, **fields}, elements)


def immediate_request(report_type: int = SHORT_REPORT) -> Management:
    """A report, now (TS 100 392-18-1)."""
    return _management(1, response=0, report_type=report_type)


def basic_parameters(min_interval_code: int, report_type: int = SHORT_REPORT, *, answer: bool = True) -> Management:
    """The least time between reports, in steps of 10 s by one source (TS 100 392-18-1)."""
    asked = int(answer)
    return _management(5, response=0, ack_request=asked, min_interval_raw=min_interval_code, report_type=report_type)


def interval_trigger(seconds: int, report_type: int = SHORT_REPORT, *, answer: bool = True) -> Management:
    """A report at least every so many seconds, again and again (TS 100 392-18-1)."""
    content = _fields((MAX_INTERVAL_TRIGGER, 8), (1, 1), (interval_code(seconds), 7))
    element = Element(TRIGGER_DEFINITION, content)
    return _management(6, (element,), response=0, ack_request=int(answer), report_type=report_type)


def remove_interval(*, answer: bool = True) -> Management:
    """No more reports by interval than the terminal's own (TS 100 392-18-1)."""
    element = Element(TRIGGER_REMOVAL, _fields((1, 1), (MAX_INTERVAL_TRIGGER, 8)))
    return _management(7, (element,), response=0, ack_request=int(answer))


def enable(*, on: bool, answer: bool = True) -> Management:
    """Reporting on, or off (TS 100 392-18-1)."""
    return _management(10, response=0, ack_request=int(answer), flags=REPORTING_ON if on else 0)


def acknowledgement() -> Management:
    """Location report acknowledgement: ten bits behind its type, all zero in what was recorded (TS 100 392-18-1)."""
    fields = {"pdu_type": 1, "extension": 4}
    return Management(fields, (), Bits(0, _ACKNOWLEDGEMENT_REST))


def as_sds(pdu: Management) -> Bits:
    """The PDU with its PID in whole octets, as radios send it: 0A4580 asks for a short report now."""
    bits = lip.with_pid(lip.encode(pdu))
    spare = -bits.length % 8
    return Bits(bits.value << spare, bits.length + spare)


def _fields(*fields: tuple[int, int]) -> Bits:
    writer = BitWriter()
    for value, width in fields:
        writer.put(value, width)
    return writer.bits()
