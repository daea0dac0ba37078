"""Text coding schemes of SDS text (EN 300 392-2 clause 29)."""

from __future__ import annotations

from drivers.tetra import gsm7
from drivers.tetra.bits import Bits, from_octets

GSM_7BIT = 0
ISO_8859_1 = 1
UTF_16BE = 26
_CODE_PAGES = (437, 737, 850, 852, 855, 857, 860, 861, 863, 865, 866, 869)
CODECS = {
    **{number: f"iso8859_{number}" for number in range(1, 11)},
    11: "iso8859_13",
    12: "iso8859_14",
    13: "iso8859_15",
    **{14 + place: f"cp{page}" for place, page in enumerate(_CODE_PAGES)},
    UTF_16BE: "utf_16_be",
}
"""Schemes 0 (GSM) and 27 (VISCII, which Python lacks) apart."""


def decode_text(coding: int, bits: Bits) -> str:
    """Read text; what a scheme cannot say, and every letter of a scheme not known, is marked, not dropped."""
    if coding == GSM_7BIT:
        return gsm7.decode(bits.octets(), bits.length)
    octets = bits.octets()[: bits.length // 8]
    return octets.decode(CODECS.get(coding, "ascii"), "replace")


def encode_text(coding: int, text: str) -> Bits:
    """Print text in a scheme; LookupError for one that is not known."""
    if coding == GSM_7BIT:
        return from_octets(gsm7.encode(text))
    return from_octets(text.encode(CODECS[coding], "replace"))


def coding_for(text: str) -> int:
    """The smallest scheme that radios share and that can say this text: ISO 8859-1, else UTF-16."""
    return ISO_8859_1 if all(ord(letter) < 256 for letter in text) else UTF_16BE


def letters_lost(coding: int, bits: Bits, text: str) -> bool:
    """Whether the text as read would not print back to these very bits (padding, letters no scheme has)."""
    try:
        return encode_text(coding, text) != bits
    except (LookupError, UnicodeError):
        return True
