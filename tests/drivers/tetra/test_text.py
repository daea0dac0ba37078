"""The GSM alphabet and the coding schemes, against Python's own codecs and published examples."""

import pytest

from drivers.tetra import gsm7
from drivers.tetra.bits import Bits, from_octets
from drivers.tetra.text import CODECS, coding_for, decode_text, encode_text


def test_the_alphabet_has_128_letters_once_each():
    """3GPP TS 23.038 clause 6.2.1: a table without holes or doubles."""
    assert len(gsm7.ALPHABET) == 128
    assert len(set(gsm7.ALPHABET)) == 128


@pytest.mark.parametrize(
    ("letter", "code"), [("@", 0), ("£", 1), ("\n", 10), ("\r", 13), (" ", 32), ("A", 65), ("a", 97), ("à", 127)]
)
def test_places_in_the_alphabet(letter, code):
    """Known places of known letters."""
    assert gsm7.ALPHABET.index(letter) == code


def test_digits_and_letters_are_where_ascii_has_them():
    """The part that every radio text uses."""
    for letter in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!\"#%&'()*+,-./:;<=>?":
        assert gsm7.ALPHABET.index(letter) == ord(letter)


@pytest.mark.parametrize("length", range(18))
def test_every_length_round_trips(length):
    """Around the eight-septet boundary, where padding could be read as a letter."""
    text = "abcdefghijklmnopqr"[:length]
    octets = gsm7.encode(text)
    assert gsm7.decode(octets, 8 * len(octets)).rstrip("\r") == text


def test_exact_bit_lengths_need_no_guess():
    """SDS states its length in bits: seven letters in 49 bits are seven."""
    octets = gsm7.encode("abcdefg")
    assert gsm7.decode(octets, 49) == "abcdefg"


def test_letters_outside_the_alphabet_become_a_question_mark():
    """Never an exception in the middle of a shift."""
    octets = gsm7.encode("漢a")
    assert gsm7.decode(octets, 8 * len(octets)) == "?a"


def test_an_escape_at_the_end_or_twice():
    """A cut-off or unknown extension is no error."""
    assert gsm7.decode(bytes([27]), 7) == ""
    packed = (27 | 65 << 7).to_bytes(2, "little")
    assert gsm7.decode(packed, 14) == "A"


@pytest.mark.parametrize(("coding", "codec"), CODECS.items())
def test_schemes_by_their_codec(coding, codec):
    """Every scheme prints and reads what its codec has."""
    text = "Lapel 14"
    assert encode_text(coding, text).octets() == text.encode(codec)
    assert decode_text(coding, encode_text(coding, text)) == text


@pytest.mark.parametrize("coding", [0, 1, 12, 14, 26, 27, 127])
def test_any_octets_are_some_text(coding):
    """Half octets and broken UTF-16 too."""
    for length in (0, 4, 8, 12, 24, 63):
        assert isinstance(decode_text(coding, Bits((1 << length) - 1, length)), str)


def test_a_half_octet_at_the_end_is_padding():
    """An odd hex digit behind the text."""
    assert decode_text(1, Bits(from_octets(b"ok").value << 4, 20)) == "ok"


def test_half_a_letter_of_utf_16_is_marked():
    """Cut off on the air."""
    assert decode_text(26, from_octets("aé".encode("utf-16-be")[:3])) == "a�"


def test_no_scheme_is_guessed_for_sending():
    """A scheme that is not known is refused."""
    with pytest.raises(LookupError):
        encode_text(99, "x")
    assert coding_for("") == 1
