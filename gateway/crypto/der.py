"""The little of DER (X.690) that a CMS signature and a time-stamp request are made of, and their parts read."""

from __future__ import annotations

import msgspec

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


class Part(msgspec.Struct, frozen=True):
    """One element as it was read: its tag, its content, and all its bytes."""

    tag: int
    content: bytes
    whole: bytes


def parts(content: bytes) -> list[Part]:
    """The elements that stand side by side there; ValueError where they are none."""
    found, at = [], 0
    while at < len(content):
        length, begins = _length(content, at + 1)
        end = begins + length
        if end > len(content):
            raise ValueError(f"an element of {length} bytes, {len(content) - begins} are there")
        found.append(Part(content[at], content[begins:end], content[at:end]))
        at = end
    return found


def _length(content: bytes, at: int) -> tuple[int, int]:
    """A definite length (clause 8.1.3), and where the content begins."""
    if at >= len(content) or content[at] in (0x80, 0xFF):
        raise ValueError("an element without a definite length")
    if content[at] < 0x80:
        return content[at], at + 1
    octets_ = content[at + 1 : at + 1 + (content[at] & 0x7F)]
    if len(octets_) != content[at] & 0x7F:
        raise ValueError("a length that is cut off")
    return int.from_bytes(octets_, "big"), at + 1 + len(octets_)
