"""PEI lines from a byte stream, in any chunking (EN 300 392-5 clause 6).

A short-data indication takes two lines: a header, then hex digits without a prefix. Lines of other
business may stand between them. Nothing that arrives is dropped: what cannot be read comes out as
Unreadable with its bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from drivers.tetra.bits import MAX_DIGITS, Bits, from_hex, is_hex
from drivers.tetra.sds import FIXED_BITS
from gateway.domain.ids import ISSI_MAX

MAX_LINE = 2048
"""Security limit: a header is at most a hundred characters, short data at most 512 digits."""
MAX_BETWEEN = 8
"""Security limit: other lines that may stand between a header and its hex digits."""
_HEADER = b"+CTSDSR:"
UNPRINTABLE = "unprintable bytes"
_ENDS = re.compile(rb"[\r\n]+")
_UNPRINTABLE = re.compile(rb"[^\t\x20-\x7e\xa0-\xff]")
_FIELDS = {3: (None, 2), 4: (None, 3), 6: (1, 5), 7: (1, 5)}
"""By number of fields: where the calling identity and the length stand (clause 6.13.3)."""


class Address(msgspec.Struct, frozen=True):
    """A calling or called identity as sent, with its SSI where it is an SSI or a TSI."""

    digits: str
    ssi: int | None


class SdsIndication(msgspec.Struct, frozen=True):
    """A whole short-data indication: header and digits; doubt says what is odd about the header."""

    service: int
    calling: Address | None
    called: Address | None
    bits: Bits
    raw: bytes
    doubt: str = ""


class Result(msgspec.Struct, frozen=True):
    """The end of a command: code None for OK, -1 for a bare ERROR, else the code of +CME or +CMS."""

    code: int | None
    raw: bytes


class Unsolicited(msgspec.Struct, frozen=True):
    """A line `+NAME: text`, of the radio's own accord or in answer to a command."""

    name: str
    text: str
    raw: bytes


class Line(msgspec.Struct, frozen=True):
    """Any other line of text: an echo, a continuation, a banner."""

    text: str
    raw: bytes


class Unreadable(msgspec.Struct, frozen=True):
    """Bytes that are not the protocol, and why."""

    raw: bytes
    reason: str


Item = SdsIndication | Result | Unsolicited | Line | Unreadable


class _Header(msgspec.Struct, frozen=True):
    service: int | None
    calling: Address | None
    called: Address | None
    stated: int | None
    raw: bytes
    doubt: str


