"""Bit strings as TETRA short data carries them: any length, first bit first."""

from __future__ import annotations

import string

import msgspec

from gateway.errors import WireError

HEX_DIGITS = frozenset(string.hexdigits)
MAX_DIGITS = 1024
"""Security limit: no SDS is longer than 2,047 bits, 512 digits."""


class Bits(msgspec.Struct, frozen=True):
    """A bit string: its value as one number, its length in bits."""

    value: int
    length: int

    def octets(self) -> bytes:
        """The bits in whole octets, the last one padded with zeros."""
        count = -(-self.length // 8)
        return (self.value << (count * 8 - self.length)).to_bytes(count, "big")

    def hex(self) -> str:
        """Upper-case hex digits of whole octets, as radios print them."""
        return self.octets().hex().upper()

    def skip(self, count: int) -> Bits:
        """The bits behind the first `count`; WireError where there are not so many."""
        left = self.length - count
        if left < 0:
            raise WireError(f"{self.length} bits where at least {count} are needed", offset=self.length)
        return Bits(self.value & ((1 << left) - 1), left)

    def first(self, count: int) -> int:
        """The first `count` bits as a number; WireError where there are not so many."""
        if count > self.length:
            raise WireError(f"{self.length} bits where at least {count} are needed", offset=self.length)
        return self.value >> (self.length - count)


def is_hex(text: str) -> bool:
    """Whether text is hex digits and nothing else (int() would take signs and underscores)."""
    return bool(text) and HEX_DIGITS.issuperset(text)


def from_hex(text: str, stated: int | None = None) -> Bits:
    """Read hex digits, an odd number of them included; never more than `stated` bits.

    Makes disagree about both: one says 84 and sends 88, another sends 21 digits (EN 300 392-5 clause 6.13.3).
    """
    if len(text) > MAX_DIGITS:
        raise WireError(f"{len(text)} hex digits where {MAX_DIGITS} are the limit")
    if not is_hex(text):
        raise WireError("not hex digits", frame=text.encode("utf-8", "replace"))
    sent = 4 * len(text)
    length = sent if stated is None else max(0, min(stated, sent))
    return Bits(int(text, 16) >> (sent - length), length)


def from_octets(octets: bytes) -> Bits:
    """The bits of whole octets; WireError beyond what any short data holds."""
    if 2 * len(octets) > MAX_DIGITS:
        raise WireError(f"{len(octets)} octets where {MAX_DIGITS // 2} are the limit")
    return Bits(int.from_bytes(octets, "big"), 8 * len(octets))


class BitReader:
    """Takes fields off the front of a bit string, and knows how far it is."""

    def __init__(self, bits: Bits) -> None:
        self._value, self._length, self.left = bits.value, bits.length, bits.length

    @property
    def used(self) -> int:
        """How many bits have been taken."""
        return self._length - self.left

    def take(self, width: int) -> int:
        """The next `width` bits as a number; WireError where there are not so many."""
        if width > self.left:
            raise WireError(f"ends {width - self.left} bits early", offset=self.used)
        self.left -= width
        return (self._value >> self.left) & ((1 << width) - 1)

    def rest(self) -> Bits:
        """What has not been taken yet, untouched."""
        return Bits(self._value & ((1 << self.left) - 1), self.left)


class BitWriter:
    """Puts fields one behind the other."""

    def __init__(self) -> None:
        self._value = self._length = 0

    def put(self, value: int, width: int) -> int:
        """Append `value` in `width` bits and return it; WireError where it does not fit."""
        if not 0 <= value < 1 << width:
            raise WireError(f"{value} does not fit in {width} bits", offset=self._length)
        self._value, self._length = self._value << width | value, self._length + width
        return value

    def append(self, bits: Bits) -> None:
        """Append a bit string as it is."""
        self.put(bits.value, bits.length)

    def bits(self) -> Bits:
        """All that was put."""
        return Bits(self._value, self._length)


def signed(raw: int, width: int) -> int:
    """Two's complement of a field."""
    return raw - (1 << width) if raw >> (width - 1) else raw


def unsigned(value: int, width: int) -> int:
    """The field of a number in two's complement."""
    return value & ((1 << width) - 1)
