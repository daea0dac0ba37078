"""SDS: what comes with each AI service, and the SDS transport layer (EN 300 392-2 clauses 14.8.34 and 29).

Not supported: concatenation (PIDs 0C, 8A, 8C), the content of PIDs without an entry here. Such a PID is
kept with its bits; it is no error.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from drivers.tetra import lip
from drivers.tetra.bits import BitReader, Bits, BitWriter
from drivers.tetra.text import decode_text, encode_text
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
_TRANSFER, _REPORT, _ACK = 0, 1, 2
_FORWARD_BITS = {0: 8, 1: 24, 2: 48, 7: 0}


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
    storage: Bits | None = None


class Text(msgspec.Struct, frozen=True):
    """Text, simple (no header) or over the transport layer; time stamp as its 24 bits."""

    pid: int
    coding: int
    text: str
    header: Header | None = None
    stamp: Bits | None = None


class Delivery(msgspec.Struct, frozen=True):
    """SDS-REPORT, or SDS-ACK where acknowledgement is True, on an SDS of ours (clause 29.4.2)."""

    pid: int
    status: int
    reference: int
    acknowledgement: bool = False


class Lip(msgspec.Struct, frozen=True):
    """A LIP PDU."""

    pdu: lip.Pdu


class Other(msgspec.Struct, frozen=True):
    """A PID that is not read here, with everything behind it."""

    pid: int
    bits: Bits


Sds = Status | ShortReport | Number | Text | Delivery | Lip | Other


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


def decode_type4(bits: Bits) -> Text | Delivery | Lip | Other:
    """SDS type 4: by its protocol identifier (clause 29.4.3.9)."""
    pid = bits.first(8)
    if pid == lip.PID:
        return Lip(lip.decode(bits.skip(8)))
    reader = BitReader(bits)
    reader.take(8)
    if pid in SIMPLE_TEXT:
        reader.take(1)
        coding = reader.take(7)
        return Text(pid, coding, decode_text(coding, reader.rest()))
    if pid in TEXT:
        return _transport_text(bits, reader)
    return Other(pid, reader.rest())


def _transport_text(whole: Bits, reader: BitReader) -> Text | Delivery | Other:
    pid = whole.first(8)
    kind = reader.take(4)
    if kind in {_REPORT, _ACK}:
        return _delivery(pid, kind, reader)
    if kind != _TRANSFER:
        return Other(pid, whole.skip(8))
    header = _header(reader)
    stamped, coding = reader.take(1), reader.take(7)
    stamp = Bits(reader.take(24), 24) if stamped else None
    return Text(pid, coding, decode_text(coding, reader.rest()), header, stamp)


def _header(reader: BitReader) -> Header:
    """Header of a transfer, behind its message type (clause 29.4.2.4)."""
    request, standard_only, storage, reference = (reader.take(width) for width in (2, 1, 1, 8))
    kept = _storage(reader) if storage else None
    return Header(request, bool(standard_only), reference, kept)


def _storage(reader: BitReader) -> Bits:
    """Validity period and forward address; the external number (3) has no length that anyone states."""
    period, kind = reader.take(5), reader.take(3)
    width = _FORWARD_BITS.get(kind)
    if width is None:
        raise WireError(f"forward address type {kind} is not supported", offset=reader.used)
    return Bits(((period << 3 | kind) << width) | reader.take(width), 8 + width)


def _delivery(pid: int, kind: int, reader: BitReader) -> Delivery:
    """SDS-REPORT and SDS-ACK, behind their message type (clause 29.4.2)."""
    reader.take(4)
    status, reference = reader.take(8), reader.take(8)
    return Delivery(pid, status, reference, acknowledgement=kind == _ACK)


def encode_status(value: int) -> Bits:
    """Print a pre-coded status (clause 14.8.34)."""
    return _written((value, 16))


def encode_short_report(report: ShortReport) -> Bits:
    """Print SDS-SHORT-REPORT (clause 29.4.2.3)."""
    return _written((0x1F, 6), (report.outcome, 2), (report.reference, 8))


def encode_delivery(delivery: Delivery) -> Bits:
    """Print SDS-REPORT or SDS-ACK (clause 29.4.2)."""
    kind = _ACK if delivery.acknowledgement else _REPORT
    return _written((delivery.pid, 8), (kind, 4), (0, 4), (delivery.status, 8), (delivery.reference, 8))


def encode_text_sds(message: Text) -> Bits:
    """Print text, simple where it has no header (clause 29.4.2.4)."""
    writer = BitWriter()
    writer.put(message.pid, 8)
    if message.header is not None:
        _write_header(writer, message.header)
    writer.put(int(message.stamp is not None), 1)
    writer.put(message.coding, 7)
    if message.stamp is not None:
        writer.append(message.stamp)
    writer.append(encode_text(message.coding, message.text))
    return writer.bits()


def _write_header(writer: BitWriter, header: Header) -> None:
    writer.put(_TRANSFER, 4)
    writer.put(header.delivery_report_request, 2)
    writer.put(int(header.standard_report_only), 1)
    writer.put(int(header.storage is not None), 1)
    writer.put(header.reference, 8)
    if header.storage is not None:
        writer.append(header.storage)


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
    return _encode_bits(message)


def _encode_bits(message: Status | ShortReport | Number | Other) -> Bits:
    if isinstance(message, Status):
        return encode_status(message.value)
    if isinstance(message, ShortReport):
        return encode_short_report(message)
    if isinstance(message, Number):
        return message.bits
    return Bits(message.pid << message.bits.length | message.bits.value, message.bits.length + 8)
