"""What the network may ask of a radio's location reporting, and how it answers (TS 100 392-18-1, clause 6.2)."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from firmware_stubs.lip import PID_LIP, BitString

LONG_PDU = 1
TRIGGER_DEFINITION, TRIGGER_REMOVAL = 19, 20
ELEMENT_HEAD_BITS = 11


class Ask(IntEnum):
    """The PDU type extensions that are requests (clause 6.3.52)."""

    IMMEDIATE = 1
    ACKNOWLEDGEMENT = 4
    BASIC_PARAMETERS = 5
    ADD_TRIGGER = 6
    REMOVE_TRIGGER = 7
    TELL_TRIGGERS = 8
    TELL_BASIC = 9
    ENABLE = 10
    TEMPORARY = 11


PARAMETER_BITS = {129: 7, 130: 7, 21: 7, 22: 7, 17: 49, 18: 55, 23: 55, 4: 16, 19: 16}


@dataclass(frozen=True)
class Trigger:
    """When to report by itself: the reason code, its parameter as sent, once or again and again."""

    kind: int
    parameter: int = 0
    recurring: bool = True


@dataclass(frozen=True)
class Order:
    """A request as the radio reads it; `removals` are the kinds to remove, None among them is all."""

    ask: Ask
    wants_answer: bool = True
    report_type: int = 3
    flags: int = 0
    least_interval: int = 0
    triggers: tuple[Trigger, ...] = ()
    removals: tuple[int | None, ...] = ()


class _Bits:
    """Fields from the front; ValueError where they run out."""

    def __init__(self, value: int, width: int) -> None:
        self._value, self.left = value, width

    def take(self, width: int) -> int:
        if width > self.left:
            raise ValueError(width)
        self.left -= width
        return self._value >> self.left & ((1 << width) - 1)


# The fields between request flag and type-5 elements, in order, by request.
_FIELDS: dict[int, tuple[tuple[str, int], ...]] = {
    Ask.IMMEDIATE: (("report_type", 2),),
    Ask.ACKNOWLEDGEMENT: (),
    Ask.BASIC_PARAMETERS: (("ack", 1), ("least_interval", 7), ("report_type", 2)),
    Ask.ADD_TRIGGER: (("ack", 1), ("report_type", 2)),
    Ask.REMOVE_TRIGGER: (("ack", 1),),
    Ask.TELL_TRIGGERS: (),
    Ask.TELL_BASIC: (),
    Ask.ENABLE: (("ack", 1), ("flags", 8)),
    Ask.TEMPORARY: (("ack", 1), ("validity", 4)),
}


def read_order(octets: bytes, bits: int | None = None) -> Order | None:
    """A request to this radio, or None where it is none that it knows."""
    width = min(bits or 8 * len(octets), 8 * len(octets))
    source = _Bits(int.from_bytes(octets, "big") >> (8 * len(octets) - width), width)
    try:
        if source.take(8) != PID_LIP or source.take(2) != LONG_PDU:
            return None
        ask = Ask(source.take(4))
        if source.take(1):
            return None
        fields = {name: source.take(size) for name, size in _FIELDS[ask]}
        elements = tuple(_elements(source))
        return Order(
            ask,
            bool(fields.get("ack", ask is not Ask.ACKNOWLEDGEMENT)),
            fields.get("report_type", 3),
            fields.get("flags", 0),
            fields.get("least_interval", 0),
            tuple(_trigger(body) for code, body in elements if code == TRIGGER_DEFINITION),
            tuple(_removal(body) for code, body in elements if code == TRIGGER_REMOVAL),
        )
    except ValueError:
        return None


def _elements(source: _Bits) -> Iterator[tuple[int, _Bits]]:
    """Type-5 elements (clause 6.3.63); fewer bits than a head are padding."""
    while source.left >= ELEMENT_HEAD_BITS:
        code, size = source.take(5), source.take(6)
        if size == 0:
            size = 64 + 8 * source.take(7)
        yield code, _Bits(source.take(size), size)


def _trigger(body: _Bits) -> Trigger:
    kind, recurring = body.take(8), bool(body.take(1))
    return Trigger(kind, body.take(PARAMETER_BITS.get(kind, 0)), recurring)


def _removal(body: _Bits) -> int | None:
    return body.take(8) if body.take(1) else None


def interval_s(code: int) -> int:
    """A maximum reporting interval: steps of 30 s, 1, 10 and 30 minutes (clause 6.3.35)."""
    steps = ((20, 30), (20, 60), (54, 600), (34, 1800))
    total = 0
    for count, seconds in steps:
        total += seconds * max(0, min(count, code + 1))
        code -= count
    return total


def distance_m(code: int) -> int:
    """A maximum reporting distance: steps of 100 m, then of 500 m."""
    return 100 * min(code + 1, 100) + 500 * max(0, code - 99)


def answer_hex(ask: Ask, fields: tuple[tuple[int, int], ...], triggers: tuple[Trigger, ...] = ()) -> tuple[str, int]:
    """A response: request flag 1, the fields as (value, width), the triggers as type-5; digits and bits."""
    bits = BitString().add(PID_LIP, 8).add(LONG_PDU, 2).add(ask, 4).add(1, 1)
    for value, width in fields:
        bits.add(value, width)
    for trigger in triggers:
        parameter = PARAMETER_BITS.get(trigger.kind, 0)
        bits.add(TRIGGER_DEFINITION, 5).add(9 + parameter, 6).add(trigger.kind, 8).add(trigger.recurring, 1)
        bits.add(trigger.parameter, parameter)
    return bits.hex(-(-bits.width // 4)), bits.width
