"""SDS: what comes with each AI service, and the SDS transport layer (EN 300 392-2 clauses 14.8.34 and 29).

A PID without an entry here is kept with its bits; it is no error.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from drivers.tetra import lip
from drivers.tetra import sds_parts as parts
from drivers.tetra.bits import BitReader, Bits, BitWriter
from drivers.tetra.text import decode_text, encode_text, letters_lost
from gateway.errors import WireError


class SdsType(IntEnum):
    """AI service of short data (EN 300 392-5 clause 6.13.3)."""

    SDS_1 = 9
    SDS_2 = 10
    SDS_3 = 11
    SDS_4 = 12
    STATUS = 13


FIXED_BITS: dict[int, int] = {SdsType.SDS_1: 16, SdsType.SDS_2: 32, SdsType.SDS_3: 64, SdsType.STATUS: 16}
EMERGENCY_STATUS = 0
SIMPLE_TEXT = frozenset({0x02, 0x09})
TEXT = frozenset({0x82, 0x89})
HEADED_TEXT = 0x8A
CONCATENATED = frozenset({0x0C, 0x8C})
TRANSPORT_FROM = 0x80
"""PIDs from here have the transport layer's header, but for the users' own from C0, of which nobody knows."""
USERS_FROM = 0xC0
_TRANSFER, _REPORT, _ACK = 0, 1, 2


class Status(msgspec.Struct, frozen=True):
    """A pre-coded status (clause 14.8.34)."""

    value: int


class ShortReport(msgspec.Struct, frozen=True):
    """SDS-SHORT-REPORT: the fate of an SDS of ours, sent as a status (clause 29.4.2.3)."""

    outcome: int
    reference: int


class Number(msgspec.Struct, frozen=True):
    """User-defined data of SDS type 1, 2 or 3: just bits."""

    bits: Bits


class Header(msgspec.Struct, frozen=True):
    """The header of an SDS-TRANSFER (clause 29.4.2.4)."""

    delivery_report_request: int
    standard_report_only: bool
    reference: int
    storage: parts.Storage | None = None


class Text(msgspec.Struct, frozen=True):
    """Text, simple (no header) or over the transport layer, whole or a part.

    raw has its bits where the text alone would not print back to them: padding, unknown letters.
    """

    pid: int
    coding: int
    text: str
    header: Header | None = None
    stamp: parts.TimeStamp | None = None
    user_header: parts.UserHeader | None = None
    flag: bool = False
    raw: Bits | None = None


class Delivery(msgspec.Struct, frozen=True):
    """SDS-REPORT, or SDS-ACK where acknowledgement is True, on an SDS of ours (clause 29.4.2).

    control is the four bits behind the message type, the first of them asking a report for an SDS-ACK.
    """

    pid: int
    status: int
    reference: int
    acknowledgement: bool = False
    control: int = 0
    rest: Bits = Bits(0, 0)


class Fragment(msgspec.Struct, frozen=True):
    """One part of a concatenated SDS (clause 29.5.14); inner is the PID of the whole, in part 1 alone."""

    pid: int
    part: parts.Part
    bits: Bits
    inner: int | None = None
    header: Header | None = None


class Lip(msgspec.Struct, frozen=True):
    """A LIP PDU."""

    pdu: lip.Pdu


class Other(msgspec.Struct, frozen=True):
    """A PID that is not read here, with everything behind it."""

    pid: int
    bits: Bits


Type4 = Text | Delivery | Fragment | Lip | Other
Sds = Status | ShortReport | Number | Type4


def decode(service: int, bits: Bits) -> Sds:
    """Read short data by its AI service; WireError where it is too short, or no short data."""
    if service == SdsType.SDS_4:
        return decode_type4(bits)
    fixed = FIXED_BITS.get(service)
    if fixed is None:
        raise WireError(f"AI service {service} is not short data", clause="EN 300 392-5 6.13.3")
    value = bits.first(fixed)
    return decode_status(value) if service == SdsType.STATUS else Number(Bits(value, fixed))


def decode_status(value: int) -> Status | ShortReport:
    """A pre-coded status is one, or a report on an SDS of ours: 011111 tt rrrrrrrr (clause 29.4.2.3)."""
    if value >> 10 == 0x1F:
        return ShortReport(value >> 8 & 3, value & 0xFF)
    return Status(value)


def decode_type4(bits: Bits) -> Type4:
    """SDS type 4: by its protocol identifier (clause 29.4.3.9)."""
    reader = BitReader(bits)
    pid = reader.take(8)
    if pid == lip.PID:
        return Lip(lip.decode(bits.skip(8)))
    if pid in SIMPLE_TEXT:
        return _text(pid, None, reader)
    if pid in CONCATENATED and pid < TRANSPORT_FROM:
        return _fragment(pid, None, reader)
    if TRANSPORT_FROM <= pid < USERS_FROM:
        return _transport(pid, reader)
    return Other(pid, reader.rest())


def _transport(pid: int, reader: BitReader) -> Type4:
    """What comes over the transport layer (clause 29.4.2)."""
    whole = reader.rest()
    kind = reader.take(4) if reader.left >= 4 else None
    if kind in {_REPORT, _ACK} and reader.left >= 20:
        control, status, reference = reader.take(4), reader.take(8), reader.take(8)
        return Delivery(pid, status, reference, kind == _ACK, control, reader.rest())
    if kind == _TRANSFER and (pid in TEXT or pid == HEADED_TEXT):
        return _text(pid, _header(reader), reader)
    if kind == _TRANSFER and pid in CONCATENATED:
        return _fragment(pid, _header(reader), reader)
    if kind is None or kind in {_REPORT, _ACK}:
        raise WireError(f"PID {pid:#04x} cut off", offset=reader.used, clause="EN 300 392-2 29.4.2")
    return Other(pid, whole)


def _header(reader: BitReader) -> Header:
    """Header of a transfer, behind its message type (clause 29.4.2.4)."""
    request, standard_only, storage, reference = (reader.take(width) for width in (2, 1, 1, 8))
    return Header(request, bool(standard_only), reference, parts.decode_storage(reader) if storage else None)


def _text(pid: int, header: Header | None, reader: BitReader) -> Text:
    """Text behind its header: flag, coding, time stamp, user data header, letters (clauses 29.5.3 and 29.5.10)."""
    flag, coding = bool(reader.take(1)), reader.take(7)
    stamp = parts.decode_stamp(reader) if flag and header is not None else None
    user = parts.decode_user_header(reader) if pid == HEADED_TEXT else None
    bits = reader.rest()
    text = decode_text(coding, bits)
    raw = bits if letters_lost(coding, bits, text) else None
    return Text(pid, coding, text, header, stamp, user, flag and stamp is None, raw)


def _fragment(pid: int, header: Header | None, reader: BitReader) -> Fragment | Other:
    """One part of a concatenated SDS; of its PDU types only the transfer, 0, is known (clause 29.5.14)."""
    if reader.take(3):
        raise WireError("not a part of a concatenated SDS", offset=reader.used, clause="EN 300 392-2 29.5.14")
    part = parts.decode_part(reader)
    inner = reader.take(8) if part.number == 1 else None
    return Fragment(pid, part, reader.rest(), inner, header)


def decode_inner(pid: int, header: Header | None, bits: Bits) -> Text | Lip | Other:
    """A concatenated SDS put together: the PID of part 1, then what that PID carries (clause 29.5.14).

    The transport header of its parts is its own; that nothing of it recurs within is one source's word.
    """
    if pid == lip.PID:
        return Lip(lip.decode(bits))
    if pid in TEXT or pid in SIMPLE_TEXT:
        return _text(pid, header, BitReader(bits))
    return Other(pid, bits)


def encode_status(value: int) -> Bits:
    """Print a pre-coded status (clause 14.8.34)."""
    return _written((value, 16))


def encode_short_report(report: ShortReport) -> Bits:
    """Print SDS-SHORT-REPORT (clause 29.4.2.3)."""
    return _written((0x1F, 6), (report.outcome, 2), (report.reference, 8))


def encode_delivery(delivery: Delivery) -> Bits:
    """Print SDS-REPORT or SDS-ACK (clause 29.4.2)."""
    kind = _ACK if delivery.acknowledgement else _REPORT
    writer = BitWriter()
    fields = (delivery.pid, 8), (kind, 4), (delivery.control, 4), (delivery.status, 8), (delivery.reference, 8)
    for value, width in fields:
        writer.put(value, width)
    writer.append(delivery.rest)
    return writer.bits()


def encode_text_sds(message: Text) -> Bits:
    """Print text, simple where it has no header (clauses 29.4.2.4 and 29.5.3)."""
    writer = BitWriter()
    writer.put(message.pid, 8)
    if message.header is not None:
        _write_header(writer, message.header)
    writer.put(int(message.stamp is not None or message.flag), 1)
    writer.put(message.coding, 7)
    if message.stamp is not None:
        parts.encode_stamp(writer, message.stamp)
    if message.user_header is not None:
        parts.encode_user_header(writer, message.user_header)
    writer.append(_letters(message))
    return writer.bits()


def _letters(message: Text) -> Bits:
    if message.raw is not None:
        return message.raw
    try:
        return encode_text(message.coding, message.text)
    except LookupError as fault:
        raise WireError(f"text coding scheme {message.coding} is not known", clause="EN 300 392-2 29.5.4") from fault


def encode_fragment(fragment: Fragment) -> Bits:
    """Print one part of a concatenated SDS (clause 29.5.14)."""
    writer = BitWriter()
    writer.put(fragment.pid, 8)
    if fragment.header is not None:
        _write_header(writer, fragment.header)
    writer.put(0, 3)
    parts.encode_part(writer, fragment.part)
    if fragment.inner is not None:
        writer.put(fragment.inner, 8)
    writer.append(fragment.bits)
    return writer.bits()


def _write_header(writer: BitWriter, header: Header) -> None:
    writer.put(_TRANSFER, 4)
    writer.put(header.delivery_report_request, 2)
    writer.put(int(header.standard_report_only), 1)
    writer.put(int(header.storage is not None), 1)
    writer.put(header.reference, 8)
    if header.storage is not None:
        parts.encode_storage(writer, header.storage)


def _written(*fields: tuple[int, int]) -> Bits:
    writer = BitWriter()
    for value, width in fields:
        writer.put(value, width)
    return writer.bits()


def encode(message: Sds) -> Bits:
    """Print any short data that `decode` reads."""
    if isinstance(message, Text):
        return encode_text_sds(message)
    if isinstance(message, Lip):
        return lip.with_pid(lip.encode(message.pdu))
    if isinstance(message, Delivery):
        return encode_delivery(message)
    if isinstance(message, Fragment):
        return encode_fragment(message)
    return _encode_bits(message)


def _encode_bits(message: Status | ShortReport | Number | Other) -> Bits:
    if isinstance(message, Status):
        return encode_status(message.value)
    if isinstance(message, ShortReport):
        return encode_short_report(message)
    if isinstance(message, Number):
        return message.bits
    return Bits(message.pid << message.bits.length | message.bits.value, message.bits.length + 8)
