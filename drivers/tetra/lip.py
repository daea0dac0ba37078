"""LIP: reports of position, by the type of their PDU (TS 100 392-18-1). PID 0x0A, no SDS-TL header."""

from __future__ import annotations

import msgspec

from drivers.tetra.bits import Bits
from drivers.tetra.lip_long import LongReport, Management, decode_extended, encode_extended
from drivers.tetra.lip_short import ShortReport, decode_short, encode_short
from gateway.errors import WireError

PID = 0x0A
EMERGENCY = 2
"""Reason for sending: emergency condition detected (TS 100 392-18-1)."""


class Reserved(msgspec.Struct, frozen=True):
    """A PDU of type 2 or 3: nobody has defined it yet."""

    pdu_type: int
    rest: Bits


Report = ShortReport | LongReport
Pdu = ShortReport | LongReport | Management | Reserved


def decode(bits: Bits) -> Pdu:
    """Read one PDU without its PID; WireError where it ends before its fields do (TS 100 392-18-1)."""
    kind = bits.first(2)
    if kind == 0:
        return decode_short(bits)
    if kind == 1:
        return decode_extended(bits)
    return Reserved(kind, bits.skip(2))


def encode(pdu: Pdu) -> Bits:
    """Print one PDU without its PID (TS 100 392-18-1)."""
    if isinstance(pdu, ShortReport):
        return encode_short(pdu)
    if isinstance(pdu, Reserved):
        return Bits(pdu.pdu_type << pdu.rest.length | pdu.rest.value, 2 + pdu.rest.length)
    return encode_extended(pdu)


def strip_pid(bits: Bits) -> Bits:
    """What follows the PID; WireError where the PID is not LIP's."""
    if bits.first(8) != PID:
        raise WireError(f"PID {bits.first(8):#04x} is not LIP's", clause="EN 300 392-2 clause 29")
    return bits.skip(8)


def with_pid(bits: Bits) -> Bits:
    """The PDU with its PID in front, as SDS type 4 carries it."""
    return Bits(PID << bits.length | bits.value, bits.length + 8)