class LineReader:
    """Bytes in, items out; the same items whatever pieces the bytes come in."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._overlong = False
        self._header: _Header | None = None
        self._between = 0

    def feed(self, data: bytes) -> list[Item]:
        """Take bytes as the port gave them; give every item that they complete."""
        items: list[Item] = []
        pieces = _ENDS.split(data)
        for number, piece in enumerate(pieces):
            if number:
                items += self._end_line()
            if piece:
                items += self._extend(piece)
        return items

    def finish(self) -> list[Item]:
        """The stream has ended: what is left is a last line, and a header without digits."""
        items = [*self._end_line()]
        if self._header is not None:
            items += self._give_up()
        return items

    def _extend(self, piece: bytes) -> Iterator[Item]:
        """Add to the line; one that grows past the limit comes out in pieces of that size."""
        self._line += piece
        while len(self._line) > MAX_LINE:
            self._overlong = True
            yield Unreadable(bytes(self._line[:MAX_LINE]), f"line of more than {MAX_LINE} bytes")
            del self._line[:MAX_LINE]

    def _end_line(self) -> Iterator[Item]:
        raw, overlong = bytes(self._line), self._overlong
        self._line.clear()
        self._overlong = False
        if not raw:
            return
        start = raw.find(_HEADER)
        if overlong and start < 0:
            yield Unreadable(raw, "rest of an overlong line")
            return
        if start > 0:
            # Noise in front of an indication must not cost us the indication.
            yield Unreadable(raw[:start], "noise in front of an indication")
            raw = raw[start:]
        yield from self._take(raw)

    def _take(self, raw: bytes) -> Iterator[Item]:
        """One whole line, by what it is and what is awaited."""
        if raw.startswith(_HEADER):
            yield from self._give_up()
            yield from self._open(raw)
        elif self._header is None:
            yield _plain(raw)
        else:
            yield from self._awaiting(self._header, raw)

    def _open(self, raw: bytes) -> Iterator[Item]:
        header = _parse_header(raw)
        if header.stated == 0 and header.service not in FIXED_BITS:
            yield _complete(header, "")
        else:
            self._header, self._between = header, 0

    def _awaiting(self, header: _Header, raw: bytes) -> Iterator[Item]:
        """A line behind a header: its digits, or other business, or the digits damaged.

        A damaged line ends the wait: the next digits may be another officer's.
        """
        digits = raw.decode("latin-1").strip()
        if is_hex(digits):
            self._header = None
            yield _complete(header, digits, raw)
            return
        item = _plain(raw)
        self._between += 1
        if isinstance(item, Line | Unreadable) or self._between >= MAX_BETWEEN:
            yield from self._give_up()
        yield item

    def _give_up(self) -> Iterator[Item]:
        if self._header is not None:
            yield Unreadable(self._header.raw, "indication without hex digits")
            self._header = None


def _complete(header: _Header, digits: str, line: bytes = b"") -> Item:
    """Header and digits (line: as they came) together; never more bits than stated or sent (clause 6.13.3)."""
    raw = header.raw + (b"\r\n" + line if line else b"")
    if header.service is None:
        return Unreadable(raw, header.doubt)
    if len(digits) > MAX_DIGITS:
        return Unreadable(raw, f"{len(digits)} hex digits where {MAX_DIGITS} are the limit")
    stated = FIXED_BITS.get(header.service, header.stated)
    bits = from_hex(digits, stated) if digits else Bits(0, 0)
    return SdsIndication(header.service, header.calling, header.called, bits, raw, header.doubt)


def _parse_header(raw: bytes) -> _Header:
    """Read `+CTSDSR: service,[calling],[type],called,type,length[,e2ee]` (clause 6.13.3).

    Only a header without a service is useless. Any other oddity is a doubt: it must not cost an emergency.
    """
    fields = [field.strip(' \t"') for field in raw[len(_HEADER) :].decode("latin-1").split(",")]
    service = _number(fields[0])
    if service is None:
        return _Header(None, None, None, None, raw, "indication without an AI service")
    places = _FIELDS.get(len(fields))
    if places is None:
        return _Header(service, None, None, None, raw, f"indication of {len(fields)} fields")
    calling_at, length_at = places
    calling = None if calling_at is None else address(fields[calling_at])
    called = address(fields[1 if calling_at is None else 3])
    stated = _number(fields[length_at]) if len(fields) < 7 else _length_of_seven(fields[5], fields[6])
    doubt = "" if stated is not None else "indication without a length"
    return _Header(service, calling, called, stated, raw, doubt)


def _length_of_seven(sixth: str, seventh: str) -> int | None:
    """Older firmware puts the end-to-end flag before the length: the flag is 0 or 1."""
    first, second = _number(sixth), _number(seventh)
    return second if first in {0, 1} and second is not None and second > 1 else first


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


def address(digits: str) -> Address | None:
    """An SSI, or a TSI of 15 to 17 digits whose last eight are its SSI."""
    if not digits:
        return None
    short = digits[-8:] if 15 <= len(digits) <= 17 and digits.isdigit() else digits
    ssi = _number(short)
    return Address(digits, ssi if ssi is not None and 1 <= ssi <= ISSI_MAX else None)


_ERROR = re.compile(r"\+CM[ES] ERROR:\s*(\d{1,5})")
_RESULTS = {"OK": None, "ERROR": -1}
_NAMED = re.compile(r"(\+[A-Z0-9]+):\s*(.*)")


def _plain(raw: bytes) -> Item:
    """A line that belongs to no short data."""
    if _UNPRINTABLE.search(raw):
        return Unreadable(raw, UNPRINTABLE)
    text = raw.decode("latin-1").strip()
    if text in _RESULTS:
        return Result(_RESULTS[text], raw)
    if error := _ERROR.fullmatch(text):
        return Result(int(error[1]), raw)
    if named := _NAMED.fullmatch(text):
        return Unsolicited(named[1], named[2], raw)
    if len(text) >= 4 and is_hex(text):
        return Unreadable(raw, "hex digits without an indication")
    return Line(text, raw)
