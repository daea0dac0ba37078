"""The little of DER (X.690) that a CMS signature and a time-stamp request are made of; writing only."""

from __future__ import annotations

BOOLEAN_TRUE = b"\x01\x01\xff"
NULL = b"\x05\x00"
_INTEGER, _OCTETS, _OID, _UTC_TIME, _SEQUENCE, _SET = 0x02, 0x04, 0x06, 0x17, 0x30, 0x31
_CONTEXT = 0xA0


def tlv(tag: int, content: bytes) -> bytes:
    """One element: tag, definite length (clause 8.1.3), content."""
    if len(content) < 0x80:
        return bytes((tag, len(content))) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def sequence(*parts: bytes) -> bytes:
    """SEQUENCE."""
    return tlv(_SEQUENCE, b"".join(parts))


def set_of(*parts: bytes) -> bytes:
    """SET OF, its elements in ascending order (clause 11.6)."""
    return tlv(_SET, b"".join(sorted(parts)))


def context(number: int, content: bytes) -> bytes:
    """A constructed element under a context tag: EXPLICIT round a whole element, IMPLICIT round its content."""
    return tlv(_CONTEXT | number, content)


def integer(number: int) -> bytes:
    """INTEGER, not negative (clause 8.3)."""
    return tlv(_INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def octets(content: bytes) -> bytes:
    """OCTET STRING."""
    return tlv(_OCTETS, content)


def utc_time(text: str) -> bytes:
    """UTCTime, `YYMMDDhhmmssZ`."""
    return tlv(_UTC_TIME, text.encode("ascii"))


def oid(dotted: str) -> bytes:
    """OBJECT IDENTIFIER (clause 8.19)."""
    first, second, *rest = (int(part) for part in dotted.split("."))
    return tlv(_OID, b"".join(_arc(number) for number in (40 * first + second, *rest)))


def _arc(number: int) -> bytes:
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(0x80 | number & 0x7F)
    return bytes(reversed(groups))
