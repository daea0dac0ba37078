"""LIP type-5 elements: identifier, length, content (TS 100 392-18-1)."""

from __future__ import annotations

from typing import Any

import msgspec

from drivers.tetra import lip_scales as scales
from drivers.tetra.bits import BitReader, Bits, BitWriter

RESULT = 12
STATUS = 15
NAMES = {
    0: "direction-of-travel+accuracy",
    1: "extended-user-defined-data",
    2: "horizontal-position+accuracy",
    3: "horizontal-velocity+accuracy",
    4: "location-information-destination",
    5: "altitude+accuracy",
    6: "message-reference",
    7: "max-information-age",
    8: "max-response-time",
    9: "default-lifetime",
    11: "priority",
    RESULT: "result-code",
    13: "sds-type-1-value",
    14: "start-time",
    STATUS: "status-value",
    16: "stop-time",
    17: "terminal-or-location-id",
    19: "trigger-definition",
    20: "trigger-removal",
    21: "vertical-velocity+accuracy",
    22: "temporary-control-parameter",
    23: "backlog-23",
    24: "backlog-24",
    31: "extension",
}
_NUMBERS = {6: 8, 7: 7, 8: 7, 9: 2, 11: 2, RESULT: 8, 13: 16, STATUS: 16}
_TIMES = frozenset({14, 16})
_ADDRESSES = frozenset({4, 17})
_HEAD = 11
_EXTENDED_FROM = 64


class Element(msgspec.Struct, frozen=True):
    """One type-5 element; extended says that its length stood in the length extension."""

    id: int
    content: Bits
    extended: bool = False

    @property
    def bits_used(self) -> int:
        """Identifier, length and content."""
        return _HEAD + (7 if self.extended else 0) + self.content.length


def decode_elements(reader: BitReader) -> tuple[Element, ...]:
    """Take elements until only padding, or something that does not fit, is left (TS 100 392-18-1).

    A length of 0 means that 7 more bits follow and the content has 64 + 8 of these bits: recorded
    requests parse to their last bit with 64 and not with the 56 that other decoders use.
    """
    found: list[Element] = []
    while reader.left >= _HEAD and reader.rest().value:
        trial = BitReader(reader.rest())
        number, length = trial.take(5), trial.take(6)
        extended = length == 0
        if extended:
            if trial.left < 7:
                break
            length = _EXTENDED_FROM + 8 * trial.take(7)
        if trial.left < length:
            break
        element = Element(number, Bits(trial.take(length), length), extended)
        reader.take(element.bits_used)
        found.append(element)
    return tuple(found)


def encode_element(writer: BitWriter, element: Element) -> None:
    """Print one element (TS 100 392-18-1)."""
    writer.put(element.id, 5)
    if element.extended:
        writer.put(0, 6)
        writer.put((element.content.length - _EXTENDED_FROM) // 8, 7)
    else:
        writer.put(element.content.length, 6)
    writer.append(element.content)


def element_number(elements: tuple[Element, ...], number: int) -> int | None:
    """Value of the first element of this id that has the right length; None without one."""
    for element in elements:
        if element.id == number and element.content.length == _NUMBERS.get(number):
            return element.content.value
    return None


def element_dict(element: Element) -> dict[str, Any]:
    """One element for people to read; `raw` keeps its bits whatever it is."""
    known: dict[str, Any] = {"id": element.id, "len": element.content.length}
    known["name"] = NAMES.get(element.id, "reserved")
    known["raw"] = element.content.hex()
    if element.extended:
        known["extended"] = True
    return known | _meaning(element)


def _meaning(element: Element) -> dict[str, Any]:
    content = element.content
    if _NUMBERS.get(element.id) == content.length:
        return {"value": content.value}
    if element.id in _TIMES and content.length == 22:
        reader = BitReader(content)
        return {"time": [reader.take(width) for width in (5, 5, 6, 6)]}
    if element.id in _ADDRESSES:
        return _address(content)
    if element.id == 19 and content.length >= 9:
        return _trigger(content)
    return {}


def _address(content: Bits) -> dict[str, Any]:
    """Terminal or location identifier: SSI, or SSI with MCC and MNC (TS 100 392-18-1)."""
    reader = BitReader(content)
    if content.length < 28:
        return {}
    kind, ssi = reader.take(4), reader.take(24)
    if kind == 1:
        return {"type": kind, "ssi": ssi}
    if kind == 2 and reader.left >= 24:
        return {"type": kind, "ssi": ssi, "mcc": reader.take(10), "mnc": reader.take(14)}
    return {"type": kind}


def _trigger(content: Bits) -> dict[str, Any]:
    """Trigger definition: its type, whether it recurs, its parameter (TS 100 392-18-1)."""
    reader = BitReader(content)
    trigger: dict[str, Any] = {"trigger": reader.take(8), "recurring": reader.take(1)}
    if trigger["trigger"] in {17, 18, 23} and reader.left in {49, 55}:
        trigger["lon_raw"], trigger["lat_raw"] = reader.take(25), reader.take(24)
        trigger["lon"] = round(scales.longitude_deg(trigger["lon_raw"]), 7)
        trigger["lat"] = round(scales.latitude_deg(trigger["lat_raw"]), 7)
        if reader.left:
            trigger["hunc_m"] = scales.uncertainty_m(reader.take(6))
    elif reader.left:
        trigger["parameter"] = reader.take(reader.left)
    return trigger
