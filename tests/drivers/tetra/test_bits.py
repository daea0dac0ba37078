"""Bit strings: reading, writing, and refusing what does not fit."""

import pytest

from drivers.tetra.bits import BitReader, Bits, BitWriter, from_hex, from_octets, is_hex, signed, unsigned
from gateway.errors import WireError


@pytest.mark.parametrize(
    ("text", "stated", "expected"),
    [
        ("8003", None, Bits(0x8003, 16)),
        ("8003", 16, Bits(0x8003, 16)),
        ("80035", 16, Bits(0x8003, 16)),
        ("800", 16, Bits(0x800, 12)),
        ("F", 3, Bits(7, 3)),
        ("0A", 0, Bits(0, 0)),
        ("0A", -5, Bits(0, 0)),
        ("0a", None, Bits(10, 8)),
    ],
)
def test_hex_and_what_was_stated(text, stated, expected):
    """The lesser of what was stated and what was sent, from the front."""
    assert from_hex(text, stated) == expected


@pytest.mark.parametrize("text", ["", "0x10", "1_0", "+1", "-1", " 10", "10 ", "1g", "٣", "1\n", "0" * 1025])
def test_what_is_no_hex(text):
    """int() would take most of these."""
    with pytest.raises(WireError):
        from_hex(text)
    assert not is_hex(text) or len(text) > 1024


def test_octets_are_padded_at_the_end():
    """84 bits are eleven octets whose last half is zero."""
    bits = from_hex("0A0BA7D5B95BC50AFFE16")
    assert bits.length == 84
    assert bits.hex() == "0A0BA7D5B95BC50AFFE160"
    assert from_octets(bits.octets()) == Bits(bits.value << 4, 88)
    assert Bits(0, 0).hex() == ""


def test_first_and_skip():
    """The front and what is behind it."""
    bits = from_hex("0A3000")
    assert bits.first(8) == 10
    assert bits.skip(8) == Bits(0x3000, 16)
    assert bits.skip(24) == Bits(0, 0)
    for beyond in (bits.first, bits.skip):
        with pytest.raises(WireError, match="24 bits"):
            beyond(25)


def test_reader_says_where_it_stopped():
    """A field that is not whole takes nothing."""
    reader = BitReader(Bits(0b1011001, 7))
    assert (reader.take(3), reader.used, reader.left) == (0b101, 3, 4)
    with pytest.raises(WireError) as caught:
        reader.take(5)
    assert caught.value.offset == 3
    assert reader.rest() == Bits(0b1001, 4)
    assert reader.take(0) == 0


def test_writer_refuses_what_does_not_fit():
    """And leaves what was written."""
    writer = BitWriter()
    assert writer.put(5, 3) == 5
    for value, width in ((8, 3), (-1, 3), (1, 0)):
        with pytest.raises(WireError):
            writer.put(value, width)
    writer.append(Bits(0, 2))
    assert writer.bits() == Bits(0b10100, 5)


@pytest.mark.parametrize(("raw", "number"), [(0, 0), (1, 1), (0x7FFFFF, 8388607), (0x800000, -8388608), (0xFFFFFF, -1)])
def test_twos_complement(raw, number):
    """Both directions."""
    assert signed(raw, 24) == number
    assert unsigned(number, 24) == raw
