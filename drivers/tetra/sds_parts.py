"""What may stand around the text of an SDS: storage, time stamp, and the headers of its parts.

EN 300 392-2 clauses 29.4.2.4, 29.5.4, 29.5.10.3 (user data header) and 29.5.14 (concatenated SDS).
"""

from __future__ import annotations

import msgspec

from drivers.tetra.bits import BitReader, Bits, BitWriter
from gateway.errors import WireError

UTC_FRAME = 1
_FORWARD_BITS = {0: 8, 1: 24, 2: 48, 7: 0}
_NUMBER = 3
_SHORT_REFERENCE, _LONG_REFERENCE = 0x00, 0x08


class Storage(msgspec.Struct, frozen=True):
    """Store and forward: how long it holds, and for whom beyond the called party (clause 29.4.2.4)."""

    validity: int
    forward_type: int
    forward: Bits = Bits(0, 0)


class TimeStamp(msgspec.Struct, frozen=True):
    """When a text was written: frame 0 application, 1 UTC, 2 local, 3 local in summer (clause 29.5.4)."""

    frame: int
    month: int
    day: int
    hour: int
    minute: int
    spare: int = 0


class Part(msgspec.Struct, frozen=True):
    """Which part of which message this is; long says that its reference took the longer field."""

    reference: int
    total: int
    number: int
    long: bool = False


class UserHeader(msgspec.Struct, frozen=True):
    """A user data header: the part it names, or only its octets where it names none (clause 29.5.10.3)."""

    part: Part | None
    octets: bytes


def decode_storage(reader: BitReader) -> Storage:
    """Validity period and forward address (clause 29.4.2.4).

    An external number states its count of digits; an odd one is padded. No recording has one yet.
    """
    period, kind = reader.take(5), reader.take(3)
    if kind == _NUMBER:
        count = reader.take(8)
        width = 4 * (count + count % 2)
        return Storage(period, kind, Bits(count << width | reader.take(width), 8 + width))
    known = _FORWARD_BITS.get(kind)
    if known is None:
        raise WireError(f"forward address type {kind} is not supported", offset=reader.used)
    return Storage(period, kind, Bits(reader.take(known), known))


def encode_storage(writer: BitWriter, storage: Storage) -> None:
    """Print a storage block (clause 29.4.2.4)."""
    writer.put(storage.validity, 5)
    writer.put(storage.forward_type, 3)
    writer.append(storage.forward)


def decode_stamp(reader: BitReader) -> TimeStamp:
    """24 bits of time stamp: no year (clause 29.5.4)."""
    frame, spare, month, day, hour, minute = (reader.take(width) for width in (2, 2, 4, 5, 5, 6))
    return TimeStamp(frame, month, day, hour, minute, spare)


def encode_stamp(writer: BitWriter, stamp: TimeStamp) -> None:
    """Print a time stamp (clause 29.5.4)."""
    fields = (stamp.frame, 2), (stamp.spare, 2), (stamp.month, 4), (stamp.day, 5), (stamp.hour, 5), (stamp.minute, 6)
    for value, width in fields:
        writer.put(value, width)


def decode_user_header(reader: BitReader) -> UserHeader:
    """Length, then elements: 00 names a part with 8 bits of reference, 08 with 16 (clause 29.5.10.3)."""
    octets = bytes(reader.take(8) for _ in range(reader.take(8)))
    return UserHeader(_named_part(octets), octets)


def _named_part(octets: bytes) -> Part | None:
    at = 0
    while at + 2 <= len(octets):
        number, length = octets[at], octets[at + 1]
        content = octets[at + 2 : at + 2 + length]
        if number == _SHORT_REFERENCE and len(content) == length == 3:
            return Part(content[0], content[1], content[2])
        if number == _LONG_REFERENCE and len(content) == length == 4:
            return Part(content[0] << 8 | content[1], content[2], content[3], long=True)
        at += 2 + length
    return None


def user_header(part: Part) -> UserHeader:
    """The header that names this part and nothing else (clause 29.5.10.3)."""
    if part.long:
        octets = bytes((_LONG_REFERENCE, 4, part.reference >> 8, part.reference & 0xFF, part.total, part.number))
    else:
        octets = bytes((_SHORT_REFERENCE, 3, part.reference, part.total, part.number))
    return UserHeader(part, octets)


def encode_user_header(writer: BitWriter, header: UserHeader) -> None:
    """Print a user data header (clause 29.5.10.3)."""
    writer.put(len(header.octets), 8)
    for octet in header.octets:
        writer.put(octet, 8)


def decode_part(reader: BitReader) -> Part:
    """Header of one part of a concatenated SDS, behind its PDU type; one source alone (clause 29.5.14)."""
    long, reference = bool(reader.take(1)), reader.take(4)
    if long:
        reference = reference << 8 | reader.take(8)
    return Part(reference, reader.take(8), reader.take(8), long)


def encode_part(writer: BitWriter, part: Part) -> None:
    """Print the header of a part, behind its PDU type (clause 29.5.14)."""
    writer.put(int(part.long), 1)
    if part.long:
        writer.put(part.reference >> 8, 4)
        writer.put(part.reference & 0xFF, 8)
    else:
        writer.put(part.reference, 4)
    writer.put(part.total, 8)
    writer.put(part.number, 8)
